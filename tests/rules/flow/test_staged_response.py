"""The more unusual a bot behaves, the less it may do; what it must always be able to do, it may."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.flow.staged_response import ScoreLevel, StagedResponse
from rules.model import AdjustIsolatedMargin, PositionSide, SetLeverage, Side
from tests.rules.builders import (
    HALTED,
    a_buy,
    a_cancel,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

RULE = StagedResponse(
    alert_at=Decimal("0.3"),
    delay_at=Decimal("0.5"),
    delay_s=5,
    reduce_at=Decimal("0.8"),
    halt_at=Decimal("0.95"),
)
ENTRY = a_buy("BTCUSDT", "1")


def breach(world, command=ENTRY, rule=RULE):
    return rule.check(command, world.snapshot)


def code(world, command=ENTRY, rule=RULE):
    found = breach(world, command, rule)
    return found.code if found is not None else None


def measured(world, rule=RULE):
    return [(each.name, each.value, each.unit) for each in rule.measure(ENTRY, world.snapshot)]


def just_sent(seconds_ago=0.0):
    return an_account().having_tried(ENTRY, seconds_ago=seconds_ago)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.0, None),
        (0.3, None),
        (0.4999, None),
        (0.5, "ANOMALY_DELAY"),
        (0.7999, "ANOMALY_DELAY"),
        (0.8, "ANOMALY_REDUCE_ONLY"),
        (0.9499, "ANOMALY_REDUCE_ONLY"),
        (0.95, "ANOMALY_HALT"),
        (1.0, "ANOMALY_HALT"),
    ],
)
def test_each_stage_begins_at_its_score(score, expected):
    assert code(just_sent().scored(score)) == expected


def test_a_bot_without_a_score_has_done_nothing_unusual():
    assert code(just_sent()) is None
    assert measured(just_sent()) == [("anomaly", "0.00", "bot:demo-bot")]


def test_an_alert_is_written_down_with_what_drove_it_and_the_entry_passes():
    world = an_account().scored(0.3, why="order size")
    assert judged(ENTRY, world, RULE).verdict is Verdict.ALLOW
    assert measured(world) == [
        ("anomaly", "0.30", "bot:demo-bot"),
        ("stage", "alert", ""),
        ("why", "order size", ""),
    ]
    assert {each.rule_id for each in RULE.measure(ENTRY, world.snapshot)} == {"staged_response"}
    assert measured(an_account().scored(0.2999)) == [("anomaly", "0.30", "bot:demo-bot")]


@pytest.mark.parametrize(("score", "stage"), [(0.5, "delay"), (0.8, "reduce"), (0.95, "halt")])
def test_every_later_stage_is_written_down_too(score, stage):
    assert ("stage", stage, "") in measured(an_account().scored(score))


def test_a_delayed_bot_enters_again_after_the_delay():
    assert code(just_sent(4.999).scored(0.5)) == "ANOMALY_DELAY"
    assert code(just_sent(5).scored(0.5)) is None


def test_the_delay_tells_how_long_to_wait():
    found = breach(just_sent(2).scored(0.6, why="order rate"))
    assert (found.observed, found.limit) == ("2.0 s", "5 s")
    assert found.message == "anomaly score of bot:demo-bot is 0.60 (order rate); entries must be 5 s apart"
    assert found.advice == "send it 5 s after the last entry; reduce-only orders and cancels pass"
    assert found.stops_bot is None


def test_a_delayed_bot_that_never_entered_does_not_wait():
    assert code(an_account().scored(0.5)) is None


def test_what_was_refused_does_not_prolong_the_delay():
    assert code(just_sent(5).having_tried(ENTRY, seconds_ago=1, refused=True).scored(0.5)) is None


def test_the_newest_entry_counts():
    assert code(just_sent(9).having_tried(ENTRY, seconds_ago=3).scored(0.5)) == "ANOMALY_DELAY"


def test_a_memory_full_of_refusals_does_not_hide_the_entry_before_them():
    (refused,) = an_account().having_tried(ENTRY, seconds_ago=4, refused=True).attempts
    world = an_account().scored(0.5)
    assert code(replace(world, attempts=(refused,) * 189)) is None
    assert code(replace(world, attempts=(refused,) * 190)) == "ANOMALY_DELAY"


def test_the_oldest_that_is_remembered_stands_for_what_is_forgotten():
    attempts = [an_account().having_tried(ENTRY, seconds_ago=ago, refused=True).attempts[0] for ago in (5, 4)]
    world = replace(an_account().scored(0.5), attempts=(attempts[0], *attempts[1:] * 189))
    assert code(world) is None
    assert code(replace(world, attempts=world.attempts[1:] * 2)) == "ANOMALY_DELAY"


def test_it_asks_for_as_much_of_the_past_as_the_delay_and_a_little_more():
    assert RULE.looks_back_s == 6
    assert StagedResponse(halt_at=Decimal(1)).looks_back_s == 0


@pytest.mark.parametrize("score", [0.5, 0.8, 1.0])
def test_the_way_out_is_never_delayed(score):
    world = just_sent().long("BTCUSDT", "1").scored(score)
    for command in (a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()):
        assert judged(command, world, RULE).verdict is Verdict.ALLOW


def test_only_margin_taken_away_is_held_back():
    world = an_account().scored(1.0)
    add, take = (
        AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(n)) for n in (1, -1)
    )
    nothing = replace(add, amount=Decimal(0))
    assert code(world, add) is None
    assert code(world, take) == code(world, nothing) == "ANOMALY_HALT"


def test_amends_and_settings_are_held_back_too():
    world = just_sent().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"))
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="5")
    assert codes(judged(amend, world.scored(0.5), RULE)) == ["ANOMALY_DELAY"]
    setting = SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))
    assert codes(judged(setting, world.scored(0.8), RULE)) == ["ANOMALY_REDUCE_ONLY"]


def test_reduce_only_says_so():
    found = breach(an_account().scored(0.8, why="refusals"))
    assert (found.observed, found.limit, found.stops_bot) == ("0.80", "0.8", None)
    assert found.message == "anomaly score of bot:demo-bot is 0.80 (refusals); only exits and cancels pass"
    assert found.advice == "reduce-only orders and cancels pass"


def test_a_halt_stops_the_bot_until_a_person_lets_it_go_on():
    found = breach(an_account().scored(0.99, why=""))
    assert (found.observed, found.limit, found.stops_bot) == ("0.99", "0.95", HALTED)
    assert found.message == "anomaly score of bot:demo-bot is 0.99; the bot is halted"
    assert found.advice == "reduce-only orders and cancels pass; a named person must let the bot go on"


@pytest.mark.parametrize("level", ["bot:demo-bot", "account:demo", "desk"])
def test_the_highest_of_the_three_levels_counts(level):
    world = an_account()
    for each in ("bot:demo-bot", "account:demo", "desk"):
        world = world.scored(0.85 if each == level else 0.1, each)
    found = breach(world)
    assert found.code == "ANOMALY_REDUCE_ONLY"
    assert found.message.startswith(f"anomaly score of {level} is 0.85")


@pytest.mark.parametrize("level", ["bot:other-bot", "account:other"])
def test_another_s_score_does_not(level):
    assert code(just_sent().scored(1.0, level)) is None


def test_the_levels_to_count_can_be_chosen():
    rule = replace(RULE, of=(ScoreLevel.ACCOUNT,))
    assert code(an_account().scored(1.0).scored(1.0, "desk"), rule=rule) is None
    assert code(an_account().scored(1.0, "account:demo"), rule=rule) == "ANOMALY_HALT"


def test_an_unknown_account_has_no_score():
    assert code(an_account().unsurveyed().scored(1.0, "account:demo")) is None
    assert code(an_account().unsurveyed().scored(1.0, "desk")) == "ANOMALY_HALT"


@pytest.mark.parametrize(
    ("settings", "score", "expected"),
    [
        ({"alert_at": Decimal("0.3")}, 1.0, None),
        ({"delay_at": Decimal("0.5"), "delay_s": 5}, 1.0, "ANOMALY_DELAY"),
        ({"delay_at": Decimal("0.5"), "delay_s": 0}, 1.0, None),
        ({"reduce_at": Decimal("0.5")}, 0.5, "ANOMALY_REDUCE_ONLY"),
        ({"halt_at": Decimal(1)}, 0.9999, None),
        ({"halt_at": Decimal(1)}, 1.0, "ANOMALY_HALT"),
    ],
)
def test_stages_may_be_left_out(settings, score, expected):
    assert code(just_sent().scored(score), rule=StagedResponse(**settings)) == expected


def test_below_the_only_stage_nothing_but_the_score_is_written_down():
    assert measured(an_account().scored(0.4), StagedResponse(halt_at=Decimal(1))) == [
        ("anomaly", "0.40", "bot:demo-bot")
    ]


def test_the_order_itself_counts_when_it_is_the_most_unusual():
    world = an_account().used_to(any_size="40000 80000 160000")
    found = breach(world, a_buy("BTCUSDT", "2"), replace(RULE, reduce_at=Decimal("0.7")))
    assert (found.code, found.observed) == ("ANOMALY_REDUCE_ONLY", "0.78")
    assert found.message == (
        "anomaly score of this order is 0.78 (size 100000.00 is above 80000.00); only exits and cancels pass"
    )


def test_the_order_itself_counts_no_less_than_it_did_for_the_next_one():
    rule, world = replace(RULE, reduce_at=Decimal("0.7")), an_account().used_to(any_size="40000 80000 160000")
    snapshot = world.snapshot
    orders = [a_buy("BTCUSDT", quantity) for quantity in ("0.1", "2", "0.1")]
    assert [rule.check(order, snapshot) is not None for order in orders] == [False, True, False]
    assert [each.value for each in rule.measure(orders[1], snapshot)][:2] == ["0.78", "reduce"]


def test_a_higher_published_score_counts_before_the_order_s():
    world = an_account().used_to(any_size="40000 80000 160000").scored(0.96)
    assert breach(world, a_buy("BTCUSDT", "2")).message.startswith("anomaly score of bot:demo-bot is 0.96")


def test_where_the_bot_does_not_count_its_order_does_not_either():
    rule = StagedResponse(reduce_at=Decimal("0.5"), of=(ScoreLevel.DESK,))
    assert code(an_account().used_to(any_size="1 2 3"), rule=rule) is None


def test_a_report_refuses_nothing():
    rule = replace(RULE, enforcement=Enforcement.REPORT)
    decision = judged(ENTRY, an_account().scored(1.0), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [each.code for each in decision.would_deny] == ["ANOMALY_HALT"]


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, "a stage, each at a score above 0 and up to 1"),
        ({"delay_s": 5}, "a stage, each at a score above 0 and up to 1"),
        ({"halt_at": Decimal("1.01")}, "a stage, each at a score above 0 and up to 1"),
        ({"halt_at": Decimal(0)}, "a stage, each at a score above 0 and up to 1"),
        ({"alert_at": Decimal("0.5"), "halt_at": Decimal("0.5")}, "alert_at < delay_at < reduce_at < halt_at"),
        ({"reduce_at": Decimal("0.9"), "halt_at": Decimal("0.8")}, "alert_at < delay_at < reduce_at < halt_at"),
        ({"delay_at": Decimal("0.5")}, "delay_at and delay_s together"),
        ({"halt_at": Decimal("0.5"), "delay_s": 5}, "delay_at and delay_s together"),
        ({"halt_at": Decimal("0.5"), "of": ()}, "of = some of bot, account, desk, each once"),
        ({"halt_at": Decimal("0.5"), "of": ("bot", "bot")}, "of = some of bot, account, desk, each once"),
    ],
)
def test_contradictory_stages_are_no_rule(settings, needs):
    with pytest.raises(ValueError, match=f"^staged_response needs {needs}$"):
        StagedResponse(**settings)
