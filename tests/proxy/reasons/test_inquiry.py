"""A recorded decision taken again, and at another size: from an archive that the real engine filled."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.place import ArchivePlace
from proxy.audit.reader import ArchiveReader
from proxy.policy.reading import parse_policy
from proxy.reasons.inquiry import BadQuestion, NothingToTry, NotToBeTold, Recorded, WhatIf, recorded, suppose, tell
from proxy.reasons.tracing import Answer
from rules.decision import Verdict
from rules.policy import Policy
from tests.proxy.audit.conftest import POLICY, TIGHTER, Desk

REFUSED = "d-1"
"""Three bitcoin at 60000, where an order may be worth 100000."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def database(tmp_path: Path, desk: Desk) -> ArchivePlace:
    place = ArchivePlace(directory=tmp_path / "audit")
    desk.write(place, desk.day())
    return place


def found(database: ArchivePlace, decision_id: str = REFUSED) -> Recorded:
    with ArchiveReader.open(database) as archive:
        one = recorded(archive, decision_id)
    assert one is not None
    return one


def at(
    database: ArchivePlace, quantity: str, *, policy: Policy | None = None, price: str = "", item: str = "0"
) -> WhatIf:
    return suppose(found(database), policy, item="0", quantity=quantity, price="")


def test_a_refusal_is_told_with_the_rules_that_passed_and_what_they_saw(database: ArchivePlace) -> None:
    told = tell(found(database))
    (command,) = told.commands
    assert (told.bot, told.account, told.policy_name, command.asked) == ("beta", "main", "test", "BUY 3 BTCUSDT MARKET")
    assert command.agrees
    assert [each.rule for each in command.trace.rules if each.answer is Answer.DENIED] == ["max_order_value"]
    assert {"trading_state", "data_freshness"} <= {
        each.rule for each in command.trace.rules if each.answer is Answer.PASSED
    }
    assert told.inputs["account"]["margin_balance"] == "1000000"
    assert told.inputs["markets"]["BTCUSDT"]["mark_price"] == "60000"


def test_a_smaller_size_passes_and_says_how_large_it_could_be(database: ArchivePlace) -> None:
    what_if = at(database, "1")
    assert (what_if.then.verdict, what_if.then.largest) == (Verdict.ALLOW, Decimal("1.666"))
    assert what_if.supposed == "BUY 1 BTCUSDT MARKET"
    assert at(database, "1.667").then.verdict is Verdict.DENY


def test_the_policy_in_force_is_asked_beside_the_one_of_then(database: ArchivePlace) -> None:
    what_if = at(database, "1", policy=parse_policy(TIGHTER))
    assert what_if.now is not None
    assert (what_if.then.verdict, what_if.now.verdict, what_if.now.largest) == (
        Verdict.ALLOW,
        Verdict.DENY,
        Decimal("0.833"),
    )
    assert what_if.now.policy_version == parse_policy(TIGHTER).version


def test_a_rule_the_record_cannot_answer_for_is_named_and_not_guessed_at(database: ArchivePlace) -> None:
    rate = POLICY + '[desk.message_rate]\nenforcement = "enforce"\nper_second = 5\nburst = 20\n'
    what_if = at(database, "1", policy=parse_policy(rate))
    assert what_if.now is not None
    assert what_if.now.verdict is Verdict.ALLOW
    assert [(each.rule, each.reason) for each in what_if.not_asked] == [
        ("message_rate", "no bucket of this rate was kept then")
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param({"quantity": "0"}, "quantity is a number above zero", id="nothing"),
        pytest.param({"quantity": "-1"}, "quantity is a number above zero", id="less than nothing"),
        pytest.param({"quantity": "1_000"}, "quantity is a number above zero", id="an underscore"),
        pytest.param({"quantity": "NaN"}, "quantity is a number above zero", id="not a number"),
        pytest.param({"quantity": "1e999999999"}, "quantity is a number above zero", id="without end"),
        pytest.param({"quantity": "1e2"}, "quantity is a number above zero", id="with an exponent"),
        pytest.param({"quantity": "1", "item": "²"}, "from 0 to 999", id="a digit that is none"),
    ],
)
def test_a_bad_question_is_told_what_would_be_one(database: ArchivePlace, asked: dict[str, str], said: str) -> None:
    with pytest.raises(BadQuestion, match=said):
        suppose(found(database), None, **({"item": "0", "price": ""} | asked))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param({"price": "50000"}, "no limit price", id="a price for a market order"),
        pytest.param({"item": "1"}, "from 0 to 0", id="a command that is not there"),
    ],
)
def test_what_the_decision_has_not_cannot_be_tried(database: ArchivePlace, asked: dict[str, str], said: str) -> None:
    with pytest.raises(NothingToTry, match=said):
        suppose(found(database), None, **({"quantity": "1", "item": "0", "price": ""} | asked))


def test_nothing_is_archived_under_that_name(database: ArchivePlace) -> None:
    with ArchiveReader.open(database) as archive:
        assert recorded(archive, "d-99") is None


def test_without_its_policy_a_decision_is_not_taken_again(tmp_path: Path, desk: Desk) -> None:
    records: list[Any] = [each for each in desk.day() if not each.get("name", "").startswith("policy:")]
    place = ArchivePlace(directory=tmp_path / "audit")
    desk.write(place, records)
    with pytest.raises(NotToBeTold, match="its policy document is not in the archive"):
        found(place)
