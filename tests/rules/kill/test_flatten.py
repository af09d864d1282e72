"""The plan of the closes: proven over random books, then shown on small ones."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.kill.flatten import (
    REFUSALS_MAX,
    LegMemory,
    PlannedClose,
    UnderWay,
    bands,
    plan_closes,
    still_under_way,
    stuck,
)
from rules.kill.legs import BookLevel, LotSize, OpenLeg
from rules.kill.settings import Flatten
from rules.model import PositionSide, Side
from tests.properties.strategies import examples

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
LOT = LotSize(step=Decimal("0.001"), quantity_min=Decimal("0.001"), quantity_max=Decimal(120))


def a_leg(quantity: str, symbol: str = "BTCUSDT", side: PositionSide = PositionSide.BOTH, **more: object) -> OpenLeg:
    known: dict[str, object] = {
        "mark_price": Decimal(100),
        "market_lot": LOT,
        "limit_lot": LOT,
        "tick_size": Decimal("0.01"),
    }
    return OpenLeg(symbol=symbol, position_side=side, quantity=Decimal(quantity), **(known | more))  # type: ignore[arg-type]


def a_book(*levels: tuple[str, str]) -> tuple[BookLevel, ...]:
    return tuple(BookLevel(Decimal(price), Decimal(quantity)) for price, quantity in levels)


class Account:
    """A random account under way: any mix of legs, listings, books, memories and closes of unknown outcome."""

    def __init__(self, chance: random.Random, *, stuck_share: float, known_share: float) -> None:
        self.chance = chance
        self.known_share = known_share
        hedged = chance.random() < 0.5
        self.legs: list[OpenLeg] = []
        for number in range(chance.randint(1, 6)):
            for side in (PositionSide.LONG, PositionSide.SHORT) if hedged else (PositionSide.BOTH,):
                if chance.random() < 0.8:
                    self.legs.append(self._leg(f"S{number}", side, stuck_share))
        self.settings = Flatten(
            naked_notional_max=Decimal(chance.choice((1, 50, 1_000, 25_000, 10**9))),
            depth_share=Decimal(chance.choice(("0.1", "0.5", "1"))),
            ladder_s=chance.choice((1, 5)),
        )
        self.memory = {leg.key: self._memory(stuck_share) for leg in self.legs if chance.random() < 0.5}
        self.under_way: tuple[UnderWay, ...] = ()
        if chance.random() < 0.5:
            legs = [leg for leg in self.legs if chance.random() < 0.4]
            self.under_way = tuple(
                UnderWay(
                    leg=leg.key,
                    quantity=leg.size * chance.randint(1, 10) / 10,
                    leg_size=leg.size,
                    until=NOW + timedelta(seconds=3),
                )
                for leg in legs
            )

    def plan(self) -> tuple[PlannedClose, ...]:
        return plan_closes(self.legs, self.settings, now=NOW, memory=self.memory, under_way=self.under_way)

    def books(self) -> list[list[OpenLeg]]:
        """The account and its hedged symbols, as far as they have a mark, dust left out."""
        legs = [leg for leg in self.legs if leg.mark_price is not None and leg.closable]
        hedged = sorted({leg.symbol for leg in legs if leg.position_side is not PositionSide.BOTH})
        groups = [legs, *([leg for leg in legs if leg.symbol == symbol] for symbol in hedged)]
        return [group for group in groups if {leg.sign for leg in group} == {1, -1}]

    def is_stuck(self, leg: OpenLeg) -> bool:
        return stuck(leg, self.memory.get(leg.key, LegMemory()))

    def _leg(self, symbol: str, side: PositionSide, stuck_share: float) -> OpenLeg:
        chance = self.chance
        step = Decimal(10) ** chance.randint(-3, 1)
        quantity = step * chance.choice((1, 2, 3, chance.randint(1, 5_000)))
        short = side is PositionSide.SHORT or (side is PositionSide.BOTH and chance.random() < 0.5)
        mark = Decimal(chance.randint(1, 10_000_000)) / 100
        lot = LotSize(step=step, quantity_min=step * chance.randint(1, 3), quantity_max=step * chance.randint(3, 9_000))
        known = chance.random() < self.known_share
        levels = tuple(
            BookLevel(mark * (1000 + number * (1 if short else -1)) / 1000, step * chance.randint(0, 900))
            for number in range(chance.randint(0, 5))
        )
        return OpenLeg(
            symbol=symbol,
            position_side=side,
            quantity=-quantity if short else quantity,
            mark_price=mark if chance.random() < 0.95 else None,
            liquidation_price=mark * chance.randint(2, 20) / 10 if chance.random() < 0.7 else None,
            trading=chance.random() >= stuck_share,
            market_lot=lot if known else None,
            limit_lot=lot if known else None,
            tick_size=Decimal("0.01") if known else None,
            price_floor=mark * Decimal("0.95") if chance.random() < 0.7 else None,
            price_cap=mark * Decimal("1.05") if chance.random() < 0.7 else None,
            book=levels if chance.random() < 0.8 else None,
        )

    def _memory(self, stuck_share: float) -> LegMemory:
        chance = self.chance
        return LegMemory(
            rung=chance.randint(0, 9),
            since=chance.choice((None, NOW - timedelta(seconds=chance.randint(0, 9)))),
            refusals=REFUSALS_MAX if chance.random() < stuck_share / 2 else chance.randint(0, REFUSALS_MAX - 1),
            halted=chance.random() < stuck_share / 2,
            market_refused=chance.random() < 0.3,
        )


def accounts(*, stuck_share: float = 0.0, known_share: float = 0.8) -> st.SearchStrategy[Account]:
    chances = st.integers(0, 2**64).map(random.Random)
    return chances.map(lambda chance: Account(chance, stuck_share=stuck_share, known_share=known_share))


def net(legs: list[OpenLeg], closed: dict[str, Decimal]) -> Decimal:
    """What the legs are worth together once so much of each is closed."""
    return sum(
        (
            (leg.size - min(leg.size, closed.get(leg.key, Decimal(0)))) * leg.sign * (leg.mark_price or 0)
            for leg in legs
        ),
        Decimal(0),
    )


def outcomes(account: Account, plan: tuple[PlannedClose, ...]) -> list[dict[str, Decimal]]:
    """What may come of the closes under way: every one filled or not where they are few, and random parts of them."""
    sent = [(each.leg, each.quantity) for each in account.under_way]
    sent += [(close.leg.key, close.quantity) for close in plan]
    chance = account.chance
    ways = [[Decimal(chance.choice(("0", "0.3", "0.7", "1"))) for _ in sent] for _ in range(30)]
    if len(sent) <= 7:
        ways += [[Decimal(each) for each in way] for way in product((0, 1), repeat=len(sent))]
    longs = {leg.key for leg in account.legs if leg.sign > 0}
    for only_longs in (True, False):  # The two worst: one side fills, the other does not.
        ways.append([Decimal((key in longs) == only_longs) for key, _ in sent])
    found = []
    for way in ways:
        closed: dict[str, Decimal] = {}
        for (key, quantity), part in zip(sent, way, strict=True):
            closed[key] = closed.get(key, Decimal(0)) + quantity * part
        found.append(closed)
    return found


@given(accounts(stuck_share=0.1))
@examples(150)
def test_no_book_leans_further_whatever_fills(account: Account):
    plan = account.plan()
    for book in account.books():
        before = net(book, {})
        limit = max(account.settings.naked_notional_max, abs(before), already_possible(account, book))
        if not account.under_way:
            limit = max(limit, limit_of_one_smallest(account, book, plan))
        for closed in outcomes(account, plan):
            assert abs(net(book, closed)) <= limit + Decimal("1e-9"), (before, closed)


def already_possible(account: Account, book: list[OpenLeg]) -> Decimal:
    """How far the closes of unknown outcome may make a book lean by themselves: no plan can take them back."""
    ways = []
    for sign in (1, -1):
        closed = {
            leg.key: sum((each.quantity for each in account.under_way if each.leg == leg.key), Decimal(0))
            for leg in book
            if leg.sign == sign
        }
        ways.append(abs(net(book, closed)))
    return max(ways)


def limit_of_one_smallest(account: Account, book: list[OpenLeg], plan: tuple[PlannedClose, ...]) -> Decimal:
    """The one smallest order that may always go, where it is alone and the policy's limit is smaller than it."""
    keys = {leg.key for leg in book}
    mine = [close for close in plan if close.leg.key in keys]
    if len(plan) != 1 or not mine or mine[0].quantity != lot_of(mine[0]).slice_min(mine[0].leg.size):
        return Decimal(0)
    notional = mine[0].quantity * (mine[0].leg.mark_price or 0)
    return max(account.settings.naked_notional_max, notional, notional - abs(net(book, {})))


