"""The bots' HTTP door: bytes as they come, against a reader that knows one framing and stops at the first doubt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tests.fuzz.target import Target
from tests.fuzz.targets.door import READ, Asked, Door, Upgraded

_PIECES_MAX: Final = 31

_METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


def _read_http(data: bytes) -> Door:
    """What became of a connection. The first byte cuts the rest into pieces of so many bytes, 32 at most."""
    wire = data[1:]
    size = max(data[0] if data else 0, len(wire) // _PIECES_MAX, 1)
    door = Door()
    for number, start in enumerate(range(0, len(wire), size)):
        door.hear(wire[start : start + size])
        if number % 2:  # Now and then a request is still under way when the next piece comes.
            door.carry()
    door.carry()
    door.hang_up()
    return door


def _check_http(data: bytes, door: Door) -> None:
    """The door is asked what a strict reader finds, all of it and in that order, and nothing after a doubt."""
    expected = list(_strictly(data[1:]))
    if expected and isinstance(expected[-1], Upgraded) and len(door.seen) < len(expected):
        # Whether it comes among other bytes depends on how they are cut; then it is refused.
        assert data[1:] != expected.pop().text
    assert door.seen == expected, (door.seen, expected)
    _check_answers(door)


def _check_answers(door: Door) -> None:
    """One answer for each request, each in one write and in their order; then perhaps one refusal, and silence."""
    answers = [each for each in door.written if not each.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")]
    asked = [each for each in door.seen if isinstance(each, Asked)]
    for number, answer in enumerate(answers[: len(asked)]):
        length, body = len(b"%d" % number), b"" if asked[number].method == b"HEAD" else b"%d" % number
        head, _, told = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and told == body, answer
        assert (head + b"\r\n").count(b"\r\ncontent-length: %d\r\n" % length) == 1, answer
    refused = answers[len(asked) :]
    assert len(answers) >= len(asked) and len(refused) <= 1, answers
    assert all(b"GUARD malformed HTTP: " in each for each in refused), refused


def _strictly(wire: bytes) -> Iterator[Asked | Upgraded]:
    """The requests of one connection until the last it may carry, or the first that is not plain, or not whole."""
    while True:
        head, ended, rest = wire.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        words, headers = first.split(b" "), _headers(lines)
        if not ended or headers is None or len(words) != 3:
            return
        method, target, version = words
        if method not in _METHODS or version not in (b"HTTP/1.0", b"HTTP/1.1") or not target.startswith(b"/"):
            return
        if any(not 0x21 <= each <= 0x7E or each == ord("#") for each in target):
            return
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length or (length and method == b"HEAD"):
            return
        tokens = [token.strip(b" \t") for token in headers.get(b"connection", b"").lower().split(b",")]
        if headers.get(b"upgrade", b"").lower() == b"websocket" and b"upgrade" in tokens:
            if method == b"GET" and not length:
                yield Upgraded(head + ended)
            return
        path, _, query = target.partition(b"?")
        compared = {name: value for name, value in headers.items() if name in READ}
        yield Asked(method, path, query, compared, rest[:length])
        if version == b"HTTP/1.0" or b"close" in tokens:
            return
        wire = rest[length:]


def _headers(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """The headers by name; ``None`` where there can be two opinions about one that matters."""
    found = [_HEADER.fullmatch(line) for line in lines]
    if None in found or len(found) > 64:
        return None
    named = [(each[1].lower(), each[2]) for each in found if each is not None]
    names = [name for name, _ in named]
    headers = dict(named)
    if any(names.count(name) > 1 for name in (*READ, b"expect")) or b"transfer-encoding" in headers:
        return None
    if not re.fullmatch(rb"[A-Za-z0-9.:_\[\]-]+", headers.get(b"host", b"")):
        return None
    length = headers.get(b"content-length", b"0")
    if not re.fullmatch(rb"[0-9]{1,5}", length) or b"%d" % int(length) != length or int(length) > 65_536:
        return None
    return headers if headers.get(b"expect", b"100-continue").lower() == b"100-continue" else None


def _http_seeds() -> Iterator[bytes]:
    host = b"Host: guard\r\n"
    post = b"POST /binanceusdm/fapi/v1/order HTTP/1.1\r\n" + host
    get = b"GET /binanceusdm/fapi/v1/ping?a=1 HTTP/1.1\r\n" + host
    for size in (b"\xff", b"\x01", b"\x20"):
        yield size + post + b"X-MBX-APIKEY: k\r\nContent-Length: 3\r\n\r\na=1"
        yield size + get + b"\r\n" + get + b"\r\n"
        yield size + post + b"Content-Length: 3\r\n\r\na=1" + get + b"\r\n"
    yield b"\xff" + post + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get + b"\r\n"
    yield b"\xff" + post + b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\na=1"
    yield b"\xff" + post + b"Content-Length: 3, 3\r\n\r\na=1"
    yield b"\xff" + post + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\na=1"
    yield b"\x30" + post + b"Expect: 100-continue\r\nContent-Length: 30\r\n\r\na=1"
    yield b"\xff" + get + b"Connection: close\r\n\r\n" + get + b"\r\n"
    yield b"\xff" + get + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    yield b"\xff" + get + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + get + b"\r\n"
    yield b"\xffGET / HTTP/1.0\r\n" + host + b"\r\n" + get + b"\r\n"
    yield b"\xffCONNECT guard:443 HTTP/1.1\r\n" + host + b"\r\n" + get + b"\r\n"
    for twice in (b"Content-Type: a/b\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n"):
        yield b"\xff" + post + 2 * twice + b"Content-Length: 3\r\n\r\na=1"
    yield b"\xff" + get.replace(b"GET", b"HEAD") + b"\r\n" + get + b"\r\n"
    yield b"\xff" + b"HEAD /healthz HTTP/1.1\r\n" + host + b"\r\n" + get + b"\r\n"
    yield b"\xff" + b"HEAD /healthz HTTP/1.1\r\n" + host + b"Content-Length: 3\r\n\r\na=1" + get + b"\r\n"
    yield b"\xff" + post + b"Content-Length: 03\r\n\r\na=1"
    yield b"\xff\r\n" + get + b"\r\n"
    yield b"\xff" + get.replace(b" ", b"  ") + b"\r\n"
    yield b"\xff" + get.replace(b"?", b"#") + b"\r\n"


HTTP = Target(name="http", read=_read_http, check=_check_http, seeds=_http_seeds, bytes_max=768)
