"""What the rules' refusals of a while would have come to, ready to be shown: bounded, and says when it is cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from proxy.audit.documents import ArchiveSource, Window
from proxy.audit.looks import CANNOT_BE_READ, UNREADABLE
from proxy.audit.place import ArchivePlace, ArchiveUnavailable
from proxy.audit.reader import ArchiveReader
from proxy.ledger.counterfactual import Fees, Horizon, Outcome
from proxy.ledger.history import MarkHistory
from proxy.ledger.marks import MarkReader, MarksUnavailable
from proxy.ledger.refusals import Refusals, Unsent
from proxy.ledger.valuing import Counterfactual, HorizonSum, RuleSum, value
from proxy.policy.plane import CameTo, Hindsight, RuleHindsight
from rules.rule import show

DECISIONS_MAX: Final = 10_000
"""Decisions one look reads: a few seconds' worth. ``perpguard ledger counterfactual`` reads them all."""

EXAMPLES: Final = 5
_REASONS: Final = 6

_HORIZONS: Final = {
    Horizon.FIVE_MINUTES: "after 5 min",
    Horizon.HOUR: "after 1 h",
    Horizon.FUNDING: "at the next funding",
}


class _Look:
    """The sums, and of every rule its newest examples."""

    def __init__(self) -> None:
        self.report = Counterfactual()
        self.examples: dict[tuple[bool, str], deque[str]] = {}
        self.decisions = 0

    def counted(self, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for record in records:
            self.decisions += 1
            yield record

    def add(self, unsent: Unsent, found: Mapping[Horizon, Outcome]) -> None:
        self.report.add(unsent, found)
        kept = self.examples.setdefault((unsent.reported, unsent.rule), deque(maxlen=EXAMPLES))
        if unsent.id not in kept:
            kept.appendleft(unsent.id)

    def rows(self, *, reported: bool) -> list[RuleHindsight]:
        sums = self.report.reported if reported else self.report.refused
        ordered = sorted(sums.items(), key=lambda each: (-each[1].intents, each[0]))
        return [_row(rule, found, self.examples[reported, rule]) for rule, found in ordered]


def looked_back(archive: ArchivePlace, marks: Path, since: datetime, now: datetime) -> Hindsight:
    """What refusals since then came to. Without kept marks, how many there were. Blocks for the disk."""
    look, fees, trouble = _Look(), Fees(), ""
    try:
        history = MarkHistory(MarkReader(marks)) if marks.is_file() else None
        with ArchiveReader.open(archive) as reader, reader.standing_still():
            records = ArchiveSource(reader, Window(since=since)).decisions()
            refusals = Refusals()
            for unsent in refusals.read(look.counted(islice(records, DECISIONS_MAX))):
                look.add(unsent, value(unsent, history, fees, now) if history is not None else {})
            cut = next(iter(records), None) is not None
            look.report.left_out = refusals.left_out
    except (ArchiveUnavailable, MarksUnavailable) as unavailable:
        cut, trouble = False, str(unavailable)
    except UNREADABLE:
        cut, trouble = False, CANNOT_BE_READ
    else:
        trouble = "" if history is not None else "no mark prices are kept yet, so nothing can be valued"
    return Hindsight(
        decisions=look.decisions,
        cut=cut,
        refused=look.rows(reported=False),
        reported=look.rows(reported=True),
        unknown=dict(look.report.unknown.most_common(_REASONS)),
        left_out=dict(look.report.left_out.most_common(_REASONS)),
        trouble=trouble,
        assumed=f"a fee of {fees.taker} (taker) or {fees.maker} (maker)",
    )


def _row(rule: str, found: RuleSum, examples: deque[str]) -> RuleHindsight:
    return RuleHindsight(
        rule=rule,
        intents=found.intents,
        times=found.times,
        came_to=[_came_to(name, found.horizons[horizon]) for horizon, name in _HORIZONS.items()],
        examples=tuple(examples),
    )


def _came_to(name: str, found: HorizonSum) -> CameTo:
    """What the orders would have lost, the rule has saved."""
    said = "–"
    if found.filled:
        said = f"saved {show(-found.result)}" if found.result <= 0 else f"cost {show(found.result)}"
    counts = ((found.filled, "filled"), (found.not_filled, "not filled"), (found.unknown, "unknown"))
    counted = [f"{count} {word}" for count, word in (*counts, (found.not_yet, "not yet")) if count]
    return CameTo(horizon=name, said=said, counted=", ".join(counted))
