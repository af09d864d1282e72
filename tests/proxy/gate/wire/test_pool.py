"""Connections are bounded, handed on in line, kept warm, and never used when they are old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from proxy import under_way
from proxy.gate import upstream as seam
from proxy.gate.upstream import NotSent, OutcomeUnknown
from proxy.gate.wire import pool as module
from proxy.gate.wire.client import WireUpstream
from tests.support.venue_of_bytes import OK, Venue, a_venue, an_order, answering
from tests.support.waiting import until

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


@pytest.fixture
async def narrow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WireUpstream]:
    """Two connections are all there are."""
    monkeypatch.setattr(seam, "CONNECTIONS_MAX", 2)
    client = WireUpstream()
    yield client
    await client.aclose()


async def slow(venue: Venue, reader: Reader, writer: Writer) -> None:
    while True:
        await venue.request(reader)
        await asyncio.sleep(0.02)
        writer.write(OK)


@asynccontextmanager
async def warming(client: WireUpstream, url: str) -> AsyncIterator[None]:
    task = asyncio.create_task(client.keep_warm(url))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_who_waits_is_served_in_line(upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "CONNECTIONS_MAX", 1)
    served = []

    async def one(number: int) -> None:
        await upstream.send(an_order(venue), None)
        served.append(number)

    async with a_venue(slow) as venue:
        await asyncio.gather(*(one(number) for number in range(12)))
        assert venue.connections == 1
    assert served == list(range(12))


async def test_who_gives_up_waiting_takes_nothing_along(narrow: WireUpstream) -> None:
    async with a_venue(slow) as venue:
        tasks = [asyncio.create_task(narrow.send(an_order(venue), None)) for _ in range(20)]
        await asyncio.sleep(0.03)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(not isinstance(each, BaseException) for each in outcomes[1::2])
        for _ in range(4):
            await narrow.send(an_order(venue), None)


async def test_a_waiter_gets_the_place_of_a_connection_that_broke(narrow: WireUpstream) -> None:
    async def breaks(venue: Venue, reader: Reader, writer: Writer) -> None:
        await venue.request(reader)
        await asyncio.sleep(0.02)

    async with a_venue(breaks) as venue:
        sent = [narrow.send(an_order(venue), None) for _ in range(8)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert [type(each) for each in outcomes] == [OutcomeUnknown] * 8
        assert venue.connections == 8


async def test_there_are_never_more_connections_than_allowed(narrow: WireUpstream) -> None:
    """Whether they end well, badly or by who sends them."""
    most = 0

    def look(venue: Venue) -> None:
        # What the guard holds: the venue hears of a connection's end only when it next reads.
        nonlocal most
        pool = narrow._pools[venue.url]
        most = max(most, len(pool._standing) + pool._opening)

    async def unsteady(venue: Venue, reader: Reader, writer: Writer) -> None:
        look(venue)
        for number in range(3):
            await venue.request(reader)
            await asyncio.sleep(0.003)
            look(venue)
            if (venue.connections + number) % 3 == 0:
                break
            writer.write(OK)

    async with a_venue(unsteady) as venue:
        tasks = [asyncio.create_task(narrow.send(an_order(venue), None)) for _ in range(60)]
        for task in tasks[::7]:
            await asyncio.sleep(0.004)
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 2
        pool = narrow._pools[venue.url]
        assert len(pool._standing) + pool._opening <= 2 and not pool._waiting
    assert {type(each) for each in outcomes} <= {seam.UpstreamReply, OutcomeUnknown, asyncio.CancelledError, NotSent}


async def test_the_last_connection_used_is_the_next(upstream: WireUpstream) -> None:
    callers = []

    async def remember(venue: Venue, reader: Reader, writer: Writer) -> None:
        while True:
            await venue.request(reader)
            callers.append(writer.get_extra_info("peername")[1])
            await asyncio.sleep(0.02)
            writer.write(OK)

    async with a_venue(remember) as venue:
        await asyncio.gather(*(upstream.send(an_order(venue), None) for _ in range(5)))
        for _ in range(3):
            await upstream.send(an_order(venue), None)
    assert len(set(callers)) == 5 and len(set(callers[5:])) == 1


async def test_a_connection_that_was_idle_too_long_is_not_used(
    upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_MAX_S", 0.05)
    async with a_venue(answering(OK)) as venue:
        await upstream.send(an_order(venue), None)
        await asyncio.sleep(0.1)
        await upstream.send(an_order(venue), None)
        assert venue.connections == 2


async def test_a_venue_that_does_not_take_the_connection_was_not_sent_to(
    upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS that never comes: the time to connect is for all of it."""
    monkeypatch.setattr(under_way, "CONNECT_TIMEOUT_S", 0.1)

    async def silent(venue: Venue, reader: Reader, writer: Writer) -> None:
        await asyncio.sleep(5)

    async with a_venue(silent) as venue:
        venue.url = venue.url.replace("http", "https")
        with pytest.raises(NotSent, match="ConnectTimeout"):
            await upstream.send(an_order(venue), None)


