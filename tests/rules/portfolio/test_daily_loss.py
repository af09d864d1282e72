"""A day's allowance is lost once: not again after midnight, and not by fees or transfers."""

from decimal import Decimal

import pytest

from rules.portfolio.daily_loss import DailyLoss, FundingCount
from tests.rules.builders import a_buy, an_account

ENTRY = a_buy("BTCUSDT", "0.001")


def a_rule(**settings):
    return DailyLoss(
        **{name: value if name in ("funding", "of") else Decimal(value) for name, value in settings.items()}
    )


def breach(rule, **money):
    return rule.check(ENTRY, an_account().performing(**money).snapshot)


@pytest.mark.parametrize(("window", "words"), [("day_pnl", "since 00:00 UTC"), ("rolling_pnl", "in the last 24 hours")])
def test_a_loss_below_the_limit_passes_and_the_limit_does_not(window, words):
    rule = a_rule(limit=100)
    assert breach(rule, **{window: "-99.99"}) is None
    found = breach(rule, **{window: "-100"})
    assert (found.code, found.observed, found.limit) == ("DAILY_LOSS_REACHED", "100.00", "100.00")
    assert found.message == f"the account has lost 100.00 {words}"


def test_a_loss_at_2359_still_counts_after_midnight():
    assert breach(a_rule(limit=100), day_pnl="0", rolling_pnl="-100").code == "DAILY_LOSS_REACHED"


def test_a_gain_yesterday_hides_no_loss_of_today():
    assert breach(a_rule(limit=100), day_pnl="-100", rolling_pnl="900").code == "DAILY_LOSS_REACHED"


def test_a_gain_passes():
    assert breach(a_rule(limit=100), day_pnl="500", rolling_pnl="500") is None


@pytest.mark.parametrize("window", ["day", "rolling"])
def test_a_fraction_is_of_the_equity_before_the_loss(window):
    rule = a_rule(limit_equity="0.1")  # 1,000 before: 100.
    assert breach(rule, equity="901", **{f"{window}_pnl": "-99"}) is None
    found = breach(rule, equity="900", **{f"{window}_pnl": "-100"})
    assert (found.observed, found.limit) == ("100.00", "100.00")


@pytest.mark.parametrize("window", ["day", "rolling"])
def test_the_equity_before_is_before_funding_too(window):
    rule = a_rule(limit_equity="0.1")
    money = {f"{window}_funding": "-50"}
    assert breach(rule, equity="851", **money, **{f"{window}_pnl": "-99"}) is None
    assert breach(rule, equity="850", **money, **{f"{window}_pnl": "-100"}).limit == "100.00"


def test_a_fraction_of_nothing_is_reached_at_once():
    assert breach(a_rule(limit_equity="0.1"), equity="-5").limit == "0.00"


def test_the_smaller_of_both_limits_counts():
    assert breach(a_rule(limit=100, limit_equity="0.5"), day_pnl="-100", equity="900").limit == "100.00"
    assert breach(a_rule(limit=500, limit_equity="0.1"), day_pnl="-100", equity="900").limit == "100.00"


@pytest.mark.parametrize("window", ["day", "rolling"])
def test_funding_stands_apart_or_is_counted(window):
    paid = {f"{window}_pnl": "-60", f"{window}_funding": "-40"}
    received = {f"{window}_pnl": "-120", f"{window}_funding": "40"}
    apart, counted = a_rule(limit=100), a_rule(limit=100, funding=FundingCount.COUNTED)
    assert (breach(apart, **paid), breach(counted, **paid).observed) == (None, "100.00")
    assert (breach(apart, **received).observed, breach(counted, **received)) == ("120.00", None)


@pytest.mark.parametrize(
    ("window", "words"), [("day_funding", "since 00:00 UTC"), ("rolling_funding", "in the last 24 hours")]
)
def test_funding_paid_has_a_limit_of_its_own(window, words):
    rule = a_rule(funding_limit=50)
    assert breach(rule, **{window: "-49.99"}) is None
    found = breach(rule, **{window: "-50"})
    assert (found.code, found.observed, found.limit) == ("FUNDING_PAID_REACHED", "50.00", "50.00")
    assert found.message == f"the account has paid funding of 50.00 {words}"
    assert breach(rule, **{window: "50"}) is None
    assert breach(rule, day_pnl="-9999") is None


def test_both_windows_are_measured():
    rule = a_rule(limit=100, funding=FundingCount.COUNTED)
    world = an_account().performing(day_pnl="-12.5", rolling_pnl="3", rolling_funding="-1")
    day, rolling = rule.measure(ENTRY, world.snapshot)
    assert (day.rule_id, day.name, day.value, day.unit) == ("daily_loss", "loss_day", "12.50", "quote")
    assert (rolling.name, rolling.value, rolling.unit) == ("loss_24h", "-2.00", "quote")


def test_a_rule_without_a_limit_is_none():
    with pytest.raises(ValueError, match=r"^daily_loss needs limit, limit_equity or funding_limit$"):
        DailyLoss()
