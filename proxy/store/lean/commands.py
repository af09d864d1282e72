"""Commands as the store reads them: RESP arrays of bulk strings, each part's length before its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import hiredis

from proxy.store.client import Script

Part = str | bytes | int
"""What a command is made of. No ``float`` and no ``bool``: how those are spelled is for the caller to say."""


_KINDS: Final = frozenset((str, bytes, int))
"""By their exact types: a bool is an int, too."""


def encode(*parts: Part) -> bytes:
    """One command. Raises ``TypeError`` for what is no ``Part``: nothing is turned to text by guess."""
    if not _KINDS.issuperset(map(type, parts)):
        stranger = next(part for part in parts if type(part) not in _KINDS)
        raise TypeError(f"a command has no {type(stranger).__name__}")
    packed: bytes = hiredis.pack_command(cast(Any, parts))  # Its stub knows tuples of one part alone.
    return packed


def by_digest(script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> bytes:
    """Run a script that the store may know."""
    return encode(b"EVALSHA", script.sha, len(keys), *keys, *arguments)


def by_text(script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> bytes:
    """Run a script, and let the store know it."""
    return encode(b"EVAL", script.text, len(keys), *keys, *arguments)