def lot_of(close: PlannedClose) -> LotSize:
    leg = close.leg
    return (leg.market_lot if close.price is None else leg.limit_lot) or leg.assumed_lot


@given(accounts())
@examples(150)
def test_something_always_goes_where_nothing_is_stuck_or_under_way(account: Account):
    account.under_way = ()
    if any(leg.closable for leg in account.legs) and not any(map(account.is_stuck, account.legs)):
        assert account.plan()


@given(accounts(stuck_share=0.3))
@examples(150)
def test_legs_to_one_side_are_never_held_back(account: Account):
    account.legs = [
        replace(leg, quantity=leg.size) for leg in account.legs if leg.position_side is not PositionSide.SHORT
    ]
    planned = {close.leg.key for close in account.plan() if close.leg.closable}
    assert planned == {leg.key for leg in account.legs if leg.closable and not account.is_stuck(leg)}


@given(accounts(stuck_share=0.3))
@examples(150)
def test_every_close_reduces_its_leg_within_the_limits_of_the_venue(account: Account):
    plan = account.plan()
    assert len({close.leg.key for close in plan}) == len(plan)
    for close in plan:
        leg, lot = close.leg, lot_of(close)
        assert close.side is (Side.SELL if leg.quantity > 0 else Side.BUY)
        assert not account.is_stuck(leg)
        assert lot.quantity_min <= close.quantity <= lot.quantity_max and close.quantity % lot.step == 0
        assert close.quantity <= leg.size or not leg.closable
        rest = leg.size - close.quantity
        assert rest < lot.step or rest >= lot.smallest, "dust of our own making"
        if close.price is not None:
            assert leg.tick_size is not None and leg.mark_price is not None
            assert close.price % leg.tick_size == 0
            inside = leg.price_floor if leg.sign > 0 else leg.price_cap
            widest = leg.mark_price * (1 - bands(account.settings)[-1] * leg.sign) if inside is None else inside
            assert (close.price - widest) * leg.sign >= 0


