"""What a rule's table may hold: lists, tables and moments inside a rule are looked at like everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

import pytest

from proxy.policy.problems import PolicyError, Problems
from proxy.policy.tables import read_rule
from rules.rule import Looser, Rule, Setting
from tests.support.toml import written

PLACE = ("desk", "calendar")


class Kind(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a rule with parts of its own."""

    symbols: tuple[str, ...]
    start: datetime
    lead: Annotated[Decimal, Setting("hours", Looser.LOWER)]
    shift: Annotated[Decimal, Setting("hours", zero_or_less=True)] = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar(Rule):
    """Everything a rule may hold."""

    rule_id: ClassVar[str] = "calendar"
    codes: ClassVar[Mapping[str, str]] = {}

    windows: Annotated[tuple[Window, ...], Setting("closed then", Looser.LOWER)] = ()
    dates: Annotated[Mapping[str, datetime], Setting("symbol to moment")] = field(default_factory=dict)
    limits: Annotated[Mapping[str, Decimal], Setting("symbol to limit", Looser.HIGHER)] = field(default_factory=dict)
    offsets: Annotated[Mapping[str, Decimal], Setting("symbol to offset", zero_or_less=True)] = field(
        default_factory=dict
    )
    symbols: Annotated[frozenset[str], Setting("these alone", Looser.HIGHER)] = frozenset()
    kind: Annotated[Kind, Setting("how", Looser.HIGHER)] = Kind.OPEN
    limit: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    count: Annotated[int, Setting("times", Looser.HIGHER)] = 1
    least: Annotated[int, Setting("at most count", Looser.LOWER)] = 1
    part: Annotated[Decimal | None, Setting("of all", Looser.HIGHER, fraction=True)] = None

    def __post_init__(self) -> None:
        if self.least > self.count:
            raise ValueError("least is above count")


def read(text: str) -> Rule | None:
    table = written('enforcement = "enforce"\n' + text)
    problems = Problems('[desk.calendar]\nenforcement = "enforce"\n' + text)
    rule = read_rule(Calendar, table, level="desk", place=PLACE, problems=problems)
    problems.raise_any()
    return rule


def refused(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(PolicyError) as error:
        read(text)
    return [(problem.line, problem.message.removeprefix("[desk.calendar] ")) for problem in error.value.problems]


def test_everything_is_built_as_the_rule_wants_it() -> None:
    rule = read(
        'windows = [{symbols = ["A"], start = 2026-12-31T09:00:00+01:00, lead = 0.5, shift = -1}]\n'
        "dates.BTCUSDT = 2026-12-31T09:00:00Z\nlimits.BTCUSDT = 1.5\noffsets.BTCUSDT = -2\n"
        'symbols = ["B", "A"]\nkind = "closed"\nlimit = 3\ncount = 999999999\npart = 1\n'
    )
    assert rule == Calendar(
        windows=(
            Window(symbols=("A",), start=datetime(2026, 12, 31, 8, tzinfo=UTC), lead=Decimal("0.5"), shift=Decimal(-1)),
        ),
        dates={"BTCUSDT": datetime(2026, 12, 31, 9, tzinfo=UTC)},
        limits={"BTCUSDT": Decimal("1.5")},
        offsets={"BTCUSDT": Decimal(-2)},
        symbols=frozenset({"A", "B"}),
        kind=Kind.CLOSED,
        limit=Decimal(3),
        count=999_999_999,
        part=Decimal(1),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("limit = -1", (3, "limit must be above zero, not -1")),
        ("limits.A = 0", (3, "limits.A must be above zero, not 0")),
        ("[desk.calendar.limits]\nA = 1\nB = nan", (5, "limits.B must be a plain number, not NaN")),
        ('limits.A = "1"', (3, "limits.A must be a number without quotes")),
        ("count = 1000000000", (3, "count must be at most 999999999, not 1000000000")),
        ("count = 1e9", (3, "count must be at most 999999999, not 1E+9")),
        ("part = 1.01", (3, "part is a fraction, at most 1, not 1.01")),
        ("dates.A = 1999-12-31T09:00:00Z", (3, "dates.A must be of the years 2000 to 2999")),
        ("count = 1.5", (3, "count: Expected `int`, got `decimal`")),
        ("limit = true", (3, "limit: Expected `decimal | null`, got `bool`")),
        (
            "limit = 1000000000000000000",
            (3, "limit must be a number of at most 18 digits before the point and 18 after"),
        ),
        ("limit = 1e-19", (3, "limit must be a number of at most 18 digits before the point and 18 after")),
        ("dates.A = 2026-12-31T09:00:00", (3, "dates.A needs an offset, such as the Z of 2026-12-31T09:00:00Z")),
        ("dates.A = 2026-12-31", (3, "dates.A needs date, time and offset, such as 2026-12-31T09:00:00Z")),
        ("dates.A = 09:00:00", (3, "dates.A needs date, time and offset, such as 2026-12-31T09:00:00Z")),
        (
            'dates.A = "2026-12-31T09:00:00Z"',
            (3, "dates.A must be a moment without quotes, such as 2026-12-31T09:00:00Z"),
        ),
        ('kind = "clsoed"', (3, 'kind cannot be "clsoed"; did you mean "closed"?')),
        ('kind = "x"', (3, 'kind cannot be "x"; known are open, closed')),
        ('symbols = ["A", 1]', (3, "symbols: Expected `str`, got `int`")),
        ("symbols = [\n  0\n]", (4, "symbols[0] must be above zero, not 0")),
        ("least = 2", (1, "least is above count")),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, problem: tuple[int, str]) -> None:
    assert refused(text) == [problem]


WINDOW = 'symbols = ["A"]\nstart = 2026-12-31T09:00:00Z\nlead = 1\n'


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("lead = 1", "lead = 0", (6, "windows[0].lead must be above zero, not 0")),
        ("lead = 1\n", "", (3, "windows[0] needs lead")),
        ("lead = 1", "lead = 1\nleed = 2", (7, 'windows[0] has no "leed"; did you mean "lead"?')),
        ("09:00:00Z", "09:00:00", (5, "windows[0].start needs an offset, such as the Z of 2026-12-31T09:00:00Z")),
        ('["A"]', '["A", 2]', (3, "windows: Expected `str`, got `int`")),
    ],
)
def test_a_table_within_a_rule_is_as_strict(old: str, new: str, problem: tuple[int, str]) -> None:
    text = "[[desk.calendar.windows]]\n" + WINDOW
    assert read(text) is not None
    assert refused(text.replace(old, new)) == [problem]


def test_everything_wrong_is_told_at_once_in_the_order_of_the_lines() -> None:
    assert [line for line, _ in refused('limmit = 1\nlimit = 0\nkind = "?"\nlimits.A = -1\nsymbols = [1]\n')] == [
        3,
        4,
        5,
        6,
        7,
    ]
