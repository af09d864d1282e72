"""delisting: a contract that will be settled and closed soon takes no new position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, ClassVar

from rules.ages import seconds
from rules.decision import Breach
from rules.exposure import held_order
from rules.market.calendar import show_exits, show_time, with_offset
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Delisting(Rule):
    """Only exits and cancels on a symbol from `ahead_s` before it is delisted.

    A delisted contract is settled at a price nobody chose, and its book empties before that. The date is the one the
    exchange's instrument list gives, or the one in `dates`, whichever is earlier: announcements come before the list
    changes. The refusal says when, and names the position that is open on the symbol, which can be closed meanwhile.
    It closes nothing by itself.
    """

    rule_id: ClassVar[str] = "delisting"
    codes: ClassVar[Mapping[str, str]] = {
        "DELISTING_ANNOUNCED": "the symbol is about to be delisted, or has been",
        FACTS_UNKNOWN: "the exchange's listing of the symbol is not known",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(5)",)
    example: ClassVar[str] = """
[desk.delisting]
enforcement = "enforce"
ahead_s = 172800

[desk.delisting.dates]
LUNAUSDT = 2026-12-01T09:00:00Z
"""

    ahead_s: Annotated[int, Setting("seconds before the symbol is delisted", Looser.LOWER)] = 86_400
    dates: Annotated[Mapping[str, datetime], Setting("table `SYMBOL = time`", Looser.HIGHER, each_limits=True)] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        for symbol, at in self.dates.items():
            with_offset(f"dates: {symbol}", at)

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse entries of a symbol from ``ahead_s`` before the earliest date known for it."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        instrument = snapshot.instruments.get(order.symbol)
        if instrument is None:
            return self.unknown(f"the listing of {order.symbol}")
        known = [at for at in (instrument.delisted_at, self.dates.get(order.symbol)) if at is not None]
        ahead = seconds(self.ahead_s)
        if not known or snapshot.now < min(known) - ahead:
            return None
        positions = snapshot.account.positions if snapshot.account is not None else ()
        return self.breach(
            "DELISTING_ANNOUNCED",
            f"{order.symbol} is delisted at {show_time(min(known))}",
            observed=show_time(snapshot.now),
            limit=show_time(min(known) - ahead),
            advice=show_exits(each for each in positions if each.symbol == order.symbol),
        )
