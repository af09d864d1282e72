"""Commands as the store reads them: RESP arrays of bulk strings, each part's length before its bytes."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.store.client import Script

Part = str | bytes | int
"""What a command is made of. No ``float`` and no ``bool``: how those are spelled is for the caller to say."""


def encode(*parts: Part) -> bytes:
    """One command. Raises ``TypeError`` for what is no ``Part``: nothing is turned to text by guess."""
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        text = _bytes_of(part)
        pieces.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(pieces)


def _bytes_of(part: Part) -> bytes:
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, bytes):
        return part
    if type(part) is int:  # By its exact type: a bool is an int, too.
        return b"%d" % part
    raise TypeError(f"a command has no {type(part).__name__}")


def by_digest(script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> bytes:
    """Run a script that the store may know."""
    return encode(b"EVALSHA", script.sha, len(keys), *keys, *arguments)


def by_text(script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> bytes:
    """Run a script, and let the store know it."""
    return encode(b"EVAL", script.text, len(keys), *keys, *arguments)