@given(accounts(known_share=1.0))
@examples(60)
def test_fill_after_fill_every_book_ends_flat_and_never_leans_beyond_the_press(account: Account):
    account.memory, account.under_way = {}, ()
    account.settings = replace(account.settings, naked_notional_max=Decimal(10**7))
    account.legs = [replace(leg, mark_price=leg.mark_price or Decimal(7)) for leg in account.legs]
    at_press = max((abs(net(book, {})) for book in account.books()), default=Decimal(0))
    rounds = 0
    while plan := tuple(close for close in account.plan() if close.leg.closable):
        rounds += 1
        assert rounds < 20_000
        closed = {close.leg.key: close.quantity * account.chance.choice((1, 1, 1, 0)) for close in plan}
        legs = [replace(leg, quantity=leg.quantity - closed.get(leg.key, 0) * leg.sign) for leg in account.legs]
        account.legs = [leg for leg in legs if leg.quantity]
        assert all(abs(net(book, {})) <= max(at_press, Decimal(10**7)) for book in account.books())
    assert not any(leg.closable for leg in account.legs)


def quantities(*legs: OpenLeg, naked: int = 25_000, **more: object) -> dict[str, Decimal]:
    plan = plan_closes(legs, Flatten(naked_notional_max=Decimal(naked)), now=NOW, **more)  # type: ignore[arg-type]
    return {close.leg.key: close.quantity for close in plan}


def prices(leg: OpenLeg, memory: LegMemory) -> list[Decimal | None]:
    return [close.price for close in plan_closes([leg], Flatten(), now=NOW, memory={leg.key: memory})]


LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def test_a_hedge_within_the_limit_goes_at_once():
    assert quantities(a_leg("5", side=LONG), a_leg("-3", side=SHORT)) == {"BTCUSDT/LONG": 5, "BTCUSDT/SHORT": 3}


