"""The grammar of RFC 9112 with every leniency taken out: what a gate may take for a request, read off a byte stream.

Written for tests, from the RFC and not from the gate: it shares no line with it. Where two servers could differ about
where a request ends, this reader stops, and whatever a gate does with the rest of the stream must be nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

METHODS: Final = frozenset({b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS"})
_LINE: Final = re.compile(rb"([A-Z]+) +(/[\x21\x22\x24-\x7e]*) +HTTP/1\.([01])")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[ \t]+)?)*)")
_SINGLE: Final = frozenset(
    {b"host", b"content-length", b"content-type", b"content-encoding", b"x-mbx-apikey", b"expect"}
)
"""Fields of which two, even two equal ones, could be read as one or the other."""


@dataclass(frozen=True, slots=True)
class Whole:
    """One request that every server reads alike."""

    method: bytes
    target: bytes
    body: bytes


def accepted(stream: bytes) -> list[Whole]:
    """The requests at the front of ``stream`` about which there can be no two opinions."""
    found = []
    while stream:
        # RFC 9112, sections 2.2 and 3: empty lines before a request, and more than one space in its line, are either
        # read over or refused, and by nobody taken for anything else.
        head, blank, rest = stream.lstrip(b"\r\n").partition(b"\r\n\r\n")
        fields = _fields(head) if blank else None
        if fields is None:
            break
        line = _LINE.fullmatch(head.split(b"\r\n")[0])
        if line is None or line[1] not in METHODS:
            break
        length = int(fields.get(b"content-length", b"0"))
        if len(rest) < length:
            break
        found.append(Whole(line[1], line[2], rest[:length]))
        stream = rest[length:]
        connection = [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]
        if b"close" in connection or (line[3] == b"0" and b"keep-alive" not in connection):
            break
    return found


def _fields(head: bytes) -> dict[bytes, bytes] | None:
    """The header fields, or ``None`` where anything about them is odd."""
    fields: dict[bytes, bytes] = {}
    for text in head.split(b"\r\n")[1:]:
        field = _FIELD.fullmatch(text)
        if field is None:
            return None
        name = field[1].lower()
        if name in fields and name in _SINGLE:
            return None
        fields[name] = fields[name] + b"," + field[2] if name in fields else field[2].rstrip(b" \t")
    if b"host" not in fields or b"transfer-encoding" in fields:
        return None
    if not re.fullmatch(rb"[0-9]{1,10}", fields.get(b"content-length", b"0")):
        return None
    if fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        return None
    return fields
