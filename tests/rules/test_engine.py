"""decide(): precedence, enforcement, crashes, the forced flag, headroom and batches."""

from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal, getcontext, localcontext
from typing import ClassVar

import pytest

from rules.catalog import ENTRY_RULES
from rules.decision import Enforcement, Measure, Verdict
from rules.engine import decide, decide_batch
from rules.flow.message_rate import MessageRate
from rules.flow.staged_response import StagedResponse
from rules.model import AdjustIsolatedMargin, Intent, OrderType, PositionSide, SetLeverage, SetPositionMode, Side
from rules.objections import breaches_of
from rules.order.duplicate_order import DuplicateOrder
from rules.order.exit_collar import ExitCollar
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.order.self_trade import SelfTrade
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.margin_budget import MarginBudget
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.protective_stop import ProtectiveStop
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from rules.rule import Rule
from tests.rules.builders import (
    HALTED,
    MARKS,
    REDUCING,
    a_buy,
    a_cancel,
    a_cancel_all,
    a_close,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
EVERY_RULE = (
    InstrumentFilters(),
    MessageRate(per_second=Decimal(1), burst=Decimal(1)),
    MaxOrderValue(limit=Decimal(1)),
    PriceCollar(band=Decimal("0.01")),
    ReduceOnlyExits(),
    PositionLimit(limit_quantity=Decimal("0.001")),
    MaxLeverage(limit=Decimal("0.001")),
    CorrelatedExposure(limit_notional=Decimal(1)),
    MarginBudget(limit=Decimal(1), leverage=Decimal(1), level="bot:demo-bot"),
)
"""Of every chapter some, each so strict that the order of the test breaches it."""


def test_the_rounding_of_the_process_is_not_that_of_a_decision():
    """A price of 29 digits, whose last one the rounding takes away or makes a whole unit of the one before."""
    order, limit = a_buy("DOGEUSDT", "1", "1.00000000000000000000000000001"), MaxOrderValue(limit=Decimal(1))
    assert judged(order, an_account(), limit).verdict is Verdict.ALLOW
    with localcontext() as context:
        context.rounding = ROUND_UP
        assert judged(order, an_account(), limit).verdict is Verdict.ALLOW
        batch = decide_batch([order, a_cancel()], an_account().snapshot, a_policy(limit))
        assert [each.verdict for each in batch] == [Verdict.ALLOW, Verdict.ALLOW]
        assert getcontext().rounding == ROUND_UP


def test_every_objection_is_kept_in_the_order_of_the_catalog():
    world = an_account().short("BTCUSDT", "1").with_tokens("message_rate@desk", "0")
    decision = judged(a_buy("BTCUSDT", "2.0001", "60000"), world, *reversed(EVERY_RULE))
    given = {rule.rule_id for rule in EVERY_RULE}
    in_order = [rule.rule_id for rule in ENTRY_RULES if rule.rule_id in given]
    assert [breach.rule_id for breach in decision.breaches] == in_order


def test_a_closed_gate_ends_the_judging():
    decision = judged(a_buy("BTCUSDT", "2", "60000"), an_account().in_state(HALTED).surveyed(99), *EVERY_RULE)
    assert codes(decision) == ["TRADING_HALTED", "ACCOUNT_STALE"]


def test_what_breaches_nothing_is_allowed_unchanged():
    command = a_buy("BTCUSDT", "1", "50000")
    decision = judged(command, an_account(), MaxOrderValue(limit=Decimal(50_000)))
    assert (decision.verdict, decision.effective, decision.headroom) == (ALLOW, command, None)


def test_a_decision_names_the_policy_and_the_state_it_rests_on():
    decision = judged(a_buy("BTCUSDT", "1"), an_account())
    assert (decision.policy_version, decision.snapshot_version) == (a_policy().version, 7)


def test_a_decision_on_an_unknown_account_names_no_state():
    assert judged(a_buy("BTCUSDT", "1"), an_account().unsurveyed()).snapshot_version is None


def test_report_mode_records_and_lets_go():
    decision = judged(
        a_buy("BTCUSDT", "1"), an_account(), MaxOrderValue(limit=Decimal(1), enforcement=Enforcement.REPORT)
    )
    assert decision.verdict is ALLOW
    assert [breach.code for breach in decision.would_deny] == ["ORDER_VALUE_ABOVE_LIMIT"]


def test_report_mode_gives_no_advice_to_the_bot():
    rule = PriceCollar(band=Decimal("0.01"), enforcement=Enforcement.REPORT)
    assert judged(a_buy("BTCUSDT", "1", "60000"), an_account(), rule).advice == ()


def test_a_rule_that_is_off_is_not_asked():
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), MaxOrderValue(limit=Decimal(1), enforcement=Enforcement.OFF))
    assert (decision.verdict, decision.would_deny) == (ALLOW, ())


