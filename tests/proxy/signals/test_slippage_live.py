"""What rules are told of the cost of orders, and what becomes of the moves stated behind it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.exchange.market_payloads import Candle, Depth
from proxy.signals.minute_moves import MinuteMoves
from proxy.signals.scoreboard.card import Card, Row, card_of
from proxy.signals.scoreboard.stated import Stated, Subject
from proxy.signals.scoreboard.verdict import judged as card_judged
from proxy.signals.slippage_live import HORIZON_H, SYMBOLS_MAX, TAUS, SlippageLive, _outcome, statements
from proxy.signals.symbol_facts import HISTORY_MINUTES, Part, SymbolFacts
from rules.facts import AccountRecord
from rules.market.slippage_forecast import SlippageForecast
from tests.rules.builders import NOW, a_buy, an_account, codes, judged

BEGIN = 480_000 * 3_600
BOOK = Depth(bids=((Decimal(100), Decimal(50_000)),), asks=((Decimal("100.1"), Decimal(50_000)),))


class Board:
    def __init__(self) -> None:
        self.stated: list[Stated] = []
        self.outcomes: dict[str, float] = {}
        self.status: Any = "reliable"

    def state(self, stated) -> None:
        self.stated += stated

    def due(self, now: int) -> list[Stated]:
        return [each for each in self.stated if each.until <= now]

    def resolve(self, stated: Stated, outcome: float) -> None:
        self.stated.remove(stated)
        self.outcomes[stated.key] = outcome

    def card(self, signal: str, symbol: str, horizon_h: float) -> Card:
        assert (signal, horizon_h) == ("slippage", HORIZON_H)
        return Card(signal=signal, symbol=symbol, horizon_h=horizon_h, status=self.status)


class House:
    """Symbols that were measured minute by minute up to ``now``."""

    def __init__(self, minutes: int, *symbols: str) -> None:
        self.now = BEGIN + 60 * minutes + 20
        self.board = Board()
        self.facts = {symbol: SymbolFacts(symbol) for symbol in symbols}
        for facts in self.facts.values():
            facts.depth = BOOK
            facts.moves.take([a_candle(n) for n in range(minutes)])
        self.received()
        conditions = SimpleNamespace(symbols=symbols, measuring=SimpleNamespace(facts=self.facts))
        self.live = SlippageLive(conditions=cast("Any", conditions), board=self.board, now=self.at)

    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def received(self) -> None:
        for facts in self.facts.values():
            for part in (Part.DEPTH, Part.TRADES):
                facts.received(part, self.at(), 0.0)

    def minute(self, **changes: str) -> None:
        (facts,) = self.facts.values()
        number = (facts.moves.recent[-1].open_ms // 1_000 - BEGIN) // 60 + 1
        facts.moves.take([a_candle(number, **changes)])
        self.now = BEGIN + 60 * (number + 1) + 20


def a_candle(minute: int, *, low: str = "99.9", high: str = "100.1", close: str = "100") -> Candle:
    return Candle((BEGIN + 60 * minute) * 1_000, Decimal(low), Decimal(high), Decimal(close))


async def test_rules_are_told_of_the_symbols_that_matter_most():
    house = House(1_500, *(f"S{n:02}" for n in range(SYMBOLS_MAX + 2)))
    await house.live.work_out()
    found = house.live.forecasts
    assert {each.symbol for each in found} == {f"S{n:02}" for n in range(SYMBOLS_MAX)}
    assert {each.name for each in found} == {"slippage"} and all(each.reliable for each in found)
    costs = [each.probability for each in found if each.symbol == "S00" and each.threshold == Decimal("0.001")]
    assert all(0 < each < 1 for each in costs)


async def test_of_a_symbol_that_nobody_has_ordered_yet_rules_are_told_when_it_is_measured():
    house = House(1_500, "A")
    house.live._conditions.symbols = ()  # type: ignore[misc]
    await house.live.work_out()
    assert {each.symbol for each in house.live.forecasts} == {"A"}


@pytest.mark.parametrize(("minutes", "status"), [(100, "reliable"), (1_500, "cold"), (1_500, "unreliable")])
async def test_what_is_young_or_has_not_held_is_not_reliable(minutes, status):
    house = House(minutes, "A")
    house.board.status = status
    await house.live.work_out()
    assert house.live.forecasts and not any(each.reliable for each in house.live.forecasts)


async def test_while_the_minutes_are_old_nothing_is_told():
    house = House(1_500, "A")
    house.now += 600
    await house.live.work_out()
    assert house.live.forecasts == ()


def test_a_quarter_of_an_hour_states_the_next_minute_once_and_the_minute_tells_the_outcome():
    house = House(100, "A")
    house.live.score()
    house.live.score()
    assert {each.key for each in house.board.stated} == {
        f"{side}:tau:{tau:g}" for side in ("buy", "sell") for tau in TAUS
    }
    assert all(each.until == each.as_of + 60 == BEGIN + 101 * 60 for each in house.board.stated)
    house.minute(low="99.5", high="100.2")
    house.live.score()
    assert house.board.outcomes["buy:tau:0.9"] == pytest.approx(20.0)
    assert house.board.outcomes["sell:tau:0.9"] == pytest.approx(50.0)
    assert not house.board.stated, "the same quarter states nothing more"
    for _ in range(15):
        house.minute()
    house.live.score()
    assert len(house.board.stated) == 2 * len(TAUS)


def test_the_reference_is_what_the_last_minutes_did_and_missing_with_too_few():
    for minutes, known in ((15, {"0.5"}), (60, {"0.5", "0.9"})):
        house = House(minutes, "A")
        house.live.score()
        assert {each.key.rpartition(":")[2] for each in house.board.stated if each.reference is not None} == known


def test_a_minute_that_was_not_read_leaves_its_forecast_without_outcome():
    house = House(100, "A")
    house.live.score()
    (facts,) = house.facts.values()
    facts.moves.take([a_candle(102)])
    house.now += 180
    house.live.score()
    assert not house.board.outcomes


@pytest.mark.parametrize(
    ("depth", "reliable"),
    [
        (BOOK, True),
        (Depth(BOOK.bids, ()), True),
        (Depth(((Decimal("100.2"), Decimal(1)),), BOOK.asks), False),
        (None, False),
    ],
    ids=["a book", "its asks taken", "crossed", "none"],
)
async def test_only_what_rests_on_a_book_is_to_be_relied_on(depth: Depth | None, reliable: bool):
    house = House(1_500, "A")
    (facts,) = house.facts.values()
    facts.depth = depth
    await house.live.work_out()
    assert {each.reliable for each in house.live.forecasts} == {reliable}


@pytest.mark.parametrize("quantity", ["10000", "1"], ids=["large", "below the smallest size that is told of"])
async def test_an_order_that_nobody_can_fill_is_refused(quantity: str):
    rule = SlippageForecast(probability_max=Decimal("0.1"), cost_min=Decimal("0.005"))
    for asks, refused in ((BOOK.asks, []), ((), ["SLIPPAGE_PROBABILITY_ABOVE_LIMIT"])):
        house = House(1_500, "BTCUSDT")
        (facts,) = house.facts.values()
        facts.depth = Depth(BOOK.bids, asks)
        await house.live.work_out()
        told = tuple(replace(each, as_of=NOW) for each in house.live.forecasts)
        record = AccountRecord(account="demo", version=1, as_of=NOW, forecasts=told)
        world = replace(an_account().worth("100000000").marked("BTCUSDT", "100"), record=record)
        assert codes(judged(a_buy("BTCUSDT", quantity), world, rule)) == refused


async def test_minutes_an_hour_old_are_told_as_no_news_however_often_they_are_answered():
    house = House(1_500, "A")
    for late_s, age_s in ((30, 0), (60, 0), (130, 70), (240, 180), (241, None), (3_600, None)):
        house.now = BEGIN + 60 * 1_500 + late_s
        house.received()
        await house.live.work_out()
        ages = {(house.at() - each.as_of).total_seconds() for each in house.live.forecasts}
        assert ages == (set() if age_s is None else {age_s})
    (facts,) = house.facts.values()
    found = facts.condition(house.at(), None)
    assert found is not None
    assert {found.adverse_move_q90, found.adverse_move_as_of} == {None}


async def test_what_is_read_first_after_a_start_is_enough_to_rely_on():
    house = House(HISTORY_MINUTES - 1, "A")
    await house.live.work_out()
    assert {each.reliable for each in house.live.forecasts} == {True}, "the newest candle is open and does not count"


@pytest.mark.parametrize("idle", [0.0, 0.6, 0.9])
def test_an_honest_forecaster_of_a_contract_that_hardly_trades_is_not_too_wide(idle: float):
    chance, moves, price, rows, open_ = random.Random(1), MinuteMoves(), 100.0, list[Row](), list[Stated]()
    for minute in range(4 * 1_440):
        path = [price]
        if chance.random() >= idle:
            path += [price := price * (1 + chance.gauss(0, 2e-4)) for _ in range(6)]
        moves.take([a_candle(minute, low=f"{min(path)!r}", high=f"{max(path)!r}", close=f"{price!r}")])
        rows += [row_of(each, moves) for each in open_]
        # The second half, and one in a quarter of an hour, as it is live.
        ends = minute >= 2 * 1_440 and minute % 15 == 0
        open_ = list(statements("X", moves, BEGIN + 60 * (minute + 1))) if ends else []
    card = card_judged(card_of(Subject("slippage", "X", HORIZON_H), rows), None, 0)
    assert (card.status, card.why) == ("reliable", "")


def row_of(stated: Stated, moves: MinuteMoves) -> Row:
    outcome = _outcome(stated, moves.recent)
    assert outcome is not None
    return Row(stated.key, stated.kind, stated.as_of, stated.until, stated.value, stated.reference, outcome)
