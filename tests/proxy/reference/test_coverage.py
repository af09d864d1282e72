"""Which clauses a policy covers: only what enforces counts, and what is missing is named with what would serve it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from proxy.policy.reading import parse_policy
from proxy.reference.coverage import coverage, coverage_table
from rules.catalog import CATALOG

HEAD = '[policy]\nname = "test"\nowner = "test@desk.example"\n'
VALUE = '[desk.max_order_value]\nenforcement = "{}"\nlimit = 100\n'
CLAUSE = "RTS 6 art. 15(1)(b)"


def of(text):
    policy = parse_policy(HEAD + text)
    return policy, {row.clause: row for row in coverage(policy)}


def test_a_rule_that_enforces_covers_its_clauses():
    _, rows = of(VALUE.format("enforce"))
    assert (rows[CLAUSE].covered, rows[CLAUSE].rules) == (True, ("max_order_value at desk",))


def test_a_rule_that_only_reports_covers_nothing_and_is_named():
    policy, rows = of(VALUE.format("report"))
    assert (rows[CLAUSE].covered, rows[CLAUSE].reporting) == (False, ("max_order_value at desk",))
    assert "only reported by max_order_value at desk" in coverage_table(policy, list(rows.values()))


def test_what_is_not_covered_names_the_rules_that_would():
    policy, rows = of(VALUE.format("off"))
    assert (rows[CLAUSE].covered, rows[CLAUSE].rules, rows[CLAUSE].reporting) == (False, (), ())
    assert "max_order_value" in rows[CLAUSE].would
    assert "would be by max_order_value" in coverage_table(policy, list(rows.values()))


def test_what_the_guard_does_by_itself_needs_no_rule():
    _, rows = of("")
    assert (rows["RTS 6 art. 15(2)"].covered, rows["RTS 6 art. 15(2)"].rules) == (True, ())


def test_what_applies_without_being_written_covers_no_collar_and_no_check_for_mistakes():
    """The gates and the exit collar look at names and at exits: neither at an entry's price or size, nor for a copy."""
    _, rows = of("")
    clauses = ("RTS 6 art. 15(1)(a)", "15c3-5(c)(1)(ii)", "FIA 2024 duplicate orders")
    assert [(rows[clause].covered, rows[clause].rules) for clause in clauses] == [(False, ())] * 3


def test_a_collar_without_a_window_does_not_look_over_time():
    collar = '[desk.price_collar]\nenforcement = "enforce"\nband = 0.03\n'
    _, rows = of(collar)
    _, windowed = of(collar + "window_s = 300\nwindow_band = 0.05\n")
    assert (rows["RTS 6 art. 15(1)(a)"].covered, rows["RTS 6 art. 15(1)(a), over time"].covered) == (True, False)
    assert windowed["RTS 6 art. 15(1)(a), over time"].covered


def run(*arguments):
    command = shutil.which("perpguard", path=str(Path(sys.executable).parent))
    assert command is not None
    return subprocess.run([command, *arguments], capture_output=True, text=True, check=False)


def test_the_command_prints_json_of_a_file(tmp_path):
    (tmp_path / "policy.toml").write_text(HEAD + VALUE.format("enforce"))
    done = run("coverage", "--json", str(tmp_path / "policy.toml"))
    assert done.returncode == 0
    assert next(row for row in json.loads(done.stdout) if row["clause"] == CLAUSE)["rules"] == [
        "max_order_value at desk"
    ]


def test_one_rule_or_all_of_them_are_explained():
    assert "## `max_leverage`" in run("rules", "max_leverage").stdout
    everything = run("rules").stdout
    assert all(f"## `{rule_id}`" in everything for rule_id in CATALOG)
    unknown = run("rules", "no_such_rule")
    assert (unknown.returncode, "no rule no_such_rule" in unknown.stderr) == (2, True)
