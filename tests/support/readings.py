"""Three honest ways to read a request's parameters, as servers in the field do, and the one thing they agree on or not.

Each takes the raw query and the raw body and gives names and values as bytes, percent-decoded. They differ where real
parsers do: which of two equal names counts, whether ``;`` separates, whether ``#`` or NUL ends a value, whether space
around a value is trimmed, whether a body is read whatever its type says. None of them is the guard's.
"""

from __future__ import annotations

import re
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote_to_bytes

Reading: TypeAlias = dict[bytes, bytes]

_SEPARATORS = re.compile(rb"[&;]")


def first_wins(query: bytes, body: bytes, content_type: str) -> Reading:
    """Python's own way, the query before the body; of equal names the first."""
    read: Reading = {}
    for raw in (query, body):
        # Latin-1 carries every byte there and back.
        for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="latin-1"):
            read.setdefault(name.encode("latin-1"), value.encode("latin-1"))
    return read


def last_wins(query: bytes, body: bytes, content_type: str) -> Reading:
    """An older servlet's: ``;`` separates as ``&`` does, ``#`` ends the query, NUL a value; space is trimmed."""
    read: Reading = {}
    for raw in (query.partition(b"#")[0], body):
        for pair in _SEPARATORS.split(raw):
            name, _, value = pair.partition(b"=")
            if pair:
                read[_decoded(name).strip()] = _decoded(value).partition(b"\0")[0].strip()
    return read


def query_wins(query: bytes, body: bytes, content_type: str) -> Reading:
    """The venue's: "if a parameter is sent in both, the query's is used"; a body only if it says it is a form."""
    is_form = content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
    return (_split(body) if is_form else {}) | _split(query)


def all_three(query: bytes, body: bytes, content_type: str) -> Reading | None:
    """What the three readings have in common: one reading, or ``None`` where any two differ."""
    first = first_wins(query, body, content_type)
    if last_wins(query, body, content_type) == first == query_wins(query, body, content_type):
        return first
    return None


def _split(raw: bytes) -> Reading:
    read: Reading = {}
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        if pair:
            read.setdefault(_decoded(name), _decoded(value))
    return read


def _decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))
