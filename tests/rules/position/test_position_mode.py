"""One-way or hedge, and no other assets as margin where the desk says so."""

import pytest

from rules.model import SetMultiAssetMode, SetPositionMode, Side
from rules.position.position_mode import MultiAssets, PositionMode, WantedPositions
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, codes, judged

ONE_WAY = PositionMode(mode=WantedPositions.ONE_WAY)
HEDGE = PositionMode(mode=WantedPositions.HEDGE)
STRICT = PositionMode(mode=WantedPositions.ONE_WAY, multi_assets=MultiAssets.FORBID)
ENTRIES = [a_buy("BTCUSDT", "1"), an_amend(Side.BUY, "BTCUSDT", "1", order_id="9")]


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [(ONE_WAY, an_account(), an_account().hedged()), (HEDGE, an_account().hedged(), an_account())],
    ids=["one-way", "hedge"],
)
@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_pass_in_the_wanted_mode_alone(rule, right, wrong, entry):
    assert rule.check(entry, right.snapshot) is None
    assert rule.check(entry, wrong.snapshot).code == "POSITION_MODE_WRONG"


def test_the_refusal_says_what_is_set_and_how_to_set_it():
    found = ONE_WAY.check(a_buy("BTCUSDT", "1"), an_account().hedged().snapshot)
    assert (found.observed, found.limit, found.message) == ("hedge", "one_way", "the account is in hedge mode")
    assert found.advice == "set the account to one_way mode, while it has neither position nor order"


def test_only_the_wanted_mode_may_be_set():
    hedge, one_way = SetPositionMode(hedged=True), SetPositionMode(hedged=False)
    assert ONE_WAY.check(one_way, an_account().hedged().snapshot) is None
    assert HEDGE.check(hedge, an_account().snapshot) is None
    found = HEDGE.check(one_way, an_account().hedged().snapshot)
    assert (found.code, found.observed, found.limit) == ("POSITION_MODE_NOT_ALLOWED", "one_way", "hedge")
    assert found.message == "the account would be set to one_way mode"
    found = ONE_WAY.check(hedge, an_account().snapshot)
    assert (found.observed, found.message) == ("hedge", "the account would be set to hedge mode")


@pytest.mark.parametrize("entry", ENTRIES)
def test_other_assets_as_margin_are_refused_where_forbidden(entry):
    world = an_account().with_assets(True)
    assert ONE_WAY.check(entry, world.snapshot) is None
    found = STRICT.check(entry, world.snapshot)
    assert (found.code, found.observed, found.limit) == ("MULTI_ASSETS_ON", "on", "off")
    assert (found.message, found.advice) == (
        "other assets serve as margin",
        "switch multi-assets mode off at the exchange",
    )
    assert STRICT.check(entry, an_account().with_assets(False).snapshot) is None


def test_nobody_knowing_lets_nothing_in_where_forbidden():
    assert ONE_WAY.check(a_buy("BTCUSDT", "1"), an_account().snapshot) is None
    found = STRICT.check(a_buy("BTCUSDT", "1"), an_account().snapshot)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "whether other assets serve as margin is not known now")
    found = ONE_WAY.check(a_buy("BTCUSDT", "1"), an_account().unsurveyed().snapshot)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")


def test_other_assets_may_be_switched_off_and_not_on():
    assert STRICT.check(SetMultiAssetMode(enabled=False), an_account().with_assets(True).snapshot) is None
    found = STRICT.check(SetMultiAssetMode(enabled=True), an_account().snapshot)
    assert (found.code, found.message) == ("MULTI_ASSETS_NOT_ALLOWED", "other assets would serve as margin")
    assert ONE_WAY.check(SetMultiAssetMode(enabled=True), an_account().snapshot) is None


def test_exits_and_cancels_are_not_its_business():
    world = an_account().hedged().with_assets(True).long("BTCUSDT", "1")
    assert STRICT.check(a_cancel(), world.snapshot) is None
    assert codes(judged(a_sell("BTCUSDT", "1", position_side="LONG"), world, STRICT)) == []
