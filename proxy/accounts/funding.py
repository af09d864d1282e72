"""Which of the venue's funding rows are in the shares already, and by whose shares the others are split. Pure.

The venue's income list is the one truth about funding: its rows name symbol and amount, its stream often only a
balance (Binance: a cross position's FUNDING_FEE event comes without the position). So an event of the stream is never
counted. It says that there are rows to read, and keeps the shares as they were when it was heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from proxy.accounts.shares import Shares, Weights
from proxy.exchange.events import AccountEvent
from proxy.exchange.payloads import FundingRow
from rules.account import CountedFunding, FundingMark

FUNDING: Final = "FUNDING_FEE"

MOMENT_MS: Final = 5 * 60 * 1000
"""How far a row's time and its event's may lie apart. Fundings of a symbol are at least an hour apart."""

OVERLAP_MS: Final = 10 * 60 * 1000
"""A row may appear this much later than another one of the same or a later time, and is still counted."""

MOMENTS_MAX: Final = 1_000
COUNTED_MAX: Final = 1_000
"""Rows of the overlap that are remembered one by one: more than the venue has legs with one funding time."""


@dataclass(slots=True, kw_only=True)
class _Moment:
    """Funding was heard of: the shares just then. ``owed`` until a row of its amount has come."""

    event: AccountEvent
    weights: Weights
    owed: bool


class Fundings:
    """The funding of one account, row by row, each counted once."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._moments: deque[_Moment] = deque(maxlen=MOMENTS_MAX)
        self._counted: dict[str, int] = {}
        self._since_ms: int | None = None
        self.told: Callable[[FundingRow, Mapping[str, Decimal]], None] = lambda row, weights: None
        """Called with every row that is shared out, and the bots' holdings it is shared out by."""

    @property
    def mark(self) -> FundingMark | None:
        """How far the shares have the funding; ``None`` before the first reading. Publish it with the shares."""
        if self._since_ms is None:
            return None
        rows = tuple(CountedFunding(row_id=row_id, at_ms=at_ms) for row_id, at_ms in self._counted.items())
        return FundingMark(since_ms=self._since_ms, rows=rows)

    @property
    def since_ms(self) -> int:
        """From what time of the venue on rows may be new; 0 when no row was ever seen."""
        return self._since_ms or 0

    @property
    def owed(self) -> bool:
        """Whether funding was heard of whose row has not come."""
        return any(moment.owed for moment in self._moments)

    def restore(self, mark: FundingMark | None) -> None:
        """Take up where the shares of a published account document end."""
        if mark is not None:
            self._since_ms = mark.since_ms
            self._counted = {row.row_id: row.at_ms for row in mark.rows}

    def hear(self, event: AccountEvent) -> None:
        """The stream tells of funding: keep the shares of this moment. Told twice, it is one moment."""
        if any(moment.event == event for moment in self._moments):
            return
        weights = self._shares.weights()
        if self._moments and self._moments[-1].weights == weights:
            weights = self._moments[-1].weights  # A burst at one funding time keeps one picture, not hundreds.
        self._moments.append(_Moment(event=event, weights=weights, owed=bool(_change(event))))

    def give_up(self) -> None:
        """Wait no longer for rows of what was heard; they are counted whenever they come."""
        for moment in self._moments:
            moment.owed = False

    def take(self, rows: Iterable[FundingRow]) -> None:
        """Share out every row that was not. The very first reading is what was before the guard began to count."""
        began = self._since_ms is not None
        heard_ms = min((moment.event.at_ms for moment in self._moments), default=None)
        for row in sorted(rows, key=lambda row: (row.at_ms, row.row_id)):
            if row.at_ms < self.since_ms or row.row_id in self._counted:
                continue
            self._counted[row.row_id] = row.at_ms
            if began or (heard_ms is not None and row.at_ms > heard_ms - MOMENT_MS):
                moment = self._moment_of(row)
                weights = moment.weights.get(row.symbol) if moment is not None else None
                weights = weights or self._shares.weights().get(row.symbol, {})
                self._shares.funded(row.symbol, row.amount, asset=row.asset, weights=weights)
                self.told(row, weights)
        self._move_on()

    def _moment_of(self, row: FundingRow) -> _Moment | None:
        """The event that told of the row, by its amount; else what was heard next to it."""
        near = [moment for moment in self._moments if abs(moment.event.at_ms - row.at_ms) <= MOMENT_MS]
        told = [moment for moment in near if moment.owed and _change(moment.event) == row.amount]
        found = min(told or near, key=lambda moment: abs(moment.event.at_ms - row.at_ms), default=None)
        if told and found is not None:
            found.owed = False
        return found

    def _move_on(self) -> None:
        """Forget what is older than the overlap, or too much: no row of before can be taken for a new one."""
        since_ms = max(self.since_ms, max(self._counted.values(), default=0) - OVERLAP_MS)
        for row_id, at_ms in sorted(self._counted.items(), key=lambda counted: counted[1]):
            if len(self._counted) > COUNTED_MAX:
                since_ms = max(since_ms, at_ms + 1)
            if at_ms < since_ms:
                del self._counted[row_id]
        self._since_ms = since_ms


def _change(event: AccountEvent) -> Decimal:
    return sum((balance.change for balance in event.balances), Decimal(0))
