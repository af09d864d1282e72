"""A loop that buys, and buys, and buys is halted; a person lets it go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.decision import Enforcement, Verdict
from rules.engine import decide_batch
from rules.flow.execution_throttle import ExecutionThrottle
from rules.model import Side
from tests.rules.builders import (
    HALTED,
    NOW,
    a_buy,
    a_cancel,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

RULE = ExecutionThrottle(executions=3, window_s=60)
ENTRY = a_buy("BTCUSDT", "1")


def code(world, command=ENTRY, rule=RULE):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


def having_tried(times, command=ENTRY, **terms):
    world = an_account()
    for _ in range(times):
        world = world.having_tried(command, **terms)
    return world


def test_so_many_entries_pass_and_one_more_does_not():
    assert code(having_tried(2)) is None
    assert code(having_tried(3)) == "EXECUTIONS_ABOVE_LIMIT"


def test_the_bot_is_halted_and_told_why():
    breach = RULE.check(ENTRY, having_tried(4).snapshot)
    assert (breach.observed, breach.limit, breach.stops_bot) == ("4", "3 within 60 s", HALTED)
    assert breach.message == "4 entries to BUY BTCUSDT within 60 s; the bot is halted"
    assert breach.advice == "reduce-only orders and cancels pass; a named person must let the bot go on"
    assert breach.headroom is None


def test_an_entry_counts_for_the_whole_window():
    assert code(having_tried(3, seconds_ago=60)) == "EXECUTIONS_ABOVE_LIMIT"
    assert code(having_tried(3, seconds_ago=60.001)) is None


def test_an_entry_dated_ahead_counts():
    assert code(having_tried(3, seconds_ago=-1)) == "EXECUTIONS_ABOVE_LIMIT"


def test_what_was_refused_was_no_execution():
    assert code(having_tried(9, refused=True)) is None


@pytest.mark.parametrize("other", [a_sell("BTCUSDT", "1"), a_buy("ETHUSDT", "1")], ids=["side", "symbol"])
def test_each_symbol_and_side_has_its_own_count(other):
    assert code(having_tried(9, other)) is None


def test_every_order_of_a_batch_counts():
    (tried,) = having_tried(1).attempts
    batch = replace(tried, orders=tried.orders * 3)
    assert code(replace(an_account(), attempts=(batch,))) == "EXECUTIONS_ABOVE_LIMIT"


def test_amends_count_and_are_judged():
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"))
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="5")
    for _ in range(3):
        world = world.having_tried(amend)
    assert code(world) == "EXECUTIONS_ABOVE_LIMIT"
    assert code(world, amend) == "EXECUTIONS_ABOVE_LIMIT"


def test_exits_and_cancels_pass():
    world = replace(an_account().long("BTCUSDT", "1"), attempts=having_tried(9, a_sell("BTCUSDT", "1")).attempts)
    for command in (a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()):
        assert judged(command, world, RULE).verdict is Verdict.ALLOW
    assert code(world, a_sell("BTCUSDT", "1", reduce_only=True)) is None


def test_what_is_forgotten_within_the_window_refuses_without_halting():
    (refused,) = having_tried(1, refused=True).attempts
    recent = replace(refused, at=NOW)
    assert code(replace(an_account(), attempts=(recent,) * 189)) is None
    breach = RULE.check(ENTRY, replace(an_account(), attempts=(recent,) * 190).snapshot)
    assert (breach.code, breach.stops_bot) == ("FACTS_UNKNOWN", None)
    assert breach.message == "all that the bot sent within 60 s is not known now"


def test_a_memory_that_reaches_beyond_the_window_has_forgotten_nothing():
    (at_the_edge,) = having_tried(1, refused=True, seconds_ago=60).attempts
    (beyond,) = having_tried(1, refused=True, seconds_ago=60.001).attempts
    (recent,) = having_tried(1, refused=True).attempts
    assert code(replace(an_account(), attempts=(at_the_edge, *(recent,) * 189))) == "FACTS_UNKNOWN"
    assert code(replace(an_account(), attempts=(beyond, *(recent,) * 189))) is None


def test_entries_that_were_not_refused_fill_half_as_much_of_the_memory():
    (other,) = having_tried(1, a_sell("BTCUSDT", "1")).attempts
    assert code(replace(an_account(), attempts=(other,) * 379)) is None
    assert code(replace(an_account(), attempts=(other,) * 380)) == "FACTS_UNKNOWN"


def test_a_batch_is_counted_order_by_order():
    world = having_tried(2)
    batch = (a_buy("BTCUSDT", "1"), a_buy("BTCUSDT", "1"))
    first, second = decide_batch(batch, world.snapshot, a_policy(RULE))
    assert (codes(first), codes(second)) == (["BATCH_REFUSED"], ["EXECUTIONS_ABOVE_LIMIT"])
    assert all(each.verdict is Verdict.ALLOW for each in decide_batch(batch, having_tried(1).snapshot, a_policy(RULE)))


def test_it_asks_for_the_whole_window_and_a_little_more():
    assert RULE.looks_back_s == 61


def test_a_report_halts_nobody():
    decision = judged(ENTRY, having_tried(3), replace(RULE, enforcement=Enforcement.REPORT))
    assert (decision.verdict, codes(decision)) == (Verdict.ALLOW, [])
    assert [each.code for each in decision.would_deny] == ["EXECUTIONS_ABOVE_LIMIT"]


@pytest.mark.parametrize("executions", [1, 150])
def test_counts_from_one_to_what_is_remembered(executions):
    assert ExecutionThrottle(executions=executions, window_s=1).executions == executions


@pytest.mark.parametrize(
    "settings",
    [{"executions": 0, "window_s": 60}, {"executions": 151, "window_s": 60}, {"executions": 1, "window_s": 0}],
)
def test_a_throttle_that_could_never_count_is_no_rule(settings):
    with pytest.raises(ValueError, match=r"^execution_throttle needs executions from 1 to 150 and window_s >= 1$"):
        ExecutionThrottle(**settings)
