"""A rule of the desk's own, whatever its question was compiled from: true passes, false refuses, the rest fails."""

from __future__ import annotations

import pytest

from rules.custom import CustomRule
from rules.model import Side
from tests.rules.builders import a_buy, a_cancel, an_account, an_amend, codes, judged

WORLD = an_account()
ENTRY = a_buy("BTCUSDT", "1")


def answering(answer, **terms):
    return CustomRule(name="mine", expression="x", message="not today", question=lambda *_: answer, **terms)


def test_what_is_true_passes():
    assert answering(True).check(ENTRY, WORLD.snapshot) is None


def test_what_is_false_is_refused_in_the_desk_s_own_words():
    breach = answering(False, level="bot:demo-bot").check(ENTRY, WORLD.snapshot)
    assert (breach.rule_id, breach.code, breach.message) == ("custom:mine", "CUSTOM_RULE", "not today")
    assert (breach.observed, breach.limit, breach.headroom) == ("", "x", None)
    assert (breach.advice, breach.level) == ("the desk's own rule; ask its owner", "bot:demo-bot")


@pytest.mark.parametrize(("answer", "kind"), [(None, "NoneType"), (1, "int"), (0, "int"), ("true", "str")])
def test_what_is_neither_true_nor_false_fails_and_so_refuses(answer, kind):
    with pytest.raises(TypeError, match=f"^custom:mine is {kind}, neither true nor false$"):
        answering(answer).check(ENTRY, WORLD.snapshot)
    assert codes(judged(ENTRY, WORLD, answering(answer))) == ["RULE_FAILED"]


def test_the_question_is_put_about_this_entry_in_this_world():
    asked = []
    rule = CustomRule(name="mine", expression="x", message="m", question=lambda *about: asked.append(about) or True)
    amend = an_amend(Side.BUY, "BTCUSDT", "1", order_id="1")
    snapshot = WORLD.snapshot
    for command in (ENTRY, amend):
        assert rule.check(command, snapshot) is None
    assert asked == [(ENTRY, snapshot), (amend, snapshot)]


def test_of_a_cancel_nothing_is_asked():
    assert answering(False).check(a_cancel(), WORLD.snapshot) is None


def test_two_rules_of_one_text_are_the_same_rule():
    assert answering(True) == answering(False)
    assert "question" not in repr(answering(True))