def test_the_strictest_level_wins_and_says_where_it_stands():
    decision = judged(
        a_buy("BTCUSDT", "1"),
        an_account(),
        MaxOrderValue(limit=Decimal(100_000)),
        MaxOrderValue(limit=Decimal(40_000), level="bot:demo-bot"),
    )
    assert [(breach.code, breach.level) for breach in decision.breaches] == [
        ("ORDER_VALUE_ABOVE_LIMIT", "bot:demo-bot")
    ]


def broken(world):
    """The venue lists a tick of zero, so that the filters cannot be evaluated."""
    return world.listing("BTCUSDT", tick_size=Decimal(0))


def test_a_rule_that_crashes_refuses_an_entry():
    decision = judged(a_buy("BTCUSDT", "1", "50000"), broken(an_account()), InstrumentFilters())
    assert (decision.verdict, codes(decision)) == (DENY, ["RULE_FAILED"])
    (breach,) = decision.breaches
    assert (breach.rule_id, breach.level) == ("instrument_filters", "desk")
    assert breach.message.startswith("the rule could not be evaluated (")
    on_a_symbol = InstrumentFilters(level="symbol:BTCUSDT")
    assert judged(a_buy("BTCUSDT", "1", "50000"), broken(an_account()), on_a_symbol).breaches[0].level == (
        "symbol:BTCUSDT"
    )


def test_a_crash_does_not_hide_the_other_objections():
    decision = judged(
        a_buy("BTCUSDT", "1", "50000"), broken(an_account()), InstrumentFilters(), MaxOrderValue(limit=Decimal(1))
    )
    assert codes(decision) == ["RULE_FAILED", "ORDER_VALUE_ABOVE_LIMIT"]


def test_a_rule_that_crashes_stops_no_exit_that_does_not_meet_it():
    world = broken(an_account()).long("BTCUSDT", "2")
    decision = judged(a_sell("BTCUSDT", "1", "50000", reduce_only=True), world, InstrumentFilters())
    assert decision.verdict is ALLOW


def test_an_exit_passes_when_its_own_collar_crashes():
    """Law 4: a crashing rule stops new risk, never the way out. Here the mark is not a number."""
    world = an_account().long("BTCUSDT", "2").marked("BTCUSDT", "NaN")
    assert judged(a_sell("BTCUSDT", "1", "50000", reduce_only=True), world).verdict is ALLOW


def test_a_listing_without_a_step_is_refused_and_not_raised():
    world = an_account().listing("BTCUSDT", step_size=Decimal(0), market_step_size=Decimal(0))
    assert judged(a_buy("BTCUSDT", "1", "50000"), world, MaxOrderValue(limit=Decimal(1))).verdict is DENY


@pytest.mark.parametrize(
    "command",
    [
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_sell("BTCUSDT", "1", "45000", reduce_only=True),
        a_close("BTCUSDT"),
        a_cancel(),
        a_cancel(symbol=None),
        a_cancel_all(),
    ],
    ids=["market exit", "limit exit", "close-position stop", "cancel", "cancel by id alone", "cancel all"],
)
@pytest.mark.parametrize(
    "trouble",
    [
        lambda world: world.in_state(REDUCING),
        lambda world: world.in_state(HALTED, "desk"),
        lambda world: world.surveyed(3600),
        lambda world: world.unsurveyed(),
        lambda world: world.without_store(),
        lambda world: world.unmarked("BTCUSDT"),
        lambda world: world.unlisted("BTCUSDT"),
        lambda world: world.with_tokens("message_rate@desk", "0").behaving(1.0),
        lambda world: world.worth("-5"),
    ],
    ids=[
        "reducing",
        "halted",
        "account stale",
        "account unknown",
        "store gone",
        "no mark",
        "not listed",
        "rate spent",
        "balance gone",
    ],
)
def test_exits_stay_open(command, trouble):
    world = trouble(an_account().long("BTCUSDT", "2"))
    assert judged(command, world, *EVERY_RULE).verdict is ALLOW


def test_an_exit_meets_only_the_exit_collar():
    decision = judged(a_sell("BTCUSDT", "1", "39000", reduce_only=True), an_account().long("BTCUSDT", "2"), *EVERY_RULE)
    assert codes(decision) == ["EXIT_PRICE_OUTSIDE_COLLAR"]


