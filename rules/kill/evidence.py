"""What the automatic triggers judge: an account as two sources have it, each with its age. No behaviour.

Small enough to be written whole into the audit with every ruling, so that each can be judged again years later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rules.model import PositionSide


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSeen:
    """An open leg. ``notional`` is absolute, in quote currency, at the mark.

    ``distance`` is the fraction of the mark to its liquidation: by the guard's own margin arithmetic in a book (by the
    venue's last price where that lacks something), by the venue's liquidation price in a reading. ``volatility`` is the
    measured standard deviation of one hour's log return. ``None``: not known. ``at_par`` is false where the guard's
    list says that the contract is not quoted in dollars: its notional says nothing of what it is worth then.
    """

    symbol: str
    position_side: PositionSide
    notional: Decimal
    distance: Decimal | None = None
    volatility: Decimal | None = None
    at_par: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSeen:
    """An account as one source has it. ``equity`` is wallet plus unrealised result, in quote currency."""

    as_of: datetime
    equity: Decimal
    legs: tuple[LegSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the record says was made (negative: lost), funding included, transfers not; quote currency."""

    as_of: datetime
    day: Decimal
    rolling: Decimal
    equity: Decimal
    equity_peak: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersSeen:
    """How many orders of one kind were found within the window, and when the newest was."""

    count: int = 0
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSeen:
    """A stated probability of liquidation; an empty ``symbol`` means the account as a whole."""

    as_of: datetime
    probability: Decimal
    symbol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a ruling on one account may depend on.

    ``book`` is the guard's own picture, ``reading`` what the kill's own hands have read of the venue since a ruling
    asked for it, ``results`` the record's. ``unrecorded`` are orders that bear the guard's mark and that no record of
    the guard knows, ``outside`` those of anybody else.
    """

    at: datetime
    account: str
    book: AccountSeen | None = None
    reading: AccountSeen | None = None
    results: Results | None = None
    forecast: ForecastSeen | None = None
    unrecorded: OrdersSeen = OrdersSeen()
    outside: OrdersSeen = OrdersSeen()
    anomaly: Decimal = Decimal(0)
