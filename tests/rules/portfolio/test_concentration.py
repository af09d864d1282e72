"""One symbol is a part of the account, measured by what the account carries and not by what else it holds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.decision import Enforcement, Verdict
from rules.model import Side
from rules.portfolio.concentration import Concentration
from tests.properties.strategies import books, commands, examples, quantities
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

# A full book of 100,000 times 3; two fifths of it are 120,000.
SHARE = {"share_max": "0.4", "full_book": 3}
WORLD = an_account().worth("100000")


def a_rule(**settings):
    return Concentration(**{name: Decimal(value) for name, value in settings.items()})


def breach(rule, command, world):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize("settings", [SHARE, {"equity_max": "1.2"}], ids=["share", "equity"])
def test_its_part_is_allowed_and_one_lot_more_is_not(settings):
    rule = a_rule(**settings)
    assert breach(rule, a_buy("BTCUSDT", "2.4"), WORLD) is None
    found = breach(rule, a_buy("BTCUSDT", "2.401"), WORLD)
    assert (found.code, found.observed, found.limit) == ("CONCENTRATION_ABOVE_LIMIT", "120050.00", "120000.00")
    assert found.message == "BTCUSDT alone could reach 120050.00"
    assert judged(a_buy("BTCUSDT", "9"), WORLD, rule).headroom == Decimal("2.4")


def test_what_is_held_and_rests_in_the_symbol_counts():
    world = WORLD.long("BTCUSDT", "1").resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000"))
    assert breach(a_rule(**SHARE), a_buy("BTCUSDT", "0.4"), world) is None
    assert breach(a_rule(**SHARE), a_buy("BTCUSDT", "0.401"), world) is not None


def test_other_symbols_do_not_count():
    world = WORLD.long("ETHUSDT", "900")
    assert breach(a_rule(**SHARE), a_buy("BTCUSDT", "2.4"), world) is None
    assert breach(a_rule(**SHARE), a_buy("BTCUSDT", "2.401"), world) is not None


def test_a_small_book_may_be_one_symbol():
    rule = a_rule(**SHARE, gross_min=150_000)
    assert breach(rule, a_buy("BTCUSDT", "3"), WORLD) is None
    assert breach(rule, a_buy("BTCUSDT", "3.001"), WORLD).limit == "120000.00"
    assert judged(a_buy("BTCUSDT", "9"), WORLD, rule).headroom == Decimal(3)


def test_gross_is_that_of_all_symbols():
    rule = a_rule(**SHARE, gross_min=150_000)
    world = WORLD.short("ETHUSDT", "4")  # 10,000.
    assert breach(rule, a_buy("BTCUSDT", "2.8"), world) is None
    assert breach(rule, a_buy("BTCUSDT", "2.801"), world) is not None


def test_the_equity_cap_knows_no_small_book():
    rule = a_rule(**SHARE, gross_min=150_000, equity_max=1)
    assert breach(rule, a_buy("BTCUSDT", "2"), WORLD) is None
    assert breach(rule, a_buy("BTCUSDT", "2.001"), WORLD).limit == "100000.00"


def test_a_balance_that_is_gone_carries_nothing():
    for settings in (SHARE, {"equity_max": 2}):
        assert breach(a_rule(**settings), a_buy("BTCUSDT", "0.001"), an_account().worth("-1")).limit == "0.00"


def test_both_legs_count_in_hedge_mode():
    world = an_account().hedged().worth("100000").long("BTCUSDT", "1").short("BTCUSDT", "1")
    assert breach(a_rule(**SHARE), a_buy("BTCUSDT", "0.4", position_side="LONG"), world) is None
    assert breach(a_rule(**SHARE), a_buy("BTCUSDT", "0.401", position_side="LONG"), world) is not None


def test_an_amend_counts_as_the_larger_order():
    world = WORLD.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"))
    assert breach(a_rule(**SHARE), an_amend(Side.BUY, "BTCUSDT", "2.4", "50000", order_id="5"), world) is None
    assert breach(a_rule(**SHARE), an_amend(Side.BUY, "BTCUSDT", "2.401", "50000", order_id="5"), world) is not None


def test_exits_pass():
    world = WORLD.long("BTCUSDT", "9")
    assert breach(a_rule(**SHARE), a_sell("BTCUSDT", "9", reduce_only=True), world) is None
    assert judged(a_sell("BTCUSDT", "9", reduce_only=True), world, a_rule(**SHARE)).verdict is Verdict.ALLOW


def test_an_unknown_account_refuses():
    found = breach(a_rule(**SHARE), a_buy("BTCUSDT", "1"), an_account().unsurveyed())
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")


def test_in_report_mode_it_refuses_nothing():
    shadow = Concentration(enforcement=Enforcement.REPORT, equity_max=Decimal(1))
    decision = judged(a_buy("BTCUSDT", "9"), WORLD, shadow)
    assert (decision.verdict, len(decision.would_deny)) == (Verdict.ALLOW, 1)


@given(st.data(), books(), st.sampled_from(["BTCUSDT", "ETHUSDT", "DOGEUSDT"]))
@examples(80)
def test_holding_more_never_makes_room(data, world, symbol):
    rule = a_rule(**SHARE, gross_min=50_000, equity_max=1)
    command = data.draw(commands(world))
    more = world.long(symbol, str(data.draw(quantities(symbol))))
    if breach(rule, command, world.worth("100000")) is not None:
        assert breach(rule, command, more.worth("100000")) is not None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "concentration needs share_max or equity_max"),
        ({"share_max": "0.4"}, "concentration: share_max and full_book go together"),
        ({"full_book": 3, "equity_max": 1}, "concentration: share_max and full_book go together"),
        ({"share_max": "1.01", "full_book": 3}, "concentration: share_max is a fraction, at most 1"),
        (
            {"share_max": "0.4", "full_book": 3, "gross_min": "-1"},
            "concentration: gross_min must not be negative; 0 means that share_max always applies",
        ),
    ],
)
def test_what_is_no_part_is_no_rule(settings, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        a_rule(**settings)


def test_with_a_gross_min_of_nothing_the_share_always_applies():
    rule = a_rule(**SHARE, gross_min=0)
    assert breach(rule, a_buy("BTCUSDT", "2.4"), WORLD) is None
    assert breach(rule, a_buy("BTCUSDT", "2.401"), WORLD) is not None


def test_the_whole_of_a_full_book_is_a_part():
    assert breach(a_rule(share_max=1, full_book=3), a_buy("BTCUSDT", "6"), WORLD) is None