def test_an_entry_does_not_meet_the_exit_collar():
    assert judged(a_buy("BTCUSDT", "1", "99000"), an_account(), ExitCollar(band=Decimal("0.1"))).verdict is ALLOW


def test_the_forced_flag_makes_an_exit_of_it():
    world = an_account().long("BTCUSDT", "2").in_state(HALTED)
    decision = judged(a_sell("BTCUSDT", "1"), world, ReduceOnlyExits(mode=ExitMode.FORCE))
    assert (decision.verdict, decision.intent, decision.effective.reduce_only) == (ALLOW, Intent.EXIT, True)
    assert decision.advice == ("reduce-only flag added by the guard",)


@pytest.mark.parametrize("enforcement", [Enforcement.REPORT, Enforcement.OFF])
def test_only_an_enforced_rule_forces_the_flag(enforcement):
    world = an_account().long("BTCUSDT", "2")
    rule = ReduceOnlyExits(mode=ExitMode.FORCE, enforcement=enforcement)
    command = a_sell("BTCUSDT", "1")
    assert judged(command, world, rule).effective == command


def test_of_a_flip_the_whole_position_may_go_where_the_flag_is_put_on():
    """What only closes meets no limit on entries, so none of them makes its headroom smaller."""
    world = an_account().long("BTCUSDT", "2")
    rules = (ReduceOnlyExits(mode=ExitMode.FORCE), MaxOrderValue(limit=Decimal(50_000)))
    decision = judged(a_sell("BTCUSDT", "3"), world, *rules)
    assert (codes(decision), decision.headroom) == (["ORDER_VALUE_ABOVE_LIMIT", "POSITION_FLIP"], Decimal(2))
    given_away = judged(a_sell("BTCUSDT", "3", "30000"), world, *rules, ExitCollar(band=Decimal("0.2")))
    assert given_away.headroom is None


def test_settings_meet_the_leverage_rule():
    decision = judged(SetLeverage(symbol="BTCUSDT", leverage=Decimal(20)), an_account(), MaxLeverage(limit=Decimal(3)))
    assert codes(decision) == ["SET_LEVERAGE_ABOVE_LIMIT"]


def test_settings_have_no_headroom():
    decision = judged(SetLeverage(symbol="BTCUSDT", leverage=Decimal(20)), an_account(), MaxLeverage(limit=Decimal(3)))
    assert decision.headroom is None


def test_the_headroom_is_the_largest_quantity_that_all_rules_pass():
    rules = (MaxOrderValue(limit=Decimal(100_000)), PositionLimit(limit_quantity=Decimal("1.5")))
    decision = judged(a_buy("BTCUSDT", "3"), an_account(), *rules)
    assert decision.headroom == Decimal("1.5")
    assert [breach.headroom for breach in decision.breaches] == [2, Decimal("1.5")]
    assert judged(a_buy("BTCUSDT", "1.5"), an_account(), *rules).verdict is ALLOW
    assert judged(a_buy("BTCUSDT", "1.501"), an_account(), *rules).verdict is DENY


def test_the_headroom_counts_what_everyone_holds():
    world = an_account().holding(a_buy("BTCUSDT", "0.8"))
    assert judged(a_buy("BTCUSDT", "1"), world, PositionLimit(limit_quantity=Decimal(1))).headroom == Decimal("0.2")


def test_there_is_no_headroom_below_the_venue_s_minimum():
    world = an_account().listing("BTCUSDT", quantity_min=Decimal("0.5"), market_quantity_min=Decimal("0.5"))
    assert judged(a_buy("BTCUSDT", "1"), world, MaxOrderValue(limit=Decimal(20_000))).headroom == 0


def test_where_a_rule_names_no_size_none_is_told():
    rules = (MaxOrderValue(limit=Decimal(60_000)), PriceCollar(band=Decimal("0.01")))
    decision = judged(a_buy("BTCUSDT", "2", "59000"), an_account(), *rules)
    assert (decision.headroom, [each.headroom for each in decision.breaches]) == (None, [Decimal("1.016"), None])


