"""What the store answers, in pieces: each caller gets the own answer or hears that there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.store.lean.connection import Connection
from proxy.store.lean.trouble import CallFailed, Refusal
from tests.fuzz.target import Refused, Target

_PIECES_MAX: Final = 31
_DEPTH_MAX: Final = 50

# hiredis makes room for as many elements as a reply announces before it has them: the store is trusted with that.
_ROOM_FOR_MANY: Final = re.compile(rb"[*%~>|][0-9]{5}")
_NUMBER: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_CODE: Final = re.compile(rb"([A-Z]{1,32})(?: .*)?", re.DOTALL)


class _Doubt(Exception):
    """No reply in the protocol's second version begins here, or it is not whole."""


class _Newer(Exception):
    """A reply of the protocol's third version, which nobody asks this store for."""


@dataclass(slots=True)
class _Call:
    """A caller. As much of a future as the connection uses."""

    left: bool
    heard: list[Any] = field(default_factory=list)

    def done(self) -> bool:
        return self.left or bool(self.heard)

    def set_result(self, value: Any) -> None:
        assert not self.done(), "two answers to one call"
        self.heard.append(value)


def _read_replies(data: bytes) -> list[_Call]:
    """What the callers hear. The first byte is the size of a piece, the second says how many call and who leaves."""
    shape, wire = data[:2].ljust(2, b"\0"), data[2:]
    if _ROOM_FOR_MANY.search(wire):
        raise Refused
    size = max(shape[0], len(wire) // _PIECES_MAX, 1)
    lost: list[Connection] = []
    connection = Connection(lambda: None, lost.append)
    connection.connection_made(_Wire())  # type: ignore[arg-type]
    calls = [_Call(left=bool(shape[1] >> 4 & 1 << place)) for place in range(shape[1] % 16)]
    for call in calls:
        connection.send(b"", call, (0.0, 0.0))  # type: ignore[arg-type]
    for start in range(0, len(wire), size):
        connection.data_received(wire[start : start + size])
    connection.connection_lost(None)
    assert lost == [connection] and not connection.in_flight and not connection.ready
    return calls


def _check_replies(data: bytes, calls: list[_Call]) -> None:
    """Answer for answer what a strict reader reads; behind the first doubt nobody is told anything but that."""
    expected, newer = _strictly(data[2:])
    for place, call in enumerate(calls):
        if call.left:
            assert call.heard == []
            continue
        (heard,) = call.heard
        if place < len(expected):
            assert _plain(heard) == expected[place], (place, heard, expected)
        elif isinstance(heard, CallFailed):
            assert heard.asked and heard.reason in ("ProtocolError", "ConnectionError")
        else:
            assert newer, (place, heard)


def _plain(reply: Any) -> Any:
    """What was heard, as the reader below writes it."""
    if isinstance(reply, list):
        return [_plain(each) for each in reply]
    return ("refused", reply.reason) if isinstance(reply, Refusal) else reply


def _strictly(wire: bytes) -> tuple[list[Any], bool]:
    """The replies there can be one opinion about, and whether a newer one follows them."""
    replies = []
    try:
        while wire:
            reply, wire = _one(wire, 0)
            replies.append(reply)
    except _Newer:
        return replies, True
    except (_Doubt, UnicodeDecodeError):
        pass
    return replies, False


def _one(wire: bytes, depth: int) -> tuple[Any, bytes]:
    line, ended, rest = wire.partition(b"\r\n")
    kind, text = line[:1], line[1:]
    if kind in (b"_", b"#", b",", b"(", b"=", b"%", b"~", b">", b"|") or depth > _DEPTH_MAX:
        raise _Newer
    if not ended or kind not in (b"+", b"-", b":", b"$", b"*") or re.search(rb"[\r\n]", text):
        raise _Doubt
    if kind == b"+":
        return text.decode(), rest
    if kind == b"-":
        code = _CODE.fullmatch(text)
        return ("refused", code[1].decode() if code else "ERR"), rest
    number = int(text) if _NUMBER.fullmatch(text) else None
    if number is None or not -(2**63) <= number < 2**63 or (kind != b":" and number < -1):
        raise _Doubt
    if kind == b":":
        return number, rest
    if number == -1:
        return None, rest
    if kind == b"$":
        if len(rest) < number + 2:
            raise _Doubt
        return rest[:number].decode(), rest[number + 2 :]  # hiredis does not look at the two bytes behind a text.
    elements = []
    for _ in range(number):
        element, rest = _one(rest, depth + 1)
        elements.append(element)
    return elements, rest


class _Wire:
    """A transport that goes nowhere."""

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        """Nothing is left to break off."""

    def set_write_buffer_limits(self, **_: int) -> None:
        """Nothing is buffered."""

    def get_extra_info(self, name: str) -> None:
        """It has no socket."""


def _reply_seeds() -> Iterator[bytes]:
    for shape in (b"\xff\x04", b"\x01\x03", b"\x05\x24"):
        yield shape + b":1\r\n$5\r\nhello\r\n*3\r\n:-7\r\n$-1\r\n*1\r\n+OK\r\n-NOSCRIPT No matching script.\r\n"
        yield shape + b"*2\r\n$2\r\n{}\r\n*2\r\n:0\r\n$6\r\n\xe5\xb8\x81\xe5\xae\x89\r\n:2\r\n"
        yield shape + b"*-1\r\n*0\r\n$0\r\n\r\n-OOM command not allowed\r\n+\r\n"
        yield shape + b"%1\r\n+a\r\n,1.5\r\n~1\r\n#t\r\n_\r\n(12345\r\n=5\r\ntxt:a\r\n"
        yield shape + b">2\r\n+message\r\n+x\r\n"
        yield shape + b"%1\r\n*0\r\n+a\r\n:1\r\n"


STORE_REPLIES = Target(name="store_replies", read=_read_replies, check=_check_replies, seeds=_reply_seeds)
