"""What every rule about the market has in common: it stops new risk, and nothing that lowers it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from proxy.policy.reading import parse_policy
from rules.decision import Enforcement, Verdict
from rules.market.book_quality import BookQuality
from rules.market.delisting import Delisting
from rules.market.funding_window import FundingWindow
from rules.market.latency_shock import LatencyShock
from rules.market.leverage_temperature import LeverageTemperature
from rules.market.liquidation_forecast import LiquidationForecast
from rules.market.maintenance_window import MaintenanceWindow, Window
from rules.market.price_divergence import PriceDivergence
from rules.market.slippage_forecast import SlippageForecast
from rules.market.volatility_scaling import VolatilityScaling
from rules.model import SetLeverage, Side, TimeInForce
from tests.rules.builders import (
    NOW,
    a_buy,
    a_cancel,
    a_close,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

MINUTE = timedelta(minutes=1)
WORLD = (
    an_account()
    .marked(
        "BTCUSDT",
        "50000",
        bid_price="49000",
        ask_price="51000",
        last_price="51000",
        index_price="50000",
        funding_rate="0.001",
        next_funding_at=NOW + MINUTE,
    )
    .in_conditions("BTCUSDT", temperature="1", volatility="0.02", volatility_usual="0.01", ask_depth="1", bid_depth="1")
    .with_latency(
        round_trip_ms="1000",
        round_trip_usual_ms="100",
        stream_lag_ms="1",
        stream_lag_usual_ms="1",
        clock_skew_ms="1",
        clock_skew_usual_ms="1",
    )
    .forecasting("liquidation", 0.5)
    .forecasting("slippage", 0.5, symbol="BTCUSDT")
    .long("BTCUSDT", "2")
)
ENTRY = a_buy("BTCUSDT", "1", "50000")
RULES = {
    BookQuality: {"spread_max": Decimal("0.001")},
    Delisting: {"dates": {"BTCUSDT": NOW}},
    FundingWindow: {"ahead_s": 600, "rate_min": Decimal("0.0001")},
    LatencyShock: {"reduce_ratio": Decimal(5)},
    LeverageTemperature: {"limit": Decimal("0.9")},
    LiquidationForecast: {"probability_max": Decimal("0.1")},
    MaintenanceWindow: {"windows": (Window(begins=NOW, ends=NOW + MINUTE),)},
    PriceDivergence: {"last_max": Decimal("0.001")},
    SlippageForecast: {"probability_max": Decimal("0.1")},
    VolatilityScaling: {"limit_notional": Decimal(1000)},
}
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule_id)


@every_rule
def test_an_entry_is_refused(rule):
    decision = judged(ENTRY, WORLD, rule(**RULES[rule]))
    assert decision.verdict is Verdict.DENY
    assert [breach.rule_id for breach in decision.breaches] == [rule.rule_id]


@every_rule
def test_an_amend_is_an_entry(rule):
    world = WORLD.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000"))
    decision = judged(an_amend(Side.BUY, "BTCUSDT", "2", "50000", order_id="1"), world, rule(**RULES[rule]))
    assert [breach.rule_id for breach in decision.breaches] == [rule.rule_id]
    assert codes(decision) == codes(judged(ENTRY, WORLD, rule(**RULES[rule])))


@every_rule
def test_an_amend_leaves_the_measures_of_an_entry(rule):
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="1")
    measures = rule(**RULES[rule]).measure(amend, WORLD.snapshot)
    assert measures == rule(**RULES[rule]).measure(ENTRY, WORLD.snapshot)


@every_rule
@pytest.mark.parametrize("world", [WORLD, an_account()], ids=["known", "unknown"])
def test_its_measures_bear_its_name(rule, world):
    measures = rule(**RULES[rule]).measure(ENTRY, world.snapshot)
    assert {each.rule_id for each in measures} <= {rule.rule_id}


@every_rule
def test_in_report_mode_it_is_only_written_down(rule):
    decision = judged(ENTRY, WORLD, rule(**RULES[rule], enforcement=Enforcement.REPORT))
    assert decision.verdict is Verdict.ALLOW
    assert [breach.rule_id for breach in decision.would_deny] == [rule.rule_id]


@every_rule
@pytest.mark.parametrize("level", ["account:demo", "bot:demo-bot", "symbol:BTCUSDT"])
def test_a_limit_may_stand_at_any_level(rule, level):
    assert judged(ENTRY, WORLD, rule(**RULES[rule], level=level)).breaches[0].level == level


@every_rule
@pytest.mark.parametrize("level", ["account:other", "bot:other-bot", "symbol:ETHUSDT"])
def test_a_limit_of_others_is_not_ours(rule, level):
    assert judged(ENTRY, WORLD, rule(**RULES[rule], level=level)).verdict is Verdict.ALLOW


@every_rule
@pytest.mark.parametrize(
    "command",
    [
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_close("BTCUSDT"),
        a_cancel(),
        SetLeverage(symbol="BTCUSDT", leverage=Decimal(2)),
    ],
    ids=["reduce-only", "close-position", "cancel", "setting"],
)
@pytest.mark.parametrize("world", [WORLD, an_account().long("BTCUSDT", "2")], ids=["known", "unknown"])
def test_what_adds_no_position_passes_whatever_is_known(rule, command, world):
    refusing = {"when_stale": "refuse"} if "when_stale" in rule.__dataclass_fields__ else {}
    assert rule(**RULES[rule], **refusing).check(command, world.snapshot) is None
    assert judged(command, world, rule(**RULES[rule], **refusing)).verdict is Verdict.ALLOW


@every_rule
def test_its_example_is_a_policy(rule):
    policy = parse_policy(f'[policy]\nname = "test"\nowner = "risk@desk.example"\n{rule.example}')
    assert [type(each) for each in policy.rules if type(each) in RULES] == [rule]


@every_rule
def test_what_is_no_entry_leaves_no_measure_of_an_order(rule):
    left = {each.name for each in rule(**RULES[rule]).measure(a_cancel(), WORLD.snapshot)}
    assert left <= {"latency_ratio", "latency_part", "latency_stage"}


HUGE = Decimal(10**9)
WIDE = [
    LeverageTemperature(limit=Decimal(1), warn_at=Decimal("0.5"), limit_notional=HUGE),
    VolatilityScaling(limit_notional=HUGE),
]


@pytest.mark.parametrize("rule", WIDE, ids=lambda rule: rule.rule_id)
def test_an_account_or_a_mark_that_is_not_known_leaves_no_room(rule):
    world = WORLD.in_conditions("BTCUSDT", temperature="0.6", volatility="1", volatility_usual="1")
    assert rule.check(ENTRY, world.snapshot) is None
    for unknown in (world.unsurveyed(), world.unmarked("BTCUSDT")):
        found = rule.check(ENTRY, unknown.snapshot)
        assert (found.code, found.message) == (
            "FACTS_UNKNOWN",
            "what the BTCUSDT position is worth is not known now",
        )


@pytest.mark.parametrize("time_in_force", [TimeInForce.GTX, TimeInForce.RPI])
@pytest.mark.parametrize(
    "rule",
    [BookQuality(depth_min=Decimal(100)), SlippageForecast(probability_max=Decimal("0.1"))],
    ids=lambda rule: rule.rule_id,
)
def test_what_takes_nothing_from_the_book_needs_no_depth(rule, time_in_force):
    assert rule.check(a_buy("BTCUSDT", "1", "50000", time_in_force=time_in_force), WORLD.snapshot) is None
    for taking in (
        a_buy("BTCUSDT", "1", "50000", time_in_force=TimeInForce.IOC),
        a_buy("BTCUSDT", "1", time_in_force=time_in_force),
        an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="1"),
    ):
        assert rule.check(taking, WORLD.snapshot) is not None
