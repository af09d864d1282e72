"""The policies one starts from: each line explained, and the first week really only looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.policy.reading import load_policy
from rules.catalog import CATALOG, GATES
from rules.decision import Enforcement
from rules.loosening import Needs
from rules.outside import OutsideAction, outside_action

POLICIES = Path(__file__).parent.parent / "configs" / "policies"
PRESETS = ("solo", "desk", "first-week")


def path(name: str) -> Path:
    return POLICIES / f"{name}.toml"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_policy_that_anybody_can_take(name: str) -> None:
    policy = load_policy(path(name))
    assert policy.name == name and policy.owner
    assert {rule.level for rule in policy.rules} == {"desk"}, "names of accounts and bots are each desk's own"


@pytest.mark.parametrize("name", PRESETS)
def test_every_rule_of_a_preset_is_explained(name: str) -> None:
    for line in path(name).read_text().splitlines():
        if line.startswith("[desk."):
            assert "# " in line, line


def test_the_first_week_enforces_nothing_but_the_gates() -> None:
    policy = load_policy(path("first-week"))
    enforced = {type(rule) for rule in policy.rules if rule.enforcement is Enforcement.ENFORCE}
    assert enforced == set(GATES)
    assert outside_action(policy.outside, "any") is OutsideAction.ALERT


def test_the_first_week_looks_with_every_rule_or_says_why_not() -> None:
    text = path("first-week").read_text()
    assert [rule_id for rule_id, rule in CATALOG.items() if rule not in GATES and rule_id not in text] == []


@pytest.mark.parametrize("name", ["solo", "desk"])
def test_what_is_enforced_later_was_looked_at_in_the_first_week(name: str) -> None:
    first, later = load_policy(path("first-week")), load_policy(path(name))
    enforced = {rule.rule_id for rule in later.rules if rule.enforcement is Enforcement.ENFORCE}
    assert len(enforced) > 15 and enforced <= {rule.rule_id for rule in first.rules}


def test_a_desk_loosens_with_two_people_and_one_person_with_a_delay() -> None:
    assert load_policy(path("desk")).loosening.needs is Needs.TWO_PEOPLE
    assert load_policy(path("solo")).loosening.needs is Needs.DELAY