@pytest.mark.parametrize(
    ("world", "rule"),
    [
        (an_account().having_tried(a_buy("BTCUSDT", "1"), seconds_ago=1), DuplicateOrder(window_s=5)),
        (
            an_account().used_to(any_size="20000 30000 40000", symbols=("BTCUSDT",)),
            StagedResponse(reduce_at=Decimal("0.7")),
        ),
    ],
    ids=["duplicate", "fat finger"],
)
def test_no_size_is_told_where_a_smaller_order_would_pass_a_rule_that_names_none(world, rule):
    refused = judged(a_buy("BTCUSDT", "1"), world, rule)
    assert (refused.verdict, refused.headroom) == (DENY, None)
    assert judged(a_buy("BTCUSDT", "0.1"), world, rule).verdict is ALLOW


def test_zero_is_told_where_a_limit_on_size_leaves_nothing_whatever_else_refuses():
    rules = (PositionLimit(limit_quantity=Decimal(1)), PriceCollar(band=Decimal("0.01")))
    assert judged(a_buy("BTCUSDT", "2", "59000"), an_account().long("BTCUSDT", "1"), *rules).headroom == 0


def test_no_size_passes_a_closed_gate():
    assert judged(a_buy("BTCUSDT", "1"), an_account().in_state(HALTED)).headroom == 0


def test_a_rule_in_report_mode_takes_no_headroom():
    rules = (
        MaxOrderValue(limit=Decimal(50_000)),
        PositionLimit(limit_quantity=Decimal("0.1"), enforcement=Enforcement.REPORT),
    )
    assert judged(a_buy("BTCUSDT", "3"), an_account(), *rules).headroom == 1


def test_an_exit_has_no_headroom():
    world = an_account().long("BTCUSDT", "2")
    assert judged(a_sell("BTCUSDT", "1", "30000", reduce_only=True), world).headroom is None


