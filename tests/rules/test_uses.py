"""What of its limits an account uses: what rules would count for an order of nothing, and never less."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rules.decision import Enforcement, Use
from rules.policy import Policy
from rules.portfolio.concentration import Concentration
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.exposure_limits import ExposureLimits
from rules.portfolio.margin_budget import MarginBudget
from rules.position.max_leverage import MaxLeverage
from rules.position.position_limit import PositionLimit
from rules.rule import Rule
from rules.uses import uses_of
from tests.rules.builders import World, a_buy, an_account


def policy(*rules: Rule) -> Policy:
    return Policy(name="p", owner="o", version="v", rules=rules)


def used(world: World, *rules: Rule, ramp: str = "1") -> dict[tuple[str, str, str], tuple[str, str, str]]:
    """``(rule, name, symbol) -> (observed, limit, unit)``."""
    found = uses_of(policy(*rules), world.snapshot, ["demo-bot"], Decimal(ramp))
    assert len({each[:4] for each in found}) == len(found)
    return {
        (each.rule_id, each.name, each.symbol): (f"{each.observed:.2f}", f"{each.limit:.2f}", each.unit)
        for each in found
    }


@pytest.fixture
def world() -> World:
    """Half a bitcoin long, ten ether short, on a balance of 20,000: gross 50,000."""
    return an_account().worth("20000").long("BTCUSDT", "0.5").short("ETHUSDT", "10")


def test_leverage_is_the_worst_case_over_the_balance(world):
    assert used(world, MaxLeverage(limit=Decimal(4))) == {("max_leverage", "", ""): ("2.50", "4.00", "x")}


def test_a_hold_counts_like_a_position(world):
    held = world.holding(a_buy("BTCUSDT", "0.1"))
    assert used(held, MaxLeverage(limit=Decimal(4)))[("max_leverage", "", "")][0] == "2.75"


def test_without_a_balance_leverage_is_said_in_money_against_nothing(world):
    assert used(world.worth("0"), MaxLeverage(limit=Decimal(4))) == {("max_leverage", "", ""): ("50000.00", "0.00", "")}


def test_of_several_limits_on_the_same_thing_the_strictest_is_shown(world):
    of_account = MaxLeverage(limit=Decimal(3), level=f"account:{world.account.name}")
    assert used(world, MaxLeverage(limit=Decimal(4)), of_account) == {("max_leverage", "", ""): ("2.50", "3.00", "x")}


def test_every_symbol_stands_against_its_own_limits(world):
    own = PositionLimit(limit_notional=Decimal(30_000), limit_quantity=Decimal(12), level="symbol:ETHUSDT")
    assert used(world, PositionLimit(limit_notional=Decimal(40_000)), own) == {
        ("position_limit", "", "BTCUSDT"): ("25000.00", "40000.00", ""),
        ("position_limit", "", "ETHUSDT"): ("25000.00", "30000.00", ""),
        ("position_limit", "quantity", "ETHUSDT"): ("10.00", "12.00", "base"),
    }


def test_the_whole_account_stands_against_its_caps(world):
    caps = ExposureLimits(gross_equity=Decimal(3), same_direction_notional=Decimal(30_000), net_equity=Decimal(1))
    assert used(world, caps) == {
        ("exposure_limits", "gross", ""): ("50000.00", "60000.00", ""),
        ("exposure_limits", "same direction", ""): ("25000.00", "30000.00", ""),
        ("exposure_limits", "net", ""): ("0.00", "20000.00", ""),
    }


def test_correlated_exposure_of_the_account_and_of_the_clusters_that_are_on():
    world = an_account().worth("20000").long("BTCUSDT", "0.4").long("ETHUSDT", "8")
    rule = CorrelatedExposure(
        limit_equity=Decimal(3),
        stress_floor=Decimal(1),
        clusters={"majors": ("BTCUSDT",), "memes": ("DOGEUSDT",)},
        cluster_notional=Decimal(25_000),
    )
    assert used(world, rule) == {
        ("correlated_exposure", "", ""): ("40000.00", "60000.00", ""),
        ("correlated_exposure", "majors", ""): ("20000.00", "25000.00", ""),
    }


def test_concentration_asks_for_the_share_only_of_a_large_book(world):
    large = Concentration(share_max=Decimal("0.4"), full_book=Decimal(3), gross_min=Decimal(50_000))
    assert used(world, large) == {}
    more = Concentration(share_max=Decimal("0.4"), full_book=Decimal(3), equity_max=Decimal(2))
    assert used(world, more)[("concentration", "", "BTCUSDT")] == ("25000.00", "24000.00", "")


def test_a_bots_budget_carries_its_own_book():
    world = an_account().worth("20000").sharing("demo-bot", "BTCUSDT", "0.1").sharing("other", "BTCUSDT", "0.4")
    budget = MarginBudget(limit=Decimal(5_000), leverage=Decimal(3), level="bot:demo-bot")
    assert used(world, budget) == {("margin_budget", "", ""): ("5000.00", "15000.00", "")}


@pytest.mark.parametrize("enforcement", [Enforcement.REPORT, Enforcement.OFF], ids=str)
def test_what_is_not_enforced_is_no_limit(world, enforcement):
    assert used(world, MaxLeverage(limit=Decimal(1), enforcement=enforcement)) == {}


def test_limits_that_grow_back_are_shown_as_they_are_now(world):
    rule = PositionLimit(limit_notional=Decimal(40_000))
    assert used(world, rule, ramp="0.5")[("position_limit", "", "BTCUSDT")] == ("25000.00", "20000.00", "")


def test_an_unknown_account_uses_nothing(world):
    rules = (MaxLeverage(limit=Decimal(4)), ExposureLimits(gross_equity=Decimal(3)))
    assert uses_of(policy(*rules), world.unsurveyed().snapshot, []) == ()
    assert [rule.uses(world.unsurveyed().snapshot) for rule in rules] == [(), ()]


def test_a_use_names_its_rule_and_level(world):
    (use,) = uses_of(policy(MaxLeverage(limit=Decimal(4), level="desk")), world.snapshot, [])
    assert use == Use("max_leverage", "desk", "", "", Decimal("2.5"), Decimal(4), "x")