def test_a_larger_hedge_shrinks_in_proportion():
    legs = (a_leg("100", side=LONG), a_leg("-100", side=SHORT))
    assert quantities(*legs, naked=2_500) == {"BTCUSDT/LONG": 25, "BTCUSDT/SHORT": 25}


def test_coins_that_fall_together_are_one_book():
    legs = (a_leg("60", "BTCUSDT"), a_leg("40", "SOLUSDT"), a_leg("-100", "ETHUSDT"))
    assert quantities(*legs, naked=1_000) == {"BTCUSDT/BOTH": 6, "SOLUSDT/BOTH": 4, "ETHUSDT/BOTH": 10}


def test_the_heavier_side_gives_up_its_excess_first():
    legs = (a_leg("100", "BTCUSDT"), a_leg("-20", "ETHUSDT"))
    assert quantities(*legs, naked=1_000) == {"BTCUSDT/BOTH": 80}


@pytest.mark.parametrize("mark", ["100", "0.0001"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_heavier_side_gives_up_part_of_its_excess_and_the_hedge_shrinks(mark: str, sign: int):
    # A limit of 60 units: 10 of the lighter side may go, as no more than 50 + 10 would lean; 20 and 40 of the heavier.
    legs = (
        a_leg(f"{100 * sign}", "BTCUSDT", mark_price=Decimal(mark), tick_size=Decimal(mark) / 10**4),
        a_leg(f"{-50 * sign}", "ETHUSDT", mark_price=Decimal(mark), tick_size=Decimal(mark) / 10**4),
    )
    plan = plan_closes(legs, Flatten(naked_notional_max=60 * Decimal(mark)), now=NOW)
    assert {close.leg.symbol: close.quantity for close in plan} == {"BTCUSDT": 60, "ETHUSDT": 10}


def test_the_two_legs_of_a_symbol_are_a_book_of_their_own():
    others = a_leg("25", "ETHUSDT", side=LONG), a_leg("25", "SOLUSDT", side=LONG)
    plan = quantities(a_leg("50", side=LONG), a_leg("-100", side=SHORT), *others, naked=2_000)
    assert "BTCUSDT/LONG" not in plan, "without it the short leans further than it does"
    assert plan["BTCUSDT/SHORT"] == plan["ETHUSDT/LONG"] + plan["SOLUSDT/LONG"] == 20


def test_a_limit_smaller_than_any_order_still_lets_one_go():
    legs = (a_leg("2", "BTCUSDT"), a_leg("-1", "ETHUSDT"))
    assert quantities(*legs, naked=1) == {"BTCUSDT/BOTH": 1}
    even = (a_leg("1", "BTCUSDT"), a_leg("-1", "ETHUSDT"))
    whole = LotSize(step=Decimal(1), quantity_min=Decimal(1), quantity_max=Decimal(9))
    assert len(quantities(*(replace(leg, market_lot=whole, limit_lot=whole) for leg in even), naked=1)) == 1


def test_that_one_order_is_of_the_heavier_side_however_little_it_leans_and_bounded_as_any():
    near = a_leg("-0.01", "ETHUSDT", mark_price=Decimal(99), liquidation_price=Decimal(100))
    legs = (a_leg("0.01", "BTCUSDT", liquidation_price=Decimal(20)), near)
    (close,) = plan_closes(legs, Flatten(naked_notional_max=Decimal("0.001")), now=NOW)
    assert (close.leg.symbol, close.quantity, close.price) == ("BTCUSDT", LOT.smallest, Decimal("99.8"))


def test_a_hedge_whose_other_leg_is_stuck_is_kept():
    legs = (a_leg("100", "BTCUSDT"), a_leg("-100", "LUNAUSDT", trading=False))
    assert quantities(*legs, naked=1_000) == {"BTCUSDT/BOTH": 10}
    leaning = (a_leg("90", "BTCUSDT"), a_leg("-100", "LUNAUSDT", trading=False))
    assert quantities(*leaning, naked=1_000) == {}


def test_a_close_of_unknown_outcome_counts_until_it_is_seen_or_its_time_is_up():
    legs = (a_leg("100", "BTCUSDT"), a_leg("-100", "ETHUSDT"))
    sent = UnderWay(leg="BTCUSDT/BOTH", quantity=Decimal(10), leg_size=Decimal(100), until=NOW + timedelta(seconds=1))
    assert quantities(*legs, naked=1_000, under_way=[sent]) == {}
    assert still_under_way([sent], legs, NOW) == (sent,)
    assert still_under_way([sent], legs, NOW + timedelta(seconds=1)) == ()
    assert still_under_way([sent], [a_leg("90", "BTCUSDT")], NOW) == ()
    assert still_under_way([sent], [], NOW) == ()


def test_what_is_nearest_to_its_liquidation_for_its_size_goes_first():
    legs = (
        a_leg("10", "FAR", liquidation_price=Decimal(20)),
        a_leg("10", "NEAR", liquidation_price=Decimal(90)),
        a_leg("1", "UNKNOWN"),
        a_leg("30", "LARGE", liquidation_price=Decimal(80)),
    )
    assert list(quantities(*legs)) == ["UNKNOWN/BOTH", "LARGE/BOTH", "NEAR/BOTH", "FAR/BOTH"]
    assert list(quantities(*legs, most=2)) == ["UNKNOWN/BOTH", "LARGE/BOTH"]


def test_the_distance_to_a_liquidation_is_a_part_of_the_price():
    legs = (
        a_leg("1000", "CHEAP", mark_price=Decimal(1), liquidation_price=Decimal("0.8")),
        a_leg("10", "DEAR", mark_price=Decimal(100), liquidation_price=Decimal(90)),
    )
    assert list(quantities(*legs)) == ["DEAR/BOTH", "CHEAP/BOTH"]


def test_bands_double_up_to_the_last():
    assert bands(Flatten()) == tuple(map(Decimal, ("0.002", "0.004", "0.008", "0.016", "0.02")))
    assert bands(Flatten(band_first=Decimal("0.1"), band_last=Decimal("0.02"))) == (Decimal("0.02"),)


def test_a_close_is_bounded_by_its_rung_on_the_tick_and_inside():
    odd = a_leg("1", mark_price=Decimal("100.07"))
    assert prices(odd, LegMemory()) == [Decimal("99.87")]  # 99.86986, rounded up
    assert prices(replace(odd, quantity=Decimal(-1)), LegMemory()) == [Decimal("100.27")]  # 100.27014, rounded down
    assert prices(a_leg("1"), LegMemory(rung=2)) == [Decimal("99.2")]
    assert prices(a_leg("1"), LegMemory(rung=99)) == [Decimal(98)]
    assert prices(a_leg("1", price_floor=Decimal("99.9")), LegMemory()) == [Decimal("99.9")]
    assert prices(a_leg("-1", price_cap=Decimal("100.1")), LegMemory()) == [Decimal("100.1")]
    assert prices(a_leg("1", mark_price=Decimal("0.5")), LegMemory()) == [Decimal("0.5")]  # 0.499, rounded up


def test_where_no_limit_price_can_be_written_a_market_order_goes():
    assert prices(a_leg("-1", mark_price=Decimal("0.004")), LegMemory()) == [None]  # less than a tick
    assert prices(a_leg("1", limit_lot=None), LegMemory()) == [None]
    assert prices(a_leg("1", tick_size=None), LegMemory()) == [None]
    large = LotSize(step=Decimal(5), quantity_min=Decimal(5), quantity_max=Decimal(50))
    assert prices(a_leg("1", limit_lot=large), LegMemory()) == [None]


def test_a_limit_order_and_a_market_order_have_each_their_own_largest_size():
    leg = a_leg(
        "100", market_lot=replace(LOT, quantity_max=Decimal(10)), limit_lot=replace(LOT, quantity_max=Decimal(30))
    )
    assert quantities(leg) == {"BTCUSDT/BOTH": 30}
    assert quantities(leg, memory={leg.key: LegMemory(since=NOW - timedelta(seconds=5))}) == {"BTCUSDT/BOTH": 10}


def test_what_is_left_goes_at_the_market_and_where_that_is_refused_at_the_bound_of_the_venue():
    over = LegMemory(since=NOW - timedelta(seconds=5))
    assert prices(a_leg("1"), replace(over, since=NOW - timedelta(seconds=4))) != [None]
    assert prices(a_leg("1"), over) == [None]
    bound = a_leg("1", price_floor=Decimal(95), price_cap=Decimal(105))
    assert prices(bound, replace(over, market_refused=True)) == [Decimal(95)]
    assert prices(replace(bound, quantity=Decimal(-1)), replace(over, market_refused=True)) == [Decimal(105)]


def test_without_a_mark_or_a_listing_a_market_order_goes():
    assert prices(a_leg("1", mark_price=None), LegMemory()) == [None]
    unlisted = a_leg("1.500", market_lot=None, limit_lot=None, tick_size=None)
    assert prices(unlisted, LegMemory()) == [None]
    hedge = (unlisted, a_leg("-1.5", "ETHUSDT"))
    assert quantities(*hedge, naked=100) == {"BTCUSDT/BOTH": 1, "ETHUSDT/BOTH": 1}
    assert quantities(*hedge, naked=33)["BTCUSDT/BOTH"] == Decimal("0.33"), "on the step it is written with"


def test_a_close_takes_a_share_of_what_stands_within_its_band():
    leg = a_leg("100", book=a_book(("100", "4"), ("99.9", "6"), ("99.7", "50")))
    assert quantities(leg) == {"BTCUSDT/BOTH": 5}
    assert quantities(leg, memory={leg.key: LegMemory(rung=1)}) == {"BTCUSDT/BOTH": 30}
    assert quantities(replace(leg, book=())) == {"BTCUSDT/BOTH": Decimal("0.001")}
    assert quantities(replace(leg, book=None)) == {"BTCUSDT/BOTH": 100}
    edge = a_leg("100", book=a_book(("100", "4"), ("99.8", "6"), ("99.79", "50")))
    assert quantities(edge) == {"BTCUSDT/BOTH": 5}, "the band's own price is within it"
    short = a_leg("-100", book=a_book(("100", "4"), ("100.2", "6"), ("100.21", "50")))
    assert quantities(short) == {"BTCUSDT/BOTH": 5}


def test_no_slice_leaves_dust_behind():
    lot = LotSize(step=Decimal(1), quantity_min=Decimal(5), quantity_max=Decimal(12))
    assert [lot.fit(Decimal(most), Decimal(14)) for most in (4, 5, 9, 12, 14)] == [0, 5, 9, 9, 9]
    assert lot.fit(Decimal(8), Decimal(8)) == lot.slice_min(Decimal(8)) == 8
    assert lot.fit(Decimal(6), Decimal(8)) == 0
    assert lot.fit(Decimal(4), Decimal(4)) == 0
    assert [lot.slice_min(Decimal(whole)) for whole in (9, 10, 12)] == [9, 5, 5], "two smallest fit into ten"


def test_a_quantity_is_cut_down_to_the_step_and_never_rounded_up():
    lot = LotSize(step=Decimal(5), quantity_min=Decimal(5), quantity_max=Decimal(50))
    assert lot.fit(Decimal(9), Decimal(100)) == 5


def test_dust_is_tried_once_with_a_larger_order_in_one_way_mode_alone():
    dust = a_leg("0.0004")
    plan = plan_closes([dust], Flatten(), now=NOW)
    assert [(close.quantity, close.price) for close in plan] == [(Decimal("0.001"), None)]
    assert quantities(dust, memory={dust.key: LegMemory(rounded_up=True)}) == {}
    assert quantities(a_leg("0.0004", side=LONG)) == {}


def test_dust_that_is_a_part_of_a_position_is_left_for_the_rest_is_another_bots():
    assert quantities(a_leg("0.0004", whole=False)) == {}
    assert quantities(a_leg("0.4", whole=False)) == {"BTCUSDT/BOTH": Decimal("0.4")}


def test_a_ladder_too_long_to_reckon_with_is_as_long_as_can_be():
    """A kill that an older version began stands in its journal with the settings of then, and is resumed."""
    (close,) = plan_closes(
        [a_leg("1")], Flatten(ladder_s=10**17), now=NOW, memory={a_leg("1").key: LegMemory(since=NOW)}
    )
    assert close.price is not None
