"""The account as a whole: in sum, to one side, and net; nothing that may still fill is an offset."""

from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.model import Side
from rules.portfolio.exposure_limits import ExposureLimits
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

GROSS, SAME, NET = (
    "GROSS_EXPOSURE_ABOVE_LIMIT",
    "SAME_DIRECTION_EXPOSURE_ABOVE_LIMIT",
    "NET_EXPOSURE_ABOVE_LIMIT",
)


def a_rule(**limits):
    return ExposureLimits(**{name: Decimal(limit) for name, limit in limits.items()})


def breach(rule, command, world):
    return rule.check(command, world.snapshot)


# Long BTC for 50,000 and short ETH for 25,000: an order of BTC adds 50,000 a coin.
BOTH_SIDES = an_account().long("BTCUSDT", "1").short("ETHUSDT", "10")


@pytest.mark.parametrize(
    ("limits", "code", "name"),
    [
        ({"gross_notional": 100_000}, GROSS, "gross"),
        ({"same_direction_notional": 75_000}, SAME, "same direction"),
        ({"net_notional": 50_000}, NET, "net"),
        ({"gross_equity": "0.1"}, GROSS, "gross"),
        ({"same_direction_equity": "0.075"}, SAME, "same direction"),
        ({"net_equity": "0.05"}, NET, "net"),
    ],
)
def test_each_cap_is_allowed_and_one_lot_more_is_not(limits, code, name):
    rule = a_rule(**limits)
    assert breach(rule, a_buy("BTCUSDT", "0.5"), BOTH_SIDES) is None
    found = breach(rule, a_buy("BTCUSDT", "0.501"), BOTH_SIDES)
    limit = {GROSS: 100_000, SAME: 75_000, NET: 50_000}[code]
    assert (found.code, found.limit, found.observed) == (code, f"{limit}.00", f"{limit + 50}.00")
    assert found.message == f"{name} exposure of the account could reach {limit + 50}.00"
    assert judged(a_buy("BTCUSDT", "5"), BOTH_SIDES, rule).headroom == Decimal("0.5")


@pytest.mark.parametrize(
    ("side", "code"), [("gross", GROSS), ("same_direction", SAME), ("net", NET)], ids=["gross", "same", "net"]
)
def test_the_smaller_of_two_caps_counts(side, code):
    world = an_account().worth("1000")
    for notional, equity in ((100, 9), (9000, "0.1")):
        rule = a_rule(**{f"{side}_notional": notional, f"{side}_equity": equity})
        assert breach(rule, a_buy("BTCUSDT", "0.002"), world) is None
        assert breach(rule, a_buy("BTCUSDT", "0.003"), world).code == code


def test_shorts_count_in_every_cap():
    world = an_account().short("BTCUSDT", "1")
    for limits, code in (({"gross_notional": 60_000}, GROSS), ({"same_direction_notional": 60_000}, SAME)):
        assert breach(a_rule(**limits), a_sell("ETHUSDT", "4"), world) is None
        assert breach(a_rule(**limits), a_sell("ETHUSDT", "4.001"), world).code == code
    assert breach(a_rule(net_notional=60_000), a_sell("ETHUSDT", "4.001"), world).observed == "60002.50"


def test_the_other_side_adds_to_gross_and_not_to_one_direction():
    world = an_account().long("BTCUSDT", "1")
    assert breach(a_rule(same_direction_notional=50_000), a_sell("ETHUSDT", "20"), world) is None
    assert breach(a_rule(gross_notional=50_000), a_sell("ETHUSDT", "0.001"), world).code == GROSS


def test_both_legs_of_a_hedged_account_are_gross():
    world = an_account().hedged().long("BTCUSDT", "1").short("BTCUSDT", "1")
    assert breach(a_rule(gross_notional=102_500), a_buy("ETHUSDT", "1", position_side="LONG"), world) is None
    assert breach(a_rule(gross_notional=102_500), a_buy("ETHUSDT", "1.001", position_side="LONG"), world) is not None


def test_positions_offset_each_other_in_the_net():
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20")
    assert breach(a_rule(net_notional=50), a_buy("BTCUSDT", "0.001"), world) is None
    assert breach(a_rule(net_notional=50), a_buy("BTCUSDT", "0.002"), world).observed == "100.00"


def test_what_may_still_fill_offsets_nothing():
    world = an_account().long("BTCUSDT", "1").resting(an_open_order(Side.SELL, "ETHUSDT", "20", "2500"))
    assert breach(a_rule(net_notional=60_000), a_buy("BTCUSDT", "0.201"), world).observed == "60050.00"
    held = an_account().long("BTCUSDT", "1").holding(a_sell("ETHUSDT", "20"))
    assert breach(a_rule(net_notional=60_000), a_buy("BTCUSDT", "0.201"), held).observed == "60050.00"


def test_a_margin_balance_that_is_gone_carries_nothing():
    assert breach(a_rule(gross_equity=5), a_buy("BTCUSDT", "0.001"), an_account().worth("-1")).limit == "0.00"


def test_the_first_cap_that_is_passed_is_named():
    rule = a_rule(gross_notional=10, same_direction_notional=10, net_notional=10)
    assert breach(rule, a_buy("BTCUSDT", "1"), an_account()).code == GROSS


def test_an_amend_counts_as_the_larger_order():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"))
    rule = a_rule(gross_notional=75_000)
    assert breach(rule, an_amend(Side.BUY, "BTCUSDT", "1.5", "50000", order_id="5"), world) is None
    assert breach(rule, an_amend(Side.BUY, "BTCUSDT", "1.501", "50000", order_id="5"), world).code == GROSS


def test_exits_and_cancels_pass():
    world = an_account().long("BTCUSDT", "9")
    rule = a_rule(gross_notional=1)
    assert judged(a_sell("BTCUSDT", "9", reduce_only=True), world, rule).verdict is Verdict.ALLOW
    assert judged(a_cancel(), world, rule).verdict is Verdict.ALLOW
    assert breach(rule, a_sell("BTCUSDT", "9", reduce_only=True), world) is None


def test_an_unknown_account_refuses():
    found = breach(a_rule(gross_notional=1), a_buy("BTCUSDT", "1"), an_account().unsurveyed())
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")
    assert found.advice == "reduce-only orders and cancels pass"


def test_limits_of_all_levels_apply_and_a_report_refuses_nothing():
    desk, bot = a_rule(gross_notional=10_000), ExposureLimits(level="bot:demo-bot", gross_notional=Decimal(50))
    decision = judged(a_buy("BTCUSDT", "0.01"), an_account(), desk, bot)
    assert [each.level for each in decision.breaches] == ["bot:demo-bot"]
    shadow = ExposureLimits(enforcement=Enforcement.REPORT, gross_notional=Decimal(1))
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), shadow)
    assert (decision.verdict, [each.code for each in decision.would_deny]) == (Verdict.ALLOW, [GROSS])


def test_several_rules_all_object():
    found = codes(judged(a_buy("BTCUSDT", "1"), an_account(), a_rule(net_notional=1)))
    assert found == [NET]


def test_a_rule_without_a_cap_is_none():
    with pytest.raises(
        ValueError, match=r"^exposure_limits needs a gross, same_direction or net cap, as _notional or _equity$"
    ):
        ExposureLimits()
