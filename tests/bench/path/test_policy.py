"""The bench's policy is the desk's: the same rules, enforced the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.path.policy import DESK, NotTheDesks, lifted
from proxy.policy.reading import load_policy


def test_every_rule_of_the_desk_is_there_and_as_strict_in_kind(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(lifted(DESK.read_text()))
    ours, desks = load_policy(tmp_path / "policy.toml"), load_policy(DESK)
    assert [(rule.rule_id, rule.enforcement) for rule in ours.rules] == [
        (rule.rule_id, rule.enforcement) for rule in desks.rules
    ]


def test_a_rule_that_left_the_desks_policy_is_missed() -> None:
    with pytest.raises(NotTheDesks, match=r"has no desk\.duplicate_order"):
        lifted("[policy]\n")
