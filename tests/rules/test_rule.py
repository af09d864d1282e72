"""What every rule has: a breach with its level and enforcement filled in, and numbers as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest

from rules.decision import Breach, Enforcement
from rules.model import TradingState
from rules.order.max_order_value import MaxOrderValue
from rules.position.max_leverage import MaxLeverage
from rules.rule import show, show_exact, show_percent
from tests.rules.builders import a_buy, an_account

RULE = MaxOrderValue(limit=Decimal(1), level="bot:demo-bot", enforcement=Enforcement.REPORT)
CODE = "ORDER_VALUE_ABOVE_LIMIT"


def test_a_breach_bears_the_rule_its_level_and_its_enforcement():
    assert RULE.breach(CODE, "too much") == Breach(
        rule_id="max_order_value",
        code=CODE,
        message="too much",
        observed="",
        limit="",
        headroom=None,
        level="bot:demo-bot",
        enforcement=Enforcement.REPORT,
        advice="",
        stops_bot=None,
    )


def test_everything_that_is_said_of_it_is_kept():
    found = RULE.breach(
        CODE, "m", observed="2", limit="1", advice="less", headroom=Decimal(1), stops_bot=TradingState.HALTED
    )
    assert (found.observed, found.limit, found.advice) == ("2", "1", "less")
    assert (found.headroom, found.stops_bot) == (1, TradingState.HALTED)


def test_a_code_that_the_rule_does_not_list_is_a_bug():
    with pytest.raises(AssertionError, match=r"^max_order_value does not list POSITION_FLIP$"):
        RULE.breach("POSITION_FLIP", "m")


def test_what_is_not_known_is_named_and_the_way_out_told():
    class Blind(MaxLeverage):
        codes = {"FACTS_UNKNOWN": "not known"}  # noqa: RUF012 - as rules write it

    found = Blind(limit=Decimal(1)).unknown("the account")
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")
    assert found.advice == "reduce-only orders and cancels pass"


def test_most_rules_measure_nothing_serve_their_clauses_and_look_at_no_attempts():
    assert RULE.measure(a_buy("BTCUSDT", "1"), an_account().snapshot) == ()
    assert (RULE.serves, RULE.looks_back_s) == (MaxOrderValue.clauses, 0)


@pytest.mark.parametrize(
    ("value", "shown", "exactly"),
    [
        ("1", "1.00", "1"),
        ("1.50", "1.50", "1.5"),
        ("1.005", "1.00", "1.005"),
        ("100", "100.00", "100"),
        ("1E+3", "1000.00", "1000"),
        ("1E-8", "0.00", "0.00000001"),
        ("10.00", "10.00", "10"),
        ("0", "0.00", "0"),
    ],
)
def test_numbers_have_no_exponent_and_no_needless_zeros(value, shown, exactly):
    assert (show(Decimal(value)), show_exact(Decimal(value))) == (shown, exactly)


def test_numbers_are_shown_alike_whatever_else_in_the_process_rounds_by():
    """ccxt changes the rounding of the thread's context; a decision must read the same with and without it."""
    with localcontext() as context:
        context.rounding = ROUND_HALF_UP
        shown = show(Decimal("1.005")), show_percent(Decimal("0.0000005"))
    assert shown == ("1.00", "0 %")
