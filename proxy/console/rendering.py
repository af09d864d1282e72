"""Pages and parts of pages from the templates beside this file."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Final

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from proxy.console import nav, words
from proxy.console.answers import Page

_HERE: Final = Path(__file__).parent
_DIGEST_BYTES: Final = hashlib.sha256().digest_size

KILL_COMMAND: Final = 'perpguard kill --by NAME --reason "..."'
"""What the pages say where nobody said which guard this is."""


class Rendering:
    """Every template, read at start: a broken one fails there, not under the button."""

    def __init__(self, kill_command: str = KILL_COMMAND) -> None:
        """``kill_command`` is what stops the desk from the guard's machine."""
        self._templates = _environment()
        self._of_all = {"kill_command": kill_command}

    def page(self, template: str, status: int = 200, **values: Any) -> Page:
        """A template with its values."""
        return Page(self._templates.get_template(template).render(self._of_all | values), status_code=status)


@cache
def _environment() -> Environment:
    """One for the process: the files do not change under it."""
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        bytecode_cache=_Compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        # It would work out filters of constants at once, and what they said would be kept with what is compiled.
        optimized=False,
    )
    templates.filters.update(words.FILTERS)
    templates.filters["groups"] = nav.groups
    templates.globals.update(nav=nav.NAV, slots=nav.SLOTS, stop_page=nav.STOP_PAGE, with_button=nav.WITH_BUTTON)
    for template in templates.list_templates():
        templates.get_template(template)
    return templates


class _Compiled(BytecodeCache):
    """Compiled templates, kept where and when Python keeps its own compiled modules: to compile them all takes longer
    than all else that a warden does at start. Jinja compiles again what does not fit a template's text or its version.
    At options and filters it does not look: this very file and the filters' names are part of a kept file's name.
    """

    def __init__(self) -> None:
        self._made_by = hashlib.sha256(Path(__file__).read_bytes() + repr(sorted(words.FILTERS)).encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """What was kept, if all of it is there: half a file would be run as if it were code."""
        try:
            kept = self._path(bucket).read_bytes()
        except OSError:
            return
        digest, compiled = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
        if hashlib.sha256(compiled).digest() == digest:
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """As with modules: what cannot be kept, in a folder that may not be written, is compiled again next time."""
        if sys.dont_write_bytecode:
            return
        compiled = bucket.bytecode_to_string()
        path = self._path(bucket)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            halfway = path.with_suffix(f".{os.getpid()}")
            halfway.write_bytes(hashlib.sha256(compiled).digest() + compiled)
            halfway.replace(path)

    def _path(self, bucket: Bucket) -> Path:
        return Path(cache_from_source(__file__)).with_name(f"template-{self._made_by[:16]}-{bucket.key}.cache")
