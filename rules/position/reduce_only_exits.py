"""reduce_only_exits: an order against the position must carry the reduce-only flag, and may never flip it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from rules.decision import Breach, Enforcement
from rules.intent import is_guaranteed_exit
from rules.model import Command, PlaceOrder
from rules.rule import Looser, Rule, Setting, show_exact
from rules.snapshot import Snapshot

POSITION_FLIP: Final = "POSITION_FLIP"
"""The code whose headroom is the way out: so much would close the position, and none of it be an entry."""


class ExitMode(StrEnum):
    """REQUIRE refuses a shrinking order without the flag and says how; FORCE puts the flag on and lets it go."""

    REQUIRE = "require"
    FORCE = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceOnlyExits(Rule):
    """In one-way mode, refuse orders against an open position unless the venue guarantees they only shrink it.

    Without the flag an exit that fills twice, or fills late, opens the opposite position. A flip is refused in both
    modes: the trader closes with a reduce-only order and opens the other side with a second one.
    """

    rule_id: ClassVar[str] = "reduce_only_exits"
    codes: ClassVar[Mapping[str, str]] = {
        "EXIT_NOT_REDUCE_ONLY": "shrinks the position without the flag",
        POSITION_FLIP: "would turn the position round",
    }
    clauses: ClassVar[Sequence[str]] = ("FIA 2024 kill switch",)
    example: ClassVar[str] = """
[desk.reduce_only_exits]
enforcement = "enforce"
mode = "force"
"""

    mode: Annotated[ExitMode, Setting('`"require"` or `"force"`', Looser.NEITHER)] = ExitMode.REQUIRE

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an unflagged order against the position; advise the flag, or how to split a flip."""
        if not isinstance(command, PlaceOrder):
            return None
        position = opposed_position(command, snapshot)
        if position is None or command.quantity is None:
            return None
        size = show_exact(abs(position))
        if command.quantity > abs(position):
            return self.breach(
                POSITION_FLIP,
                f"would flip the {command.symbol} position of {show_exact(position)}",
                observed=show_exact(command.quantity),
                limit=size,
                headroom=abs(position),
                advice=f"close {size} with reduceOnly=true, then open "
                f"{show_exact(command.quantity - abs(position))} with a second order",
            )
        return self.breach(
            "EXIT_NOT_REDUCE_ONLY",
            f"reduces the {command.symbol} position of {show_exact(position)} without the reduce-only flag",
            observed=show_exact(command.quantity),
            limit=size,
            headroom=Decimal(0),
            advice="send the same order with reduceOnly=true",
        )

    @property
    def forces(self) -> bool:
        """Whether it puts the flag on: in FORCE mode, and enforced."""
        return self.mode is ExitMode.FORCE and self.enforcement is Enforcement.ENFORCE

    def permits(self) -> bool:
        """A forced flag makes an exit of an order that the other rules would have judged as an entry."""
        return self.mode is ExitMode.FORCE

    def forced(self, command: Command, snapshot: Snapshot) -> PlaceOrder | None:
        """Where it ``forces``, the shrinking order with the flag put on it; ``None`` when there is nothing to force."""
        if not isinstance(command, PlaceOrder) or command.quantity is None:
            return None
        position = opposed_position(command, snapshot)
        if position is None or command.quantity > abs(position):
            return None
        return replace(command, reduce_only=True)


def opposed_position(order: PlaceOrder, snapshot: Snapshot) -> Decimal | None:
    """The signed one-way position an unflagged order works against, or ``None``.

    Hedge legs say by themselves whether they open or close, and a close-position order has no size to flip with.
    """
    if snapshot.account is None or snapshot.account.hedged or is_guaranteed_exit(order):
        return None
    for position in snapshot.account.legs(order.symbol):
        if position.quantity * order.side.sign < 0:
            return position.quantity
    return None
