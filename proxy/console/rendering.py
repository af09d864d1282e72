"""Pages and parts of pages from the templates beside this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from proxy.console import nav, words
from proxy.console.answers import Page

_HERE: Final = Path(__file__).parent


class Rendering:
    """Every template, read at start: a broken one fails there, not under the button."""

    def __init__(self) -> None:
        self._templates = _environment()

    def page(self, template: str, status: int = 200, **values: Any) -> Page:
        """A template with its values."""
        return Page(self._templates.get_template(template).render(values), status_code=status)


@cache
def _environment() -> Environment:
    """One for the process: the files do not change under it, and compiling them takes longer than all else at start."""
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(words.FILTERS)
    templates.filters["groups"] = nav.groups
    templates.globals.update(nav=nav.NAV, slots=nav.SLOTS, stop_page=nav.STOP_PAGE, with_button=nav.WITH_BUTTON)
    for template in templates.list_templates():
        templates.get_template(template)
    return templates
