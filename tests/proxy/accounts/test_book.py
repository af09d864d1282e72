"""The account as the stream tells it: what fills leaves the order and enters the leg at once; nothing counts twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.accounts.book import Book
from proxy.accounts.told_orders import open_order
from proxy.exchange.events import AccountEvent
from proxy.exchange.survey import Survey
from rules.account import Position
from rules.model import MarginMode, OrderType, PositionSide, Side
from rules.snapshot import Market
from tests.proxy.accounts.builders import a_config_event, a_position, a_position_change, an_account_event
from tests.proxy.accounts.stream_builders import (
    a_book,
    a_survey,
    account_of,
    cancelled,
    counted,
    placed,
    position_told,
    stop,
    surveyed,
    traded,
)
from tests.rules.builders import NOW


def test_a_new_order_rests_and_takes_its_hold() -> None:
    book = a_book()
    effects = book.apply(placed(), 10)
    assert [each.client_order_id for each in effects.conversion.taken] == ["c1"]
    assert not effects.known
    assert counted(book) == ([], [5])


def test_what_fills_leaves_the_order_and_enters_the_leg_in_one_step() -> None:
    book = a_book(placed(), traded(2))
    assert counted(book) == ([2], [3])
    book.apply(traded(5, 3), 10)
    assert counted(book) == ([5], [])


def test_an_order_first_heard_of_when_it_fills_is_taken_too() -> None:
    book = a_book()
    assert len(book.apply(traded(5), 10).conversion.taken) == 1
    assert counted(book) == ([5], [])


def test_repeated_events_change_nothing() -> None:
    events = [placed(), position_told(2), traded(2), position_told(5, 3), traded(5, 3)]
    book = a_book(*events)
    for event in events:
        assert book.apply(event, 11).conversion.taken == ()
    assert counted(book) == ([5], [])


def test_a_late_new_does_not_bring_an_order_back() -> None:
    book = a_book(cancelled(2), placed())
    assert counted(book) == ([2], [])


def test_while_leg_and_fills_differ_the_larger_counts() -> None:
    book = a_book(placed(), position_told(2))
    assert counted(book) == ([2], [5])
    assert [leg.symbol for leg in book.unsettled()] == ["BTCUSDT"]
    book.apply(traded(2), 10)
    assert counted(book) == ([2], [3])
    assert book.unsettled() == ()


def test_a_leg_that_shrinks_counts_in_full_until_both_say_so() -> None:
    book = a_book(placed(), traded(5), position_told(5))
    book.apply(position_told(1, 4), 10)
    assert counted(book)[0] == [5]


def test_a_leg_told_long_and_filled_short_counts_both_ways() -> None:
    book = a_book(placed(side=Side.SELL), position_told(3), traded(2, side=Side.SELL))
    assert sorted(counted(book)[0]) == [-2, 3]


@pytest.mark.parametrize("reason", ["ADJUSTMENT", "FUNDING_FEE", "INSURANCE_CLEAR"])
def test_what_no_order_did_is_believed_at_once(reason: str) -> None:
    book = a_book(placed(), traded(5), position_told(5))
    book.apply(position_told(0, 9, reason), 10)
    assert counted(book)[0] == []
    assert book.unsettled() == ()


def test_an_older_quantity_is_passed_over() -> None:
    book = a_book(placed(), position_told(5, 4), traded(5, 4), position_told(2, 3))
    assert counted(book)[0] == [5]
    assert book.unsettled() == ()


def test_an_amendment_is_told_once_with_its_numbers() -> None:
    book = a_book(placed(), traded(2))
    change = placed(
        3, execution="AMENDMENT", status="PARTIALLY_FILLED", quantity=Decimal(9), filled_quantity=Decimal(2)
    )
    (amended,) = book.apply(change, 10).conversion.amended
    assert (amended.order_id, amended.quantity) == ("1", Decimal(9))
    assert counted(book) == ([2], [7])
    assert book.apply(change, 11).conversion.amended == ()


def test_the_end_of_an_order_ends_its_amends() -> None:
    book = a_book(placed())
    (ended,) = book.apply(cancelled(), 10).conversion.ended
    assert ended.order_id == "1"


def test_a_conditional_order_counts_until_the_order_it_became_is_here() -> None:
    book = a_book(stop(), stop("TRIGGERED", 2, became="77"))
    assert counted(book) == ([], [2])
    fired = traded(1, 2, order_id="77", client_order_id="x", order_type=OrderType.MARKET, quantity=Decimal(2))
    effects = book.apply(fired, 10)
    assert effects.known
    assert effects.conversion.taken == ()
    assert counted(book) == ([1], [1])


def test_the_order_may_come_before_the_word_that_it_was_triggered() -> None:
    book = a_book(stop(), traded(2, 2, order_id="77", quantity=Decimal(2), status="FILLED"))
    assert counted(book) == ([2], [2])
    book.apply(stop("TRIGGERED", 2, became="77"), 10)
    assert counted(book) == ([2], [])


@pytest.mark.parametrize(
    ("symbol", "multi_assets", "moved"),
    [("BTCUSDC", False, 0), ("BTCUSDC", True, -20), ("BTCUSDC", None, -20), ("BTCUSDT_270326", False, -20)],
)
def test_in_single_asset_mode_a_leg_of_another_margin_asset_moves_no_balance(
    symbol: str, multi_assets: bool | None, moved: int
) -> None:
    """The mark falls by 10; later, the leg that is down by 20 is closed, which its own wallet pays."""
    leg = a_position("2", symbol=symbol, entry_price="100")
    base = a_survey().account
    survey = replace(a_survey(), account=replace(base, positions=(leg,), multi_assets=multi_assets))
    book = Book("demo")
    surveyed(book, survey, since=0)
    fallen = {symbol: Market(symbol=symbol, mark_price=Decimal(90), as_of=NOW)}
    account = book.account(version=1, as_of=NOW, stale=False, markets=fallen)
    assert account is not None
    assert account.margin_balance - base.margin_balance == moved
    low = replace(leg, mark_price=Decimal(90))
    surveyed(book, replace(survey, account=replace(survey.account, positions=(low,))), since=5)
    book.apply(an_account_event("ADJUSTMENT", a_position_change("0", symbol=symbol, entry_price=Decimal(0))), 10)
    assert account_of(book).margin_balance - base.margin_balance == -moved


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED", "REJECTED"])
def test_a_conditional_order_that_ends_is_gone(status: str) -> None:
    book = a_book(stop(), stop(status, 2), stop())
    assert counted(book) == ([], [])


def test_the_guards_own_orders_are_known() -> None:
    assert a_book().apply(placed(client_order_id="pgk-1"), 10).known


def test_a_leg_of_the_other_position_mode_is_in_doubt() -> None:
    book = a_book()
    book.surveyed = replace(account_of(book), hedged=True)
    assert book.apply(position_told(1), 10).doubt


def test_the_balance_follows_the_wallet() -> None:
    book = a_book(position_told(0, 5, "FUNDING_FEE", wallet="990"))
    assert account_of(book).margin_balance == Decimal(999_990)


def test_an_order_has_the_bot_its_name_says() -> None:
    book = Book("demo", owner=lambda name: f"bot of {name}")
    surveyed(book, a_survey(), 0)
    book.apply(placed(), 10)
    assert account_of(book).open_orders[0].bot == "bot of c1"


def test_an_order_that_the_venue_named_has_the_bot_of_what_it_grew_out_of() -> None:
    book = Book("demo", owner=lambda name: "ann" if name == "s9" else "")
    surveyed(book, a_survey(), 0)
    for event in (stop(), stop("TRIGGERED", 2, became="77"), placed(order_id="77", client_order_id="autoclose-1")):
        book.apply(event, 10)
    (order,) = book.open_orders()
    assert (order.order_id, order.bot) == ("77", "ann")
    book.apply(traded(1, 3, order_id="77", client_order_id="autoclose-1"), 20)
    assert book.open_orders()[0].bot == "ann"
    surveyed(book, a_survey(replace(order, bot="", filled_quantity=Decimal(1), leaves_quantity=Decimal(4))), 100)
    assert book.open_orders()[0].bot == "ann"


NAMED = placed(at_ms=2, order_id="99", client_order_id="auto-99")
"""What the stop becomes, under a name of the venue's."""


