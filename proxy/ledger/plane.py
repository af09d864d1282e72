"""What the console and the control API may ask of the ledger, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Amounts = Mapping[str, str]
"""Exact sums by asset: received, negative when paid. Assets are not added to one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodView:
    """Three ledgers of the last so many seconds, never added up: realised profit, fees, funding."""

    seconds: int
    fills: int
    trading: Amounts
    fees: Amounts
    funding: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksView:
    """One bot's books in one symbol, the shortest period first. ``bot`` is empty for what no bot did."""

    account: str
    bot: str
    symbol: str
    periods: Sequence[PeriodView]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingView:
    """How far an account's ledger is complete, and whether it is the venue's statement to the last digit.

    ``standing`` is ``reconciled``, ``incomplete`` or ``differs``; ``verdict`` says it in a sentence, ``missing`` what
    has not been read, ``gaps`` what of it is since ``since``, ``differences`` the first amounts that differ. Times are
    RFC 3339.
    """

    account: str
    since: str
    until: str
    standing: str
    verdict: str
    missing: Sequence[str]
    gaps: Sequence[str]
    differences: Sequence[str]
    nameless: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedView:
    """What else the venue booked in the longest period: a transfer, a liquidation's clearance."""

    account: str
    kind: str
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityView:
    """One bot's orders in one symbol on one day. Costs are in basis points of what was traded, positive when it cost;
    ``usual`` is the mean slippage of the seven days before; ``None`` where nothing was measured."""

    day: str
    account: str
    bot: str
    symbol: str
    orders: int
    refused: int
    rejected: int
    unknown: int
    latency_ms_p50: str | None
    latency_ms_p99: str | None
    spread_bps: str | None
    slippage_bps: str | None
    usual_bps: str | None
    measured_fills: int
    measured_by_mark: int
    unmeasured_fills: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """The ledger at one moment. ``trouble`` says why there is none, else it is empty."""

    at: str
    trouble: str = ""
    standings: Sequence[StandingView] = ()
    books: Sequence[BooksView] = ()
    booked: Sequence[BookedView] = ()
    quality: Sequence[QualityView] = ()


class LedgerPlane(Protocol):
    """The ledger, as the control door sees it."""

    async def ledger(self, account: str | None, bot: str | None, symbol: str | None) -> LedgerView:
        """What is kept, of one account, bot or symbol, or of all (``None``). At most seconds old."""
        ...
