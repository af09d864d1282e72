"""What mutmut found in ``rules/``: a table by file, and why each survivor cannot be told from what it was made of.

    python -m tests.mutation.report forget-survivors     before a run: those that survived are asked again
    python -m tests.mutation.report write PAGE           after it

It fails under 90 %, for a mutant that was not asked, and for a survivor without a reason.

Reads the results that are kept beside mutmut's copies (``mutants/**/*.meta``) and the reasons in ``survivors.toml``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.machine import machine
from tests.mutation.ask import AT_ONCE

RESULTS: Final = Path("mutants")
REASONS: Final = Path(__file__).with_name("survivors.toml")
SCORE_MIN: Final = 90.0
"""Percent of all mutants that were asked."""

# Exit codes: pytest failed, or broke; a test ran out of its time, which is a failure too.
KILLED: Final = {1, 3, 24, -24, 36, 152, 255}
SURVIVED: Final = 0


@dataclass(frozen=True)
class FileResult:
    """One file's mutants. ``open`` counts, by function, those that no test failed for; ``unasked`` were not run."""

    path: str
    killed: int
    open: Counter[str]
    unasked: int
    seconds: float
    at: float

    @property
    def asked(self) -> int:
        return self.killed + self.open.total()

    @property
    def percent(self) -> float:
        return 100 * self.killed / self.asked if self.asked else 0.0


def results() -> Iterator[FileResult]:
    """Every file with mutants, by path."""
    for meta in sorted(RESULTS.rglob("*.meta")):
        found = json.loads(meta.read_text(encoding="utf-8"))
        codes: Mapping[str, int | None] = found["exit_code_by_key"]
        if codes:
            yield FileResult(
                path=str(meta.relative_to(RESULTS).with_suffix("")),
                killed=sum(code in KILLED for code in codes.values()),
                open=Counter(
                    function_of(key) for key, code in codes.items() if code is not None and code not in KILLED
                ),
                unasked=sum(code is None for code in codes.values()),
                seconds=sum(found["durations_by_key"].values()),
                at=meta.stat().st_mtime,
            )


def function_of(key: str) -> str:
    """``CoolDown._pause`` of mutmut's ``rules.flow.cool_down.xǁCoolDownǁ_pause__mutmut_2``."""
    name = key.rpartition(".")[2].rpartition("__mutmut_")[0]
    return ".".join(name.split("ǁ")[1:]) if "ǁ" in name else name.removeprefix("x_")


def page(
    files: Sequence[FileResult], reasons: Mapping[str, Mapping[str, Sequence[Any]]], tool: str
) -> tuple[str, list[str]]:
    """The page, and what is wrong with the result. ``tool`` is the tester's name and version."""
    killed, asked = sum(each.killed for each in files), sum(each.asked for each in files)
    unasked = sum(each.unasked for each in files)
    score = 100 * killed / asked if asked else 0.0
    wrong = [f"{score:.1f} % is less than {SCORE_MIN:.0f} %"] if score < SCORE_MIN else []
    wrong += [f"{each.path}: {each.unasked} not run" for each in files if each.unasked]
    lines = [
        "# Mutants of the rules",
        "",
        "A mutation tester changes the code of `rules/` in one place at a time, a comparison, a number, a word, and"
        " runs the tests of `tests/rules` that reach the place. A mutant that no test fails for is a line that nothing"
        " pins. `make mutation` runs it and writes this page.",
        "",
        f"**{killed} of {asked} mutants killed: {score:.1f} %**"
        + (f" ({unasked} more were not run)." if unasked else "."),
        "",
        f"{tool}; {machine()}; {sum(each.seconds for each in files) / 60:.0f} minutes of tests,"
        f" {AT_ONCE} at a time, the last at"
        f" {datetime.fromtimestamp(max(each.at for each in files), UTC):%Y-%m-%d %H:%M} UTC."
        " The seven slowest properties are left out (`[tool.mutmut]` in `pyproject.toml`): a mutant that only they"
        " would kill counts as a survivor. What stands outside functions, such as a limit's default, is not mutated.",
        "",
        "mutmut makes the mutants and finds out which tests reach them; `tests/mutation/ask.py` asks each in a process"
        " of its own, in which no other test has run. What was killed before in a function that has not changed since"
        " is not asked again.",
        "",
        "| file | mutants | killed | survivors | % |",
        "|---|---|---|---|---|",
    ]
    for each in files:
        late = f" ({each.unasked} not run)" if each.unasked else ""
        percent = f"{each.percent:.0f}" if each.asked else "-"
        lines.append(f"| `{each.path}` | {each.asked}{late} | {each.killed} | {each.open.total()} | {percent} |")
    lines += [
        "",
        "## Survivors, and why",
        "",
        "| file | function | number | why no test can, or does, tell them apart |",
        "|---|---|---|---|",
    ]
    for each in files:
        for function, number in sorted(each.open.items()):
            known, reason = reasons.get(each.path, {}).get(function, (0, ""))
            if number > known:
                wrong.append(f"{each.path} {function}: {number} survivors, {known} with a reason")
            lines.append(f"| `{each.path}` | `{function}` | {number} | {reason} |")
    return "\n".join((*lines, "")), wrong


def forget_survivors() -> None:
    """Marks survivors, and what no test reached, as not run. Results of killed mutants stay."""
    for meta in RESULTS.rglob("*.meta"):
        found = json.loads(meta.read_text(encoding="utf-8"))
        codes: dict[str, int | None] = found["exit_code_by_key"]
        found["exit_code_by_key"] = {key: code if code in KILLED else None for key, code in codes.items()}
        meta.write_text(json.dumps(found, indent=4), encoding="utf-8")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("forget-survivors")
    commands.add_parser("write").add_argument("page", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "forget-survivors":
        forget_survivors()
        return
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    text, wrong = page(list(results()), reasons, f"mutmut {version('mutmut')}")
    arguments.page.write_text(text, encoding="utf-8")
    sys.exit("\n".join(wrong) if wrong else None)


if __name__ == "__main__":
    main()