def test_the_headroom_of_an_amend_is_a_total():
    world = an_account().long("BTCUSDT", "1")
    world = world.resting(an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000", order_id="9", filled="1"))
    decision = judged(
        an_amend(Side.BUY, "BTCUSDT", "9", "50000", order_id="9"), world, PositionLimit(limit_quantity=Decimal(2))
    )
    assert decision.headroom == 2


def test_a_quantity_off_its_step_is_told_the_nearest_below():
    decision = judged(a_buy("BTCUSDT", "1.0005", "50000"), an_account(), InstrumentFilters())
    assert decision.headroom == 1


def test_a_flip_that_may_be_forced_down_is_told_the_position():
    """In force mode a sell of 2 against a long of 2 goes out reduce-only, so 2 is what would pass."""
    rule = ReduceOnlyExits(mode=ExitMode.FORCE)
    assert judged(a_sell("BTCUSDT", "3"), an_account().long("BTCUSDT", "2"), rule).headroom == 2


def test_the_headroom_of_a_flip_may_be_less_than_one():
    rule = ReduceOnlyExits(mode=ExitMode.FORCE)
    world = an_account().long("BTCUSDT", "0.5")
    assert judged(a_sell("BTCUSDT", "3"), world, rule).headroom == Decimal("0.5")


def test_the_headroom_of_a_market_order_is_in_its_own_steps():
    world = an_account().listing("BTCUSDT", market_step_size=Decimal("0.01"))
    limit = MaxOrderValue(limit=Decimal(25_100))
    assert judged(a_buy("BTCUSDT", "3"), world, limit).headroom == Decimal("0.5")
    assert judged(a_buy("BTCUSDT", "3", "50000"), world, limit).headroom == Decimal("0.502")


def test_the_headroom_is_at_least_the_minimum_of_its_kind_of_order():
    world = an_account().listing("BTCUSDT", quantity_min=Decimal("0.002"), market_quantity_min=Decimal("0.01"))
    for price, smallest in (("50000", "0.002"), (None, "0.01")):
        order = a_buy("BTCUSDT", "1", price)
        at_it = MaxOrderValue(limit=Decimal(smallest) * 50_000)
        assert judged(order, world, at_it).headroom == Decimal(smallest)
        assert judged(order, world, MaxOrderValue(limit=at_it.limit - 1)).headroom == 0


def test_what_is_not_listed_has_no_headroom():
    decision = judged(a_buy("XRPUSDT", "9", "1"), an_account(), MaxOrderValue(limit=Decimal(5)))
    assert (codes(decision), decision.headroom) == (["UNKNOWN_SYMBOL"], 0)


def batch(world, *commands, rules=()):
    return decide_batch(commands, world.snapshot, a_policy(*rules))


def test_a_batch_sees_its_own_earlier_items():
    limit = PositionLimit(limit_quantity=Decimal(1))
    fits = batch(an_account(), a_buy("BTCUSDT", "0.5"), a_buy("BTCUSDT", "0.5"), rules=[limit])
    too_much = batch(an_account(), a_buy("BTCUSDT", "0.5"), a_buy("BTCUSDT", "0.501"), rules=[limit])
    assert [decision.verdict for decision in fits] == [ALLOW, ALLOW]
    assert [decision.verdict for decision in too_much] == [DENY, DENY]


@pytest.mark.parametrize("level", ["account:demo", "bot:demo-bot", "symbol:BTCUSDT"])
def test_limits_of_every_level_hold_in_a_batch(level):
    limit = PositionLimit(limit_quantity=Decimal(1), level=level)
    decisions = batch(an_account(), a_buy("BTCUSDT", "0.5"), a_buy("BTCUSDT", "0.501"), rules=[limit])
    assert codes(decisions[1]) == ["POSITION_ABOVE_LIMIT"]


def test_the_entries_of_a_batch_fall_together_and_say_why():
    decisions = batch(
        an_account(), a_buy("BTCUSDT", "0.1"), a_buy("BTCUSDT", "9"), rules=[PositionLimit(limit_quantity=Decimal(1))]
    )
    assert [codes(decision) for decision in decisions] == [["BATCH_REFUSED"], ["POSITION_ABOVE_LIMIT"]]
    (breach,) = decisions[0].breaches
    assert breach.message == "another entry of this batch was refused: POSITION_ABOVE_LIMIT"
    assert (breach.rule_id, breach.level) == ("position_limit", "desk")
    of_the_bot = PositionLimit(limit_quantity=Decimal(1), level="bot:demo-bot")
    assert batch(an_account(), a_buy("BTCUSDT", "0.1"), a_buy("BTCUSDT", "9"), rules=[of_the_bot])[0].breaches[
        0
    ].level == ("bot:demo-bot")


def test_the_exits_and_cancels_of_a_refused_batch_go_all_the_same():
    decisions = batch(
        an_account().long("BTCUSDT", "1"),
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_buy("BTCUSDT", "9"),
        a_cancel(),
        rules=[PositionLimit(limit_quantity=Decimal(1))],
    )
    assert [decision.verdict for decision in decisions] == [ALLOW, DENY, ALLOW]


def test_a_refused_exit_takes_no_entry_with_it():
    decisions = batch(
        an_account().long("BTCUSDT", "1"), a_sell("BTCUSDT", "1", "30000", reduce_only=True), a_buy("ETHUSDT", "1")
    )
    assert [decision.verdict for decision in decisions] == [DENY, ALLOW]


def test_each_entry_of_a_batch_takes_a_token():
    rate = MessageRate(per_second=Decimal(1), burst=Decimal(10))
    world = an_account().with_tokens(rate.scope, "2")
    two = batch(world, a_buy("BTCUSDT", "1"), a_buy("BTCUSDT", "1"), rules=[rate])
    three = batch(world, *[a_buy("BTCUSDT", "1")] * 3, rules=[rate])
    assert [decision.verdict for decision in two] == [ALLOW] * 2
    assert [decision.verdict for decision in three] == [DENY] * 3


def test_an_entry_of_a_batch_takes_its_token_from_the_buckets_it_is_counted_in():
    rates = [MessageRate(level=f"symbol:{name}", per_second=Decimal(1), burst=Decimal(1)) for name in MARKS]
    world = an_account()
    for rate in rates:
        world = world.with_tokens(rate.scope, "1")
    apart = batch(world, a_buy("BTCUSDT", "1"), a_buy("ETHUSDT", "1"), rules=rates)
    assert [each.verdict for each in apart] == [ALLOW, ALLOW]
    again = batch(world, a_buy("BTCUSDT", "1"), a_buy("ETHUSDT", "1"), a_buy("BTCUSDT", "1"), rules=rates)
    assert codes(again[2]) == ["MESSAGE_RATE_ABOVE_LIMIT"]


def test_the_exits_of_a_batch_take_no_token():
    rate = MessageRate(per_second=Decimal(1), burst=Decimal(10))
    world = an_account().long("BTCUSDT", "5").with_tokens(rate.scope, "1")
    decisions = batch(world, *[a_sell("BTCUSDT", "1", reduce_only=True)] * 4, a_buy("ETHUSDT", "1"), rules=[rate])
    assert {decision.verdict for decision in decisions} == {ALLOW}


def test_an_exit_in_a_batch_makes_no_room_for_its_entries():
    world = an_account().long("BTCUSDT", "1")
    decisions = batch(
        world,
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_buy("BTCUSDT", "0.5"),
        rules=[PositionLimit(limit_quantity=Decimal(1))],
    )
    assert decisions[1].verdict is DENY


def test_an_exit_of_a_batch_rests_where_it_was_priced():
    world = an_account().long("BTCUSDT", "1")
    far, near = (a_sell("BTCUSDT", "1", price, reduce_only=True) for price in ("60000", "51000"))
    rules = [SelfTrade(reach=Decimal("0.05"))]
    assert batch(world, far, a_buy("BTCUSDT", "1", "51000"), rules=rules)[1].verdict is ALLOW
    assert codes(batch(world, near, a_buy("BTCUSDT", "1", "51000"), rules=rules)[1]) == ["SELF_TRADE"]


@pytest.mark.parametrize(
    "stop",
    [
        a_close("BTCUSDT", trigger_price="48000"),
        a_sell("BTCUSDT", "1", reduce_only=True, order_type=OrderType.STOP_MARKET, trigger_price="48000"),
    ],
    ids=["close-position", "reduce-only"],
)
def test_a_stop_of_a_batch_protects_its_leg(stop):
    world = an_account().long("BTCUSDT", "1")
    rules = [ProtectiveStop(within_s=1, distance_max=Decimal("0.05"))]
    assert batch(world, a_buy("ETHUSDT", "1"), stop, rules=rules)[0].verdict is DENY
    assert batch(world, stop, a_buy("ETHUSDT", "1"), rules=rules)[1].verdict is ALLOW


@pytest.mark.parametrize(
    ("price", "meets"), [("51000", True), ("60000", False), ("70000", False), (None, True)], ids=str
)
def test_an_amended_exit_of_a_batch_rests_at_the_nearer_of_its_prices(price, meets):
    resting = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", order_id="5", reduce_only=True, bot="demo-bot")
    world = an_account().long("BTCUSDT", "1").resting(resting)
    amend = an_amend(Side.SELL, "BTCUSDT", "1", price, order_id="5")
    rules = [SelfTrade(reach=Decimal("0.05"))]
    found = batch(world, amend, a_buy("BTCUSDT", "1", "51000"), rules=rules)[1]
    assert codes(found) == (["SELF_TRADE"] if meets else [])
    assert codes(batch(world, amend, a_buy("BTCUSDT", "1", "60000"), rules=rules)[1]) == ["SELF_TRADE"]


TAKEN = "47499.905"
"""What an order that takes from the book below may reach at 0.05: the worse of mark and bid, less that."""


@pytest.mark.parametrize(
    ("price_match", "ask", "amended", "new"),
    [
        ("QUEUE", "50000.1", "50000.1", "50000.1"),
        ("QUEUE_5", "50000.1", "50000.1", "50000.1"),
        ("QUEUE", "70000", "60000", "70000"),
        ("QUEUE", None, TAKEN, TAKEN),
        ("OPPONENT", "50000.1", TAKEN, TAKEN),
    ],
)
def test_an_exit_of_a_batch_that_joins_the_queue_rests_at_the_near_touch(price_match, ask, amended, new):
    """An amended one at the nearer of that and its old price. Else whoever quotes both sides at once were refused."""
    resting = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", order_id="5", reduce_only=True, bot="demo-bot")
    world = an_account().long("BTCUSDT", "1").marked("BTCUSDT", "50000", bid_price="49999.9", ask_price=ask)
    amend = an_amend(Side.SELL, "BTCUSDT", "1", None, order_id="5", price_match=price_match)
    order = a_sell("BTCUSDT", "1", order_type=OrderType.LIMIT, price_match=price_match, reduce_only=True)
    rules = [SelfTrade(reach=Decimal("0.05"))]
    for world_then, command, nearest in ((world.resting(resting), amend, amended), (world, order, new)):
        short_of_it = a_buy("BTCUSDT", "1", str(Decimal(nearest) - Decimal("0.1")))
        assert codes(batch(world_then, command, short_of_it, rules=rules)[1]) == []
        assert codes(batch(world_then, command, a_buy("BTCUSDT", "1", nearest), rules=rules)[1]) == ["SELF_TRADE"]


def test_both_sides_are_requoted_at_the_head_of_the_queue_in_one_batch():
    ask = an_open_order(Side.SELL, "BTCUSDT", "1", "50010", order_id="5", reduce_only=True, bot="demo-bot")
    bid = an_open_order(Side.BUY, "BTCUSDT", "1", "49990", order_id="6", bot="demo-bot")
    world = an_account().long("BTCUSDT", "1").marked("BTCUSDT", "50000", bid_price="49999.9", ask_price="50000.1")
    amends = [
        an_amend(side, "BTCUSDT", "1", None, order_id=each, price_match="QUEUE")
        for side, each in ((Side.SELL, "5"), (Side.BUY, "6"))
    ]
    assert [codes(each) for each in batch(world.resting(ask, bid), *amends, rules=[SelfTrade()])] == [[], []]


def test_an_amended_exit_of_a_batch_counts_as_the_larger_of_the_old_and_the_new():
    orders = [
        an_open_order(
            Side.SELL, "BTCUSDT", "0.4", "60000", order_id=each, filled="0.1", reduce_only=True, bot="demo-bot"
        )
        for each in "56"
    ]
    world = an_account().sharing("demo-bot", "BTCUSDT", "1").sharing("other-bot", "BTCUSDT", "2").resting(*orders)
    for first, second, verdict in (("0.6", "0.6", ALLOW), ("0.6", "0.601", DENY), ("0.2", "0.701", DENY)):
        amends = (an_amend(Side.SELL, "BTCUSDT", size, order_id=each) for size, each in ((first, "5"), (second, "6")))
        assert [each.verdict for each in batch(world, *amends, rules=[OwnShare()])] == [ALLOW, verdict]


def test_the_name_of_an_exit_of_a_batch_is_taken():
    world = an_account().long("BTCUSDT", "1")
    named = a_sell("BTCUSDT", "1", "60000", reduce_only=True, client_order_id="x")
    decisions = batch(world, named, a_buy("ETHUSDT", "1", "2500", client_order_id="x"))
    assert [codes(decision) for decision in decisions] == [[], ["CLIENT_ORDER_ID_IN_USE"]]


@pytest.mark.parametrize("reduce_only", [False, True])
def test_an_amend_that_says_another_side_than_its_order_has_is_refused(reduce_only):
    """No order of that number has that side: whichever of the two were judged, the other might be sent."""
    resting = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", order_id="5", reduce_only=reduce_only)
    world = an_account().long("BTCUSDT", "1").resting(resting)
    said = {side: judged(an_amend(side, "BTCUSDT", "1", "61000", order_id="5"), world) for side in Side}
    assert said[Side.SELL].verdict is Verdict.ALLOW
    assert codes(said[Side.BUY]) == ["AMEND_SIDE_WRONG"]


def test_an_amend_of_an_exit_may_stand_in_a_batch():
    exit_order = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", order_id="5", reduce_only=True)
    world = an_account().long("BTCUSDT", "1").resting(exit_order)
    amend = an_amend(Side.SELL, "BTCUSDT", "1", "61000", order_id="5")
    decisions = batch(world, amend, a_buy("ETHUSDT", "1", "2500"))
    assert [decision.verdict for decision in decisions] == [ALLOW, ALLOW]


def test_one_command_alone_is_judged_as_itself():
    command, world = a_buy("BTCUSDT", "9"), an_account()
    policy = a_policy(PositionLimit(limit_quantity=Decimal(1)))
    assert decide_batch([command], world.snapshot, policy) == (decide(command, world.snapshot, policy),)


def test_an_empty_batch_has_no_decisions():
    assert batch(an_account()) == ()


def test_taking_margin_away_is_refused_while_reducing_and_adding_it_is_not():
    def margin(amount):
        return AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(amount))

    world = an_account().in_state(REDUCING)
    assert judged(margin(5), world).verdict is ALLOW
    assert judged(margin(-5), world).verdict is DENY


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Rule):
    """Objects when it is told to, and measures."""

    rule_id: ClassVar[str] = "measured"
    codes: ClassVar[dict[str, str]] = {"OBJECTION": "it was told to"}

    failing: bool = False
    objecting: bool = False
    crashing: bool = False

    def check(self, command, snapshot):
        """An objection, trouble, or nothing."""
        if self.crashing:
            raise ZeroDivisionError
        return self.breach("OBJECTION", "no") if self.objecting else None

    def measure(self, command, snapshot):
        """One number, or trouble."""
        if self.failing:
            raise ZeroDivisionError
        return (Measure(rule_id=self.rule_id, name="level", value=f"{self.level}, {command.symbol}"),)