def bots(book: Book) -> list[str]:
    return [order.bot for order in account_of(book).open_orders]


def a_bots_book(*events: Any) -> Book:
    book = Book("demo", lambda name: "ada" if name == "s9" else "")
    surveyed(book, a_survey())
    for event in events:
        book.apply(event, 10)
    return book


def test_an_order_that_is_told_before_the_word_that_it_was_triggered_has_the_stops_bot() -> None:
    assert bots(a_bots_book(stop(), NAMED, stop("TRIGGERED", 3, became="99"))) == ["ada"]


def test_an_order_that_a_survey_showed_before_the_stream_told_of_it_has_the_stops_bot() -> None:
    """The conditional list was read after it triggered: that it is gone is no end of it."""
    book = a_bots_book(stop())
    shown = open_order(NAMED)
    surveyed(book, a_survey(shown))
    assert bots(book) == [""]
    for event in (stop("TRIGGERING", 2), stop("TRIGGERED", 2, became="99"), NAMED):
        book.apply(event, 200)
    assert bots(book) == ["ada"]
    surveyed(book, a_survey(shown), since=300)
    assert bots(book) == ["ada"], "nor does the next survey forget it"


def test_an_order_that_the_venue_named_keeps_its_bot_over_a_restart_of_the_warden() -> None:
    before = a_bots_book(stop(), stop("TRIGGERED", 2, became="99"), NAMED)
    book = Book("demo", before.owner)
    book.restore(account_of(before))
    surveyed(book, a_survey(open_order(NAMED)))
    assert bots(book) == ["ada"]


