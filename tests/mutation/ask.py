"""Asks the tests about the mutants that mutmut has made: which of them does no test fail for?

    cd mutants; python -m tests.mutation.ask [PATTERN ...]     those not asked yet, all or by name (``rules.kill.*``)

One process collects all tests and runs none. Every mutant gets a fork of it, which runs the tests that reach the
mutant until one fails: nothing an earlier test has left behind can hide a mutant, and nothing is collected eleven
thousand times. Tests that have found another mutant of the function go first, then the quick ones. Properties are
derandomised, so that asking again says the same, and stop at a failure instead of looking for the smallest one.

Results go where mutmut keeps its own, in its exit codes (``*.meta``).
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NoReturn

import hypothesis
import pytest

AT_ONCE: Final = 2
CPU_MIN_S: Final = 4
CPU_TIMES: Final = 3
"""A mutant has so many times the seconds that its tests take without it, and these: then it is a loop without end."""
MEMORY_MAX: Final = 2 << 30
"""Bytes of address space: a loop without end may fill the memory before its time is up."""

FOUND, MISSED, BROKEN, NO_TESTS = 1, 0, 2, 33


@dataclass(frozen=True, kw_only=True)
class Fork:
    """One mutant that is being asked. Its fork writes the place in ``tests`` of every test it begins to ``told``."""

    key: str
    tests: Sequence[str]
    told: int
    began: float


class Asker:
    """A pytest plugin: instead of running the tests, it asks them about one mutant after another."""

    def __init__(self, patterns: Sequence[str]) -> None:
        stats = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))
        self.tests_of: Mapping[str, Sequence[str]] = stats["tests_by_mangled_function_name"]
        self.seconds: Mapping[str, float] = stats["duration_by_test"]
        self.patterns = patterns or ["*"]
        self.finders: dict[str, Counter[str]] = defaultdict(Counter)
        self.results: dict[str, Path] = {}
        self.forks: dict[int, Fork] = {}
        self.said = Counter[int]()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every mutant that is due, ``AT_ONCE`` of them side by side."""
        items = {item.nodeid: item for item in session.items}
        due = list(self._due())
        gc.collect()
        gc.freeze()  # What is not moved is not copied into every fork.
        for key in due:
            tests = in_order(self._reaching(key, items), self.finders[function_of(key)], self.seconds)
            if not tests:
                self._keep(key, NO_TESTS, 0.0)
                continue
            while len(self.forks) >= AT_ONCE:
                self._hear()
            self._fork(session, items, key, tests)
        while self.forks:
            self._hear()
        print(f"\n{len(due)} asked: {self.said[MISSED]} survive, {self.said[NO_TESTS]} are reached by no test")
        return True

    def _due(self) -> Iterator[str]:
        for path in sorted(Path("rules").rglob("*.meta")):
            codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
            for key, code in codes.items():
                if code is None and any(fnmatchcase(key, pattern) for pattern in self.patterns):
                    self.results[key] = path
                    yield key

    def _reaching(self, key: str, items: Mapping[str, Any]) -> list[str]:
        return [name for name in self.tests_of.get(function_of(key), ()) if name in items]

    def _fork(self, session: pytest.Session, items: Mapping[str, Any], key: str, tests: Sequence[str]) -> None:
        told, tell = os.pipe()  # It holds the places of some ten thousand tests.
        pid = os.fork()
        if pid == 0:
            os.close(told)
            cpu_s = int(CPU_TIMES * sum(self.seconds.get(test, 0.0) for test in tests)) + CPU_MIN_S
            _run(session, key, [items[test] for test in tests], tell, cpu_s)
        os.close(tell)
        self.forks[pid] = Fork(key=key, tests=tests, told=told, began=time.monotonic())

    def _hear(self) -> None:
        """Wait for a fork to end, and keep what it has found."""
        pid, status = os.wait()
        fork, code = self.forks.pop(pid), os.waitstatus_to_exitcode(status)
        with os.fdopen(fork.told, encoding="ascii") as told:
            begun = told.read().split()
        if code != MISSED and begun:
            self.finders[function_of(fork.key)][fork.tests[int(begun[-1])]] += 1
        self._keep(fork.key, code, time.monotonic() - fork.began)

    def _keep(self, key: str, code: int, seconds: float) -> None:
        self.said[code] += 1
        path = self.results[key]
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["exit_code_by_key"][key] = code
        kept["durations_by_key"][key] = seconds
        path.write_text(json.dumps(kept, indent=4), encoding="utf-8")


def function_of(key: str) -> str:
    """The function as mutmut names it: a mutant's name without its number."""
    return key.rpartition("__mutmut_")[0]


def in_order(tests: Sequence[str], finders: Mapping[str, int], seconds: Mapping[str, float]) -> list[str]:
    """``tests``, those first that have found the most mutants of the function, then the quickest."""
    return sorted(tests, key=lambda test: (-finders.get(test, 0), seconds.get(test, 0.0)))


def _run(session: pytest.Session, key: str, items: Sequence[pytest.Item], tell: int, cpu_s: int) -> NoReturn:
    """In the fork: run ``items`` until one fails. Nothing of it returns to what the process was before."""
    code = BROKEN
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        os.environ["MUTANT_UNDER_TEST"] = key
        for place, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
            os.write(tell, f"{place}\n".encode("ascii"))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                break
        code = FOUND if session.testsfailed else MISSED
    except MemoryError:
        code = FOUND  # The test failed for it, and there was no room left to say so.
    finally:
        os._exit(code)


def main() -> None:
    """See the module."""
    os.environ["MUTANT_UNDER_TEST"] = ""
    hypothesis.settings.register_profile(
        "mutants",
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
    )
    hypothesis.settings.load_profile("mutants")
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    options = [*settings["pytest_add_cli_args"], *settings["pytest_add_cli_args_test_selection"]]
    sys.exit(pytest.main(["--rootdir=.", "--tb=no", "-q", "--capture=no", *options], plugins=[Asker(sys.argv[1:])]))


if __name__ == "__main__":
    main()