@pytest.mark.parametrize("enforcement", [Enforcement.ENFORCE, Enforcement.REPORT])
def test_what_every_rule_measures_of_an_entry_is_kept_refused_or_not(enforcement):
    rules = (Measured(enforcement=enforcement), Measured(level="bot:demo-bot"), MaxOrderValue(limit=Decimal(1)))
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), *rules)
    assert decision.verdict is DENY
    assert [each.value for each in decision.measures] == ["desk, BTCUSDT", "bot:demo-bot, BTCUSDT"]


def test_what_a_rule_measures_is_kept_when_it_objects_and_not_asked_for_when_it_crashed():
    objecting = judged(a_buy("BTCUSDT", "1"), an_account(), Measured(objecting=True))
    assert (codes(objecting), len(objecting.measures)) == (["OBJECTION"], 1)
    crashing = judged(a_buy("BTCUSDT", "1"), an_account(), Measured(crashing=True))
    assert (codes(crashing), crashing.measures) == (["RULE_FAILED"], ())
    assert crashing.breaches[0].message == "the rule could not be evaluated (ZeroDivisionError)"


def test_a_gate_that_crashes_keeps_nobody_in():
    world = replace(an_account().long("BTCUSDT", "1"), controls=None)
    assert judged(a_sell("BTCUSDT", "1", reduce_only=True), world).verdict is ALLOW
    assert codes(judged(a_buy("BTCUSDT", "1"), world)) == ["RULE_FAILED"]


