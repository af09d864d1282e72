"""Per-bot attribution: nobody's share changes by somebody else's order, and the parts add up to the last digit."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.accounts.counted_orders import FINISHED_MAX
from proxy.accounts.proportions import finest, split
from proxy.accounts.shares import NOBODY, Shares
from proxy.exchange.events import OrderEvent
from proxy.store.owners import order_field, trade_field
from rules.account import Share
from rules.model import OrderType, Side
from tests.properties.strategies import examples
from tests.proxy.accounts.builders import (
    BOTH,
    LONG,
    a_fill,
    a_position,
    a_position_change,
    a_resting_order,
    a_survey,
    an_account_event,
    an_algo_event,
    an_order_event,
)

BUY, SELL = Side
BOTS = ("ann", "ben", "cid")


def owner(client_order_id: str) -> str:
    """Bots name their orders ``bot/number`` here."""
    bot, slash, _ = client_order_id.partition("/")
    return bot if slash else NOBODY


def shares(*events: OrderEvent) -> Shares:
    folded = Shares(owner, step_of={"BTCUSDT": Decimal("0.001")}.get, price_of={"BNB": Decimal(600)}.get)
    for event in events:
        folded.apply(event)
    return folded


def share(of: Shares, bot: str) -> Share:
    return next(each for each in of.all() if each.bot == bot)


def quantities(of: Shares) -> dict[str, str]:
    return {each.bot: f"{each.quantity:f}" for each in of.all() if each.quantity}


def test_two_bots_on_one_leg_keep_their_own_quantity_and_entry() -> None:
    both = shares(a_fill("ann/1", BUY, "1", "100"), a_fill("ann/2", BUY, "3", "104"), a_fill("ben/1", BUY, "2", "200"))
    assert quantities(both) == {"ann": "4", "ben": "2"}
    assert (share(both, "ann").entry_price, share(both, "ben").entry_price) == (Decimal(103), Decimal(200))
    assert both.leg("BTCUSDT", BOTH) == 6


def test_a_reduction_realises_against_the_bots_own_entry() -> None:
    both = shares(
        a_fill("ann/1", BUY, "2", "100"), a_fill("ben/1", BUY, "2", "300"), a_fill("ann/2", SELL, "1", "110", fee="0.5")
    )
    assert (share(both, "ann").realised_pnl, share(both, "ann").fees) == (Decimal(10), Decimal("0.5"))
    assert (share(both, "ben").realised_pnl, share(both, "ben").quantity) == (Decimal(0), Decimal(2))


def test_selling_more_than_ones_own_share_turns_only_that_share() -> None:
    both = shares(a_fill("ann/1", BUY, "2", "100"), a_fill("ben/1", BUY, "3", "100"), a_fill("ann/2", SELL, "5", "120"))
    assert quantities(both) == {"ann": "-3", "ben": "3"}
    assert (share(both, "ann").entry_price, share(both, "ann").realised_pnl) == (Decimal(120), Decimal(40))
    assert both.leg("BTCUSDT", BOTH) == 0


def test_a_closed_share_keeps_what_it_earned_and_no_entry() -> None:
    closed = shares(a_fill("ann/1", SELL, "2", "100"), a_fill("ann/2", BUY, "2", "90"))
    assert share(closed, "ann").realised_pnl == 20
    assert (share(closed, "ann").quantity, share(closed, "ann").entry_price) == (0, 0)


def test_what_nobody_ordered_is_nobodys() -> None:
    assert quantities(shares(a_fill("by-hand", SELL, "1"))) == {NOBODY: "-1"}


def test_a_fee_in_another_asset_is_counted_at_its_price_and_an_unknown_one_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    paid = shares(a_fill("ann/1", BUY, "1", fee="0.001", fee_asset="BNB"))
    assert share(paid, "ann").fees == Decimal("0.6")
    unknown = share(shares(a_fill("ann/1", BUY, "2", fee="7", fee_asset="DOGE")), "ann")
    assert (unknown.fees, unknown.unpriced, share(paid, "ann").unpriced) == (0, 200, 0)
    assert "DOGE" in caplog.text


def test_an_execution_without_a_commission_cost_nothing() -> None:
    """Binance leaves ``n`` and ``N`` out where none is due."""
    free = share(shares(a_fill("ann/1", BUY, "3"), a_fill("ann/2", SELL, "1")), "ann")
    assert (free.fees, free.unpriced) == (0, 0)


def test_what_was_traded_at_a_fee_nobody_told_is_counted_apart_at_its_price() -> None:
    ended = shares(an_order_event("ann/1", BUY, "5"), a_cancel(BUY, "2"))
    assert (share(ended, "ann").fees, share(ended, "ann").unpriced) == (0, 200)
    ended.filled(a_resting_order("ann/2", SELL, "0", "2"), Decimal(101))
    assert share(ended, "ann").unpriced == 402
    ended.apply(a_fill("ann/3", BUY, "1", fee="0.05"))
    assert (share(ended, "ann").fees, share(ended, "ann").unpriced) == (Decimal("0.05"), 402)


def test_a_stop_that_is_found_late_takes_what_is_not_known_of_its_fee_along() -> None:
    folded = shares(a_cancel(SELL, "2", name="venue-named", order_id="77"))
    assert share(folded, NOBODY).unpriced == 200
    folded.born("BTCUSDT", "77", "ann/stop")
    assert (share(folded, NOBODY).unpriced, share(folded, "ann").unpriced) == (0, 200)


def test_a_forced_close_at_an_unknown_fee_is_unknown_in_proportion() -> None:
    opened = [a_fill("ann/1", BUY, "2"), a_fill("ben/1", BUY, "1")]
    folded = shares(*opened, a_cancel(SELL, "3", name="pgk-1"))
    assert (share(folded, "ann").unpriced, share(folded, "ben").unpriced) == (200, 100)


def test_repeated_and_late_events_change_nothing() -> None:
    first = a_fill("ann/1", BUY, "1", of="3", total="1", fee="1")
    second = a_fill("ann/1", BUY, "2", of="3", total="3", fee="2")
    once = shares(first, second)
    assert shares(first, first, second, first, second).all() == once.all()
    assert (share(once, "ann").quantity, share(once, "ann").fees) == (Decimal(3), Decimal(3))


def test_a_missed_execution_is_counted_with_the_next_one_at_its_rate() -> None:
    healed = shares(
        a_fill("ann/1", BUY, "1", of="3", total="2", fee="0.1"), a_fill("ann/1", BUY, "1", of="3", total="1")
    )
    assert (share(healed, "ann").quantity, share(healed, "ann").fees) == (Decimal(2), Decimal("0.2"))


def test_a_cancelled_order_keeps_what_it_filled() -> None:
    cancelled = an_order_event(
        "ann/1", BUY, "5", execution="CANCELED", status="CANCELED", filled_quantity=Decimal(2), last_price=Decimal(0)
    )
    assert quantities(shares(a_fill("ann/1", BUY, "2", of="5"), cancelled)) == {"ann": "2"}


def a_cancel(side: Side, filled: str, name: str = "ann/1", **changes: Any) -> OrderEvent:
    """The end of an order over 5 at 100, which says how much of it has filled, and is no execution itself."""
    ended = {"execution": "CANCELED", "status": "CANCELED", "filled_quantity": Decimal(filled)}
    return an_order_event(name, side, "5", **(ended | changes))


def test_a_fill_that_only_the_end_of_its_order_tells_of_is_counted_at_the_orders_limit() -> None:
    entered = shares(an_order_event("ann/1", BUY, "5"), a_cancel(BUY, "2"))
    assert (share(entered, "ann").quantity, share(entered, "ann").entry_price) == (2, 100)
    left = shares(a_fill("ann/in", BUY, "3", "100"), a_cancel(SELL, "2", reduce_only=True))
    assert (share(left, "ann").quantity, share(left, "ann").realised_pnl) == (1, 0)


def test_or_at_what_the_orders_average_leaves_for_it_where_the_venue_tells_that() -> None:
    """2 were heard of at 100; 3 at an average of 97 are 291, so the third was bought at 91."""
    healed = shares(a_fill("ann/1", BUY, "2", of="5"), a_cancel(BUY, "3", average_price=Decimal(97)))
    assert (share(healed, "ann").quantity, share(healed, "ann").entry_price) == (3, 97)
    healed.apply(a_cancel(BUY, "3", average_price=Decimal(97)))
    assert share(healed, "ann").quantity == 3, "told twice"


def test_an_average_that_leaves_nothing_for_the_rest_is_its_price() -> None:
    rounded = shares(a_fill("ann/1", SELL, "2", of="5"), a_cancel(SELL, "2.001", average_price=Decimal("99.9")))
    assert rounded.quantity("ann", "BTCUSDT", BOTH) == Decimal("-2.001")
    assert Decimal("99.99") < share(rounded, "ann").entry_price < 100


def test_of_an_order_an_earlier_warden_counted_the_average_is_the_price() -> None:
    after = Shares(owner)
    before = shares(a_fill("ann/1", BUY, "2", of="5"))
    after.restore(a_survey(a_position("2"), a_resting_order("ann/1", BUY, "3", "2"), shares=before.all()))
    after.apply(a_cancel(BUY, "3", average_price=Decimal(97)))
    assert (share(after, "ann").quantity, share(after, "ann").entry_price) == (3, 99)


def test_shares_that_were_taken_up_say_up_to_when_fills_are_in_them() -> None:
    """An account is surveyed long after what filled was last counted."""
    after = Shares(owner)
    after.restore(a_survey(a_position("2")))
    assert after.restored_at is None, "nobody says"
    after.restore(a_survey(a_position("2"), shares_ms=1_700_000_000_500))
    assert after.restored_at == datetime.fromtimestamp(1_700_000_000.5, UTC)


def test_shares_that_were_taken_up_are_counted_since_they_first_were() -> None:
    first, later = datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
    after = Shares(owner, began=later)
    after.restore(a_survey())
    assert after.began == later, "an earlier version did not say"
    after.restore(a_survey(shares_since=first))
    assert after.began == first


def test_a_fill_at_an_unknown_price_waits_for_the_venues_answer() -> None:
    folded = shares(a_cancel(BUY, "2", price=None, order_type=OrderType.MARKET))
    assert quantities(folded) == {} and folded.differs((a_position("2"),)) == {"BTCUSDT"}
    folded.filled(a_resting_order("ann/1", BUY, "0", "2"), Decimal(101))
    assert quantities(folded) == {"ann": "2"} and share(folded, "ann").entry_price == 101


def test_orders_of_two_symbols_may_have_one_number() -> None:
    """Binance numbers the orders of each symbol by themselves."""
    same = {"order_id": "77"}
    folded = shares(a_fill("ann/1", BUY, "5", **same), a_fill("ben/1", BUY, "3", symbol="ETHUSDT", **same))
    assert {(each.bot, each.symbol): each.quantity for each in folded.all()} == {
        ("ann", "BTCUSDT"): 5,
        ("ben", "ETHUSDT"): 3,
    }
    assert [folded.filled_by(*order) for order in (("BTCUSDT", "77"), ("ETHUSDT", "77"), ("ETHUSDT", "78"))] == [
        5,
        3,
        0,
    ]


def test_a_restarted_warden_tells_orders_of_one_number_apart() -> None:
    resting = [
        a_resting_order("ann/1", BUY, "3", "2", order_id="77"),
        a_resting_order("ben/1", BUY, "4", "1", order_id="77", symbol="ETHUSDT"),
    ]
    after = Shares(owner)
    after.restore(a_survey(*resting))
    after.apply(a_fill("ann/1", BUY, "1", of="5", total="3", order_id="77"))
    after.adopt((a_position("1"), a_position("1", "ETHUSDT")), [resting[0], replace(resting[1], filled_quantity=2)])
    assert {(each.bot, each.symbol): each.quantity for each in after.all()} == {
        ("ann", "BTCUSDT"): 1,
        ("ben", "ETHUSDT"): 1,
    }


def test_a_triggered_orders_number_is_of_its_symbol_alone() -> None:
    folded = shares()
    folded.apply(an_algo_event("ann/stop", status="TRIGGERED", actual_order_id="77"))
    folded.apply(a_fill("ben/1", BUY, "1", order_id="77", symbol="ETHUSDT"))
    assert quantities(folded) == {"ben": "1"}


def test_a_triggered_order_belongs_to_whoever_placed_the_stop() -> None:
    folded = shares(a_fill("ann/1", BUY, "1"))
    folded.apply(an_algo_event("ann/stop", status="TRIGGERED", actual_order_id="77"))
    folded.apply(a_fill("venue-made-this-up", SELL, "1", order_id="77"))
    assert quantities(folded) == {}


def test_a_liquidation_is_borne_in_proportion_by_the_side_it_closes() -> None:
    opened = [a_fill("ann/1", BUY, "2"), a_fill("ben/1", BUY, "1"), a_fill("cid/1", SELL, "1")]
    folded = shares(*opened, a_fill("autoclose-1", SELL, "1.5", "90", fee="3"))
    assert quantities(folded) == {"ann": "1.000", "ben": "0.500", "cid": "-1"}
    assert (share(folded, "ann").realised_pnl, share(folded, "ann").fees) == (Decimal(-10), Decimal(2))


def test_a_liquidation_that_does_not_divide_leaves_its_last_step_to_the_largest_remainder_then_the_first_name() -> None:
    folded = shares(*(a_fill(f"{bot}/1", BUY, "0.001") for bot in BOTS), a_fill("adl_autoclose", SELL, "0.002"))
    assert quantities(folded) == {"cid": "0.001"}


def test_the_guards_own_kill_closes_everybodys_share() -> None:
    folded = shares(a_fill("ann/1", BUY, "2"), a_fill("ben/1", BUY, "1"), a_fill("pgk-1", SELL, "3"))
    assert quantities(folded) == {}


def test_a_liquidation_of_more_than_the_bots_have_is_nobodys() -> None:
    folded = shares(a_fill("ann/1", BUY, "1"), a_fill("autoclose-1", SELL, "3"))
    assert quantities(folded) == {NOBODY: "-2"}


def test_funding_goes_by_share_and_whoever_is_on_the_other_side_gets_what_the_rest_pays() -> None:
    folded = shares(a_fill("ann/1", BUY, "3"), a_fill("ben/1", SELL, "1"))
    folded.funded("BTCUSDT", Decimal("-0.4"))
    assert (share(folded, "ann").funding, share(folded, "ben").funding) == (Decimal("-0.6"), Decimal("0.2"))


def test_funding_goes_by_the_shares_of_its_moment_where_they_are_known() -> None:
    folded = shares(a_fill("ann/1", BUY, "1"))
    then = folded.weights()
    for fill in (a_fill("ann/2", SELL, "1"), a_fill("ben/1", BUY, "1")):
        folded.apply(fill)
    folded.funded("BTCUSDT", Decimal(-1), weights=then["BTCUSDT"])
    assert (share(folded, "ann").funding, share(folded, "ben").funding) == (-1, 0)


def test_funding_in_another_asset_is_counted_in_the_quote_currency(caplog: pytest.LogCaptureFixture) -> None:
    folded = shares(a_fill("ann/1", BUY, "1"))
    folded.funded("BTCUSDT", Decimal("-0.01"), asset="BNB")
    folded.funded("BTCUSDT", Decimal(-1), asset="XYZ")
    assert share(folded, "ann").funding == -6
    assert "a payment in XYZ is not counted" in caplog.text


def test_an_event_of_funding_is_not_counted_its_row_will_be() -> None:
    folded = shares(a_fill("ann/1", BUY, "3"))
    folded.apply(an_account_event("FUNDING_FEE", a_position_change("3"), change="-1"))
    assert share(folded, "ann").funding == 0


def test_funding_without_a_share_is_nobodys() -> None:
    folded = shares()
    folded.funded("BTCUSDT", Decimal(2))
    assert share(folded, NOBODY).funding == 2


def test_a_restarted_warden_takes_up_the_published_shares_and_counts_no_fill_twice() -> None:
    before = shares(a_fill("ann/1", BUY, "2", of="5"), a_fill("ben/1", BUY, "1"))
    document = a_survey(a_position("3"), a_resting_order("ann/1", BUY, "3", "2"), shares=before.all())
    after = Shares(owner)
    after.restore(document)
    after.adopt((a_position("4"),), (a_resting_order("ann/1", BUY, "2", "3"),))
    assert quantities(after) == {"ann": "3", "ben": "1"}
    after.apply(a_fill("ann/1", BUY, "1", of="5", total="4"))
    assert quantities(after) == {"ann": "4", "ben": "1"}


def test_what_no_order_explains_is_nobodys_and_said(caplog: pytest.LogCaptureFixture) -> None:
    folded = shares(a_fill("ann/1", BUY, "2"))
    with caplog.at_level(logging.WARNING):
        folded.adopt((a_position("3.5", entry_price="80"), a_position("-1", "ETHUSDT")), ())
    assert folded.quantity("ann", "BTCUSDT", BOTH) == 2
    assert folded.quantity(NOBODY, "BTCUSDT", BOTH) == Decimal("1.5")
    assert folded.quantity(NOBODY, "ETHUSDT", BOTH) == -1
    assert "BTCUSDT BOTH is 3.5, the shares add up to 2" in caplog.text


def test_shares_that_agree_with_the_survey_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    folded = shares(a_fill("ann/1", BUY, "2", position_side=LONG))
    before = folded.all()
    folded.adopt((a_position("2", position_side=LONG),), ())
    assert folded.all() == before and caplog.text == ""


def test_an_order_that_filled_while_nobody_watched_is_put_right_from_its_last_state() -> None:
    folded = shares(an_order_event("ann/1", BUY, "5"), an_order_event("ben/1", BUY, "5"))
    assert folded.differs((a_position("5"),)) == {"BTCUSDT"}
    folded.filled(a_resting_order("ann/1", BUY, "0", "5"), Decimal(101))
    assert quantities(folded) == {"ann": "5"} and share(folded, "ann").entry_price == 101
    assert folded.differs((a_position("5"),)) == frozenset()
    folded.filled(a_resting_order("ann/1", BUY, "0", "5"), Decimal(101))
    assert quantities(folded) == {"ann": "5"}, "told twice"


def test_finished_orders_are_remembered_to_a_bound() -> None:
    folded = Shares(owner)
    for number in range(FINISHED_MAX + 5):
        folded.apply(a_fill(f"ann/{number}", BUY, "1"))
    assert len(folded._counted._finished) == FINISHED_MAX and not folded._counted._open


# Properties

AMOUNTS = st.integers(1, 5_000).map(lambda steps: Decimal(steps) / 1000)
PRICES = st.integers(1, 2_000_000).map(lambda cents: Decimal(cents) / 100)
FEES = st.integers(-100, 10_000).map(lambda units: Decimal(units) / 10**8)


@st.composite
def histories(draw: st.DrawFn) -> list[OrderEvent]:
    """Executions of several bots, of nobody and of the venue itself, some told twice."""
    events = []
    for number in range(draw(st.integers(1, 15))):
        name = draw(st.sampled_from([*(f"{bot}/{number}" for bot in BOTS), f"hand-{number}", f"autoclose-{number}"]))
        event = a_fill(name, draw(st.sampled_from(Side)), "1", order_id=str(number))
        quantity = draw(AMOUNTS)
        event = a_fill(
            name,
            event.side,
            str(quantity),
            str(draw(PRICES)),
            order_id=str(number),
            fee=f"{draw(FEES):f}",
        )
        events += [event] * draw(st.integers(1, 2))
    return events


@examples(150)
@given(history=histories(), funding=st.lists(FEES, max_size=3), mark=PRICES)
def test_the_parts_add_up_to_the_whole(history: list[OrderEvent], funding: list[Decimal], mark: Decimal) -> None:
    folded = Shares(owner)
    position = cash = Decimal(0)
    told: set[str] = set()
    for event in history:
        folded.apply(event)
        if event.order_id not in told:
            told.add(event.order_id)
            signed = event.side.sign * event.last_quantity
            position += signed
            cash -= signed * event.last_price + event.fee
        assert folded.leg("BTCUSDT", BOTH) == position
    for amount in funding:
        folded.funded("BTCUSDT", amount)
        cash += amount
    worth = sum(
        each.realised_pnl + each.quantity * (mark - each.entry_price) - each.fees + each.funding
        for each in folded.all()
    )
    assert round(worth - (cash + position * mark), 8) == 0


@examples(150)
@given(history=histories())
def test_nobodys_share_moves_by_somebody_elses_order(history: list[OrderEvent]) -> None:
    folded = Shares(owner)
    for event in history:
        before = {each.bot: each for each in folded.all()}
        folded.apply(event)
        if not event.is_forced:
            mover = owner(event.client_order_id)
            after = {each.bot: each for each in folded.all()}
            assert all(after[bot] == each for bot, each in before.items() if bot != mover)


@examples(150)
@given(history=histories())
def test_a_forced_close_turns_nobody_round(history: list[OrderEvent]) -> None:
    folded = Shares(owner)
    for event in history:
        before = {each.bot: each.quantity for each in folded.all()}
        folded.apply(event)
        if event.is_forced:
            after = {each.bot: each.quantity for each in folded.all()}
            for bot, quantity in before.items():
                assert bot == NOBODY or (abs(after[bot]) <= abs(quantity) and after[bot] * quantity >= 0)


@examples(150)
@given(
    amount=st.integers(-(10**9), 10**9),
    weights=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10**9).map(Decimal), min_size=1),
)
def test_a_split_adds_up_and_no_part_is_a_whole_step_off(amount: int, weights: dict[str, Decimal]) -> None:
    whole = Decimal(amount).scaleb(-3)
    parts = split(whole, weights, Decimal("0.001"))
    assert sum(parts.values()) == whole
    total = sum(weights.values())
    assert all(abs(parts[name] - whole * weight / total) < Decimal("0.001") for name, weight in weights.items())
    assert finest(Decimal("1.50"), Decimal("2.125"), Decimal("1E+3")) == Decimal("0.001")


def test_an_exit_closes_the_own_share_then_nobodys_then_turns_the_own() -> None:
    legs = [a_fill("", BUY, "2", "100"), a_fill("ann/1", BUY, "1", "100"), a_fill("ben/1", BUY, "5", "100")]
    assert quantities(shares(*legs, a_fill("ann/2", SELL, "2", reduce_only=True))) == {"": "1", "ben": "5"}
    assert quantities(shares(*legs, a_fill("ann/2", SELL, "4", reduce_only=True))) == {"ann": "-1", "ben": "5"}
    hedged = [a_fill("", BUY, "2", position_side=LONG), a_fill("ann/1", SELL, "1", position_side=LONG)]
    assert quantities(shares(*hedged)) == {"": "1"}


def test_an_order_and_its_trade_are_told_to_be_whose_they_are() -> None:
    folded = shares()
    fill = a_fill("ann/1", BUY, "1", trade_id=7)
    folded.apply(fill)
    named = {order_field("BTCUSDT", fill.order_id): "ann", trade_field("BTCUSDT", "7"): "ann"}
    assert folded.owners_of(fill) == named
    assert folded.owners_of(a_fill("", BUY, "1")) == {}


TRIGGERED = an_algo_event("ann/1", status="TRIGGERED", actual_order_id="9")
VENUES_NAME = {"order_id": "9", "reduce_only": True}


def test_what_a_triggered_order_filled_unheard_belongs_to_whoever_placed_the_stop() -> None:
    folded = shares(a_fill("ann/0", BUY, "2"))
    folded.apply(TRIGGERED)
    folded.filled(a_resting_order("auto-9", SELL, "0", "2", **VENUES_NAME), Decimal(90))
    assert quantities(folded) == {}
    assert share(folded, "ann").realised_pnl == -20


def test_or_to_whom_the_order_is_known_to_belong() -> None:
    folded = shares(a_fill("ann/0", BUY, "2"))
    folded.filled(a_resting_order("auto-9", SELL, "0", "2", bot="ann", **VENUES_NAME), Decimal(90))
    assert quantities(folded) == {}


@pytest.mark.parametrize("heard", [True, False])
def test_what_a_triggered_order_filled_before_anybody_knew_is_its_bots_afterwards(heard: bool) -> None:
    folded = shares(a_fill("ann/0", BUY, "3"), a_fill("ben/0", BUY, "1"))
    if heard:
        for total in ("1", "2"):
            folded.apply(a_fill("auto-9", SELL, "1", "90", of="2", total=total, fee="0.5", **VENUES_NAME))
    else:
        folded.filled(a_resting_order("auto-9", SELL, "0", "2", **VENUES_NAME), Decimal(90))
    assert quantities(folded) == {"ann": "3", "ben": "1", "": "-2"}
    for _ in range(2):
        folded.apply(TRIGGERED)
    assert quantities(folded) == {"ann": "1", "ben": "1"}
    assert (share(folded, "ann").realised_pnl, share(folded, NOBODY).realised_pnl) == (-20, 0)
    assert (share(folded, "ann").fees, share(folded, NOBODY).fees) == (Decimal(heard), 0)


def test_an_order_that_nobody_placed_stays_nobodys() -> None:
    folded = shares(a_fill("ann/0", BUY, "3"), a_fill("x", SELL, "1", order_id="9"))
    folded.apply(an_algo_event("y", status="TRIGGERED", actual_order_id="9"))
    assert quantities(folded) == {"ann": "3", "": "-1"}


def test_a_restarted_warden_knows_whose_a_triggered_order_is() -> None:
    resting = a_resting_order("auto-9", SELL, "2", bot="ann", **VENUES_NAME)
    after = Shares(owner)
    after.restore(a_survey(resting, shares=shares(a_fill("ann/0", BUY, "2")).all()))
    fill = a_fill("auto-9", SELL, "2", **VENUES_NAME)
    after.apply(fill)
    assert quantities(after) == {}
    assert set(after.owners_of(fill).values()) == {"ann"}


def test_a_liquidation_that_nobody_heard_of_is_borne_in_proportion_too() -> None:
    folded = shares(a_fill("ann/1", BUY, "1"), a_fill("ben/1", BUY, "3"))
    folded.filled(a_resting_order("autoclose-1", SELL, "0", "2"), Decimal(50))
    assert quantities(folded) == {"ann": "0.500", "ben": "1.500"}
