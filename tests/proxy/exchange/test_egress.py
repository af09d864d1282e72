"""F05: banned by one address, the kill goes on by the other; and what the warden itself spends spares the kill."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest

from proxy.accounts.markets import MarketKeeper
from proxy.budget.meter import Meter, Payer
from proxy.budget.published import Counter, Limit
from proxy.budget.silence import Silence, Way
from proxy.exchange.metering import ASK_AGAIN_S, KeptForTheKill, KeptSilent, metering
from proxy.exchange.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.exchange.venue_account import VenueAccount
from proxy.exchange.way_out import WayOut
from proxy.vault.keys import Secret
from rules.kill.budget import Spend
from rules.model import PositionSide, Side

if TYPE_CHECKING:
    from proxy.store.warden_store import WardenStore

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
NOW = datetime(2026, 11, 27, 12, 0, 5, tzinfo=UTC)


class Venue:
    """Answers every request, but 418 to the addresses it has banned; remembers who asked what."""

    def __init__(self) -> None:
        self.banned: dict[str, int] = {}
        self.instead: tuple[int, bytes] | None = None
        self.asked: list[tuple[str, str]] = []
        self.used = 0
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [
                    int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-l")
                ]
                await reader.readexactly(sum(lengths))
                method, target, _ = head.split("\r\n")[0].split()
                self.asked.append((address, f"{method} {target.partition('?')[0]}"))
                status, more, body = 200, f"X-MBX-USED-WEIGHT-1M: {self.used}\r\n", b"[]"
                if self.instead is not None:
                    (status, body), more = self.instead, "Retry-After: 40\r\n"
                if address in self.banned:
                    status, more = 418, f"Retry-After: {self.banned[address]}\r\n"
                    body = b'{"code":-1003,"msg":"Way too many requests"}'
                writer.write(f"HTTP/1.1 {status} x\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The client has had enough.
        finally:
            writer.close()

    def by(self, address: str) -> int:
        return sum(asked == address for asked, _ in self.asked)


@asynccontextmanager
async def a_venue() -> AsyncIterator[Venue]:
    venue = Venue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    venue.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield venue
    finally:
        server.close()


@asynccontextmanager
async def hands_on(venue: Venue, *addresses: str, trace: Callable[[str], Any] | None = None) -> AsyncIterator[WayOut]:
    async with an_account_on(venue, *addresses, trace=trace) as hands:
        yield WayOut(hands.calls)


@asynccontextmanager
async def an_account_on(
    venue: Venue, *addresses: str, trace: Callable[[str], Any] | None = None, again_s: float = math.inf
) -> AsyncIterator[VenueAccount]:
    hands = VenueAccount(
        name="main",
        venue="binanceusdm",
        api_key="k" * 64,
        secret=Secret("s" * 64),
        base_url=venue.base_url,
        timeout=2,
        addresses=addresses,
        trace=trace,
        again_s=again_s,
    )
    try:
        yield hands
    finally:
        await hands.aclose()


async def test_f05_a_ban_of_one_address_is_answered_by_the_other() -> None:
    async with a_venue() as venue, hands_on(venue, FIRST, SECOND) as hands:
        venue.banned[FIRST] = 300
        with pytest.raises(VenueThrottled) as thrown:
            await hands.positions()
        assert (thrown.value.status, thrown.value.retry_after) == (418, 0), "there is another way: no need to wait"
        await hands.positions()
        await hands.cancel_plain("BTCUSDT")
        assert (venue.by(FIRST), venue.by(SECOND)) == (1, 2), "none during the ban but the one that told of it"


async def test_f05_a_close_refused_by_a_ban_is_not_sent_again_but_need_not_wait() -> None:
    async with a_venue() as venue, hands_on(venue, FIRST, SECOND) as hands:
        venue.banned[FIRST] = 300
        with pytest.raises(VenueThrottled) as thrown:
            await hands.close("BTCUSDT", PositionSide.BOTH, Side.SELL, Decimal(1), None, "pgk-1")
        assert (thrown.value.status, thrown.value.retry_after) == (418, 0)
        assert len(venue.asked) == 1
        await hands.positions()
        assert venue.by(FIRST) == 1


async def test_f05_banned_everywhere_it_waits_for_the_first_ban_to_end() -> None:
    async with a_venue() as venue, hands_on(venue, FIRST, SECOND) as hands:
        venue.banned = {FIRST: 300, SECOND: 120}
        with pytest.raises(VenueThrottled):
            await hands.positions()
        with pytest.raises(VenueThrottled) as thrown:
            await hands.positions()
        assert 119 < thrown.value.retry_after <= 120
        assert len(venue.asked) == 2


async def test_with_one_address_a_ban_is_the_venues_own_demand() -> None:
    async with a_venue() as venue, hands_on(venue, FIRST) as hands:
        venue.banned[FIRST] = 300
        with pytest.raises(VenueThrottled) as thrown:
            await hands.positions()
        assert thrown.value.retry_after == 300
        assert venue.asked[0][0] == FIRST


async def test_f28_an_address_that_leads_nowhere_is_left_for_the_other() -> None:
    async with a_venue() as venue, hands_on(venue, "192.0.2.1", SECOND) as hands:
        await hands.positions()
        assert venue.by(SECOND) == 1


class Metered:
    """A warden's meter in the middle of a minute."""

    def __init__(self) -> None:
        self.meter = Meter(lambda: NOW)
        self.payer = Payer("main", FIRST)

    def trace(self, *, spares: bool) -> Callable[[str], Any]:
        return lambda address: metering(self.meter, Payer("main", address), spares_the_kill=spares)

    def use(self, weight: int) -> None:
        self.meter.begin(self.payer, Spend()).end({Limit.WEIGHT_1M: weight})

    @property
    def used(self) -> int:
        return self.meter.used(Counter(Limit.WEIGHT_1M, FIRST))