def test_what_is_looked_up_names_an_order_that_is_here_or_comes() -> None:
    for told in ("before", "after"):
        book = a_bots_book(*([NAMED] if told == "after" else []))
        book.born("BTCUSDT", "99", "s9")
        book.born("ETHUSDT", "99", "s9")
        book.apply(NAMED, 11)
        assert bots(book) == ["ada"]


def test_nothing_is_known_before_a_survey() -> None:
    book = Book("demo")
    book.apply(placed(), 10)
    assert book.account(version=1, as_of=a_survey().account.as_of, stale=False, markets={}) is None


@st.composite
def lives(draw: st.DrawFn) -> list[object]:
    """What happens to one order, told as the venue tells it, and how much of it filled."""
    events: list[object] = [placed()]
    filled = 0
    for moment, size in enumerate(draw(st.lists(st.integers(1, 2), max_size=4)), 2):
        if filled + size > 5:
            break
        filled += size
        events += [position_told(filled, moment), traded(filled, moment)]
    if filled < 5 and draw(st.booleans()):
        events.append(cancelled(filled, 9))
    return events


@given(lives(), st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_is_repeated_or_out_of_place_the_end_is_the_same(events: list[object], data: st.DataObject) -> None:
    told = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=4))]))
    book = a_book(*told)
    assert counted(book) == counted(a_book(*events))
    assert book.unsettled() == ()


# What a leg is beside its quantity, and the account beside its legs


def isolated(quantity: int, margin: str | None, at_ms: int = 2) -> AccountEvent:
    event = position_told(quantity, at_ms)
    change = replace(
        event.positions[0],
        margin_mode=MarginMode.ISOLATED,
        isolated_margin=None if margin is None else Decimal(margin),
    )
    return replace(event, positions=(change,))


def ranked(quantity: int, rank: int | None, at_ms: int = 1) -> Survey:
    """A survey in which the leg has this auto-deleveraging rank."""
    survey = a_survey(quantity=quantity, at_ms=at_ms)
    legs = tuple(replace(leg, adl_quantile=rank) for leg in survey.account.positions)
    return replace(survey, account=replace(survey.account, positions=legs))


def ranks(book: Book) -> list[int | None]:
    return [leg.adl_quantile for leg in account_of(book).positions]


def test_an_isolated_leg_has_the_margin_the_stream_tells() -> None:
    book = a_book(isolated(5, "900"))
    book.apply(isolated(5, "950", at_ms=3), 11)
    (leg,) = account_of(book).positions
    assert (leg.margin_mode, leg.isolated_margin) == (MarginMode.ISOLATED, Decimal(950))


def test_an_event_that_does_not_tell_the_isolated_margin_leaves_it() -> None:
    book = a_book(isolated(5, "900"), isolated(5, None, at_ms=3))
    assert account_of(book).positions[0].isolated_margin == 900
    book.apply(position_told(5, 4), 11)
    assert account_of(book).positions[0].isolated_margin is None
    book = a_book(isolated(5, "900"), isolated(0, None, at_ms=3), position_told(5, 4))
    assert book.leg("BTCUSDT", PositionSide.BOTH).isolated_margin is None


def test_a_survey_brings_the_isolated_margin_unless_the_stream_has_told_since() -> None:
    book = a_book()
    survey = a_survey(quantity=5, at_ms=1)
    leg = replace(survey.account.positions[0], margin_mode=MarginMode.ISOLATED, isolated_margin=Decimal(700))
    survey = replace(survey, account=replace(survey.account, positions=(leg,)))
    surveyed(book, survey)
    assert account_of(book).positions[0].isolated_margin == 700
    book.apply(isolated(5, "900"), 200)
    surveyed(book, survey, since=150)
    assert account_of(book).positions[0].isolated_margin == 900


