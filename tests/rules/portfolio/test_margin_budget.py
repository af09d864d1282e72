"""A budget is one bot's own: what others use or lose neither shrinks it nor opens it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.decision import Verdict
from rules.model import Side
from rules.portfolio.margin_budget import MarginBudget
from tests.properties.strategies import books, commands, examples, exits, open_orders, quantities
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, codes, judged

ME, OTHER = "demo-bot", "other-bot"
# 10,000 of margin at three times: 30,000 of notional, 0.6 BTC at the builders' mark of 50,000.
RULE = MarginBudget(level="bot:demo-bot", limit=Decimal(10_000), leverage=Decimal(3))


def passes(command, world, rule=RULE):
    return judged(command, world, rule).verdict is Verdict.ALLOW


def test_the_worst_case_of_the_own_book_must_fit():
    assert passes(a_buy("BTCUSDT", "0.6"), an_account())
    decision = judged(a_buy("BTCUSDT", "0.601"), an_account(), RULE)
    assert (codes(decision), decision.headroom) == (["MARGIN_BUDGET_EXCEEDED"], Decimal("0.6"))


def test_what_is_left_of_the_budget_is_told():
    world = an_account().sharing(ME, "DOGEUSDT", "0", realised_pnl="-4000")
    found = RULE.check(a_buy("BTCUSDT", "0.5"), world.snapshot)
    assert found.message == "the bot's own book could reach 25000.00 with 6000.00 left of its budget of 10000.00"
    assert (found.observed, found.limit) == ("25000.00", "18000.00")


@pytest.mark.parametrize(
    "world",
    [
        an_account().sharing(ME, "BTCUSDT", "0.5"),
        an_account().sharing(ME, "ETHUSDT", "-10"),
        an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000", bot=ME)),
        an_account().holding(a_buy("BTCUSDT", "0.5"), bot=ME),
    ],
    ids=["share", "another symbol", "resting", "under way"],
)
def test_everything_of_the_bot_s_counts(world):
    assert passes(a_buy("BTCUSDT", "0.1"), world)
    assert not passes(a_buy("BTCUSDT", "0.101"), world)


@pytest.mark.parametrize(
    "world",
    [
        an_account().sharing(OTHER, "BTCUSDT", "9", "90000", realised_pnl="-500000"),
        an_account().sharing("", "BTCUSDT", "9"),
        an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "9", "50000", bot=OTHER)),
        an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "9", "50000")),
        an_account().holding(a_buy("BTCUSDT", "9"), bot=OTHER),
        an_account().worth("0"),
    ],
    ids=["share", "nobody's share", "resting", "nobody's order", "under way", "balance"],
)
def test_nothing_of_another_s_does(world):
    assert passes(a_buy("BTCUSDT", "0.6"), world)
    assert not passes(a_buy("BTCUSDT", "0.601"), world)


@pytest.mark.parametrize(
    "money",
    [
        {"realised_pnl": "-5000"},
        {"fees": "5000"},
        {"funding": "-5000"},
        {"realised_pnl": "-4000", "fees": "1500", "funding": "500"},
    ],
)
def test_what_the_bot_lost_is_gone_from_its_budget(money):
    world = an_account().sharing(ME, "DOGEUSDT", "0", **money)
    assert passes(a_buy("BTCUSDT", "0.3"), world)
    assert not passes(a_buy("BTCUSDT", "0.301"), world)


def test_an_open_loss_counts_at_the_mark():
    world = an_account().sharing(ME, "BTCUSDT", "0.1", "80000")  # 3,000 under water: 7,000 are left.
    assert passes(a_buy("BTCUSDT", "0.32"), world)
    assert not passes(a_buy("BTCUSDT", "0.321"), world)


def test_what_the_bot_made_does_not_enlarge_it():
    assert not passes(a_buy("BTCUSDT", "0.601"), an_account().sharing(ME, "DOGEUSDT", "0", realised_pnl="90000"))


def test_a_spent_budget_leaves_nothing():
    assert not passes(a_buy("BTCUSDT", "0.001"), an_account().sharing(ME, "DOGEUSDT", "0", realised_pnl="-10001"))


@pytest.mark.parametrize("level", ["desk", "account:demo", "symbol:BTCUSDT"])
def test_a_budget_is_one_bot_s(level):
    with pytest.raises(ValueError, match=r"^margin_budget is set aside for one bot: \[bot\.NAME\.margin_budget\]$"):
        replace(RULE, level=level)
    assert replace(RULE, level="bot:grid").level == "bot:grid"


def test_an_amend_of_the_own_order_replaces_it():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000", order_id="5", bot=ME))
    assert passes(an_amend(Side.BUY, "BTCUSDT", "0.6", "50000", order_id="5"), world)
    assert not passes(an_amend(Side.BUY, "BTCUSDT", "0.601", "50000", order_id="5"), world)


def test_while_it_is_not_known_whose_the_positions_are_entries_wait():
    world = an_account().long("BTCUSDT", "1")
    (breach,) = judged(a_buy("BTCUSDT", "0.001"), world, RULE).breaches
    assert (breach.code, breach.message) == (
        "SHARES_UNKNOWN",
        "whose the account's positions are is not known yet",
    )
    assert passes(a_sell("BTCUSDT", "1", reduce_only=True), world)


# What holds for every world


@st.composite
def others(draw, world):
    """The same world with other bots in it, who hold, rest, race and lose."""
    for number in range(draw(st.integers(1, 3))):
        symbol = draw(st.sampled_from(["BTCUSDT", "ETHUSDT"]))
        sign = draw(st.sampled_from([1, -1]))
        lost = str(-draw(st.integers(0, 10**6)))
        world = world.sharing(f"b{number}", symbol, str(sign * draw(quantities(symbol))), realised_pnl=lost)
        order = draw(open_orders(world.account.hedged, f"9{number}"))
        world = world.resting(replace(order, bot=f"b{number}"))
        if not world.account.hedged:
            world = world.holding(a_sell(symbol, "1"), bot=f"b{number}")
    return world.worth(str(draw(st.integers(0, 10**6))))


@given(st.data(), books())
@examples(120)
def test_no_other_bot_changes_the_verdict(data, world):
    world = replace(world, account=replace(world.account, positions=(), open_orders=()))
    world = world.sharing(ME, "ETHUSDT", str(data.draw(quantities("ETHUSDT"))), "2500")
    mine = [replace(data.draw(open_orders(world.account.hedged, str(n))), bot=ME) for n in range(2)]
    world = world.resting(*mine)
    command = data.draw(commands(world))
    alone, crowded = RULE.check(command, world.snapshot), RULE.check(command, data.draw(others(world)).snapshot)
    assert alone == crowded


@given(st.data(), books(), st.integers(1, 400_000))
@examples(60)
def test_exits_stay_open(data, world, limit):
    rule = replace(RULE, limit=Decimal(limit))
    assert passes(data.draw(exits(world.account.hedged)), data.draw(others(world)), rule)


@given(st.data(), books(), st.integers(2, 20))
@examples(60)
def test_a_larger_loss_never_leaves_more(data, world, times):
    command = data.draw(commands(world))
    lost = data.draw(st.integers(1, 10_000))
    before = RULE.check(command, world.sharing(ME, "DOGEUSDT", "0", realised_pnl=str(-lost)).snapshot)
    after = RULE.check(command, world.sharing(ME, "DOGEUSDT", "0", realised_pnl=str(-lost * times)).snapshot)
    assume(before is not None)
    assert after is not None
