"""Each account's requests leave by the address set for it, if it may speak; and only what left is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.budget.meter import Meter
from proxy.budget.published import Counter, Limit
from proxy.budget.silence import Way
from proxy.gate.egress import Egress
from proxy.gate.upstream import FenceClosed, NotSent, OutboundRequest, OutcomeUnknown, VenueSilent
from proxy.gate.wire import pool
from rules.kill.budget import Spend

NOW = datetime(2026, 11, 27, 12, 0, 5, tzinfo=UTC)
REPLY = b"HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 77\r\nContent-Length: 2\r\n\r\n{}"


def a_request(url: str, account: str, cost: Spend | None = None, *, order: bool = False) -> OutboundRequest:
    return OutboundRequest(method="GET", url=url, body="", api_key=None, account=account, cost=cost, order=order)


AS_WHAT = pytest.mark.parametrize("order", [False, True], ids=["reads", "orders"])


@AS_WHAT
async def test_accounts_leave_by_their_own_addresses_and_are_charged_there(order: bool) -> None:
    callers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REPLY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fapi/v1/ping"
    meter = Meter(lambda: NOW)
    egress = Egress(meter, {"one": "127.0.0.2", "two": "127.0.0.3"})
    try:
        for account in ("one", "two", ""):
            await egress.send(a_request(url, account, Spend(weight=1), order=order), None)
        await egress.send(a_request(url, "one", order=order), None)
    finally:
        await egress.aclose()
        server.close()
    assert callers == ["127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.2"]
    assert {each: meter.used(Counter(Limit.WEIGHT_1M, each)) for each in ("127.0.0.2", "127.0.0.3", "")} == {
        "127.0.0.2": 77,
        "127.0.0.3": 77,
        "": 77,
    }


@AS_WHAT
async def test_what_did_not_leave_is_not_counted_and_what_was_lost_is(order: bool) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    def closed() -> None:
        raise FenceClosed("a kill came first")

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fapi/v1/ping"
    meter = Meter(lambda: NOW)
    egress = Egress(meter, {})
    weight = Counter(Limit.WEIGHT_1M, "")
    try:
        with pytest.raises(FenceClosed):
            await egress.send(a_request(url, "one", Spend(weight=40), order=order), closed)
        with pytest.raises(NotSent):
            await egress.send(a_request("http://127.0.0.1:1/", "one", Spend(weight=40), order=order), None)
        assert meter.used(weight) == 0
        with pytest.raises(OutcomeUnknown):
            await egress.send(a_request(url, "one", Spend(weight=40), order=order), None)
        assert meter.used(weight) == 40
    finally:
        await egress.aclose()
        server.close()


async def test_reads_that_hang_keep_no_order_from_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    """And entries no exit: as many as there are connections."""
    monkeypatch.setattr("proxy.gate.upstream.CONNECTIONS_MAX", 2)
    hanging = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/hang" in head:
            await hanging.wait()
        writer.write(REPLY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    egress = Egress(Meter(lambda: NOW), {})
    try:
        stuck = [asyncio.create_task(egress.send(a_request(f"{url}/hang", ""), None)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await egress.send(a_request(f"{url}/order", "", order=True), None)).status == 200
        stuck += [asyncio.create_task(egress.send(a_request(f"{url}/hang", "", order=True), None)) for _ in range(2)]
        await asyncio.sleep(0.05)
        leaving = replace(a_request(f"{url}/order", "", order=True), way_out=True)
        assert (await egress.send(leaving, None)).status == 200
        hanging.set()
        await asyncio.gather(*stuck)
    finally:
        await egress.aclose()
        server.close()


async def test_orders_find_a_connection_on_every_way_out_and_a_venue_that_is_away_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[0])
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(REPLY)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    egress = Egress(Meter(lambda: NOW), {"one": "127.0.0.2"})
    try:
        await egress.warm(url)
        assert sorted(callers) == ["127.0.0.1"] * 2 + ["127.0.0.2"] * 2  # Entries, and the way out.
        for account in ("one", ""):
            entry = a_request(f"{url}/order", account, order=True)
            for request in (entry, replace(entry, way_out=True)):
                assert (await egress.send(request, None)).status == 200
        assert len(callers) == 4

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr("proxy.gate.egress.WARM_WITHIN_S", 0.05)
        monkeypatch.setattr("proxy.gate.wire.pool.dial", never)
        await asyncio.wait_for(egress.warm("http://127.0.0.1:1"), 5)
    finally:
        await egress.aclose()
        server.close()


class AVenue:
    """Answers as it is told to, and counts by which address it was asked."""

    def __init__(self) -> None:
        self.answer = "200 OK", "", b"{}"
        self.callers: list[str] = []
        self.heard = 0
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers.append(writer.get_extra_info("peername")[0])
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        self.heard += 1
        status, more, body = self.answer
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def a_venue() -> AsyncIterator[AVenue]:
    venue = AVenue()
    server = await asyncio.start_server(venue, "127.0.0.1", 0)
    venue.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fapi/v1/ping"
    try:
        yield venue
    finally:
        server.close()


TOO_MANY = b'{"code":-1003,"msg":"Too many requests."}'


@AS_WHAT
@pytest.mark.parametrize(
    ("status", "header", "body", "silent_s"),
    [
        ("429 X", "Retry-After: 7\r\n", TOO_MANY, 7),
        ("429 X", "", TOO_MANY, 55),
        ("429 X", "Retry-After: Fri, 27 Nov 2026 12:00:30 GMT\r\n", b"<html>", 55),
        ("418 X", "Retry-After: 300\r\n", b'{"code":-1003,"msg":"Way too many requests; IP banned until 1."}', 300),
        ("418 X", "", b"", 120),
    ],
    ids=["429", "429 without a time", "429 without a code", "418", "418 without a time"],
)
async def test_after_a_429_or_418_nothing_leaves_by_that_address_until_it_is_over(
    order: bool, status: str, header: str, body: bytes, silent_s: int, caplog: pytest.LogCaptureFixture
) -> None:
    steady = 1_000.0
    meter = Meter(lambda: NOW, steady_s=lambda: steady)
    egress = Egress(meter, {"two": "127.0.0.2"})
    async with a_venue() as venue:
        venue.answer = status, header, body
        reply = await egress.send(a_request(venue.url, "one", Spend(weight=1), order=order), None)
        assert (reply.status, reply.body) == (int(status[:3]), body), "who asked gets it as it came"
        for _ in range(3):
            for request in (
                a_request(venue.url, "one", Spend(weight=1), order=order),
                replace(a_request(venue.url, "one", Spend(), order=True), way_out=True),
                a_request(venue.url, "", Spend(weight=1)),
            ):
                with pytest.raises(VenueSilent) as thrown:
                    await egress.send(request, None)
                assert thrown.value.silence.left_s == silent_s
        assert len(venue.callers) == 1
        venue.answer = "200 OK", "", b"{}"
        for elsewhere in (
            a_request(venue.url, "two", Spend(weight=1), order=order),
            replace(a_request(venue.url, "one"), host="sapi"),
        ):
            assert (await egress.send(elsewhere, None)).status == 200
        steady += silent_s
        assert (await egress.send(a_request(venue.url, "one", Spend(weight=1), order=order), None)).status == 200
    await egress.aclose()
    assert caplog.text.count("demands silence") == 1, "once, and not for each request"


@pytest.mark.parametrize("way_out", [False, True], ids=["entries", "exits"])
async def test_what_waits_for_a_connection_stays_here_when_a_silence_is_heard_meanwhile(
    way_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled, at_once = asyncio.Event(), pool.dial

    async def far(*to: Any) -> Any:
        await dialled.wait()
        return await at_once(*to)

    monkeypatch.setattr(pool, "dial", far)

    def fence() -> Callable[[], None]:
        raise AssertionError("it is not asked any more")

    meter = Meter(lambda: NOW, steady_s=lambda: 1_000.0)
    egress = Egress(meter, {})
    async with a_venue() as venue:
        order = replace(a_request(venue.url, "one", Spend(weight=1, orders=1), order=True), way_out=way_out)
        waiting = [asyncio.create_task(egress.send(order, fence)) for _ in range(5)]
        await asyncio.sleep(0)
        venue.answer = "418 X", "Retry-After: 300\r\n", TOO_MANY
        await egress.send(a_request(venue.url, "", Spend(weight=1)), None)
        dialled.set()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in ended] == [VenueSilent] * 5
        assert len(venue.callers) == 1 + 5 and venue.heard == 1, "connected, and not a word"
        await egress.aclose()
    assert meter.silence(Way("fapi", "")) is not None
    assert meter.used(Counter(Limit.ORDERS_1M, "one")) == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("429 X", b'{"code":-1015,"msg":"Too many new orders; current limit is 300 orders per 10s."}'),
        ("429 X", b'{"code":-2028,"msg":"of something else"}'),
        ("400 X", TOO_MANY),
        ("503 X", b'{"code":-1008,"msg":"Request throttled by system-level protection."}'),
        ("403 X", b"<html>"),
    ],
)
async def test_nothing_else_silences_an_address(status: str, body: bytes) -> None:
    egress = Egress(Meter(lambda: NOW), {})
    async with a_venue() as venue:
        venue.answer = status, "Retry-After: 30\r\n", body
        for _ in range(3):
            await egress.send(a_request(venue.url, "one", Spend(orders=1), order=True), None)
        assert len(venue.callers) == 3
    await egress.aclose()
