"""The exchange's replies to orders on the wire: what is taken for one is read the same by a reader of one framing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from proxy.gate.upstream import UpstreamReply
from proxy.gate.wire.reply import NotAReply, ReplyReader
from tests.fuzz.target import Refused, Target

_PIECES_MAX: Final = 31
_BODY_MAX: Final = 2048

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3})(?: [^\r\n]*)?")  # Nobody reads the phrase.
# llhttp leaves the space behind a value.
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*)")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")

Read = tuple[UpstreamReply, int, bool]
"""A reply, how many bytes had come when it was whole, and whether the connection may carry another."""


def _read_reply(data: bytes) -> Read:
    """One reply. The first byte cuts the rest into pieces of so many bytes, 32 at most."""
    wire = data[1:]
    size = max(data[0] if data else 0, len(wire) // _PIECES_MAX, 1)
    reader = ReplyReader(_BODY_MAX)
    try:
        for start in range(0, len(wire), size):
            reply = reader.feed(wire[start : start + size])
            if reply is not None:
                return reply, min(start + size, len(wire)), reader.keeps_alive
    except NotAReply:
        pass
    raise Refused


def _check_reply(data: bytes, read: Read) -> None:
    reply, came, keeps_alive = read
    # llhttp reads over empty lines before a reply; an idle connection on which they come is given up.
    wire = data[1 : came + 1].lstrip(b"\r\n")
    head, ended, rest = wire.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    status, found = _STATUS_LINE.fullmatch(first), [_HEADER.fullmatch(line) for line in lines]
    assert ended and status is not None and None not in found, head
    assert reply.status == int(status[1]) >= 200
    headers: dict[str, str] = {}
    for name, value in ((each[1].lower().decode(), each[2].decode("latin-1")) for each in found if each is not None):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    assert reply.headers == headers
    body, behind = _body(reply.status, headers, rest)
    assert reply.body == body and len(body) <= _BODY_MAX
    assert behind.strip(b"\r\n") == b"", "something behind the reply"
    if keeps_alive:
        tokens = [token.strip(" \t") for token in headers.get("connection", "").lower().split(",")]
        assert "close" not in tokens


def _body(status: int, headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes]:
    """The body and what stands behind it, where there is one opinion about its end."""
    if status in (204, 304):
        return b"", rest
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    assert (length is None) != (coding is None)
    assert headers.get("content-encoding", "identity").lower() == "identity"
    if length is not None:
        assert re.fullmatch("[0-9]+", length) and len(rest) >= int(length)
        return rest[: int(length)], rest[int(length) :]
    assert coding is not None and coding.lower() == "chunked"
    body = b""
    while True:
        line, ended, rest = rest.partition(b"\r\n")
        chunk = _CHUNK.fullmatch(line)
        assert ended and chunk is not None, line
        size = int(chunk[1], 16)
        assert rest[size : size + 2] == b"\r\n"
        if size == 0:
            return body, rest[2:]
        body, rest = body + rest[:size], rest[size + 2 :]


def _reply_seeds() -> Iterator[bytes]:
    used = b"X-MBX-USED-WEIGHT-1M: 7\r\nVia: a\r\nVIA: b\r\n"
    for size in (b"\xff", b"\x01", b"\x20"):
        yield size + b"HTTP/1.1 200 OK\r\n" + used + b"Content-Length: 13\r\n\r\n" + b'{"orderId":1}'
        yield size + b"HTTP/1.1 400 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2;ext=1\r\n2]\r\n0\r\n\r\n"
        yield size + b"HTTP/1.1 503 x\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n"
    yield b"\xffHTTP/1.1 204 No Content\r\nX: y\r\n\r\n"
    yield b"\xffHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    yield b"\xffHTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
    yield b"\xffHTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    yield b"\xffHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n"
    yield b"\xffHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    yield b"\xffHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    yield b"\xffHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


WIRE_REPLIES = Target(name="wire_replies", read=_read_reply, check=_check_reply, seeds=_reply_seeds)
