"""Where a request begins and ends, and what its head says: an allow-list of bytes, not a parser with leniencies.

What two servers could frame differently is outside this grammar, so there is nothing to choose between: one line of a
known method, a printable target and HTTP/1.0 or 1.1 with single spaces, header lines that end with CRLF, a plain
Content-Length. Pure: no socket, no clock. Whatever it accepts llhttp reads in the same way; a test holds them together.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HEADERS_MAX: Final = 64
HEADER_BYTES_MAX: Final = 16_384
"""Of the request line and all headers."""
BODY_BYTES_MAX: Final = 65_536

_BLANK_LINE: Final = b"\r\n\r\n"

_REQUEST_LINE: Final = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|PATCH) (/[!-\"$-~]*) HTTP/1\.([01])")
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]*")
_HOST: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]+")

_FIELD_BYTES: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
"""RFC 9110 section 5.5: what a header's value is made of."""
_TOKEN_BYTES: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NEVER: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")
"""In no head: control characters, and half of a line's end."""

_READ: Final = frozenset(
    (b"host", b"content-length", b"content-type", b"content-encoding", b"connection", b"upgrade", b"expect",
     b"x-mbx-apikey", b"x-mbx-time-unit", b"transfer-encoding")
)  # fmt: skip
"""The headers anybody here looks at. Each may come once: two readers could believe two different ones."""


class BadFraming(Exception):
    """Bytes that are no request this gate reads. ``args[0]`` says why, in ASCII and without a byte of theirs."""


class Head(NamedTuple):
    """A request's head. ``path`` and ``query`` are raw; ``fields`` are the headers that are read, names in lower case.

    ``persists`` says whether the client wants another request on the connection; ``text`` is the head as it came.
    """

    method: bytes
    path: bytes
    query: bytes
    fields: dict[bytes, bytes]
    body_length: int
    persists: bool
    text: bytes


class Intake:
    """The bytes of one connection that no answer belongs to yet, and the whole requests among them."""

    __slots__ = ("_head", "_pending", "_seen")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._seen = 0
        self._head: Head | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a part of a request, or a whole one, that was not taken."""
        return self._head is not None or bool(self._pending)

    @property
    def wants_go_ahead(self) -> bool:
        """Whether the client waits to be asked for the body (100 Continue)."""
        return self._head is not None and not self._pending and b"expect" in self._head.fields

    def feed(self, data: bytes) -> None:
        """What came next."""
        self._pending += data

    def clear(self) -> None:
        """Forget it all."""
        self._pending.clear()
        self._head = None

    def take(self) -> tuple[Head, bytes] | None:
        """The next request with its body, once it is whole. Raises ``BadFraming``."""
        pending, head = self._pending, self._head
        if head is None:
            if not pending:
                return None
            end = pending.find(_BLANK_LINE, max(0, self._seen - 3))
            if end < 0:
                expect_head(pending, self._seen)
                self._seen = len(pending)
                return None
            head = self._head = read_head(bytes(pending[: end + 4]))
            del pending[: end + 4]
            self._seen = 0
        length = head.body_length
        if len(pending) < length:
            return None
        body = bytes(pending[:length])
        del pending[:length]
        self._head = None
        return head, body


def read_head(text: bytes) -> Head:
    """A head up to and with its blank line. Raises ``BadFraming``."""
    if len(text) > HEADER_BYTES_MAX:
        raise BadFraming("headers too large")
    lines = text[:-4].split(b"\r\n")
    if len(text.translate(None, _FIELD_BYTES)) != 2 * (len(lines) + 1):  # The CR and LF of these lines, nothing else.
        raise BadFraming("not a valid request")
    if len(lines) > HEADERS_MAX + 1:
        raise BadFraming("too many headers")
    line = _REQUEST_LINE.fullmatch(lines[0])
    if line is None:
        raise BadFraming("not a valid request line")
    method, target, minor = line.groups()
    path, _, query = target.partition(b"?")
    fields = _read_fields(lines)
    if minor == b"0":
        fields.pop(b"expect", None)  # RFC 9110 section 10.1.1: HTTP/1.0 does not know it.
    length = _body_length(fields)
    if length and method == b"HEAD":
        raise BadFraming("unsupported request form")  # Half the world's servers read none, and go on with its bytes.
    persists = minor == b"1" and b"close" not in _tokens(fields.get(b"connection", b""))
    return Head(method, path, query, fields, length, persists, text)


def expect_head(text: bytearray, seen: int) -> None:
    """Refuse at once what can become no head, however it goes on. Its first ``seen`` bytes were looked at before.

    Raises ``BadFraming``. It only hurries: what it refuses ``read_head`` would refuse too.
    """
    if len(text) > HEADER_BYTES_MAX:
        raise BadFraming("headers too large")
    if text[0] not in b"GHPD" or _NEVER.search(text, max(0, seen - 1)):
        raise BadFraming("not a valid request")
    end = text.find(b"\r\n")
    if end + 2 > seen and end >= 0 and not _REQUEST_LINE.fullmatch(text, 0, end):
        raise BadFraming("not a valid request line")


def asks_for_websocket(head: Head) -> bool:
    """Whether the client wants to go on with WebSocket frames."""
    fields = head.fields
    return fields.get(b"upgrade", b"").lower() == b"websocket" and b"upgrade" in _tokens(fields.get(b"connection", b""))


def _read_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN_BYTES):
            raise BadFraming("not a valid header")
        name = name.lower()
        if name in _READ:
            if name in fields:
                raise BadFraming("exactly one Host" if name == b"host" else "a header is repeated")
            fields[name] = value.strip(b" \t")
    host = fields.get(b"host")
    if host is None or not _HOST.fullmatch(host):
        raise BadFraming("exactly one Host")
    if b"transfer-encoding" in fields:
        raise BadFraming("Content-Length framing only")
    if b"expect" in fields and fields[b"expect"].lower() != b"100-continue":
        raise BadFraming("unsupported request form")
    return fields


def _body_length(fields: dict[bytes, bytes]) -> int:
    length = fields.get(b"content-length")
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise BadFraming("not a valid Content-Length")
    if len(length) > len(str(BODY_BYTES_MAX)) or int(length) > BODY_BYTES_MAX:
        raise BadFraming("body too large")
    return int(length)


def _tokens(connection: bytes) -> list[bytes]:
    return [token.strip(b" \t") for token in connection.lower().split(b",")] if connection else []
