"""The schema for editors takes what the guard takes, and points at what it would refuse."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.policy.fields import fields_of
from proxy.policy.reading import PolicyError, parse_policy
from proxy.policy.schema import DIALECT, policy_schema
from rules.catalog import CATALOG
from tests.support.json_schema import violations

HEAD = '[policy]\nname = "solo"\nowner = "risk@desk.example"\n'
ENFORCED = "[desk.max_leverage]\nenforcement = 'enforce'\n"
SCHEMA = json.loads(json.dumps(policy_schema()))


def read(text: str) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("path", sorted(Path("configs/policies").glob("*.toml")), ids=str)
def test_every_policy_we_ship_is_valid(path: Path) -> None:
    assert violations(read(path.read_text()), SCHEMA) == []


@pytest.mark.parametrize("rule_id", [rule_id for rule_id, rule in CATALOG.items() if rule.example])
def test_every_example_of_a_rule_is_valid(rule_id: str) -> None:
    assert violations(read(HEAD + CATALOG[rule_id].example), SCHEMA) == []


def test_every_rule_and_setting_is_described() -> None:
    for rule_id, rule in CATALOG.items():
        shape = SCHEMA["$defs"][rule_id]
        assert shape["description"] and list(shape["properties"]) == list(fields_of(rule))
        for name, setting in shape["properties"].items():
            assert name == "enforcement" or setting["description"], f"{rule_id} {name}"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[policy]\nname = 'a'\n", "$.policy needs owner"),
        ("[policy]\nname = 'a'\nowner = ' '\n", "$.policy.owner does not match"),
        (HEAD + "loosening = 'no'\n", "$.policy.loosening is none of ['two-people', 'delay']"),
        (HEAD + "loosening_delay_s = 1\n", "$.policy.loosening_delay_s is out of bounds"),
        (HEAD + "[dekk]\n", "$ has no dekk"),
        (HEAD + "[desk.max_leverge]\n", "$.desk has no max_leverge"),
        (HEAD + "[bot.a.outside_activity]\naction = 'kill'\n", "$.bot.a has no outside_activity"),
        (HEAD + "[desk.outside_activity]\naction = 'x'\n", "$.desk.outside_activity.action is none of"),
        (HEAD + "[bot.a.max_leverage]\nlimit = 3\n", "$.bot.a.max_leverage needs enforcement"),
        (HEAD + "[desk.max_leverage]\nenforcement = 'enforce'\n", "$.desk.max_leverage needs limit"),
        (HEAD + "[bot.a.resize]\nmode = 'x'\n", "$.bot.a.resize.mode is none of"),
        (HEAD + "[desk.resize]\nmode = 'trim'\n", "$.desk has no resize"),
        (HEAD + "[desk.custom.a]\nenforcement = 'off'\nexpression = 'true'\n", "$.desk.custom.a needs message"),
        (HEAD + ENFORCED + "limit = 0\n", "$.desk.max_leverage.limit is not above 0"),
        (HEAD + "[kill.triggers]\ndaily_loss_kill = 5\n", "$.kill.triggers.daily_loss_kill is out of bounds"),
        (HEAD + "[kill.rearm]\nramp_s = 1000000000\n", "$.kill.rearm.ramp_s is out of bounds"),
        (HEAD + ENFORCED + "limit = '3'\n", "$.desk.max_leverage.limit is no number"),
        (HEAD + "[desk.trading_state]\nenforcement = 'off'\n", "$.desk.trading_state.enforcement is not enforce"),
    ],
)
def test_what_the_guard_refuses_for_its_shape_the_schema_refuses_too(text: str, wrong: str) -> None:
    found = set(violations(read(text), SCHEMA))
    assert len(found) == 1 and found.pop().startswith(wrong)
    with pytest.raises(PolicyError):
        parse_policy(text)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == SCHEMA and printed["$schema"] == DIALECT
