"""How near things stood to their limits in the last day, as the control door shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """The last day, oldest first: ``at`` in seconds since 1970, and a value or nothing for each moment by series.

    Series are ``anomaly``, and for each account ``leverage:NAME``, ``liquidation:NAME`` (probability within a day) and
    ``limit:NAME`` (the largest share in use of any limit).
    """

    every_s: float
    at: Sequence[float] = ()
    series: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


class HistoryPlane(Protocol):
    """What the warden remembers of the last day."""

    async def history(self) -> HistoryView:
        """All of it. Looks at memory alone."""
        ...
