"""Replies in any pieces, callers that leave, connections that end: everybody gets the own answer or hears of none."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.store.lean import connection as module
from proxy.store.lean.connection import CALLS_MAX, Connection
from proxy.store.lean.trouble import CallFailed, Refusal


class Wire(asyncio.Transport):
    """The far end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.aborted
        self.sent.append(data)

    def abort(self) -> None:
        self.aborted = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Side:
    """A connection, its wire and who heard what."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answers: list[asyncio.Future[Any]] = []
        self.heard = self.lost = 0
        self.wire = Wire()
        self.connection = Connection(self._heard, self._lost)
        self.connection.connection_made(self.wire)

    def _heard(self) -> None:
        self.heard += 1

    def _lost(self, _connection: Connection) -> None:
        self.lost += 1

    def ask(self) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = self.loop.create_future()
        self.connection.send(b"%d" % len(self.answers), answer, (0.0, 0.0))
        self.answers.append(answer)
        return answer


@pytest.fixture
def side():
    made = Side()
    yield made
    made.loop.close()


REPLIES = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


def spelled(reply: Any) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case str():
            text = reply.encode()
            return b"$%d\r\n%b\r\n" % (len(text), text)
    return b"*%d\r\n" % len(reply) + b"".join(map(spelled, reply))


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def depth(reply: Any) -> int:
    return 1 + max(map(depth, reply), default=0) if isinstance(reply, list) else 0


@given(st.lists(REPLIES.filter(lambda reply: depth(reply) < 8), min_size=1, max_size=8), st.lists(st.integers(0)))
def test_replies_in_any_pieces_are_the_same_replies(replies, cuts):
    side = Side()
    asked = [side.ask() for _ in replies]
    for piece in pieces_of(b"".join(map(spelled, replies)), cuts):
        side.connection.data_received(piece)
    assert [answer.result() for answer in asked] == replies
    assert (side.heard, side.connection.in_flight, side.connection.dropped) == (len(replies), 0, False)
    side.loop.close()


STEPS = st.lists(
    st.tuples(st.just("ask"), st.just(0))
    | st.tuples(st.just("cancel"), st.integers(0))
    | st.tuples(st.just("read"), st.integers(1, 30))
    | st.tuples(st.just("drop"), st.just(0))
    | st.tuples(st.just("garbage"), st.just(0)),
    max_size=60,
)


@given(STEPS)
def test_nobody_ever_gets_another_s_answer(steps):
    side, stream, cancelled = Side(), b"", set()
    for step, number in steps:
        connection = side.connection
        if step == "ask" and connection.ready:
            stream += spelled(["answer to", len(side.answers)])
            side.ask()
        elif step == "cancel" and side.answers:
            if side.answers[number % len(side.answers)].cancel():
                cancelled.add(number % len(side.answers))
        elif step == "read" and stream:
            connection.data_received(stream[:number])
            stream = stream[number:]
        elif step == "drop":
            connection.connection_lost(None)
        elif step == "garbage" and not connection.dropped:
            connection.data_received(b"\x00\xff not the protocol \r\n")
            # Inside a text it may be taken for the text; then the length after it is wrong, or nothing ever comes.
            connection.connection_lost(None)
    for number, answer in enumerate(side.answers):
        if number in cancelled:
            assert answer.cancelled()
        elif answer.done():
            got = answer.result()
            assert got == ["answer to", number] or (isinstance(got, CallFailed) and got.asked)
        else:
            assert not side.connection.dropped
    assert side.lost == side.connection.dropped
    side.loop.close()


@pytest.mark.parametrize(
    "bytes_",
    [b"HTTP/1.1 400 Bad Request\r\n",
     b":1x\r\n", b"$-2\r\n", b"$x\r\n", b"*-7\r\n", b"+\xff\r\n", b"$2\r\n\xff\xff\r\n",
     b"*4000000000\r\n", b">1\r\n:1\r\n", b"\r\n", b"%1\r\n*0\r\n:1\r\n"],
    ids=["http", "number", "length", "no length", "count", "status", "text", "huge", "push", "empty", "list as key"],
)  # fmt: skip
def test_what_is_not_the_protocol_ends_the_connection_and_all_its_calls(side, bytes_):
    first, second = side.ask(), side.ask()
    side.connection.data_received(bytes_)
    for answer in (first, second):
        assert isinstance(answer.result(), CallFailed)
        assert (answer.result().reason, answer.result().asked) == ("ProtocolError", True)
    assert (side.wire.aborted, side.connection.ready, side.lost) == (True, False, 1)
    side.connection.data_received(b":1\r\n")  # What is still on its way changes nothing.


def test_an_answer_to_nothing_ends_the_connection(side):
    side.connection.data_received(b":1\r\n")
    assert side.connection.dropped


def test_what_came_whole_before_the_garbage_is_an_answer(side):
    first, second = side.ask(), side.ask()
    side.connection.data_received(b":1\r\nrubbish\r\n")
    assert (first.result(), second.result().reason) == (1, "ProtocolError")


def test_a_refusal_keeps_its_code_alone(side):
    answers = [side.ask() for _ in range(3)]
    side.connection.data_received(b"-OOM secret\r\n-secret\r\n-\r\n")
    assert [(type(answer.result()), str(answer.result())) for answer in answers] == [
        (Refusal, "OOM"), (Refusal, "ERR"), (Refusal, "ERR"),
    ]  # fmt: skip


def test_one_to_a_server_that_is_a_replica_now_is_dropped_with_its_other_calls(side):
    first, second = side.ask(), side.ask()
    side.connection.data_received(b"-READONLY You can't write against a read only replica.\r\n" * 2)
    assert isinstance(first.result(), Refusal) and first.result().reason == "READONLY"
    assert isinstance(second.result(), CallFailed) and (second.result().reason, second.result().asked) == (
        "READONLY",
        True,
    )
    assert (side.connection.dropped, side.wire.aborted, side.lost) == (True, True, 1)


def test_calls_in_flight_are_bounded(side):
    for _ in range(CALLS_MAX):
        assert side.connection.ready
        side.ask()
    assert not side.connection.ready


def test_a_store_that_does_not_read_is_asked_no_more(side):
    side.connection.pause_writing()
    assert not side.connection.ready
    side.connection.resume_writing()
    assert side.connection.ready


@pytest.mark.parametrize("piece", [b"$90\r\n" + b"x" * 90 + b"\r\n", b"*1\r\n" * 20], ids=["long", "deep"])
def test_a_reply_without_end_is_not_kept(side, monkeypatch, piece):
    monkeypatch.setattr(module, "REPLY_MAX", 1000)
    answer = side.ask()
    pieces = deque([b"*100\r\n", *[piece] * 99])
    while pieces and not side.connection.dropped:
        side.connection.data_received(pieces.popleft())
    assert answer.result().reason == "ReplyTooLong"
    assert len(pieces) > 80


def test_many_small_replies_are_no_long_one(side, monkeypatch):
    monkeypatch.setattr(module, "REPLY_MAX", 1000)
    for _ in range(300):
        side.ask()
    for _ in range(300):
        side.connection.data_received(b"$3\r\nabc\r\n")
    assert [answer.result() for answer in side.answers] == ["abc"] * 300


def test_the_end_of_the_other_side_is_heard_at_once(side):
    answer = side.ask()
    side.connection.eof_received()
    assert (cast(CallFailed, answer.result()).asked, side.connection.ready) == (True, False)
    side.connection.connection_lost(None)
    assert side.lost == 1
