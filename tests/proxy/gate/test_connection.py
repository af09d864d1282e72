"""One connection of a bot: whole requests, one after another, each answered in one write, and everything has an end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gate import answers, protocol
from proxy.gate.answers import Answer
from tests.proxy.gate.connections import Door, Line, a_get, a_post, settled

NOON_S = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
DATE = b"date: Sun, 29 Nov 2026 12:00:00 GMT"
ADA, BOB = b"X-MBX-APIKEY: ada", b"X-MBX-APIKEY: bob"


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays noon."""
    monkeypatch.setattr(answers, "time", SimpleNamespace(time=lambda: NOON_S))


async def test_an_answer_says_when_it_was_made_and_another_second_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Answer(status=200, body=b"{}").to_bytes(last=False)
    monkeypatch.setattr(answers, "time", SimpleNamespace(time=lambda: NOON_S + 1.5))
    after = Answer(status=200, body=b"{}").to_bytes(last=False)
    assert DATE in before and before.replace(b"12:00:00", b"12:00:01") == after


async def test_an_answer_is_one_write() -> None:
    line = Line()
    await line.say(a_post("order", b"a=1"))
    assert line.transport.writes == [
        b"HTTP/1.1 200 OK\r\n%s\r\n"
        b"content-type: application/json;charset=UTF-8\r\ncontent-length: 9\r\n\r\norder a=1" % DATE
    ]
    assert line.state.total_requests == 1


def test_a_header_s_value_begins_no_header_of_its_own() -> None:
    answer = Answer(status=429, body=b"{}", headers={"Retry-After": "1\r\nx-evil: 1"})
    assert answer.to_bytes(last=False).split(b"\r\n") == [
        *(b"HTTP/1.1 429 Too Many Requests", DATE, b"content-type: application/json;charset=UTF-8"),
        *(b"content-length: 2", b"retry-after: 1??x-evil: 1", b"", b"{}"),
    ]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none(status: int) -> None:
    assert Answer(status=status, body=b"{}").to_bytes(last=False).endswith(b"UTF-8\r\n\r\n")


async def test_what_is_not_the_venue_s_is_asked_inside() -> None:
    line = Line()
    await line.say(b"GET /healthz HTTP/1.1\r\nHost: guard\r\n\r\n" + a_get("one"))
    assert line.answers == [b"200 elsewhere", b"200 one "]
    assert line.door.asked == [(b"GET", b"/binanceusdm/one", b"")]


HEAD = b"HEAD /%s HTTP/1.1\r\nHost: guard\r\n\r\n"


async def test_the_answer_to_a_head_says_how_long_its_body_would_be_and_has_none() -> None:
    line = Line()
    await line.say(HEAD % b"healthz" + a_get("one"))
    begun = b"HTTP/1.1 200 OK\r\n" + DATE
    assert line.transport.writes[0] == begun + b"\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\n"
    assert line.transport.writes[1].endswith(b"one "), "and the connection goes on"


async def test_a_head_of_the_venue_s_is_answered_without_a_body_too() -> None:
    line = Line()
    await line.say(HEAD % b"binanceusdm/fapi/v1/order" + a_get("one"))
    assert [write.endswith(b"\r\n\r\n") for write in line.transport.writes] == [True, False]


async def test_the_second_of_a_pipeline_is_not_begun_before_the_first_is_answered() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one") + a_post("two", b"a=1") + a_get("three"))
    assert [path for _, path, _ in line.door.asked] == [b"/binanceusdm/one"]
    line.door.open.set()
    await settled()
    await settled()
    assert line.answers == [b"200 one ", b"200 two a=1", b"200 three "]


async def test_reading_stops_while_something_waits_behind_a_request() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one"))
    assert line.transport.reading
    await line.say(a_get("two")[:-1])
    assert not line.transport.reading
    line.door.open.set()
    await settled()
    assert line.transport.reading
    await line.say(b"\n")
    assert line.answers == [b"200 one ", b"200 two "]


async def test_a_refusal_waits_for_its_turn() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one") + b"get /two HTTP/1.1\r\n\r\n" + a_get("three"))
    assert line.transport.writes == []
    line.door.open.set()
    await settled()
    assert [each[:3] for each in line.answers] == [b"200", b"400"]
    assert line.transport.ended == "half"
    assert len(line.door.asked) == 1


STREAM = (
    a_post("one", b"a=1", b"Expect: 100-continue")
    + a_get("two", ADA)
    + a_post("three", b"POST /four HTTP/1.1\r\n\r\n")
    + b"GET  /binanceusdm/five HTTP/1.1\r\n\r\n"
    + a_get("six")
)


@settings(max_examples=60)
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12).map(sorted))
def test_however_the_bytes_are_cut_the_answers_are_the_same(cuts: list[int]) -> None:
    async def said() -> tuple[list[bytes], list[tuple[bytes, bytes, bytes]]]:
        line = Line()
        bounds = [0, *cuts, len(STREAM)]
        await line.say(*(STREAM[start:end] for start, end in pairwise(bounds) if end > start))
        await settled()
        await settled()
        return line.answers, line.door.asked

    answers, asked = asyncio.run(said())
    assert [each[:3] for each in answers] == [b"200", b"200", b"200", b"400"]
    assert [path for _, path, _ in asked] == [b"/binanceusdm/one", b"/binanceusdm/two", b"/binanceusdm/three"]


async def test_a_body_is_asked_for_once_it_is_the_turn_of_its_request() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one") + a_post("two", b"a=1", b"Expect: 100-continue")[:-3])
    assert line.transport.writes == []
    line.door.open.set()
    await settled()
    assert [each[:12] for each in line.transport.writes] == [b"HTTP/1.1 200", b"HTTP/1.1 100"]
    await line.say(b"a=1")
    assert line.answers == [b"200 one ", b"200 two a=1"]


