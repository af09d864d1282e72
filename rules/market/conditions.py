"""What of the warden's slower facts a rule may rely on now, and what follows when it may not. Pure.

A fact that is too old is no fact.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rules.ages import seconds
from rules.exposure import exposure_after
from rules.facts import Condition
from rules.model import Command, PlaceOrder, TimeInForce
from rules.rule import show_exact
from rules.snapshot import HeldOrder, Snapshot

_PERCENT_STEP: Final = Decimal("0.0001")


_POST_ONLY: Final = (TimeInForce.GTX, TimeInForce.RPI)


class WithoutFacts(StrEnum):
    """What a rule that only adds to other limits does with an entry when it does not know what it would need."""

    PASS = "pass"  # noqa: S105 - no password: the entry passes
    REFUSE = "refuse"


def is_fresh(as_of: datetime, snapshot: Snapshot, age_max_s: int) -> bool:
    """Whether ``as_of`` is at most so many seconds away. A time ahead of the guard's clock counts as its distance."""
    return abs(snapshot.now - as_of) <= seconds(age_max_s)


def fresh_condition(symbol: str, snapshot: Snapshot, age_max_s: int) -> Condition | None:
    """What was measured of the symbol's market, ``None`` when nothing was or it is too old."""
    if snapshot.conditions is None:
        return None
    condition = snapshot.conditions.symbols.get(symbol)
    return condition if condition is not None and is_fresh(condition.as_of, snapshot, age_max_s) else None


def notional_after(order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
    """What the symbol's position could be worth on the order's own side, everything pending counted as filled.

    In quote currency; ``None`` while the account or the symbol's mark price is not known. The other side is left out:
    an entry does not add to it, and a position there is no credit against it either.
    """
    if snapshot.account is None or order.symbol not in snapshot.markets:
        return None
    exposure = exposure_after(snapshot, order)
    return exposure.long_notional if order.side.sign > 0 else exposure.short_notional


def is_post_only(command: Command) -> bool:
    """Whether the venue itself guarantees that the order takes nothing from the book.

    An amend does not say how long its order lives, so it is none; nor is an order without a limit price.
    """
    if not isinstance(command, PlaceOrder) or command.order_type.is_market:
        return False
    return command.time_in_force in _POST_ONLY


def show_percent(fraction: Decimal) -> str:
    """A fraction for people, in percent: fine enough for a spread of a hundredth of a basis point."""
    return f"{show_exact((fraction * 100).quantize(_PERCENT_STEP))} %"
