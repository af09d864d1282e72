"""A clearance cannot be had without the engine."""

from dataclasses import FrozenInstanceError, replace
from decimal import Decimal

import pytest

from rules.decision import Cleared, Enforcement, Verdict
from rules.engine import clear
from rules.order.max_order_value import MaxOrderValue
from tests.rules.builders import a_buy, an_account, judged


def test_an_allowed_command_is_cleared_as_it_would_be_sent():
    decision = judged(a_buy("BTCUSDT", "1"), an_account())
    assert clear(decision).command == decision.effective


def test_a_refused_command_is_never_cleared():
    with pytest.raises(ValueError, match=r"^a refused command is never cleared$"):
        clear(judged(a_buy("BTCUSDT", "1"), an_account(), MaxOrderValue(limit=Decimal(1))))


@pytest.mark.parametrize("seal", [None, object(), "seal"])
def test_nobody_else_builds_a_clearance(seal):
    with pytest.raises(AssertionError, match=r"^only the engine clears commands$"):
        Cleared(a_buy("BTCUSDT", "1"), seal)


def test_a_clearance_holds_nothing_but_its_command():
    cleared = clear(judged(a_buy("BTCUSDT", "1"), an_account()))
    with pytest.raises(AttributeError):
        cleared.note = "x"


def test_a_decision_cannot_be_turned_afterwards():
    decision = judged(a_buy("BTCUSDT", "1"), an_account(), MaxOrderValue(limit=Decimal(1)))
    with pytest.raises(FrozenInstanceError):
        decision.verdict = Verdict.ALLOW


def test_a_breach_says_whether_it_was_enforced():
    rule = MaxOrderValue(limit=Decimal(1))
    enforced = judged(a_buy("BTCUSDT", "1"), an_account(), rule)
    reported = judged(a_buy("BTCUSDT", "1"), an_account(), replace(rule, enforcement=Enforcement.REPORT))
    assert enforced.breaches[0].enforcement is Enforcement.ENFORCE
    assert reported.would_deny[0].enforcement is Enforcement.REPORT
