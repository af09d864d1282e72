"""What closing costs, before and after, against the mark and in quote currency."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from rules.kill.cost import FilledClose, estimate, reckon
from rules.kill.events import CloseFailed, CloseSent, CloseStep, Fee, Fill, Surveyed, Tallied
from rules.kill.legs import BookLevel, OpenLeg
from rules.kill.reckoning import filled_by_leg, reckoned
from rules.model import PositionSide

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def a_leg(quantity: str, *levels: tuple[str, str], symbol: str = "BTCUSDT", mark: str | None = "100") -> OpenLeg:
    return OpenLeg(
        symbol=symbol,
        position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
        mark_price=Decimal(mark) if mark is not None else None,
        book=tuple(BookLevel(Decimal(price), Decimal(size)) for price, size in levels),
    )


def test_the_book_is_walked_from_the_mark():
    told = estimate([a_leg("3", ("99", "1"), ("98", "5"))])
    assert (told.cost, told.notional, told.in_book) == (1 * 1 + 2 * 2, 300, 1)
    short = estimate([a_leg("-3", ("101", "1"), ("102", "5"))])
    assert short.cost == 5


def test_what_stands_beyond_the_book_is_extrapolated_and_said():
    told = estimate([a_leg("4", ("99", "1"), ("98", "1"))])
    # 1 and 2 in the book; then on by one for each unit: 2 + 1/2 * 2 = 3 on average, for two units.
    assert told.cost == 1 + 2 + 2 * 3
    assert told.in_book == Decimal("0.5") and told.legs[0].in_book == 2


def test_a_book_better_than_the_mark_is_a_gain_and_extrapolates_to_nothing_worse():
    assert estimate([a_leg("2", ("101", "1"))]).cost == -1


def test_what_is_not_known_is_told_apart_from_nothing():
    told = estimate([a_leg("1", mark=None), a_leg("1", symbol="ETHUSDT")])
    unknown, empty = told.legs
    assert (unknown.notional, unknown.cost, unknown.in_book) == (None, None, None)
    assert (empty.notional, empty.cost, empty.in_book) == (100, 0, 0)
    assert estimate([]).in_book == 0


def test_a_leg_is_told_by_name_and_size_whatever_else_is_known():
    read, unread = a_leg("-3", ("101", "9")), replace(a_leg("2"), book=None)
    told = estimate([read, unread, a_leg("4", mark=None)])
    assert [(row.leg, row.quantity, row.notional) for row in told.legs] == [
        ("BTCUSDT/BOTH", 3, 300),
        ("BTCUSDT/BOTH", 2, 200),
        ("BTCUSDT/BOTH", 4, None),
    ]


def test_a_book_that_was_not_read_costs_nothing_and_shows_nothing():
    told = estimate([a_leg("2", ("99", "9")), replace(a_leg("2"), book=None)])
    assert [(row.in_book, row.cost) for row in told.legs] == [(2, 2), (None, 0)]
    assert (told.cost, told.in_book) == (2, Decimal("0.5"))


def test_fills_are_reckoned_against_the_mark_at_the_press():
    fills = (
        FilledClose(symbol="BTCUSDT", sign=1, quantity=Decimal(2), average_price=Decimal(99), fee=Decimal("0.1"),
                    fee_asset="USDT"),
        FilledClose(symbol="BTCUSDT", sign=-1, quantity=Decimal(1), average_price=Decimal(103), fee=Decimal("0.2"),
                    fee_asset="BNB"),
    )  # fmt: skip
    cost = reckon(fills, {"BTCUSDT": Decimal(100)})
    assert (cost.slippage, cost.notional, cost.unpriced) == (2 + 3, 301, 0)
    assert cost.fees == {"USDT": Decimal("0.1"), "BNB": Decimal("0.2")} and cost.fees_known


def test_a_fill_without_a_price_or_a_fee_is_said():
    fills = (
        FilledClose(symbol="BTCUSDT", sign=1, quantity=Decimal(1), average_price=None),
        FilledClose(symbol="BTCUSDT", sign=1, quantity=Decimal(0), average_price=None),
    )
    cost = reckon(fills, {"BTCUSDT": Decimal(100)})
    assert (cost.unpriced, cost.fees_known, cost.slippage) == (1, False, 0)


def test_fills_that_cannot_be_reckoned_are_counted_and_those_of_nothing_passed_over():
    nothing, unpriced, priced = (
        FilledClose(symbol="BTCUSDT", sign=1, quantity=Decimal(quantity), average_price=price)
        for quantity, price in ((0, None), (1, None), (1, Decimal(99)))
    )
    cost = reckon((nothing, unpriced, unpriced, priced), {"BTCUSDT": Decimal(100)})
    assert (cost.unpriced, cost.notional, cost.slippage) == (2, 99, 1)


def test_a_fee_in_no_named_asset_is_not_known():
    fill = FilledClose(symbol="BTCUSDT", sign=1, quantity=Decimal(1), average_price=Decimal(99), fee=Decimal(1))
    cost = reckon([fill], {"BTCUSDT": Decimal(100)})
    assert (cost.fees, cost.fees_known) == ({}, False)


def test_the_last_word_of_the_venue_counts_also_for_a_close_whose_answer_was_lost():
    leg = a_leg("3")
    first, second = (
        CloseStep(leg=leg, side=leg.side, quantity=Decimal(quantity), sequence=number)
        for number, quantity in enumerate((1, 2))
    )
    events = (
        Surveyed(at=NOW, plain_orders=(), conditional_orders=(), positions=(leg,)),
        CloseSent(at=NOW, step=first, client_order_id="a", order_id="1", filled_quantity=Decimal(1),
                  average_price=Decimal(99)),
        CloseFailed(at=NOW, step=second, client_order_id="b", error="lost"),
        Tallied(
            at=NOW,
            fills=(Fill(symbol="BTCUSDT", client_order_id="b", order_id="2", quantity=Decimal(2),
                        average_price=Decimal(98)),),
            fees=tuple(Fee(order_id=str(number), amount=Decimal(number), asset="USDT") for number in (1, 2)),
        ),
    )  # fmt: skip
    cost = reckoned(events)
    assert cost is not None and cost.slippage == 1 + 2 * 2
    assert cost.fees == {"USDT": Decimal(3)} and cost.fees_known
    assert filled_by_leg(events) == {"BTCUSDT/BOTH": Decimal(3)}
    assert reckoned(events[:1]) is None


def test_only_what_the_venue_says_it_charged_is_a_fee():
    leg = a_leg("1")
    step = CloseStep(leg=leg, side=leg.side, quantity=Decimal(1), sequence=1)
    sent = CloseSent(at=NOW, step=step, client_order_id="a", order_id="1", filled_quantity=Decimal(1),
                     average_price=Decimal(99))  # fmt: skip
    read = Surveyed(at=NOW, plain_orders=(), conditional_orders=(), positions=(leg,))
    another = Tallied(at=NOW, fees=(Fee(order_id="2", amount=Decimal(5), asset="USDT"),))
    cost = reckoned((read, sent, another))
    assert cost is not None and (cost.fees, cost.fees_known) == ({}, False)


def test_a_fill_that_the_venue_knows_no_order_of_has_no_fee():
    leg = a_leg("1")
    step = CloseStep(leg=leg, side=leg.side, quantity=Decimal(1), sequence=1)
    fill = Fill(symbol="BTCUSDT", client_order_id="a", order_id=None, quantity=Decimal(1), average_price=Decimal(99))
    events = (
        Surveyed(at=NOW, plain_orders=(), conditional_orders=(), positions=(leg,)),
        CloseFailed(at=NOW, step=step, client_order_id="a", error="lost"),
        Tallied(at=NOW, fills=(fill,), fees=(Fee(order_id="1", amount=Decimal(5), asset="USDT"),)),
    )
    cost = reckoned(events)
    assert cost is not None and (cost.fees, cost.fees_known, cost.slippage) == ({}, False, 1)