async def test_the_wardens_surveys_stop_at_the_reserve_and_say_until_when() -> None:
    metered = Metered()
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=True)) as hands:
        metered.use(1_890)
        with pytest.raises(KeptForTheKill) as thrown:
            await hands.conditional_orders()
        assert thrown.value.retry_after == 55
        assert "kept for the kill" in str(thrown.value)
        assert venue.asked == []
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=True)) as hands:
        # What a bot's dead-man timer, and the cancel of one order, rest on.
        with contextlib.suppress(VenueUnavailable):  # This venue's answer is no order.
            await hands.order("BTCUSDT", "pgk-1")
        await hands.cancel_plain("BTCUSDT")
        assert {asked for _, asked in venue.asked} == {"GET /fapi/v1/order", "DELETE /fapi/v1/allOpenOrders"}


async def test_the_kill_may_use_the_reserve_and_what_it_uses_is_known() -> None:
    metered = Metered()
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=False)) as hands:
        metered.use(2_390)
        venue.used = 2_475
        await hands.conditional_orders()
        assert metered.used == 2_475
    field, meter = Counter(Limit.WEIGHT_1M, FIRST).field, metered.meter
    free = meter.budget.limit(Counter(Limit.WEIGHT_1M, FIRST)) - meter.budget.reserve(Counter(Limit.WEIGHT_1M, FIRST))
    assert meter.shares_of_kills()[field] == 40 / free


async def test_what_the_warden_reads_for_itself_is_not_taken_for_a_kills() -> None:
    metered = Metered()
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=True)) as hands:
        await hands.conditional_orders()
        assert venue.asked and metered.meter.shares_of_kills() == {}


async def test_what_never_came_back_is_counted() -> None:
    metered = Metered()
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=True)) as hands:
        venue.banned[FIRST] = 1
        with pytest.raises(VenueThrottled):
            await hands.positions()
        assert metered.used == 5, "the answer had no counter"


async def test_the_warden_keeps_the_silence_that_a_gate_was_told_and_the_kill_asks_for_itself() -> None:
    """What a kill may do must not hang on a gate's word: it keeps what the venue says to it."""
    metered = Metered()
    gate = Meter(lambda: NOW)
    gate.silenced(Way("fapi", FIRST), 418, 300)
    metered.meter.told(gate.seen())
    asked: tuple[Callable[[WayOut], Awaitable[object]], ...] = (
        lambda hands: hands.positions(),
        lambda hands: hands.order("BTCUSDT", "pgk-1"),
        lambda hands: hands.cancel_plain("BTCUSDT"),
    )
    for ask in asked:
        async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=True)) as hands:
            with pytest.raises(VenueThrottled) as thrown:
                await ask(hands)
            assert (thrown.value.status, thrown.value.retry_after) == (418, ASK_AGAIN_S), "to ask again costs nothing"
            assert venue.asked == []
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=False)) as hands:
        await hands.positions()
        assert len(venue.asked) == 1


