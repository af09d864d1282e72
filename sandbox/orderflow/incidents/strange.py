"""One thing that goes wrong: orders that are added to an account's own, fields of its own that are changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np

from sandbox.orderflow.rows import Rows, to_rows

Kind = Literal[
    "far price",
    "fat finger",
    "latency shock",
    "reject storm",
    "runaway loop",
    "flip-flop",
    "size creep",
    "off-hours",
    "new symbol",
    "together",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)[:-1]
"""What befalls one account; `together` befalls several at once."""


@dataclass(slots=True, kw_only=True)
class Strange:
    """`added`: records as `rows.DTYPE` has them. `changed`: new values by field, by the place of a clean row.

    `about`: how severe it is, in words.
    """

    kind: Kind
    mild: bool
    about: str
    added: list[tuple[Any, ...]] = field(default_factory=list)
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)

    def span(self, rows: Rows) -> tuple[float, float]:
        """Seconds of its first and its last order."""
        moments = [round(float(record[0]), 3) for record in self.added]
        moments += [float(rows["ts"][place]) for place in self.changed]
        return min(moments), max(moments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """The label of one incident. `start`, `end`: unix seconds of its first and last order. `events`: the places of its
    orders in the account's stream, counted from 0."""

    account: str
    kind: Kind
    mild: bool
    start: float
    end: float
    events: tuple[int, ...]
    about: str


def applied(account: str, rows: Rows, strange: Sequence[Strange]) -> tuple[Rows, list[Incident]]:
    """The account's stream with these incidents in it, and their labels in order of time."""
    if not strange:
        return rows, []
    changed = rows.copy()
    owner = np.full(len(rows), -1)
    parts, owners = [changed], [owner]
    for number, each in enumerate(strange):
        for place, values in each.changed.items():
            owner[place] = number
            for name, value in values.items():
                changed[name][place] = value
        added = to_rows(each.added)
        parts.append(added)
        owners.append(np.full(len(added), number))
    together, whose = np.concatenate(parts), np.concatenate(owners)
    order = np.argsort(together["ts"], kind="stable")
    together, whose = together[order], whose[order]
    labels = []
    for number, each in enumerate(strange):
        places = np.flatnonzero(whose == number)
        labels.append(
            Incident(
                account=account,
                kind=each.kind,
                mild=each.mild,
                start=float(together["ts"][places[0]]),
                end=float(together["ts"][places[-1]]),
                events=tuple(places.tolist()),
                about=each.about,
            )
        )
    return together, sorted(labels, key=lambda label: label.start)
