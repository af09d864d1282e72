"""unresolved_order: what a bot sends again after a lost answer does not open a second position."""

from __future__ import annotations

import pytest

from rules.decision import Verdict
from rules.model import PositionSide, Side
from rules.order.unresolved_order import Match, UnresolvedOrder
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

LOST = a_buy("BTCUSDT", "1", client_order_id="lost")
AGAIN = a_buy("BTCUSDT", "1.2", client_order_id="again")
DAY_S = 86_400


def test_a_second_entry_is_refused_and_told_the_name_of_the_first():
    (breach,) = judged(AGAIN, an_account().losing(LOST)).breaches
    assert breach.code == "UNRESOLVED_ORDER"
    assert breach.observed == "lost"
    assert "lost" in breach.message and "client order id" in breach.advice


def test_it_stays_refused_when_only_the_guard_knows_what_became_of_the_first():
    assert codes(judged(AGAIN, an_account().losing(LOST).resolved().long("BTCUSDT", "1"))) == ["UNRESOLVED_ORDER"]


@pytest.mark.parametrize(("seconds_ago", "verdict"), [(DAY_S, Verdict.DENY), (DAY_S + 1, Verdict.ALLOW)])
def test_it_is_remembered_for_a_day(seconds_ago, verdict):
    world = an_account().losing(LOST, seconds_ago=seconds_ago).resolved()
    assert judged(AGAIN, world).verdict is verdict


@pytest.mark.parametrize(
    "command",
    [
        a_buy("ETHUSDT", "1"),
        a_sell("BTCUSDT", "1"),
        a_sell("BTCUSDT", "1", reduce_only=True),
        a_buy("BTCUSDT", "1", reduce_only=True),
        a_cancel("BTCUSDT"),
        an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="1"),
    ],
    ids=["other symbol", "other side", "exit", "exit on the same side", "cancel", "amend"],
)
def test_what_repeats_nothing_passes(command):
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "49000")).losing(LOST)
    assert judged(command, world).verdict is Verdict.ALLOW


def test_the_lost_order_of_another_bot_is_no_matter_of_this_one():
    assert judged(AGAIN, an_account().losing(LOST, bot="other-bot")).verdict is Verdict.ALLOW


def test_in_hedge_mode_the_legs_are_apart():
    world = an_account().hedged().losing(a_buy("BTCUSDT", "1", client_order_id="lost", position_side=PositionSide.LONG))
    assert judged(a_sell("BTCUSDT", "1", position_side=PositionSide.SHORT), world).verdict is Verdict.ALLOW
    assert judged(a_buy("BTCUSDT", "1", position_side=PositionSide.LONG), world).verdict is Verdict.DENY


def test_of_several_the_oldest_is_named():
    newer = a_buy("BTCUSDT", "1", client_order_id="newer")
    world = an_account().losing(newer).losing(LOST, seconds_ago=5)
    assert judged(AGAIN, world).breaches[0].observed == "lost"


def test_a_grid_may_ask_for_the_price_to_match():
    rule = UnresolvedOrder(match=Match.PRICE)
    world = an_account().losing(a_buy("BTCUSDT", "1", "49000", client_order_id="lost"))
    assert codes(judged(a_buy("BTCUSDT", "2", "49000"), world, rule)) == ["UNRESOLVED_ORDER"]
    assert judged(a_buy("BTCUSDT", "1", "48900"), world, rule).verdict is Verdict.ALLOW
