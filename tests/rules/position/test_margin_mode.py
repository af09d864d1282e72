"""Cross or isolated, as the desk has chosen it."""

import pytest

from rules.model import MarginMode, SetLeverage, SetMarginMode, Side
from rules.position.margin_mode import MarginModeRule, WantedMargin
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, codes, judged

CROSS = MarginModeRule(margin_mode=WantedMargin.CROSS)
ISOLATED = MarginModeRule(margin_mode=WantedMargin.ISOLATED)
IN_CROSS = an_account().setting("BTCUSDT", MarginMode.CROSS)
IN_ISOLATED = an_account().setting("BTCUSDT", MarginMode.ISOLATED)


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [(CROSS, IN_CROSS, IN_ISOLATED), (ISOLATED, IN_ISOLATED, IN_CROSS)],
    ids=["cross", "isolated"],
)
@pytest.mark.parametrize(
    "entry", [a_buy("BTCUSDT", "1"), a_sell("BTCUSDT", "1", "50000"), an_amend(Side.BUY, "BTCUSDT", "1", order_id="9")]
)
def test_entries_pass_in_the_wanted_mode_alone(rule, right, wrong, entry):
    assert rule.check(entry, right.snapshot) is None
    assert rule.check(entry, wrong.snapshot).code == "MARGIN_MODE_WRONG"


def test_the_refusal_says_what_is_set_and_how_to_set_it():
    found = ISOLATED.check(a_buy("BTCUSDT", "1"), IN_CROSS.snapshot)
    assert (found.observed, found.limit, found.message) == (
        "cross",
        "isolated",
        "BTCUSDT is set to cross margin, not isolated",
    )
    assert found.advice == "set the symbol's margin mode to isolated, while it has neither position nor order"


@pytest.mark.parametrize("world", [an_account(), an_account().unsurveyed(), an_account().setting("ETHUSDT", "CROSS")])
def test_a_mode_nobody_has_read_lets_nothing_in(world):
    found = CROSS.check(a_buy("BTCUSDT", "1"), world.snapshot)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the margin mode of BTCUSDT is not known now")


def test_only_the_wanted_mode_may_be_set():
    to_cross = SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.CROSS)
    to_isolated = SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.ISOLATED)
    assert CROSS.check(to_cross, IN_ISOLATED.snapshot) is None
    assert ISOLATED.check(to_isolated, IN_CROSS.snapshot) is None
    found = CROSS.check(to_isolated, IN_CROSS.snapshot)
    assert (found.code, found.observed, found.limit) == ("MARGIN_MODE_NOT_ALLOWED", "isolated", "cross")
    assert found.message == "BTCUSDT would be set to isolated margin, not cross"


def test_other_settings_exits_and_cancels_are_not_its_business():
    assert CROSS.check(SetLeverage(symbol="BTCUSDT", leverage=5), IN_ISOLATED.snapshot) is None
    assert CROSS.check(a_cancel(), IN_ISOLATED.snapshot) is None
    world = IN_ISOLATED.long("BTCUSDT", "1")
    assert codes(judged(a_sell("BTCUSDT", "1", reduce_only=True), world, CROSS)) == []


def test_a_symbol_s_own_table_concerns_that_symbol():
    rule = MarginModeRule(margin_mode=WantedMargin.ISOLATED, level="symbol:DOGEUSDT")
    assert codes(judged(a_buy("BTCUSDT", "1"), IN_CROSS, rule)) == []
    world = IN_CROSS.setting("DOGEUSDT", MarginMode.CROSS)
    assert codes(judged(a_buy("DOGEUSDT", "100"), world, rule)) == ["MARGIN_MODE_WRONG"]
