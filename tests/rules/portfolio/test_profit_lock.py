"""A day's profit, armed and given back, at the edge."""

from decimal import Decimal

import pytest

from rules.portfolio.profit_lock import ProfitLock
from tests.rules.builders import a_buy, an_account

ENTRY = a_buy("BTCUSDT", "0.001")
RULE = ProfitLock(arm_at=Decimal(500), give_back=Decimal("0.4"))


def breach(**money):
    return RULE.check(ENTRY, an_account().performing(**money).snapshot)


def test_what_may_be_given_back_passes_and_a_cent_more_does_not():
    assert breach(day_peak="500", day_pnl="300") is None
    found = breach(day_peak="500", day_pnl="299.99")
    assert (found.code, found.observed, found.limit) == ("PROFIT_GIVEN_BACK_ABOVE_LIMIT", "200.01", "200.00")
    assert found.message == "the account has given back 200.01 of the day's highest profit of 500.00"


def test_funding_is_part_of_the_profit():
    assert breach(day_peak="500", day_pnl="250", day_funding="50") is None
    assert breach(day_peak="500", day_pnl="310", day_funding="-11").observed == "201.00"


def test_below_its_mark_it_is_not_armed():
    assert breach(day_peak="499.99", day_pnl="-1000") is None
    assert breach(day_peak="500", day_pnl="-1000") is not None


def test_peak_and_what_was_given_back_are_measured():
    peak, back = RULE.measure(ENTRY, an_account().performing(day_peak="500", day_pnl="310", day_funding="-10").snapshot)
    assert (peak.rule_id, peak.name, peak.value, peak.unit) == ("profit_lock", "day_peak", "500.00", "quote")
    assert (back.rule_id, back.name, back.value, back.unit) == ("profit_lock", "given_back", "200.00", "quote")


def test_more_than_all_is_no_fraction():
    with pytest.raises(
        ValueError, match=r"^profit_lock: give_back is a fraction of the day's highest profit, at most 1$"
    ):
        ProfitLock(arm_at=Decimal(1), give_back=Decimal("1.01"))
    assert ProfitLock(arm_at=Decimal(1), give_back=Decimal(1)).give_back == 1
