"""A bot's first conditional entries on a symbol are tiny, until one has worked as meant."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import HoldStatus
from rules.decision import Enforcement, Verdict
from rules.facts import Holding
from rules.model import OrderType, Side
from rules.order.conditional_probation import ConditionalProbation
from rules.rule import FACTS_UNKNOWN
from tests.rules.builders import a_buy, a_close, a_sell, an_account, an_amend, an_open_order, judged

RULE = ConditionalProbation(limit=Decimal(600))
STOP = {"order_type": OrderType.STOP_MARKET, "trigger_price": "60000"}
"""A hundredth of it is worth the limit."""


def a_stop(quantity, order=a_buy, **terms):
    return order("BTCUSDT", quantity, **STOP | terms)


def a_resting_stop(quantity, side=Side.BUY, symbol="BTCUSDT", **terms):
    trigger = {"order_type": OrderType.STOP_MARKET, "trigger_price": "60000", "bot": "demo-bot"}
    return an_open_order(side, symbol, quantity, **trigger | terms)


def breach(command, world=None):
    return RULE.check(command, (world or an_account().known_bot()).snapshot)


def known(**facts):
    return an_account().known_bot(holdings=(Holding(symbol="BTCUSDT", **facts),))


@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_the_limit_itself_passes_and_one_lot_more_does_not(order):
    assert breach(a_stop("0.01", order)) is None
    found = breach(a_stop("0.011", order))
    assert (found.code, found.observed, found.limit) == ("UNPROVEN_CONDITIONALS_ABOVE_LIMIT", "660.00", "600.00")
    assert found.message == (
        "the bot's conditional entries on BTCUSDT could be worth 660.00, and none has proven itself"
    )
    assert found.advice == "the limit ends when one of them has triggered, or was cancelled, as expected"


def test_what_is_kept_of_one_symbol_is_not_used_for_another():
    snapshot = an_account().known_bot().resting(a_resting_stop("0.01")).snapshot
    stop = a_buy("ETHUSDT", "0.1", order_type=OrderType.STOP_MARKET, trigger_price="3000")
    assert RULE.check(stop, snapshot) is None
    assert RULE.check(a_stop("0.001"), snapshot) is not None


def test_the_headroom_passes_exactly():
    world = an_account().known_bot().resting(a_resting_stop("0.004"))
    decision = judged(a_stop("1"), world, RULE)
    assert decision.headroom == Decimal("0.006")
    assert judged(a_stop("0.006"), world, RULE).verdict is Verdict.ALLOW
    assert judged(a_stop("0.007"), world, RULE).verdict is Verdict.DENY


def test_once_one_has_proven_itself_the_limit_ends():
    assert breach(a_stop("9"), known(conditional_proven=True)) is None


@pytest.mark.parametrize(
    "world",
    [
        known(conditional_proven=False),
        an_account().known_bot(),
        an_account().recorded(),
        an_account().known_bot("other-bot", holdings=(Holding(symbol="BTCUSDT", conditional_proven=True),)),
        an_account().known_bot(holdings=(Holding(symbol="ETHUSDT", conditional_proven=True),)),
    ],
    ids=["not yet", "nothing of the symbol", "a new bot", "another bot's proof", "another symbol's proof"],
)
def test_whoever_has_proven_nothing_is_held_to_it(world):
    assert breach(a_stop("0.01"), world) is None
    assert breach(a_stop("0.011"), world).code == "UNPROVEN_CONDITIONALS_ABOVE_LIMIT"


@pytest.mark.parametrize("side", Side)
def test_those_that_rest_count_on_both_sides(side):
    world = an_account().known_bot().resting(a_resting_stop("0.004", side))
    assert breach(a_stop("0.006"), world) is None
    assert breach(a_stop("0.007"), world).observed == "660.00"


@pytest.mark.parametrize("status", HoldStatus)
def test_those_under_way_count_and_those_nobody_knows_about(status):
    world = an_account().known_bot().holding(a_stop("0.004", a_sell), bot="demo-bot", status=status)
    assert breach(a_stop("0.006"), world) is None
    assert breach(a_stop("0.007"), world).observed == "660.00"


def test_one_that_rests_already_is_not_counted_as_under_way_too():
    under_way = a_stop("0.004", client_order_id="mine")
    world = an_account().known_bot().holding(under_way, bot="demo-bot")
    both = world.resting(a_resting_stop("0.004", client_order_id="mine"))
    assert breach(a_stop("0.006"), both) is None
    assert breach(a_stop("0.007"), both).observed == "660.00"


@pytest.mark.parametrize(
    "world",
    [
        an_account().resting(a_resting_stop("1", bot="other-bot")),
        an_account().resting(a_resting_stop("1", symbol="ETHUSDT")),
        an_account().resting(a_resting_stop("1", side=Side.SELL, reduce_only=True)),
        an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", bot="demo-bot")),
        an_account().holding(a_stop("1"), bot="other-bot"),
        an_account().holding(a_buy("ETHUSDT", "1", **STOP), bot="demo-bot"),
        an_account().holding(a_buy("BTCUSDT", "1"), bot="demo-bot"),
        an_account().long("BTCUSDT", "1"),
    ],
    ids=[
        "another bot's",
        "of another symbol",
        "a protective stop",
        "a plain order",
        "another bot's under way",
        "another symbol's under way",
        "a plain order under way",
        "a position",
    ],
)
def test_what_is_no_conditional_entry_of_its_own_takes_no_room(world):
    assert breach(a_stop("0.01"), world.known_bot()) is None


@pytest.mark.parametrize(
    "command",
    [
        a_buy("BTCUSDT", "9"),
        a_buy("BTCUSDT", "9", "50000"),
        an_amend(Side.BUY, "BTCUSDT", "9", "50000", order_id="9"),
        a_close("BTCUSDT"),
        a_sell("BTCUSDT", "9", reduce_only=True, **STOP),
    ],
    ids=["market", "limit", "amend", "close-position", "protective stop"],
)
def test_what_is_no_conditional_entry_passes_and_needs_no_record(command):
    assert breach(command, an_account()) is None


@pytest.mark.parametrize("seconds", [120, -120])
def test_a_record_may_be_two_minutes_away(seconds):
    proven = known(conditional_proven=True).recorded(seconds_ago=seconds)
    assert breach(a_stop("9"), proven) is None


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        known(conditional_proven=True).recorded(seconds_ago=120.001),
        known(conditional_proven=True).recorded(seconds_ago=-120.001),
        known(conditional_proven=True).unsurveyed(),
    ],
    ids=["no record", "too old", "from the future", "no account"],
)
def test_what_is_not_known_refuses(world):
    found = breach(a_stop("0.001"), world)
    assert found.code == FACTS_UNKNOWN
    assert found.message == "how the bot's conditional orders on BTCUSDT have worked before is not known now"


def test_it_may_only_report_and_for_one_bot():
    rule = replace(RULE, enforcement=Enforcement.REPORT, level="bot:demo-bot")
    decision = judged(a_stop("1"), an_account().known_bot(), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.rule_id, each.level) for each in decision.would_deny] == [("conditional_probation", "bot:demo-bot")]
    assert judged(a_stop("1"), an_account(), replace(RULE, level="bot:other-bot")).verdict is Verdict.ALLOW
