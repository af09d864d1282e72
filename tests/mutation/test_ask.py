"""The asker of mutants: a mutant that a test fails for is found, in a process that knows nothing of the one before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.mutation import ask
from tests.mutation.ask import FOUND, MISSED, NO_TESTS, in_order

MUTATED = """
import os

seen = []

def _mutant():
    return os.environ["MUTANT_UNDER_TEST"].rpartition("__mutmut_")[2]

def double(number):
    seen.append(number)
    while _mutant() == "3":
        pass
    return number * 3 if _mutant() == "1" else number * 2
"""

TESTS = """
from rules.sums import double, seen

def test_nothing_is_left_of_other_mutants():
    assert seen == []

def test_it_doubles():
    assert double(2) == 4
"""


def test_every_mutant_is_asked_by_itself_and_its_result_is_kept(tmp_path: Path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "rules" / "sums.py").write_text(MUTATED, encoding="utf-8")
    (tmp_path / "tests" / "test_sums.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n[tool.mutmut]\npytest_add_cli_args = []\n'
        'pytest_add_cli_args_test_selection = ["tests"]\n',
        encoding="utf-8",
    )
    names = ["tests/test_sums.py::test_nothing_is_left_of_other_mutants", "tests/test_sums.py::test_it_doubles"]
    stats = {
        "tests_by_mangled_function_name": {"rules.sums.x_double": names},
        "duration_by_test": {names[0]: 0.0, names[1]: 0.1},
    }
    (tmp_path / "mutmut-stats.json").write_text(json.dumps(stats), encoding="utf-8")
    keys = [f"rules.sums.x_double__mutmut_{number}" for number in (1, 2, 3)]
    asked_before, unreached = "rules.sums.x_double__mutmut_4", "rules.sums.x_unknown__mutmut_1"
    kept = tmp_path / "rules" / "sums.py.meta"
    codes = dict.fromkeys([*keys, unreached]) | {asked_before: MISSED}
    kept.write_text(json.dumps({"exit_code_by_key": codes, "durations_by_key": {}}), encoding="utf-8")

    run = subprocess.run([sys.executable, ask.__file__], cwd=tmp_path, check=True, capture_output=True, text=True)

    results = json.loads(kept.read_text(encoding="utf-8"))
    found, missed, endless = (results["exit_code_by_key"][key] for key in keys)
    assert (found, missed, endless) == (FOUND, MISSED, -24), "the last is ended by the limit of its time"
    assert results["exit_code_by_key"][unreached] == NO_TESTS
    assert results["exit_code_by_key"][asked_before] == MISSED and asked_before not in results["durations_by_key"]
    assert "4 asked: 1 survive, 1 are reached by no test" in run.stdout


def test_tests_that_found_other_mutants_go_first_and_then_the_quick_ones():
    seconds = {"slow": 3.0, "quick": 0.1, "finder": 9.0}
    assert in_order(["slow", "quick", "finder"], {"finder": 2}, seconds) == ["finder", "quick", "slow"]