async def test_who_has_sent_it_all_and_shuts_its_half_is_still_answered() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one") + a_get("two"))
    assert line.protocol.eof_received()
    line.door.open.set()
    await settled()
    await settled()
    assert line.answers == [b"200 one ", b"200 two "]
    assert b"connection: close" not in line.transport.writes[0]
    assert b"connection: close" in line.transport.writes[1]
    assert line.transport.ended == "closed"


async def test_half_a_body_is_never_acted_on() -> None:
    line = Line()
    await line.say(a_post("one", b"a=1")[:-1])
    assert not line.protocol.eof_received()
    line.hang_up()
    await settled()
    assert line.door.asked == []


async def test_an_order_under_way_is_finished_although_the_bot_hangs_up() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_post("order", b"a=1") + a_get("later"))
    line.hang_up()
    line.door.open.set()
    await settled()
    assert line.door.done == [b"/binanceusdm/order"]
    assert line.transport.writes == []
    assert line.state.connections == set()


async def test_no_set_of_uvicorn_s_holds_what_it_would_cancel() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_post("order", b"a=1"))
    assert line.state.tasks == set()


async def test_a_stopping_server_answers_what_is_whole_and_closes() -> None:
    busy, idle, half = Line(), Line(), Line()
    busy.door.open.clear()
    await idle.say(a_get("one"))
    await half.say(a_get("one")[:-1])
    await busy.say(a_get("one") + a_get("two") + a_get("three")[:-1])
    for line in (busy, idle, half):
        line.protocol.shutdown()
    assert (idle.transport.ended, half.transport.ended, busy.transport.ended) == ("closed", "closed", None)
    busy.door.open.set()
    await settled()
    await settled()
    assert busy.answers == [b"200 one ", b"200 two "]
    assert b"connection: close" in busy.transport.writes[1]
    assert busy.transport.ended == "closed"


async def test_nothing_behind_a_last_request_is_served() -> None:
    line = Line()
    await line.say(a_get("one", b"Connection: close") + a_get("two"))
    assert line.answers == [b"200 one "]
    assert line.transport.ended == "closed"


# One connection, one bot.


async def test_another_bot_s_request_in_its_turn_is_carried_out_as_the_last() -> None:
    line = Line()
    await line.say(a_get("one", ADA), a_get("two", ADA), a_get("three"), a_get("four", BOB), a_get("five", ADA))
    assert line.answers == [b"200 one ", b"200 two ", b"200 three ", b"200 four "]
    assert b"connection: close" in line.transport.writes[-1]
    assert line.transport.ended == "closed"


async def test_another_bot_s_request_behind_an_unanswered_one_is_refused_and_the_connection_ends() -> None:
    line = Line()
    await line.say(a_get("one", ADA) + a_get("two", BOB) + a_get("three", ADA))
    await settled()
    assert line.answers == [b"200 one ", b"400 another's"]
    assert line.transport.ended == "closed"


async def test_half_of_it_behind_an_unanswered_one_is_behind_it_too() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one", ADA) + a_get("two", BOB)[:-1])
    line.door.open.set()
    await settled()
    await line.say(b"\n")
    assert line.answers == [b"200 one ", b"400 another's"]


# Slow readers and idle connections.


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUEST_DEADLINE_S", "WRITE_DEADLINE_S", "_LINGER_S"):
        monkeypatch.setattr(protocol, name, 0.05)


@pytest.mark.usefixtures("hurried")
async def test_who_does_not_read_is_dropped_and_is_served_nothing_more() -> None:
    line = Line()
    await line.say(a_get("one"))
    line.protocol.pause_writing()
    await line.say(a_get("two") + a_get("three"))
    assert line.answers == [b"200 one "]
    await asyncio.sleep(0.1)
    assert line.transport.ended == "aborted"


@pytest.mark.usefixtures("hurried")
async def test_who_reads_in_time_goes_on() -> None:
    line = Line()
    await line.say(a_get("one"))
    line.protocol.pause_writing()
    await line.say(a_get("two") + a_get("three"))
    line.protocol.resume_writing()
    await asyncio.sleep(0.1)
    assert line.answers == [b"200 one ", b"200 two ", b"200 three "]
    assert line.transport.ended is None


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("backlog", "end"), [(0, "closed"), (1, "aborted")], ids=["read", "unread"])
async def test_an_idle_connection_ends_and_what_it_never_read_with_it(backlog: int, end: str) -> None:
    line = Line(idle_s=0)
    line.transport.backlog = backlog
    await line.say(a_get("one"))
    await asyncio.sleep(0.1)
    assert line.transport.ended == end


@pytest.mark.usefixtures("hurried")
async def test_a_refused_client_that_does_not_hang_up_is_hung_up_on() -> None:
    line = Line()
    await line.say(b"nonsense\r\n\r\n")
    assert line.transport.ended == "half"
    await asyncio.sleep(0.1)
    assert line.transport.ended == "aborted"


@pytest.mark.usefixtures("hurried")
async def test_a_request_under_way_has_no_deadline_of_the_connection() -> None:
    line = Line()
    line.door.open.clear()
    await line.say(a_get("one"))
    await asyncio.sleep(0.1)
    line.door.open.set()
    await settled()
    assert line.answers == [b"200 one "]
    assert line.transport.ended is None


async def test_tls_knows_no_half_of_a_connection() -> None:
    line = Line(Door(), extra={"sslcontext": object()})
    line.door.open.clear()
    await line.say(a_get("one"))
    assert not line.protocol.eof_received()