def test_an_entry_that_nothing_objects_to_keeps_its_measures_and_needs_no_advice():
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), Measured())
    assert (decision.verdict, decision.breaches, decision.advice) == (ALLOW, (), ())
    assert [each.value for each in decision.measures] == ["desk, BTCUSDT"]


@pytest.mark.parametrize("world", [an_account(), an_account().unsurveyed()])
@pytest.mark.parametrize("objecting", [True, False])
def test_a_decision_bears_the_version_of_the_policy_and_of_what_was_known(world, objecting):
    policy = a_policy(Measured(objecting=objecting))
    decision = decide(a_cancel() if world.account is None else a_buy("BTCUSDT", "1"), world.snapshot, policy)
    assert decision.policy_version == policy.version
    assert decision.snapshot_version == (7 if world.account is not None else None)


def test_only_a_refused_entry_is_told_that_limits_are_growing():
    """An exit that is refused, and an entry that is only reported on, are not refused by any of them."""
    world = an_account().long("BTCUSDT", "1")
    growing = replace(world, controls=replace(world.controls, ramp=Decimal("0.5")))
    told = "limits of size are at 50 % after a re-arm, and growing"
    assert told in judged(a_buy("BTCUSDT", "1"), growing, Measured(objecting=True)).advice
    reported = judged(a_buy("BTCUSDT", "1"), growing, Measured(objecting=True, enforcement=Enforcement.REPORT))
    assert (reported.verdict, reported.advice) == (ALLOW, ())
    refused_exit = judged(a_sell("BTCUSDT", "1", "1", reduce_only=True), growing)
    assert refused_exit.verdict is DENY and told not in refused_exit.advice


