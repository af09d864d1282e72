"""How near things stand to their limits, now and in the last day, as the control door shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """One enforced limit of the policy and what is in use of it, by the rule's own arithmetic.

    Positions, resting orders and holds count as if filled. ``name`` says which of a rule's limits, empty for its only
    one; ``symbol`` is empty for the whole account. ``unit`` is ``x`` for multiples of margin balance, ``base`` for base
    units, empty for quote currency. ``share`` is used over limit, at most 9.99.
    """

    rule: str
    level: str
    name: str
    symbol: str
    observed: str
    limit: str
    unit: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopView:
    """One protective stop of a leg. ``quantity`` is empty for one that closes all of it."""

    trigger_price: str
    quantity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolView:
    """One symbol that is held or whose state is not ACTIVE, across the desk's accounts."""

    name: str
    state: str


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
