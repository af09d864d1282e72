"""The ledger reads what the venue booked, once, whoever was away when, and says whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.accounts.births import Birth
from proxy.exchange.events import Event
from proxy.exchange.payloads import FundingRow
from proxy.exchange.troubles import VenueRefused, VenueUnavailable
from proxy.ledger.books import keeper as keepers
from proxy.ledger.books import rows
from proxy.ledger.books.attribution import Origin
from proxy.ledger.books.coverage import coverage
from proxy.ledger.books.keeper import LedgerKeeper
from proxy.ledger.books.reconciling import Standing, reconcile
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.schema import BooksUnavailable, reading
from tests.proxy.accounts.builders import an_algo_event
from tests.proxy.accounts.stream_builders import traded
from tests.proxy.ledger.books.builders import (
    ACCOUNT,
    DAY_MS,
    MINUTE_MS,
    NOW_MS,
    StatementDouble,
    a_fill,
    an_income,
    owner,
)


class Desk:
    """A venue, a clock, and a warden that can be started anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.venue = StatementDouble()
        self.now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
        self.ahead_ms: int | None = 0
        self.keeper = self.started()

    def started(self) -> LedgerKeeper:
        return LedgerKeeper(
            account=ACCOUNT,
            venue=self.venue,
            path=self.path,
            owner=owner,
            held=lambda: (),
            now=lambda: self.now,
            ahead_ms=lambda: self.ahead_ms,
        )

    async def settle(self, turns: int = 60) -> None:
        """Until there is nothing left to ask just now."""
        for _ in range(turns):
            if not await self.keeper.turn() and not await self.keeper.turn():
                return
        raise AssertionError("the keeper never rests")

    def later(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    def fills(self) -> list[tuple[int, str, Origin]]:
        with reading(self.path) as connection:
            return [(each.trade_id, each.bot, each.origin) for each in rows.fills(connection, Wanted())]

    def standing(self) -> Standing:
        with reading(self.path) as connection:
            found = reconcile(connection, ACCOUNT)
        assert found is not None
        return found.standing

    def missing(self) -> int:
        with reading(self.path) as connection:
            found = coverage(connection, ACCOUNT)
        assert found is not None
        return len(found.missing)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    yield Desk(tmp_path / "ledger" / "books.db")


async def test_what_was_booked_before_the_first_start_is_read_and_attributed(desk: Desk) -> None:
    desk.venue.trade(a_fill(1), "grid/1")
    desk.venue.trade(a_fill(2, symbol="ETHUSDT"), "web_by_hand")
    desk.venue.trade(a_fill(3), "autoclose-1795")
    desk.venue.trade(a_fill(4), "adl_autoclose")
    await desk.settle()
    assert desk.fills() == [
        (1, "grid", Origin.BOT),
        (2, "", Origin.OUTSIDE),
        (3, "", Origin.LIQUIDATION),
        (4, "", Origin.ADL),
    ]
    assert desk.standing() is Standing.RECONCILED


async def test_an_order_the_venue_does_not_know_any_more_is_nobodys_and_counted(desk: Desk) -> None:
    desk.venue.trade(a_fill(1))
    desk.venue.names.clear()
    await desk.settle()
    assert desk.fills() == [(1, "", Origin.UNKNOWN)]
    with reading(desk.path) as connection:
        found = coverage(connection, ACCOUNT)
    assert found is not None and found.nameless == 1


async def test_what_the_stream_tells_is_named_without_asking(desk: Desk) -> None:
    await desk.settle()
    desk.keeper.heard(traded(5, client_order_id="grid/7", order_id="7", symbol="BTCUSDT", last_quantity=Decimal(5)))
    desk.venue.trade(a_fill(7, NOW_MS + 1, order_id="7"), "grid/7")
    desk.later(MINUTE_MS // 2)
    await desk.settle()
    desk.later(MINUTE_MS)
    await desk.settle()
    assert desk.fills() == [(7, "grid", Origin.BOT)]
    assert not [asked for asked in desk.venue.asked if asked[0].startswith("order")]


STOP = an_algo_event("grid/stop", status="TRIGGERED", actual_order_id="7")
ITS_FILL = traded(
    5,
    client_order_id="venue-names-it",
    order_id="7",
    symbol="BTCUSDT",
    last_quantity=Decimal(5),
    last_price=Decimal(100),
)


@pytest.mark.parametrize("events", [(STOP, ITS_FILL), (ITS_FILL, STOP)], ids=["stop first", "fill first"])
async def test_a_stop_that_fired_is_its_bots_whatever_is_told_first(desk: Desk, events: tuple[Event, ...]) -> None:
    await desk.settle()
    for event in events:
        desk.keeper.heard(event)
        await desk.keeper.turn()
    desk.venue.trade(a_fill(7, NOW_MS + 1, order_id="7"), "venue-names-it")
    desk.later(2 * MINUTE_MS)
    await desk.settle()
    assert desk.fills() == [(7, "grid", Origin.BOT)]


async def test_a_stop_whose_event_was_lost_is_its_bots_when_the_guard_finds_out(desk: Desk) -> None:
    await desk.settle()
    desk.keeper.heard(ITS_FILL)
    await desk.keeper.turn()
    desk.venue.trade(a_fill(7, NOW_MS + 1, order_id="7"), "venue-names-it")
    desk.keeper.born(Birth(symbol="BTCUSDT", client_order_id="grid/stop", conditional_id="1", order_id="7"))
    desk.later(2 * MINUTE_MS)
    await desk.settle()
    assert desk.fills() == [(7, "grid", Origin.BOT)]


async def test_a_stop_that_fired_while_the_warden_was_away_is_looked_up_among_the_conditional_orders(
    desk: Desk,
) -> None:
    desk.venue.trade(a_fill(6), "grid/6")
    desk.venue.trade(a_fill(7), "venue-names-it")
    desk.venue.trade(a_fill(8), "web_by_hand")
    desk.venue.conditionals = {"5": "grid/older", "7": "grid/stop"}
    await desk.settle()
    assert desk.fills() == [(6, "grid", Origin.BOT), (7, "grid", Origin.BOT), (8, "", Origin.OUTSIDE)]


async def test_a_bots_own_orders_are_not_looked_up_among_the_conditional_ones(desk: Desk) -> None:
    desk.venue.trade(a_fill(6), "grid/6")
    await desk.settle()
    assert not [asked for asked in desk.venue.asked if asked[0].startswith("conditional")]


async def test_a_venue_that_lists_no_conditional_orders_takes_no_names_away(desk: Desk) -> None:
    desk.venue.trade(a_fill(6), "grid/6")
    desk.venue.trade(a_fill(7), "venue-names-it")
    desk.venue.trouble, desk.venue.troubled = VenueRefused(-5000, "no such path"), "conditional orders BTCUSDT"
    await desk.settle()
    assert desk.fills() == [(6, "grid", Origin.BOT), (7, "", Origin.OUTSIDE)]


async def test_what_came_while_the_warden_was_away_is_read_afterwards(desk: Desk) -> None:
    desk.venue.trade(a_fill(1))
    await desk.settle()
    await desk.keeper.aclose()
    for day in range(20):
        desk.venue.trade(a_fill(10 + day, NOW_MS + day * DAY_MS), "grid/late")
    desk.later(20 * DAY_MS)
    desk.keeper = desk.started()
    await desk.settle()
    assert len(desk.fills()) == 21
    assert (desk.standing(), desk.missing()) == (Standing.RECONCILED, 0)


async def test_full_answers_are_gone_on_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "ROWS_MAX", 4)
    desk.venue.rows_max = 4
    for trade in range(1, 12):
        desk.venue.trade(a_fill(trade, NOW_MS - trade * MINUTE_MS))
    await desk.settle()
    assert len(desk.fills()) == 11
    assert desk.standing() is Standing.RECONCILED


async def test_more_rows_of_one_moment_than_an_answer_has_are_a_trouble_and_stay_missing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "ROWS_MAX", 2)
    desk.venue.rows_max = 2
    desk.venue.rows = [an_income("TRANSFER", "1", row=row) for row in range(3)]
    with pytest.raises(VenueUnavailable, match="2 rows of one moment"):
        await desk.settle()
    with reading(desk.path) as connection:
        found = coverage(connection, ACCOUNT)
    assert found is not None and found.until_ms == NOW_MS - MINUTE_MS