def test_a_gate_that_crashes_on_an_exit_spares_it_no_other_rule():
    world = replace(an_account().long("BTCUSDT", "1"), controls=None)
    decision = judged(a_sell("BTCUSDT", "1", "1", reduce_only=True), world)
    assert (decision.verdict, codes(decision)) == (DENY, ["EXIT_PRICE_OUTSIDE_COLLAR"])


def test_a_crash_is_told_by_its_kind_wherever_the_rule_is_asked():
    (found,) = breaches_of([Measured(crashing=True)], a_buy("BTCUSDT", "1"), an_account().snapshot)
    assert (found.code, found.message) == ("RULE_FAILED", "the rule could not be evaluated (ZeroDivisionError)")


@pytest.mark.parametrize(
    "command", [a_sell("BTCUSDT", "1", reduce_only=True), a_cancel(), SetPositionMode(hedged=True)]
)
def test_only_entries_are_measured(command):
    assert judged(command, an_account().long("BTCUSDT", "1"), Measured(failing=True)).measures == ()


def test_a_rule_that_a_gate_spared_the_asking_measures_nothing():
    assert judged(a_buy("BTCUSDT", "1"), an_account().in_state(HALTED), Measured()).measures == ()


@pytest.mark.parametrize("enforcement", [Enforcement.ENFORCE, Enforcement.REPORT])
def test_an_entry_that_cannot_be_measured_is_refused(enforcement):
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), Measured(failing=True, enforcement=enforcement))
    assert codes(decision) == ["RULE_FAILED"]
    assert decision.breaches[0].message == "the rule could not be evaluated (ZeroDivisionError)"
    assert decision.headroom == 0