def test_a_rank_outlives_what_the_stream_tells_of_its_leg() -> None:
    book = a_book()
    surveyed(book, ranked(5, 3))
    book.apply(position_told(6), 11)
    book.apply(traded(1), 11)
    assert ranks(book) == [3]


def test_a_leg_that_was_closed_or_turned_round_has_another_rank() -> None:
    book = a_book()
    surveyed(book, ranked(5, 3))
    book.apply(position_told(-2), 11)
    assert {int(leg.quantity): leg.adl_quantile for leg in account_of(book).positions} == {5: 3, -2: None}
    book = a_book()
    surveyed(book, ranked(5, 3))
    book.apply(position_told(0, 2, "ADJUSTMENT"), 11)
    book.apply(position_told(5, 3, "ADJUSTMENT"), 11)
    assert ranks(book) == [None]


def test_a_survey_that_finds_the_leg_flat_forgets_its_rank() -> None:
    book = a_book()
    surveyed(book, ranked(5, 3))
    surveyed(book, a_survey(at_ms=2))
    book.apply(position_told(5, 3, "ADJUSTMENT"), 200)
    assert ranks(book) == [None]


def test_the_asset_mode_is_the_survey_s_until_the_stream_tells() -> None:
    book = a_book()
    assert account_of(book).multi_assets is None
    book.apply(a_config_event(None, multi_assets=True), 120)
    assert account_of(book).multi_assets is True
    one_asset = replace(a_survey(), account=replace(a_survey().account, multi_assets=False))
    surveyed(book, one_asset, since=100)
    assert account_of(book).multi_assets is True
    surveyed(book, one_asset, since=121)
    assert account_of(book).multi_assets is False


def test_a_leverage_that_is_told_says_nothing_of_the_asset_mode() -> None:
    book = a_book(a_config_event("BTCUSDT", "5"))
    assert account_of(book).multi_assets is None


def test_an_asset_mode_told_before_the_first_survey_waits_for_it() -> None:
    book = Book("demo")
    book.apply(a_config_event(None, multi_assets=True), 10)
    surveyed(book, a_survey(), since=5)
    assert account_of(book).multi_assets is True


@pytest.mark.parametrize(("multi_assets", "balance"), [(False, 1_000_000), (True, 1_000_700), (None, 1_000_700)])
def test_in_single_asset_mode_another_wallet_margins_nothing(multi_assets: bool | None, balance: int) -> None:
    book = a_book()
    book.surveyed = replace(account_of(book), multi_assets=multi_assets)
    event = position_told(0, 5, "DEPOSIT")
    (usdt,) = event.balances
    book.apply(replace(event, balances=(replace(usdt, asset="USDC", wallet_balance=Decimal(700)),)), 10)
    assert account_of(book).margin_balance == Decimal(balance)


def test_an_exit_takes_no_hold_by_its_name() -> None:
    """It has none: a hold of its name is that of an entry which is still on its way."""
    book = a_book()
    assert book.apply(placed(), 10).conversion.taken
    for exit_order in (
        {"reduce_only": True},
        {"close_position": True},
        {"position_side": PositionSide.SHORT},
    ):
        assert a_book().apply(placed(order_id="2", **exit_order), 10).conversion.taken == (), exit_order
    assert a_book().apply(replace(stop(), reduce_only=True), 10).conversion.taken == ()


def test_a_hedge_whose_other_leg_has_moved_has_no_liquidation_price_until_it_is_asked_again() -> None:
    sides = (("2", PositionSide.LONG), ("-1", PositionSide.SHORT))
    legs = tuple(a_position(size, position_side=side, liquidation_price=Decimal(0)) for size, side in sides)

    def found(*positions: Position, at_ms: int) -> Survey:
        survey = a_survey()
        account = replace(survey.account, hedged=True, positions=positions)
        return replace(survey, account=account, leg_ms={("BTCUSDT", side): at_ms for _, side in sides})

    def prices() -> list[Decimal | None]:
        return [leg.liquidation_price for leg in account_of(book).positions]

    book = a_book()
    surveyed(book, found(*legs, at_ms=1))
    assert prices() == [0, 0]
    closed = a_position_change("0", position_side=PositionSide.SHORT)
    book.apply(replace(an_account_event("ADJUSTMENT", closed), at_ms=2, sent_ms=2), 200)
    assert prices() == [None], "the long one that is left has an end"
    surveyed(book, found(replace(legs[0], liquidation_price=Decimal(70)), at_ms=3), since=300)
    assert prices() == [70]
