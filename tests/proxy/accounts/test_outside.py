"""What the guard did not forward is found once the grace is over, and what it did forward never is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from proxy.accounts import outside, suspicions
from proxy.accounts.births import Birth
from proxy.accounts.bookkeeper import UNSAID_MAX
from proxy.accounts.findings import Activity
from proxy.accounts.forwarded import SETTINGS_S
from proxy.accounts.outside import GRACE_S, UNHEARD_S_MAX, OutsideDetector
from proxy.accounts.shares import Shares
from proxy.exchange.events import AlgoEvent, Event
from proxy.exchange.payloads import SymbolConfig
from proxy.store.codec import plain_command
from rules.account import HeldOrder, Position
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    Command,
    MarginMode,
    OrderType,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
)
from tests.proxy.accounts.builders import (
    BOTH,
    a_config_event,
    a_fill,
    a_position,
    a_position_change,
    a_resting_order,
    an_account_event,
    an_algo_event,
    an_order_event,
)

BUY, SELL = Side


class Watched:
    """A detector and the count it compares with, fed as the warden feeds them."""

    def __init__(self) -> None:
        self.shares = Shares(lambda client_order_id: "ann")
        self.detector = OutsideDetector(self.shares)
        self.detector.adopt(())
        self.at = 100.0

    def saw(self, *events: Event, known: bool = False) -> Watched:
        for event in events:
            self.together(event, known=known)
        return self

    def together(self, *events: Event, known: bool = False, late_s: float = 0.0) -> Watched:
        """The store takes these at once: all are counted before any is told."""
        for event in events:
            self.detector.hear(event, self.at)
            self.shares.apply(event)
        for event in events:
            self.detector.saw(event, known, self.at, late_s)
        return self

    def forwarded(self, *commands: Command) -> Watched:
        self.detector.forwarded([plain_command(command) for command in commands], self.at)
        return self

    def later(self, seconds: float) -> Watched:
        self.at += seconds
        return self

    def found(self) -> list[tuple[Activity, str]]:
        return [(each.activity, each.subject) for each in self.detector.findings(self.at, heard=self.at)]

    def found_in_the_end(self) -> list[tuple[Activity, str]]:
        assert self.found() == [], "before the grace is over"
        return self.later(GRACE_S).found()


@pytest.fixture
def watched() -> Watched:
    return Watched()


def an_order(client_order_id: str) -> PlaceOrder:
    return PlaceOrder(
        symbol="BTCUSDT",
        side=BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        client_order_id=client_order_id,
    )


def test_an_order_the_guard_forwarded_is_its_own_whatever_happens_to_it(watched: Watched) -> None:
    watched.forwarded(an_order("a")).saw(an_order_event("a", BUY, "1"), a_fill("a", BUY, "1"))
    assert watched.found_in_the_end() == []


def test_an_order_with_a_hold_is_the_guards_own(watched: Watched) -> None:
    watched.saw(an_order_event("a", BUY, "1"), known=True).saw(a_fill("a", BUY, "1"))
    assert watched.found_in_the_end() == []


def test_an_order_nobody_forwarded_is_found_with_its_fill_and_only_once(watched: Watched) -> None:
    watched.saw(an_order_event("x", BUY, "1"), a_fill("x", BUY, "1"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT"), (Activity.FILL, "BTCUSDT")]
    watched.saw(a_fill("x", BUY, "1", total="2"), an_order_event("x", BUY, "5"))
    assert watched.later(GRACE_S).found() == []


def test_a_record_that_comes_after_the_event_explains_it(watched: Watched) -> None:
    watched.saw(an_order_event("a", BUY, "1"), a_fill("a", BUY, "1")).later(GRACE_S * 0.9).forwarded(an_order("a"))
    assert watched.later(GRACE_S).saw(a_fill("a", BUY, "1", total="2")).found() == []


def test_what_gates_wrote_ahead_is_heard_before_an_order_is_anybody_elses(watched: Watched) -> None:
    heard = watched.at - 0.1
    watched.saw(an_order_event("a", BUY, "1")).saw(an_order_event("x", BUY, "1")).later(GRACE_S + 1.0)
    assert watched.detector.findings(watched.at, heard=heard) == (), "the warden has not heard so far"
    watched.forwarded(an_order("a"))
    assert [each.client_order_id for each in watched.detector.findings(watched.at, heard=watched.at)] == ["x"]


def test_a_warden_that_hears_nothing_reports_an_order_from_outside_all_the_same(watched: Watched) -> None:
    heard = watched.at - 0.1
    watched.saw(an_order_event("x", BUY, "1")).later(GRACE_S + UNHEARD_S_MAX - 0.1)
    assert watched.detector.findings(watched.at, heard=heard) == ()
    (finding,) = watched.later(0.1).detector.findings(watched.at, heard=heard)
    assert finding.client_order_id == "x"


def test_an_order_nobody_knew_at_first_is_not_known_for_having_been_seen_since(watched: Watched) -> None:
    watched.saw(an_order_event("x", BUY, "1")).saw(a_fill("x", BUY, "1"), known=True)
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT"), (Activity.FILL, "BTCUSDT")]


def test_the_name_of_an_old_order_does_not_hide_a_new_one(watched: Watched) -> None:
    watched.forwarded(an_order("a")).saw(a_fill("a", BUY, "1"))
    watched.saw(an_order_event("a", BUY, "1", order_id="another"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_an_order_the_guard_refused_explains_nothing(watched: Watched) -> None:
    watched.forwarded(an_order("a"))
    watched.detector.refused([plain_command(an_order("a"))])
    assert watched.saw(an_order_event("a", BUY, "1")).found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_orders_that_stood_at_the_start_are_adopted(watched: Watched) -> None:
    watched.detector.adopt([a_resting_order("old", BUY, "1")])
    assert watched.saw(a_fill("old", BUY, "1")).found_in_the_end() == []


def test_what_a_restarted_warden_missed_is_told_from_what_its_predecessor_knew(watched: Watched) -> None:
    watched.detector.adopt([a_resting_order("old", BUY, "1")])
    held = HeldOrder(
        symbol="BTCUSDT", side=BUY, position_side=BOTH, quantity=Decimal(1), price=None, client_order_id="held"
    )
    watched.detector.held([held], watched.at)
    now = [a_resting_order(name, BUY, "1") for name in ("old", "held", "strange")]
    watched.detector.surveyed(now, watched.at)
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_a_stop_and_the_order_it_becomes_are_one(watched: Watched) -> None:
    watched.forwarded(replace(an_order("stop"), order_type=OrderType.STOP)).saw(an_algo_event("stop"))
    watched.saw(an_order_event("made-up", SELL, "1", order_id="9"))  # Overtakes the event that explains it.
    watched.saw(
        an_algo_event("stop", status="TRIGGERED", actual_order_id="9"), a_fill("made-up", SELL, "1", order_id="9")
    )
    assert watched.found_in_the_end() == []
    assert watched.saw(an_algo_event("strange")).found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_plain_and_conditional_orders_are_numbered_apart(watched: Watched) -> None:
    watched.saw(an_order_event("a", BUY, "1", order_id="7"), known=True)
    assert watched.saw(an_algo_event("b", algo_id="7")).found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_an_amend_needs_one_of_ours(watched: Watched) -> None:
    amended = an_order_event("a", BUY, "3", execution="AMENDMENT")
    watched.saw(an_order_event("a", BUY, "1"), known=True)
    watched.forwarded(AmendOrder(symbol="BTCUSDT", side=BUY, quantity=Decimal(3), price=None, client_order_id="a"))
    assert watched.saw(amended).found_in_the_end() == []
    assert watched.later(60).saw(replace(amended, sent_ms=2)).found_in_the_end() == [(Activity.AMEND, "BTCUSDT")]


@pytest.mark.parametrize("named", [{"order_id": "venue-a"}, {"client_order_id": "a"}])
def test_a_record_that_comes_after_the_event_explains_an_amend_by_either_name(
    watched: Watched, named: dict[str, Any]
) -> None:
    watched.saw(an_order_event("a", BUY, "1"), known=True)
    watched.saw(an_order_event("a", BUY, "3", execution="AMENDMENT")).later(GRACE_S * 0.9)
    watched.forwarded(AmendOrder(symbol="BTCUSDT", side=BUY, quantity=Decimal(3), price=None, **named))
    assert watched.later(GRACE_S).found() == []


AMEND = AmendOrder(symbol="BTCUSDT", side=BUY, quantity=Decimal(3), price=None, client_order_id="a")


REPEATED = pytest.mark.parametrize(
    ("command", "event", "activity"),
    [
        (AMEND, an_order_event("a", BUY, "3", execution="AMENDMENT", sent_ms=2), Activity.AMEND),
        (SetLeverage(symbol="BTCUSDT", leverage=Decimal(7)), a_config_event("BTCUSDT", "7"), Activity.LEVERAGE),
        (an_order("b"), an_order_event("b", BUY, "1"), Activity.ORDER),
    ],
)


@REPEATED
def test_a_refused_repetition_takes_nothing_from_what_was_sent(
    watched: Watched, command: Command, event: Event, activity: Activity
) -> None:
    watched.saw(an_order_event("a", BUY, "1"), known=True)
    watched.forwarded(command).later(0.01).forwarded(command)
    watched.detector.refused([plain_command(command)])
    assert watched.saw(event).found_in_the_end() == []


@REPEATED
def test_when_all_are_refused_nothing_is_explained(
    watched: Watched, command: Command, event: Event, activity: Activity
) -> None:
    watched.saw(an_order_event("a", BUY, "1"), known=True)
    watched.forwarded(command, command)
    watched.detector.refused([plain_command(command)] * 2)
    assert watched.saw(event).found_in_the_end() == [(activity, "BTCUSDT")]


def test_each_order_of_a_name_explains_one(watched: Watched) -> None:
    watched.forwarded(an_order("a"), an_order("a")).saw(a_fill("a", BUY, "1"), a_fill("a", BUY, "1", order_id="2"))
    assert watched.found_in_the_end() == []
    watched.saw(an_order_event("a", BUY, "1", order_id="3"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_a_refused_amend_does_not_renew_an_old_one(watched: Watched) -> None:
    watched.saw(an_order_event("a", BUY, "1"), known=True)
    watched.forwarded(AMEND).later(SETTINGS_S).forwarded(AMEND).later(1)
    watched.detector.refused([plain_command(AMEND)])
    watched.saw(an_order_event("a", BUY, "3", execution="AMENDMENT", sent_ms=2))
    assert watched.found_in_the_end() == [(Activity.AMEND, "BTCUSDT")]


def test_the_venues_own_closes_are_told_and_are_not_outside(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "2"), known=True)
    watched.saw(an_order_event("autoclose-1", SELL, "2"), a_fill("autoclose-1", SELL, "2"))
    (finding,) = watched.detector.findings(watched.at, heard=watched.at)
    assert (finding.activity, finding.is_outside) == (Activity.FORCED, False)
    assert watched.found_in_the_end() == []


def test_a_liquidation_in_pieces_is_the_venues_own_doing_though_all_is_told_at_once(watched: Watched) -> None:
    """One IOC fills in part and expires, another takes the rest; then the bot goes the other way."""
    watched.forwarded(an_order("a"), an_order("b")).together(
        a_fill("a", BUY, "20"),
        a_fill("autoclose-1", SELL, "6", of="10.6"),
        an_order_event("autoclose-1", SELL, "10.6", execution="EXPIRED", status="EXPIRED", filled_quantity=Decimal(6)),
        a_fill("autoclose-2", SELL, "14"),
        a_fill("b", SELL, "5"),
    )
    assert watched.found() == [(Activity.FORCED, "BTCUSDT")] * 2
    assert watched.later(GRACE_S).found() == []


def test_an_order_named_like_the_venues_own_is_held_against_the_position_it_met(watched: Watched) -> None:
    """Not against one that came later, of which it would be a close."""
    watched.forwarded(an_order("a")).together(a_fill("autoclose-1", SELL, "5"), a_fill("a", BUY, "10"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT"), (Activity.FILL, "BTCUSDT")]


def test_an_order_named_like_the_venues_own_that_turns_the_leg_is_an_order(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "2"), known=True).saw(an_order_event("autoclose-1", SELL, "5"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_orders_named_like_the_venues_own_that_each_close_and_together_turn_the_leg_are_orders(
    watched: Watched,
) -> None:
    watched.saw(a_fill("a", BUY, "1"), known=True)
    watched.saw(*(an_order_event(f"autoclose-{number}", SELL, "1") for number in range(3)))
    assert watched.found() == [(Activity.FORCED, "BTCUSDT")]
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")] * 2


def test_a_second_liquidation_after_one_that_is_over_is_the_venues_own_doing(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "1"), known=True)
    for number in range(3):
        gone = an_order_event(f"autoclose-{number}", SELL, "1", execution="EXPIRED", status="EXPIRED")
        watched.saw(an_order_event(f"autoclose-{number}", SELL, "1"), gone)
    assert watched.found() == [(Activity.FORCED, "BTCUSDT")] * 3
    assert watched.found_in_the_end() == []


@pytest.mark.parametrize("listed", [False, True])
def test_a_liquidation_whose_end_was_never_told_counts_until_the_venue_lists_it_no_more(
    watched: Watched, listed: bool
) -> None:
    watched.saw(a_fill("a", BUY, "1"), known=True).saw(an_order_event("autoclose-1", SELL, "1"))
    watched.detector.surveyed([a_resting_order("autoclose-1", SELL, "1")] if listed else [], watched.at)
    watched.saw(an_order_event("autoclose-2", SELL, "1"))
    assert watched.found() == [(Activity.FORCED, "BTCUSDT")] * (1 if listed else 2)


def test_an_order_named_like_the_venues_own_that_grows_is_held_against_the_position_again(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "1"), known=True).saw(an_order_event("autoclose-1", SELL, "1"))
    watched.saw(an_order_event("autoclose-1", SELL, "100", execution="AMENDMENT", sent_ms=2))
    assert watched.found() == [(Activity.FORCED, "BTCUSDT")]
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_an_amend_of_an_order_whose_id_is_its_name_is_one_finding(watched: Watched) -> None:
    watched.saw(an_order_event("7", BUY, "1", order_id="7"), known=True)
    watched.saw(an_order_event("7", BUY, "3", order_id="7", execution="AMENDMENT", sent_ms=2))
    assert watched.found_in_the_end() == [(Activity.AMEND, "BTCUSDT")]


def test_what_comes_after_the_account_was_first_read_is_not_adopted(watched: Watched) -> None:
    """A leg may not be settled yet, so what stood is adopted later; but entries pass from then on."""
    watched.detector = OutsideDetector(watched.shares)
    watched.saw(a_fill("earlier", BUY, "1"))
    watched.detector.mode(False, watched.at)
    watched.saw(an_order_event("thief", SELL, "1", order_id="2"))
    watched.detector.adopt(())
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


@pytest.mark.parametrize("late", [False, True])
def test_an_order_that_was_adopted_explains_no_further_one_of_its_name(watched: Watched, late: bool) -> None:
    watched.detector = OutsideDetector(watched.shares)
    if not late:
        watched.forwarded(an_order("a"))
    watched.saw(an_order_event("a", BUY, "1"))
    if late:
        watched.forwarded(an_order("a"))
    watched.detector.adopt(())
    watched.saw(an_order_event("a", BUY, "1", order_id="2"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_an_order_named_like_the_venues_own_that_opens_is_an_order(watched: Watched) -> None:
    watched.saw(an_order_event("autoclose-1", SELL, "2"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


SETTINGS: list[tuple[Event, Command, Activity]] = [
    (a_config_event("BTCUSDT", "50"), SetLeverage(symbol="BTCUSDT", leverage=Decimal("50.0")), Activity.LEVERAGE),
    (
        an_account_event("MARGIN_TYPE_CHANGE", a_position_change(margin_mode=MarginMode.ISOLATED)),
        SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.ISOLATED),
        Activity.MARGIN_MODE,
    ),
    (
        an_account_event("MARGIN_TRANSFER", a_position_change()),
        AdjustIsolatedMargin(symbol="BTCUSDT", position_side=BOTH, amount=Decimal(-5)),
        Activity.MARGIN,
    ),
    (a_config_event(None, multi_assets=True), SetMultiAssetMode(enabled=True), Activity.ASSET_MODE),
]


@pytest.mark.parametrize(("event", "command", "activity"), SETTINGS, ids=lambda part: getattr(part, "value", None))
def test_a_setting_is_ours_for_a_while_after_we_sent_it(
    watched: Watched, event: Event, command: Command, activity: Activity
) -> None:
    assert watched.forwarded(command).saw(event).found_in_the_end() == []
    assert [each for each, _ in watched.later(60).saw(event).found_in_the_end()] == [activity]
    late = watched.later(60).saw(event).later(1).forwarded(command)
    assert late.found_in_the_end() == []


def test_another_value_than_the_one_we_sent_is_not_ours(watched: Watched) -> None:
    watched.forwarded(SetLeverage(symbol="BTCUSDT", leverage=Decimal(5))).saw(a_config_event("BTCUSDT", "50"))
    assert watched.found_in_the_end() == [(Activity.LEVERAGE, "BTCUSDT")]


def test_money_that_leaves_is_found_and_money_that_comes_in_is_not(watched: Watched) -> None:
    assert watched.saw(an_account_event("DEPOSIT", change="5")).found_in_the_end() == []
    watched.saw(an_account_event("WITHDRAW", change="-5"))
    (finding,) = watched.later(GRACE_S).detector.findings(watched.at, heard=watched.at)
    assert finding.detail == "5 USDT left the account"


def config(leverage: int, mode: MarginMode = MarginMode.CROSS) -> dict[str, SymbolConfig]:
    return {"BTCUSDT": SymbolConfig(leverage=Decimal(leverage), margin_mode=mode)}


def read(watched: Watched, configs: dict[str, SymbolConfig], began: float | None = None) -> Watched:
    watched.detector.configured(configs, watched.at if began is None else began, watched.at)
    return watched


def test_settings_that_are_read_are_adopted_first_and_compared_then(watched: Watched) -> None:
    assert read(read(watched, config(20)), config(20)).found_in_the_end() == []
    read(watched, config(50, MarginMode.ISOLATED))
    assert watched.found_in_the_end() == [(Activity.LEVERAGE, "BTCUSDT"), (Activity.MARGIN_MODE, "BTCUSDT")]
    assert read(watched, config(50, MarginMode.ISOLATED)).found_in_the_end() == []
    watched.forwarded(SetLeverage(symbol="BTCUSDT", leverage=Decimal(10)))
    assert read(watched, config(10, MarginMode.ISOLATED)).found_in_the_end() == []


def test_a_reading_that_the_stream_overtook_is_not_believed(watched: Watched) -> None:
    read(watched, config(20)).later(1).forwarded(SetLeverage(symbol="BTCUSDT", leverage=Decimal(10)))
    began = watched.at
    watched.later(0.1).saw(a_config_event("BTCUSDT", "10"))
    assert read(watched.later(0.1), config(20), began).found_in_the_end() == []
    assert read(watched, config(10)).found_in_the_end() == []


def test_a_change_both_told_and_read_is_found_once(watched: Watched) -> None:
    read(watched, config(20)).later(1).saw(a_config_event("BTCUSDT", "50"))
    assert read(watched.later(1), config(50)).later(GRACE_S).found() == [(Activity.LEVERAGE, "BTCUSDT")]
    assert read(watched, config(50)).found_in_the_end() == []


def test_the_position_mode_is_ours_or_found(watched: Watched) -> None:
    watched.detector.mode(False, watched.at)
    watched.forwarded(SetPositionMode(hedged=True)).detector.mode(True, watched.at)
    assert watched.found_in_the_end() == []
    watched.detector.mode(False, watched.at)
    assert watched.found_in_the_end() == [(Activity.POSITION_MODE, "")]


def test_a_setting_that_is_read_late_is_ours_while_nothing_was_read_since_we_sent_it(watched: Watched) -> None:
    """The venue demands silence right after it took it."""
    read(watched, config(20)).detector.mode(False, watched.at)
    watched.later(1).forwarded(
        SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)),
        SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.ISOLATED),
        SetPositionMode(hedged=True),
    )
    read(watched.later(600), config(5, MarginMode.ISOLATED)).detector.mode(True, watched.at)
    assert watched.found_in_the_end() == []


def test_one_that_a_reading_in_time_did_not_show_is_not_ours_later(watched: Watched) -> None:
    read(watched, config(20)).detector.mode(False, watched.at)
    watched.later(1).forwarded(SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)), SetPositionMode(hedged=True))
    read(watched.later(SETTINGS_S + 1), config(20)).detector.mode(False, watched.at)
    read(watched.later(1), config(5)).detector.mode(True, watched.at)
    assert watched.found_in_the_end() == [(Activity.LEVERAGE, "BTCUSDT"), (Activity.POSITION_MODE, "")]


@pytest.mark.parametrize(("event", "command", "activity"), SETTINGS, ids=lambda part: getattr(part, "value", None))
def test_one_that_is_told_late_is_ours_by_when_it_happened(
    watched: Watched, event: Event, command: Command, activity: Activity
) -> None:
    watched.forwarded(command).later(60).together(event, late_s=59)
    assert watched.found_in_the_end() == []
    assert [each for each, _ in watched.together(event, late_s=59 - SETTINGS_S).found_in_the_end()] == [activity]


def survey(watched: Watched, *positions: Position) -> Watched:
    watched.detector.compared(positions, watched.at)
    return watched


def test_a_position_that_no_event_explains_is_found(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "1"), known=True)
    assert survey(watched, a_position("1")).found_in_the_end() == []
    assert survey(watched, a_position("3")).found_in_the_end() == [(Activity.POSITION, "BTCUSDT")]


def test_a_position_that_is_gone_is_found(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "1"), known=True)
    assert survey(watched).found_in_the_end() == [(Activity.POSITION, "BTCUSDT")]


def test_a_survey_that_is_ahead_of_the_stream_is_no_finding(watched: Watched) -> None:
    survey(watched, a_position("1")).later(1).saw(a_fill("a", BUY, "1"), known=True)
    assert watched.later(GRACE_S).found() == []


def test_a_difference_that_the_next_survey_does_not_show_is_no_finding(watched: Watched) -> None:
    survey(watched, a_position("1")).later(1)
    assert survey(watched).found_in_the_end() == []


def test_a_stranger_behind_as_many_of_our_own_as_are_told_at_once_is_found(watched: Watched) -> None:
    names = [f"n{number}" for number in range(UNSAID_MAX - 1)]
    watched.together(*(a_fill(name, SELL, "1") for name in names), a_fill("x", BUY, "500"))
    watched.forwarded(*map(an_order, names))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT"), (Activity.FILL, "BTCUSDT")]


def test_more_than_is_looked_at_is_found_whatever_explains_the_rest(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspicions, "SUSPICIONS_MAX", 10)
    names = [f"n{number}" for number in range(10)]
    watched.together(*(an_order_event(name, SELL, "1") for name in names), a_fill("x", BUY, "500"))
    watched.forwarded(*map(an_order, names))
    (finding,) = watched.later(GRACE_S).detector.findings(watched.at, heard=0.0)
    assert (finding.activity, finding.is_outside) == (Activity.OVERLOOKED, True)
    assert watched.later(GRACE_S).found() == [], "said once"


def test_of_more_unexplained_orders_than_a_document_names_the_next_warden_knows_that_there_are_more(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "UNEXPLAINED_MAX", 2)
    watched.together(*(an_order_event(f"x{number}", SELL, "1") for number in range(2)))
    assert [each.order_id for each in watched.detector.unexplained] == ["venue-x0", "venue-x1"]
    watched.together(an_order_event("x2", SELL, "1"))
    after = Watched()
    after.detector.doubt(watched.detector.unexplained, after.at)
    assert after.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")] * 2 + [(Activity.OVERLOOKED, "")]


@pytest.mark.parametrize("name", ["stop", "auto-9"])
def test_what_a_stop_became_is_known_once_the_stop_is_however_late(watched: Watched, name: str) -> None:
    watched.together(
        an_algo_event("stop"),
        an_algo_event("stop", status="TRIGGERED", actual_order_id="9"),
        a_fill(name, SELL, "1", order_id="9"),
    )
    watched.forwarded(replace(an_order("stop"), order_type=OrderType.STOP))
    assert watched.found_in_the_end() == []


@pytest.mark.parametrize(
    "event",
    [
        an_order_event("old", BUY, "1", execution="CANCELED", status="CANCELED"),
        a_fill("old", BUY, "1"),
        an_order_event("old", BUY, "3", execution="AMENDMENT"),
        an_algo_event("old", status="TRIGGERED", actual_order_id="9"),
        a_config_event("BTCUSDT", "50"),
        an_account_event("WITHDRAW", change="-5"),
    ],
)
def test_what_is_heard_before_anything_was_adopted_is_adopted_and_what_comes_later_is_not(event: Event) -> None:
    """The owner still trades by hand when the guard is started for the first time."""
    detector = OutsideDetector(Shares(lambda name: ""))
    detector.configured(config(20), 0.0, 0.0)
    detector.hear(event, 1.0)
    detector.adopt(())
    detector.saw(event, False, 2.0)
    detector.configured(config(50 if event == a_config_event("BTCUSDT", "50") else 20), 3.0, 3.0)
    born = a_fill("auto-9", SELL, "1", order_id="9")
    if isinstance(event, AlgoEvent):
        detector.hear(born, 4.0)
        detector.saw(born, False, 4.0)
    assert detector.findings(100.0, heard=100.0) == ()
    for later in (an_order_event("x", BUY, "1"), a_config_event("BTCUSDT", "7")):
        detector.hear(later, 5.0)
        detector.saw(later, False, 5.0)
    found = [each.activity for each in detector.findings(100.0, heard=100.0)]
    assert found == [Activity.ORDER, Activity.LEVERAGE]


def test_an_order_is_not_known_for_one_of_another_symbol_that_has_its_number(watched: Watched) -> None:
    """Binance numbers the orders of each symbol by themselves."""
    watched.saw(an_order_event("a", BUY, "1", order_id="55"), known=True)
    watched.detector.surveyed([a_resting_order("x", BUY, "1", order_id="55", symbol="ETHUSDT")], watched.at)
    watched.saw(a_fill("y", BUY, "1", order_id="55", symbol="SOLUSDT"))
    found = watched.found_in_the_end()
    assert found == [(Activity.ORDER, "ETHUSDT"), (Activity.ORDER, "SOLUSDT"), (Activity.FILL, "SOLUSDT")]


def test_nor_does_an_amend_of_that_explain_one_of_this(watched: Watched) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        watched.saw(an_order_event(symbol, BUY, "1", order_id="55", symbol=symbol), known=True)
    watched.forwarded(AmendOrder(symbol="BTCUSDT", side=BUY, quantity=Decimal(2), price=None, order_id="55"))
    for symbol in ("BTCUSDT", "ETHUSDT"):
        watched.saw(an_order_event(symbol, BUY, "2", order_id="55", symbol=symbol, execution="AMENDMENT"))
    assert watched.found_in_the_end() == [(Activity.AMEND, "ETHUSDT")]


def test_nor_a_stop_of_that_number_the_order_it_became(watched: Watched) -> None:
    watched.saw(an_algo_event("a", algo_id="7"), known=True)
    watched.saw(an_algo_event("x", algo_id="7", symbol="ETHUSDT", status="TRIGGERED", actual_order_id="9"))
    watched.saw(an_order_event("auto-9", SELL, "1", order_id="9", symbol="ETHUSDT"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "ETHUSDT"), (Activity.ORDER, "ETHUSDT")]


def test_what_a_known_stop_became_is_known_when_the_venue_says_so_when_asked(watched: Watched) -> None:
    watched.saw(an_algo_event("a", algo_id="7"), known=True)
    watched.detector.surveyed([a_resting_order("auto-9", SELL, "1", order_id="9")], watched.at)
    assert watched.detector.strange == {"BTCUSDT"}
    for order_id, stop in (("9", "7"), ("10", "8")):
        birth = Birth(symbol="BTCUSDT", client_order_id="a", conditional_id=stop, order_id=order_id)
        watched.detector.born(birth, watched.at)
    assert watched.detector.strange == frozenset()
    watched.detector.surveyed([a_resting_order("auto-10", SELL, "1", order_id="10")], watched.at)
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")] * 2, "the stop 8 was nobody's, and so is 10"


def test_a_liquidation_of_the_past_is_the_venues_own_doing(watched: Watched) -> None:
    watched.saw(a_fill("a", BUY, "2"), known=True)
    past = [a_resting_order("autoclose-1", SELL, "0", "2"), a_resting_order("autoclose-2", SELL, "0", "1")]
    for order in past:
        watched.detector.ending(order)
        watched.shares.filled(order, Decimal(90))
    watched.detector.ended(past, watched.at)
    assert watched.found() == [(Activity.FORCED, "BTCUSDT")]
    assert watched.later(GRACE_S).found() == [(Activity.ORDER, "BTCUSDT")], "one that opens is not"


def a_held_order(client_order_id: str) -> HeldOrder:
    return HeldOrder(
        symbol="BTCUSDT",
        side=BUY,
        position_side=BOTH,
        quantity=Decimal(1),
        price=None,
        client_order_id=client_order_id,
    )


def test_an_order_that_is_held_at_the_start_and_told_of_after_it_explains_one(watched: Watched) -> None:
    """The warden takes up the holds, and then hears the records that the one before it did not."""
    watched.detector.held([a_held_order("a")], watched.at)
    watched.forwarded(an_order("a")).saw(an_order_event("a", BUY, "1"))
    watched.saw(an_order_event("a", BUY, "9", order_id="2"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_of_a_name_that_was_held_at_the_start_a_later_order_is_the_guards_own_too(watched: Watched) -> None:
    watched.detector.held([a_held_order("a")], watched.at)
    watched.saw(an_order_event("a", BUY, "1"))
    for order_id in ("2", "3"):
        watched.forwarded(an_order("a")).saw(an_order_event("a", BUY, "1", order_id=order_id))
    assert watched.found_in_the_end() == []


def test_what_was_told_of_before_its_hold_counts_with_its_like_that_follows(watched: Watched) -> None:
    watched.forwarded(an_order("a"))
    watched.detector.held([a_held_order("a")], watched.at)
    watched.forwarded(an_order("a"))
    watched.saw(an_order_event("a", BUY, "1"), an_order_event("a", BUY, "1", order_id="2"))
    assert watched.found_in_the_end() == []


def test_an_order_with_a_hold_uses_its_name_up(watched: Watched) -> None:
    watched.forwarded(an_order("a")).saw(an_order_event("a", BUY, "1"), known=True)
    watched.saw(an_order_event("a", BUY, "9", order_id="2"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


@pytest.mark.parametrize("is_surveyed", [True, False])
def test_an_order_that_rests_for_long_stays_the_guards_own_however_many_others_come(
    monkeypatch: pytest.MonkeyPatch, is_surveyed: bool
) -> None:
    monkeypatch.setattr(outside, "ORDERS_MAX", 10)
    watched = Watched()
    stop = a_resting_order("stop", SELL, "1", order_id="1")
    watched.forwarded(an_order("stop")).saw(an_order_event("stop", SELL, "1", order_id="1"))
    for number in range(2, 40):
        watched.saw(an_order_event(f"n{number}", BUY, "1", order_id=str(number)), known=True)
        if is_surveyed:
            watched.detector.surveyed([stop], watched.at)
    if not is_surveyed:
        # In the book it is known still, by which an event of it is told from a stranger's.
        watched.saw(a_fill("stop", SELL, "1", order_id="1"), known=True)
    assert watched.found_in_the_end() == []


def resting(watched: Watched, client_order_id: str, order_id: str) -> tuple[str, str, bool]:
    """A survey shows it; what it is known by."""
    order = a_resting_order(client_order_id, BUY, "1", order_id=order_id)
    watched.detector.surveyed([order], watched.at)
    return order.symbol, order.order_id, False


@pytest.mark.parametrize("shown_by", ["its event", "a survey", "a survey, long before"])
def test_the_name_of_an_order_that_its_hold_proved_is_used_up_by_what_is_heard_of_it_late(
    watched: Watched, shown_by: str
) -> None:
    """Its event, or a survey, mostly comes before the warden hears what the gate wrote ahead."""
    if shown_by == "its event":
        watched.saw(an_order_event("a", BUY, "1", order_id="1"), known=True)
        watched.detector.own(("BTCUSDT", "1", False), "a", watched.at)
    else:
        key = resting(watched, "a", "1")
        if shown_by == "a survey, long before":
            watched.later(GRACE_S).found()  # It is a finding already, and no suspicion any more.
        watched.detector.own(key, "a", watched.at)
    watched.forwarded(an_order("a")).later(3600.0)
    watched.saw(an_order_event("a", BUY, "9", order_id="2"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_what_is_heard_late_of_an_order_that_its_hold_proved_clears_no_stranger_of_its_name(watched: Watched) -> None:
    watched.saw(an_order_event("a", BUY, "1", order_id="1"), known=True)
    watched.saw(an_order_event("a", BUY, "9", order_id="2")).forwarded(an_order("a"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT")]


def test_of_two_orders_of_a_name_a_record_that_comes_late_explains_one(watched: Watched) -> None:
    for order_id in ("1", "2"):
        watched.saw(an_order_event("a", BUY, "1", order_id=order_id), a_fill("a", BUY, "1", order_id=order_id))
    watched.forwarded(an_order("a"))
    assert watched.found_in_the_end() == [(Activity.ORDER, "BTCUSDT"), (Activity.FILL, "BTCUSDT")]


def test_an_order_of_a_name_that_a_hold_proved_before_is_the_guards_own_once_all_of_before_is_heard(
    watched: Watched,
) -> None:
    watched.saw(an_order_event("a", BUY, "1", order_id="1"), known=True).later(1.0).found()
    watched.forwarded(an_order("a")).saw(an_order_event("a", BUY, "1", order_id="2"))
    assert watched.found_in_the_end() == []
