"""The fat-finger cap on one order's quantity, in base units or as a share of what the symbol trades in a day."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.model import Side
from rules.order.max_order_volume import MaxOrderVolume
from rules.rule import FACTS_UNKNOWN
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, judged

CAP = MaxOrderVolume(limit_quantity=Decimal("0.5"))
SHARE = MaxOrderVolume(limit_daily_volume=Decimal("0.001"))
"""Of a daily volume of 2,000: two base units."""


def breach(command, world=None, rule=CAP):
    return rule.check(command, (world or an_account()).snapshot)


def a_day(volume="2000", *, symbol="BTCUSDT", seconds_ago=0):
    return an_account().in_conditions(symbol, daily_volume=volume, seconds_ago=seconds_ago)


@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_the_limit_itself_passes_and_one_lot_more_does_not(order):
    assert breach(order("BTCUSDT", "0.5")) is None
    found = breach(order("BTCUSDT", "0.501"))
    assert (found.code, found.observed, found.limit) == ("ORDER_VOLUME_ABOVE_LIMIT", "0.501", "0.5")
    assert found.message == "order is for 0.501 BTCUSDT"


def test_a_share_of_the_daily_volume_passes_and_one_lot_more_does_not():
    assert breach(a_buy("BTCUSDT", "2"), a_day(), SHARE) is None
    found = breach(a_buy("BTCUSDT", "2.001"), a_day(), SHARE)
    assert (found.code, found.observed, found.limit) == ("ORDER_VOLUME_ABOVE_DAILY_SHARE", "2.001", "2")
    assert found.message == "order is for 2.001 BTCUSDT"


@pytest.mark.parametrize(("rule", "largest"), [(CAP, "0.5"), (SHARE, "2")], ids=["quantity", "share"])
def test_the_headroom_passes_exactly(rule, largest):
    decision = judged(a_buy("BTCUSDT", "9"), a_day(), rule)
    assert decision.headroom == decision.breaches[0].headroom == Decimal(largest)
    assert judged(a_buy("BTCUSDT", largest), a_day(), rule).verdict is Verdict.ALLOW
    assert judged(a_buy("BTCUSDT", str(Decimal(largest) + Decimal("0.001"))), a_day(), rule).verdict is Verdict.DENY


@pytest.mark.parametrize("seconds", [300, -300])
def test_a_volume_may_be_five_minutes_away(seconds):
    assert breach(a_buy("BTCUSDT", "2"), a_day(seconds_ago=seconds), SHARE) is None


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        a_day(seconds_ago=300.001),
        a_day(seconds_ago=-300.001),
        a_day(symbol="ETHUSDT"),
        a_day(volume=None),
    ],
    ids=["never measured", "too old", "from the future", "another symbol", "without a volume"],
)
def test_a_volume_that_is_not_known_refuses_and_names_no_size(world):
    found = breach(a_buy("BTCUSDT", "0.001"), world, SHARE)
    assert (found.code, found.message) == (FACTS_UNKNOWN, "the 24 h volume of BTCUSDT is not known now")
    assert judged(a_buy("BTCUSDT", "0.001"), world, SHARE).headroom == 0


def test_a_limit_in_base_units_asks_for_no_volume():
    assert breach(a_buy("BTCUSDT", "0.5"), an_account()) is None


def test_a_symbol_that_does_not_trade_takes_nothing():
    assert breach(a_buy("BTCUSDT", "0.001"), a_day("0"), SHARE).limit == "0"


def test_the_stricter_of_both_limits_counts():
    both = MaxOrderVolume(limit_quantity=Decimal("0.5"), limit_daily_volume=Decimal("0.001"))
    assert breach(a_buy("BTCUSDT", "0.501"), a_day(), both).code == "ORDER_VOLUME_ABOVE_LIMIT"
    assert breach(a_buy("BTCUSDT", "0.5"), a_day(), both) is None
    assert breach(a_buy("BTCUSDT", "0.5"), a_day("499"), both).code == "ORDER_VOLUME_ABOVE_DAILY_SHARE"


def test_other_orders_do_not_count():
    assert breach(a_buy("BTCUSDT", "0.5"), an_account().long("BTCUSDT", "9").holding(a_buy("BTCUSDT", "9"))) is None


def test_an_amend_counts_what_could_still_fill():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "0.1", "50000", order_id="9", filled="1"))
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1.5", "50000", order_id="9"), world) is None
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1.501", "50000", order_id="9"), world) is not None


@pytest.mark.parametrize("command", [a_sell("BTCUSDT", "9", reduce_only=True), a_cancel()], ids=["exit", "cancel"])
@pytest.mark.parametrize("rule", [CAP, SHARE], ids=["quantity", "share"])
def test_the_way_out_is_not_capped(command, rule):
    assert breach(command, rule=rule) is None


def test_it_may_only_report():
    rule = replace(CAP, enforcement=Enforcement.REPORT, level="symbol:BTCUSDT")
    decision = judged(a_buy("BTCUSDT", "0.501"), an_account(), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.code, each.level) for each in decision.would_deny] == [("ORDER_VOLUME_ABOVE_LIMIT", "symbol:BTCUSDT")]
    assert judged(a_buy("ETHUSDT", "0.501"), an_account(), rule).would_deny == ()


def test_a_limit_without_a_number_is_no_limit():
    with pytest.raises(ValueError, match=r"^max_order_volume needs limit_quantity or limit_daily_volume$"):
        MaxOrderVolume()
