"""One decision's refused orders and what they would have come to, for whoever tells the decision's story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from proxy.audit.pictures import UNREADABLE
from proxy.ledger.counterfactual import Fees, Horizon, Outcome
from proxy.ledger.history import MarkHistory
from proxy.ledger.marks import MarkReader, MarksUnavailable
from proxy.ledger.refusals import unsent_of
from proxy.ledger.valuing import value
from rules.model import PlaceOrder


class NothingKnown(Exception):
    """The marks or the record cannot be read. The message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """A refused order, which rule refused it, and what it would have come to."""

    rule: str
    order: PlaceOrder
    outcomes: Mapping[Horizon, Outcome]


def supposed(decision: Mapping[str, Any] | None, marks: Path, now: datetime) -> tuple[Supposed, ...]:
    """What the orders that a decision record refused would have come to; none where no marks are kept.

    Raises ``NothingKnown``. Blocks for the disk.
    """
    if decision is None or not marks.is_file():
        return ()
    history = MarkHistory(MarkReader(marks))
    try:
        return tuple(
            Supposed(rule=each.rule, order=each.order, outcomes=value(each, history, Fees(), now))
            for each in unsent_of(decision)
        )
    except MarksUnavailable as trouble:
        raise NothingKnown(str(trouble)) from trouble
    except UNREADABLE as damage:
        raise NothingKnown(f"the record cannot be read back ({type(damage).__name__})") from damage
