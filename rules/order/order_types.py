"""order_types: which order types and times in force an entry may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.intent import is_guaranteed_exit
from rules.model import AmendOrder, Command, OrderType, PlaceOrder, TimeInForce
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTypes(Rule):
    """Refuse an entry whose order type or time in force is not on the list; at least one list is set.

    An order with a limit price that names no time in force is GTC, as the exchange takes it; a market order has none
    unless it names one. An amend is of a LIMIT order, whose time in force it cannot change. Exits may be of any type.
    """

    rule_id: ClassVar[str] = "order_types"
    codes: ClassVar[Mapping[str, str]] = {
        "ORDER_TYPE_NOT_ALLOWED": "the order's type is not one of `types`",
        "TIME_IN_FORCE_NOT_ALLOWED": "the order's time in force is not one of `time_in_force`",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 8",)
    example: ClassVar[str] = """
[bot.grid.order_types]
enforcement = "enforce"
types = ["LIMIT"]
time_in_force = ["GTC", "GTX"]
"""

    types: Annotated[
        tuple[OrderType, ...] | None, Setting("order types, as the exchange names them", Looser.HIGHER)
    ] = None
    time_in_force: Annotated[
        tuple[TimeInForce, ...] | None, Setting("times in force: GTC, IOC, FOK, GTX, ...", Looser.HIGHER)
    ] = None

    def __post_init__(self) -> None:
        if self.types is None and self.time_in_force is None:
            raise ValueError("order_types needs types or time_in_force")
        if self.types == () or self.time_in_force == ():
            raise ValueError("order_types: an empty list allows nothing; to stop entries, halt trading")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a type, or a time in force, that is not on its list."""
        if isinstance(command, AmendOrder):
            return self._type(OrderType.LIMIT)
        if not isinstance(command, PlaceOrder) or is_guaranteed_exit(command):
            return None
        breach = self._type(command.order_type)
        return breach if breach is not None else self._time_in_force(command)

    def _type(self, order_type: OrderType) -> Breach | None:
        if self.types is None or order_type in self.types:
            return None
        return self._breach("ORDER_TYPE_NOT_ALLOWED", "order type", order_type, self.types)

    def _time_in_force(self, order: PlaceOrder) -> Breach | None:
        lives = order.time_in_force
        if lives is None and not order.order_type.is_market:
            lives = TimeInForce.GTC
        if self.time_in_force is None or lives is None or lives in self.time_in_force:
            return None
        return self._breach("TIME_IN_FORCE_NOT_ALLOWED", "time in force", lives, self.time_in_force)

    def _breach(self, code: str, what: str, found: str, allowed: Sequence[str]) -> Breach:
        listed = ", ".join(allowed)
        return self.breach(
            code,
            f"{what} {found} is not allowed for entries",
            observed=str(found),
            limit=listed,
            advice=f"allowed here: {listed}",
        )
