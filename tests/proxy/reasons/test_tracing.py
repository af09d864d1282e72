"""Every rule of a decision: what it answered, in the order it was asked, and how much it would have allowed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from proxy.policy.reading import parse_policy
from proxy.reasons.tracing import Answer, Trace, largest_passing, traced
from proxy.reasons.watched import decide_watched
from rules.decision import Breach, Enforcement, Verdict
from rules.engine import decide_batch
from rules.flow.message_rate import MessageRate
from rules.model import Command, OrderType, Side
from rules.order.exit_collar import ExitCollar
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.policy import Policy
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.resize import Resize, ResizeMode
from rules.rule import Rule
from rules.snapshot import Snapshot
from tests.properties.rule_strategies import all_rules, rule_lists
from tests.properties.strategies import books, entries, examples
from tests.rules.builders import (
    HALTED,
    REDUCING,
    World,
    a_buy,
    a_cancel,
    a_policy,
    a_sell,
    an_account,
    an_amend,
)

RULES = (
    MaxOrderValue(limit=Decimal(100_000)),
    MaxOrderValue(limit=Decimal(30_000), level="symbol:BTCUSDT", enforcement=Enforcement.REPORT),
    MaxOrderValue(limit=Decimal(1), level="bot:somebody-else"),
    PriceCollar(band=Decimal("0.05")),
    PositionLimit(limit_quantity=Decimal(2), level="symbol:BTCUSDT"),
    MaxLeverage(limit=Decimal(3)),
    MessageRate(per_second=Decimal(1), burst=Decimal(5), enforcement=Enforcement.OFF),
    ExitCollar(band=Decimal("0.2")),
    OwnShare(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashes(Rule):
    """A rule with a bug."""

    rule_id: ClassVar[str] = "crashes"
    codes: ClassVar[dict[str, str]] = {}

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        raise ZeroDivisionError


def of(command: Command, world: World, policy: Policy) -> Trace:
    (trace,) = traced((command,), world.snapshot, policy)
    return trace


def answers(trace: Trace) -> dict[tuple[str, str], Answer]:
    return {(each.rule, each.level): each.answer for each in trace.rules}


def test_every_rule_is_told_in_its_order_with_what_it_said() -> None:
    trace = of(a_buy("BTCUSDT", "3"), an_account(), a_policy(*RULES))
    told = answers(trace)
    assert told["max_order_value", "desk"] is Answer.DENIED
    assert told["max_order_value", "symbol:BTCUSDT"] is Answer.REPORTED
    assert told["position_limit", "symbol:BTCUSDT"] is Answer.DENIED
    assert told["price_collar", "desk"] is Answer.PASSED
    assert told["exit_collar", "desk"] is Answer.NOT_ASKED
    assert told["message_rate", "desk"] is Answer.OFF
    assert told["trading_state", "desk"] is Answer.PASSED
    assert ("max_order_value", "bot:somebody-else") not in told
    assert trace.elsewhere == 1
    places = [each.rule for each in trace.rules]
    assert places.index("trading_state") < places.index("max_order_value") < places.index("position_limit")
    assert (trace.verdict, trace.rule, trace.code) == (Verdict.DENY, "max_order_value", "ORDER_VALUE_ABOVE_LIMIT")


def test_a_rule_that_passed_says_how_much_it_alone_would_have_allowed() -> None:
    trace = of(a_buy("BTCUSDT", "0.5"), an_account(), a_policy(*RULES))
    rooms = {(each.rule, each.level): each.headroom for each in trace.rules}
    price = an_account().snapshot.markets["BTCUSDT"].mark_price
    assert trace.verdict is Verdict.ALLOW
    assert rooms["position_limit", "symbol:BTCUSDT"] == 2
    value = rooms["max_order_value", "desk"]
    assert value is not None
    assert value * price <= 100_000 < (value + Decimal("0.002")) * price
    assert rooms["price_collar", "desk"] is None
    assert trace.largest == min(value, 2)


def test_the_largest_size_is_one_that_passes_and_a_step_more_is_refused() -> None:
    world, policy = an_account(), a_policy(*RULES)
    largest = largest_passing(a_buy("BTCUSDT", "3"), world.snapshot, policy)
    assert largest is not None
    assert of(a_buy("BTCUSDT", str(largest)), world, policy).verdict is Verdict.ALLOW
    step = world.snapshot.instruments["BTCUSDT"].market_step_size
    assert of(a_buy("BTCUSDT", str(largest + step)), world, policy).verdict is Verdict.DENY


def test_what_a_gate_refuses_is_asked_of_no_further_rule() -> None:
    trace = of(a_buy("BTCUSDT", "3"), an_account().in_state(HALTED), a_policy(*RULES))
    assert answers(trace)["trading_state", "desk"] is Answer.DENIED
    assert answers(trace)["max_order_value", "desk"] is Answer.NOT_ASKED
    said = next(each.message for each in trace.rules if each.rule == "max_order_value")
    assert "refused already" in said


def test_an_exit_meets_only_what_exits_meet() -> None:
    world = an_account().long("BTCUSDT", "3").in_state(REDUCING)
    trace = of(a_sell("BTCUSDT", "3", reduce_only=True), world, a_policy(*RULES))
    assert trace.verdict is Verdict.ALLOW
    assert answers(trace)["exit_collar", "desk"] is Answer.PASSED
    assert answers(trace)["max_order_value", "desk"] is Answer.NOT_ASKED


def test_a_cancel_is_asked_only_whose_it_is() -> None:
    trace = of(a_cancel("BTCUSDT", "1"), an_account(), a_policy(*RULES))
    assert answers(trace)["own_share", "desk"] is Answer.PASSED
    assert answers(trace)["trading_state", "desk"] is Answer.NOT_ASKED
    assert trace.largest is None


def test_a_rule_that_crashes_is_told_as_the_one_that_refused() -> None:
    trace = of(a_buy("BTCUSDT", "0.1"), an_account(), a_policy(Crashes()))
    assert answers(trace)["crashes", "desk"] is Answer.DENIED
    assert (trace.code, trace.largest) == ("RULE_FAILED", Decimal(0))


SMALL = parse_policy(
    '[policy]\nname = "a"\nowner = "b"\n[desk.custom.small]\nenforcement = "enforce"\n'
    'expression = "order.quantity < 0.05"\nmessage = "too big"\n'
)


def test_of_a_rule_that_names_no_size_none_is_told() -> None:
    for quantity, verdict in (("0.01", Verdict.ALLOW), ("0.1", Verdict.DENY)):
        trace = of(a_buy("BTCUSDT", quantity), an_account(), SMALL)
        assert (trace.verdict, trace.headroom, trace.largest) == (verdict, None, None)


@given(st.data(), books(), rule_lists(all_rules))
@examples(100)
def test_of_an_order_that_passed_the_largest_is_no_smaller(
    data: st.DataObject, world: World, rules: list[Rule]
) -> None:
    order = data.draw(entries(world.account.hedged if world.account is not None else False))
    trace = of(order, world, a_policy(*rules))
    event(f"{trace.verdict}, largest {'named' if trace.largest is not None else 'not named'}")
    if trace.verdict is Verdict.ALLOW and trace.largest is not None and order.quantity is not None:
        # Whole lots, and no more than the venue takes: what lies between them, or above, no rule here looked at.
        listed, market = world.instruments[order.symbol], order.order_type.is_market
        most = listed.market_quantity_max if market else listed.quantity_max
        assert trace.largest >= listed.floor_quantity(min(order.quantity, most), market=market)


def test_of_a_batch_the_second_order_is_told_on_what_the_first_one_holds() -> None:
    first, second = a_buy("BTCUSDT", "1.2"), a_buy("BTCUSDT", "1.2")
    one, two = traced((first, second), an_account().snapshot, a_policy(PositionLimit(limit_quantity=Decimal(2))))
    assert (one.code, two.code) == ("BATCH_REFUSED", "POSITION_ABOVE_LIMIT")
    assert answers(one)["position_limit", "desk"] is Answer.PASSED
    assert two.largest == Decimal("0.8")


def test_an_order_that_was_sized_down_says_which_rule_wanted_that() -> None:
    policy = a_policy(PositionLimit(limit_quantity=Decimal(2)))
    trims = Policy(
        name="p",
        owner="o",
        version="v",
        rules=policy.rules,
        resizes=(Resize(level="bot:demo-bot", mode=ResizeMode.TRIM),),
    )
    trace = of(a_buy("BTCUSDT", "3"), an_account(), trims)
    assert (trace.verdict, trace.trimmed_to) == (Verdict.ALLOW, Decimal(2))
    assert answers(trace)["position_limit", "desk"] is Answer.TRIMMED


COMMANDS: tuple[Command, ...] = (
    a_buy("BTCUSDT", "0.1"),
    a_buy("BTCUSDT", "3"),
    a_buy("BTCUSDT", "3", "70000"),
    a_sell("BTCUSDT", "1", reduce_only=True),
    a_buy("BTCUSDT", "1", "50000", order_type=OrderType.LIMIT),
    an_amend(Side.BUY, "BTCUSDT", "2", "50000", order_id="1"),
    a_cancel("BTCUSDT", "1"),
)


@pytest.mark.parametrize("count", [1, 2, 3], ids="{} commands".format)
def test_watching_changes_no_decision(count: int) -> None:
    policy = a_policy(*RULES)
    for world in (an_account(), an_account().long("BTCUSDT", "1"), an_account().in_state(REDUCING)):
        snapshot = world.snapshot
        for place in range(len(COMMANDS)):
            commands = (COMMANDS * 2)[place : place + count]
            watched = tuple(each.decision for each in decide_watched(commands, snapshot, policy))
            assert watched == decide_batch(commands, snapshot, policy)