async def test_trouble_leaves_the_gap_and_the_next_reading_fills_it(desk: Desk) -> None:
    desk.venue.trade(a_fill(1))
    desk.venue.trouble = VenueUnavailable("status 502")
    with pytest.raises(VenueUnavailable):
        await desk.keeper.turn()
    assert desk.standing() is Standing.INCOMPLETE
    desk.venue.trouble = None
    await desk.settle()
    assert desk.standing() is Standing.RECONCILED


async def test_a_symbol_the_venue_refuses_stops_nothing_but_itself_and_is_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.venue.trade(a_fill(1, symbol="LUNAUSDT"), "grid/1")
    await desk.settle()
    desk.venue.trade(a_fill(2, NOW_MS + MINUTE_MS, symbol="LUNAUSDT"), "grid/2")
    desk.venue.trade(a_fill(3, NOW_MS + MINUTE_MS), "grid/3")
    desk.venue.trouble, desk.venue.troubled = VenueRefused(-1121, "Invalid symbol."), "LUNAUSDT"
    for _ in range(2):
        await desk.keeper.aclose()
        desk.later(DAY_MS)
        desk.keeper = desk.started()
        caplog.clear()
        await desk.settle()
        desk.later(2 * 60 * MINUTE_MS)
        await desk.settle()
        assert len(caplog.records) == 1 and "LUNAUSDT" in caplog.text
    assert [trade for trade, _, _ in desk.fills()] == [1, 3]
    assert desk.missing() == 1
    desk.venue.trouble = None
    desk.later(60 * MINUTE_MS)
    await desk.settle()
    assert len(desk.fills()) == 3 and desk.standing() is Standing.RECONCILED


