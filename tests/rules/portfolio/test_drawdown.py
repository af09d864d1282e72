"""Equity against its peak, at the edge."""

from decimal import Decimal

import pytest

from rules.portfolio.drawdown import Drawdown
from tests.rules.builders import a_buy, an_account

ENTRY = a_buy("BTCUSDT", "0.001")
RULE = Drawdown(limit=Decimal("0.2"))


def test_the_limit_itself_is_allowed_and_a_cent_below_is_not():
    assert RULE.check(ENTRY, an_account().performing(equity="800", equity_peak="1000").snapshot) is None
    found = RULE.check(ENTRY, an_account().performing(equity="799.99", equity_peak="1000").snapshot)
    assert (found.code, found.observed, found.limit) == ("DRAWDOWN_ABOVE_LIMIT", "799.99", "800.00")
    assert found.message == "equity of the account is 799.99, its peak was 1000.00"


def test_how_far_below_the_peak_is_measured():
    (found,) = RULE.measure(ENTRY, an_account().performing(equity="900", equity_peak="1000").snapshot)
    assert (found.rule_id, found.name, found.value, found.unit) == ("drawdown", "below_peak", "100.00", "quote")


def test_all_of_the_peak_is_no_limit():
    with pytest.raises(ValueError, match=r"^drawdown: limit is a fraction of the peak, below 1$"):
        Drawdown(limit=Decimal(1))
    assert Drawdown(limit=Decimal("0.99")).limit < 1
