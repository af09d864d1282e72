"""No entry shortly before a funding time that it would pay dearly for."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rules.fresh import WithoutFacts
from rules.market.funding_window import FundingWindow
from tests.rules.builders import NOW, a_buy, a_sell, an_account, judged

RULE = FundingWindow(ahead_s=600, rate_min=Decimal("0.0005"))
STRICT = replace(RULE, when_unknown=WithoutFacts.REFUSE)
ENTRY = a_buy("BTCUSDT", "1")


def funded(rate, seconds_ahead=60):
    at = None if seconds_ahead is None else NOW + timedelta(seconds=seconds_ahead)
    return an_account().marked("BTCUSDT", "50000", funding_rate=rate, next_funding_at=at)


def breach(world, command=ENTRY, rule=RULE):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize(("order", "sign"), [(a_buy, ""), (a_sell, "-")], ids=["long pays", "short pays"])
def test_the_least_rate_is_allowed_and_a_little_more_is_not(order, sign):
    command = order("BTCUSDT", "1")
    assert breach(funded(f"{sign}0.0005"), command) is None
    found = breach(funded(f"{sign}0.0006"), command)
    assert found.code == "FUNDING_RATE_ABOVE_LIMIT"
    assert (found.observed, found.limit) == ("0.06 %", "0.05 %")
    assert found.message == (
        f"a {command.side.value} of BTCUSDT would pay 0.06 % of its value at 2026-11-24 09:31:00 UTC"
    )
    assert found.advice == "wait until after 2026-11-24 09:31:00 UTC; the other side would earn"


@pytest.mark.parametrize(("order", "rate"), [(a_sell, "0.01"), (a_buy, "-0.01")], ids=["short earns", "long earns"])
def test_the_side_that_earns_passes(order, rate):
    assert breach(funded(rate), order("BTCUSDT", "1")) is None


@pytest.mark.parametrize(
    ("seconds", "refused"), [(600.001, False), (600, True), (1, True), (0, True)], ids=["before", "edge", "in", "at"]
)
def test_the_window_reaches_up_to_the_funding_time(seconds, refused):
    assert (breach(funded("0.01", seconds)) is not None) is refused


UNKNOWN = {
    "no rate": funded(None),
    "no time": funded("0.01", None),
    "a time that has passed": funded("0.01", -0.001),
    "no market": an_account().unmarked("BTCUSDT"),
}


def test_a_rate_of_nothing_lets_in_whatever_pays_nothing():
    rule = replace(RULE, rate_min=Decimal(0))
    for rate, refused in (("0.00000001", True), ("0", False), ("-0.0001", False)):
        world = an_account().marked("BTCUSDT", "50000", funding_rate=rate, next_funding_at=NOW + timedelta(seconds=60))
        assert (rule.check(ENTRY, world.snapshot) is not None) is refused
    with pytest.raises(ValueError, match=r"^funding_window: rate_min must not be negative; with 0 whatever pays"):
        replace(RULE, rate_min=Decimal("-0.0001"))


@pytest.mark.parametrize("world", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_funding_refuses_only_when_set_so(world):
    assert breach(world) is None
    found = breach(world, rule=STRICT)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the next funding of BTCUSDT is not known now")
    (measure,) = RULE.measure(ENTRY, world.snapshot)
    assert (measure.rule_id, measure.name, measure.value) == ("funding_window", "funding", "unknown")


def test_known_funding_passes_the_strict_one_too():
    assert breach(funded("0.0005"), rule=STRICT) is None


def test_what_is_held_already_is_not_its_matter():
    assert breach(funded("0.01").long("BTCUSDT", "5"), a_sell("BTCUSDT", "1")) is None


@pytest.mark.parametrize(("order", "paid"), [(a_buy, "0.03 %"), (a_sell, "-0.03 %")])
def test_rate_and_time_are_recorded(order, paid):
    measures = RULE.measure(order("BTCUSDT", "1"), funded("0.0003", 61.9).snapshot)
    assert [(each.rule_id, each.name, each.value, each.unit) for each in measures] == [
        ("funding_window", "funding_paid", paid, "of notional"),
        ("funding_window", "funding_in", "61", "s"),
    ]


def test_size_is_not_the_matter():
    assert judged(ENTRY, funded("0.01"), RULE).breaches[0].headroom is None
