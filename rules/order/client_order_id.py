"""client_order_id: one name, one order. A gate, because exposure is counted by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rules.account import Account
from rules.decision import Breach
from rules.intent import is_guaranteed_exit
from rules.model import Command, PlaceOrder
from rules.rule import Rule
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOrderIdGate(Rule):
    """Refuse an entry under a client order id that a resting order, or one under way, may still bear.

    A held order is no longer counted as held once the survey shows an order of its name; a second order of the same
    name would then hide. It is also what a bot does that lost an answer and sends its order again.
    Binance refuses such an id itself while the first order is open (-4116).
    """

    rule_id: ClassVar[str] = "client_order_id"
    codes: ClassVar[Mapping[str, str]] = {
        "CLIENT_ORDER_ID_IN_USE": "an order of this name is open or under way",
    }

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an entry whose name is taken. Plain and conditional orders have names of their own."""
        if not isinstance(command, PlaceOrder) or is_guaranteed_exit(command) or not command.client_order_id:
            return None
        name, conditional = command.client_order_id, command.order_type.is_conditional
        resting = snapshot.account.found(_names) if snapshot.account is not None else frozenset()
        if (name, conditional) not in resting and not _is_under_way(name, conditional, snapshot):
            return None
        return self.breach(
            "CLIENT_ORDER_ID_IN_USE",
            f"an order named {name} is open, or its fate is not known yet",
            observed=name,
            advice="ask for the status of the order of that name, or choose a new client order id",
        )


def _is_under_way(name: str, conditional: bool, snapshot: Snapshot) -> bool:
    for hold in snapshot.holds:
        for held in hold.orders:
            if held.client_order_id == name and held.conditional is conditional and held.replaces is None:
                return True
    return False


def _names(account: Account) -> frozenset[tuple[str, bool]]:
    return frozenset((order.client_order_id, order.order_type.is_conditional) for order in account.open_orders)