async def test_orders_of_a_symbol_the_venue_refuses_are_unknown_and_the_others_are_named(desk: Desk) -> None:
    desk.venue.trade(a_fill(1, symbol="AUSDT"), "grid/1")
    desk.venue.trade(a_fill(2), "grid/2")
    desk.venue.trouble, desk.venue.troubled = VenueRefused(-1121, "Invalid symbol."), "orders AUSDT"
    await desk.settle()
    assert desk.fills() == [(1, "", Origin.UNKNOWN), (2, "grid", Origin.BOT)]


@pytest.mark.parametrize("code", [-2015, -403], ids=["key", "firewall"])
@pytest.mark.parametrize("troubled", ["BTCUSDT", "orders BTCUSDT"], ids=["fills", "names"])
async def test_a_key_the_venue_refuses_is_no_matter_of_a_symbol(desk: Desk, troubled: str, code: int) -> None:
    desk.venue.trade(a_fill(1), "grid/1")
    desk.venue.trouble, desk.venue.troubled = VenueRefused(code, "Invalid API-key, IP, or permissions"), troubled
    with pytest.raises(VenueRefused):
        await desk.settle()
    desk.venue.trouble = None
    await desk.settle()
    assert desk.fills() == [(1, "grid", Origin.BOT)]


async def test_nothing_is_asked_before_the_venues_clock_is_known(desk: Desk) -> None:
    desk.ahead_ms = None
    assert await desk.keeper.turn() == 0
    assert desk.venue.asked == []


async def test_times_are_the_venues(desk: Desk) -> None:
    desk.ahead_ms = DAY_MS
    await desk.settle()
    with reading(desk.path) as connection:
        found = coverage(connection, ACCOUNT)
    assert found is not None and found.until_ms == NOW_MS + DAY_MS


async def test_funding_is_split_by_the_holdings_of_its_moment_and_adds_up(desk: Desk) -> None:
    desk.venue.rows.append(
        an_income("FUNDING_FEE", "-1.00000001", row=9, symbol="BTCUSDT", row_id="FUNDING_FEE 9 USDT BTCUSDT")
    )
    row = FundingRow(row_id="9", at_ms=NOW_MS, symbol="BTCUSDT", amount=Decimal("-1.00000001"), asset="USDT")
    desk.keeper.funding_shared(row, {"ada": Decimal(1), "bob": Decimal(2)})
    desk.keeper.funding_shared(row, {"ada": Decimal(9)})
    await desk.settle()
    with reading(desk.path) as connection:
        parts = {each.bot: each.amount for each in rows.fundings(connection, Wanted())}
    assert parts.keys() == {"ada", "bob"} and sum(parts.values()) == Decimal("-1.00000001")
    assert desk.standing() is Standing.RECONCILED


async def test_a_disk_that_refuses_stops_nothing_but_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("in the way")
    with pytest.raises(BooksUnavailable):
        await Desk(tmp_path / "ledger" / "books.db").keeper.turn()