async def test_the_next_address_is_tried_within_the_same_time(
    upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of which the first address refuses."""
    loop = asyncio.get_running_loop()
    async with a_venue(answering(OK)) as venue:
        port = int(venue.url.rpartition(":")[2])

        async def found(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
            return [(2, 1, 6, "", ("127.0.0.9", port)), (2, 1, 6, "", ("127.0.0.1", port))]

        if not hasattr(loop, "__dict__"):
            pytest.skip("uvloop's loop cannot be patched; the way is the same")
        monkeypatch.setattr(loop, "getaddrinfo", found)
        venue.url = f"http://venue.example:{port}"
        assert (await upstream.send(an_order(venue), None)).status == 200


async def test_an_order_finds_a_connection_that_is_warm(upstream: WireUpstream) -> None:
    async with a_venue(answering(OK)) as venue, warming(upstream, venue.url):
        await until(lambda: venue.url in upstream._pools and upstream._pools[venue.url]._idle)
        assert (venue.connections, venue.received) == (1, b"")
        await upstream.send(an_order(venue), None)
        assert venue.connections == 1


async def test_what_is_kept_warm_is_renewed_before_it_is_old(
    upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"IDLE_MAX_S": 0.2, "TEND_EVERY_S": 0.02, "_RENEW_S": 0.1}.items():
        monkeypatch.setattr(module, name, value)
    async with a_venue(answering(OK)) as venue, warming(upstream, venue.url):
        pool = upstream._pools
        await until(lambda: venue.connections >= 1)
        for _ in range(40):
            await asyncio.sleep(0.01)
            assert venue.url in pool and len(pool[venue.url]._standing) + pool[venue.url]._opening <= 3
        assert venue.connections >= 3
        before = venue.connections
        await upstream.send(an_order(venue), None)
        assert venue.connections <= before + 1


async def test_a_venue_that_is_away_is_no_error_and_is_found_when_it_is_back(
    upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY_S", 0.02)
    async with a_venue(answering(OK)) as venue:
        pass
    port = int(venue.url.rpartition(":")[2])
    async with warming(upstream, venue.url):
        await asyncio.sleep(0.1)
        server = await asyncio.start_server(venue, "127.0.0.1", port)
        try:
            await until(lambda: venue.connections)
        finally:
            server.close()


async def test_closing_leaves_nobody_waiting(narrow: WireUpstream) -> None:
    async def silent(venue: Venue, reader: Reader, writer: Writer) -> None:
        await venue.request(reader)
        await asyncio.sleep(5)

    async with a_venue(silent) as venue:
        tasks = [asyncio.create_task(narrow.send(an_order(venue), None)) for _ in range(3)]
        await until(lambda: venue.received.count(b"POST") == 2)
        await narrow.aclose()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in outcomes] == [OutcomeUnknown, OutcomeUnknown, NotSent]
        with pytest.raises(NotSent):
            await narrow.send(an_order(venue), None)