class NoStore:
    """Nothing comes to be published: this venue's answers are no prices."""


async def no_document(*_: object) -> None:
    raise AssertionError("nothing was read")


@pytest.mark.parametrize("by", ["a gate", "the loop"])
async def test_a_loop_of_the_warden_goes_on_soon_after_a_silence_of_three_days_was_ended(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.exchange.metering.ASK_AGAIN_S", 0.2)
    metered, way = Metered(), Way("fapi", FIRST)
    if by == "a gate":
        gate = Meter(lambda: NOW)
        gate.silenced(way, 418, 259_200)
        metered.meter.told(gate.seen())
    async with a_venue() as venue, an_account_on(venue, FIRST, trace=metered.trace(spares=True), again_s=0.2) as feed:
        venue.banned[FIRST] = 259_200
        keeper = MarketKeeper(
            venue="binanceusdm",
            hands=feed,
            store=cast("WardenStore", NoStore()),
            document=no_document,
            now=lambda: NOW,
            every_s=0.05,
        )
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(5):
            while metered.meter.silence(way) is None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        under_way = len(venue.asked)
        await asyncio.sleep(0.5)
        assert len(venue.asked) == under_way, "held back, however often it is asked"
        assert by == "the loop" or not venue.asked
        venue.banned.clear()
        assert metered.meter.answered(way, time.monotonic())
        async with asyncio.timeout(5):
            while len({asked for _, asked in venue.asked[under_way:]}) < 3:
                await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def test_what_a_long_ban_holds_back_is_said_in_the_same_words_and_seldom() -> None:
    troubles = [KeptSilent(Silence(418, left_s)) for left_s in (259_200, 120, 4)]
    assert {str(each) for each in troubles} == {
        "the exchange demands silence (418); nothing is sent until it is over"
    }, "no number that is not true any more when it is written once for many"
    assert [each.retry_after for each in troubles] == [10, 10, 4]
    assert troubles[0].said_every_s >= 600


@pytest.mark.parametrize("spares", [True, False], ids=["the warden", "the kill"])
async def test_gates_hear_of_a_ban_that_the_warden_or_the_kill_was_told(spares: bool) -> None:
    metered, gate = Metered(), Meter(lambda: NOW)
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=spares)) as hands:
        venue.banned[FIRST] = 300
        with pytest.raises(VenueThrottled):
            await hands.positions()
    gate.told(metered.meter.seen())
    assert gate.silence(Way("fapi", FIRST)) == Silence(418, 300)


@pytest.mark.parametrize(
    ("status", "body", "silent"),
    [
        (429, b'{"code":-1003,"msg":"Too many requests"}', True),
        (429, b"", True),
        (429, b'{"code":-1015,"msg":"Too many new orders"}', False),
        (200, b'{"orderId":1,"clientOrderId":"pgk-1","status":"NEW"}', False),
    ],
    ids=["too many requests", "no code", "too many orders", "taken"],
)
async def test_gates_hear_of_a_429_that_answered_a_close_of_the_kill_but_for_too_many_orders(
    status: int, body: bytes, silent: bool
) -> None:
    metered = Metered()
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=False)) as hands:
        venue.instead = (status, body)
        with contextlib.suppress(VenueThrottled, VenueUnavailable, OutcomeUnknown):
            await hands.close("BTCUSDT", PositionSide.BOTH, Side.SELL, Decimal(1), None, "pgk-1")
        assert len(venue.asked) == 1
    assert metered.meter.silence(Way("fapi", FIRST)) == (Silence(429, 40) if silent else None)


@pytest.mark.parametrize(
    ("status", "over"),
    [(200, True), (400, True), (403, False), (418, False), (429, False), (503, False)],
)
async def test_an_answer_to_the_kill_ends_the_silence_that_a_gate_was_told(status: int, over: bool) -> None:
    """A 403 may be of the firewall, and a 5xx of a proxy in between."""
    metered = Metered()
    metered.meter.silenced(Way("fapi", FIRST), 418, 259_200)
    async with a_venue() as venue, hands_on(venue, FIRST, trace=metered.trace(spares=False)) as hands:
        venue.instead = (status, b"[]" if status == 200 else b'{"code":-2011,"msg":"x"}')
        with contextlib.suppress(VenueThrottled, VenueUnavailable, VenueRefused):
            await hands.positions()
    assert (metered.meter.silence(Way("fapi", FIRST)) is None) is over
