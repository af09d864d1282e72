"""concentration: how much of the account one symbol may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Use
from rules.exposure import exposure_after, gross_notional, held_order, worst_case
from rules.model import ZERO, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration(Rule):
    """Keep the worst case of any one symbol a part of what the account carries.

    ``equity_max`` caps it in multiples of margin balance, always. ``share_max`` caps it at that share of a *full book*
    once the account's worst-case gross is above ``gross_min``: a small book may be one symbol, a large one may not.
    A full book is ``full_book`` times margin balance, the gross you would let this account have. The share is not
    measured against the gross it has, because then buying more of another symbol would make room in this one, and
    selling that other one would turn what was allowed into a breach.
    """

    rule_id: ClassVar[str] = "concentration"
    codes: ClassVar[Mapping[str, str]] = {
        "CONCENTRATION_ABOVE_LIMIT": "the symbol could become too large a part of the account",
        FACTS_UNKNOWN: "the account is not known",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 15(5)",
    )
    example: ClassVar[str] = """
[desk.concentration]
enforcement = "enforce"
share_max = 0.4
full_book = 3
gross_min = 10000
equity_max = 2
"""
    sized: ClassVar[bool] = True

    share_max: Annotated[Decimal | None, Setting("fraction of a full book, at most 1", Looser.HIGHER)] = None
    full_book: Annotated[Decimal | None, Setting("times margin balance; gross of a full book", Looser.HIGHER)] = None
    gross_min: Annotated[
        Decimal,
        Setting("quote currency; gross above which share_max applies, 0: always", Looser.HIGHER, zero_or_less=True),
    ] = ZERO
    equity_max: Annotated[Decimal | None, Setting("times margin balance", Looser.HIGHER)] = None

    def __post_init__(self) -> None:
        if self.share_max is None and self.equity_max is None:
            raise ValueError("concentration needs share_max or equity_max")
        if (self.share_max is None) is not (self.full_book is None):
            raise ValueError("concentration: share_max and full_book go together")
        if self.share_max is not None and self.share_max > 1:
            raise ValueError("concentration: share_max is a fraction, at most 1")
        if self.gross_min < 0:
            raise ValueError("concentration: gross_min must not be negative; 0 means that share_max always applies")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the order's symbol could become more than its part."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if snapshot.account is None:
            return self.unknown("the account")
        symbol = exposure_after(snapshot, order).gross_notional
        balance = max(ZERO, snapshot.account.margin_balance)
        if self.equity_max is not None and symbol > self.equity_max * balance:
            return self._breach(order.symbol, symbol, self.equity_max * balance)
        if self.share_max is None or self.full_book is None:
            return None
        limit = self.share_max * self.full_book * balance
        if symbol <= limit or gross_notional(snapshot, order) <= self.gross_min:
            return None
        return self._breach(order.symbol, symbol, limit)

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """Every symbol's part as it stands; the share of a full book only where the book is large enough for it."""
        if snapshot.account is None:
            return ()
        exposures, balance = worst_case(snapshot), max(ZERO, snapshot.account.margin_balance)
        gross = sum((each.gross_notional for each in exposures.values()), ZERO)
        limits = [] if self.equity_max is None else [self.equity_max * balance]
        if self.share_max is not None and self.full_book is not None and gross > self.gross_min:
            limits.append(self.share_max * self.full_book * balance)
        if not limits:
            return ()
        return tuple(self.used(each.gross_notional, min(limits), symbol=each.symbol) for each in exposures.values())

    def _breach(self, symbol: str, observed: Decimal, limit: Decimal) -> Breach:
        return self.breach(
            "CONCENTRATION_ABOVE_LIMIT",
            f"{symbol} alone could reach {show(observed)}",
            observed=show(observed),
            limit=show(limit),
        )
