"""reduce_only_exits: an order against the position must carry the reduce-only flag, and may never flip it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from rules.decision import Breach, Enforcement
from rules.intent import find_original, is_guaranteed_exit, order_only_shrinks
from rules.model import ZERO, AmendOrder, Command, PlaceOrder, Side
from rules.rule import Looser, Rule, Setting, show_exact
from rules.snapshot import Snapshot

POSITION_FLIP: Final = "POSITION_FLIP"
"""The code whose headroom is the way out: so much would close the position, and none of it be an entry. An amend's has
none: it cannot put the flag on."""


class ExitMode(StrEnum):
    """REQUIRE refuses a shrinking order without the flag and says how; FORCE puts the flag on and lets it go."""

    REQUIRE = "require"
    FORCE = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceOnlyExits(Rule):
    """In one-way mode, refuse orders against an open position unless the venue guarantees they only shrink it.

    Without the flag an exit that fills twice, or fills late, opens the opposite position. A flip is refused in both
    modes: the trader closes with a reduce-only order and opens the other side with a second one. An amend cannot put
    the flag on: in both modes one is refused that makes an unflagged order against the position larger, and passes
    where the order shrinks or only its price moves.
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
        match command:
            case PlaceOrder():
                return self._placing(command, snapshot)
            case AmendOrder():
                return self._amending(command, snapshot)
            case _:
                return None

    def _placing(self, command: PlaceOrder, snapshot: Snapshot) -> Breach | None:
        position = _against(command, snapshot)
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

    def _amending(self, amend: AmendOrder, snapshot: Snapshot) -> Breach | None:
        original = find_original(amend, snapshot)
        if original is None or order_only_shrinks(original):
            return None
        position = opposed_position(original.symbol, original.side, snapshot)
        leaves, rests = amend.quantity - original.filled_quantity, original.leaves_quantity or ZERO
        if position is None or leaves <= rests:
            return None
        flips, symbol = leaves > abs(position), original.symbol
        return self.breach(
            POSITION_FLIP if flips else "EXIT_NOT_REDUCE_ONLY",
            f"would flip the {symbol} position of {show_exact(position)}"
            if flips
            else f"reduces the {symbol} position of {show_exact(position)} without the reduce-only flag",
            observed=show_exact(leaves),
            limit=show_exact(abs(position)),
            advice=f"leave the order at {show_exact(original.filled_quantity + rests)}, for an amend cannot put the"
            " flag on, and close the rest with a second one with reduceOnly=true",
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
        position = _against(command, snapshot)
        if position is None or command.quantity > abs(position):
            return None
        return replace(command, reduce_only=True)


def _against(order: PlaceOrder, snapshot: Snapshot) -> Decimal | None:
    """The position an unflagged order works against. A close-position order has no size to flip with."""
    return None if is_guaranteed_exit(order) else opposed_position(order.symbol, order.side, snapshot)


def opposed_position(symbol: str, side: Side, snapshot: Snapshot) -> Decimal | None:
    """The signed one-way position that orders of ``side`` work against, or ``None``.

    Hedge legs say by themselves whether they open or close.
    """
    if snapshot.account is None or snapshot.account.hedged:
        return None
    for position in snapshot.account.legs(symbol):
        if position.quantity * side.sign < 0:
            return position.quantity
    return None
