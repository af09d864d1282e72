"""duplicate_order: the same order again within a short time is more likely a fault than a wish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from rules.account import HeldOrder
from rules.ages import seconds
from rules.attempts import MARGIN_S
from rules.decision import Breach
from rules.exposure import held_order
from rules.model import Command, PlaceOrder
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot

WINDOW_MAX_S: Final = 3600
"""Duplicates are a matter of moments; every order brings back all earlier ones of the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateOrder(Rule):
    """Refuse an order that the bot has sent ``repeats`` times already within ``window_s``.

    The same order is one of the same symbol, side, leg, quantity and price (limit or trigger), and both are
    conditional or both are not; the client order id does not matter. What was refused was not sent and does not
    count; what was sent counts whatever became of it, and so do the earlier orders of a batch. An order that is still
    under way counts however long ago it was sent. An amend adds no order: it is neither judged nor counted.
    Of a bot that sends hundreds of orders within the window the guard remembers only the last ones (at least 200).
    """

    rule_id: ClassVar[str] = "duplicate_order"
    codes: ClassVar[Mapping[str, str]] = {
        "DUPLICATE_ORDER": "the bot has sent the same order `repeats` times within `window_s`",
    }
    clauses: ClassVar[Sequence[str]] = (
        "15c3-5(c)(1)(ii)",
        "FIA 2024 duplicate orders",
    )
    example: ClassVar[str] = """
[desk.duplicate_order]
enforcement = "enforce"
window_s = 5
repeats = 2
"""

    window_s: Annotated[int, Setting(f"seconds, at most {WINDOW_MAX_S}", Looser.LOWER)]
    repeats: Annotated[int, Setting("how often the same order may be sent within the window", Looser.HIGHER)] = 1

    def __post_init__(self) -> None:
        if self.window_s > WINDOW_MAX_S:
            raise ValueError(f"duplicate_order: window_s must be at most {WINDOW_MAX_S}")

    @property
    def looks_back_s(self) -> int:
        """All of the window."""
        return self.window_s + MARGIN_S

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an order the bot has sent too often of late."""
        order = held_order(command, snapshot)
        if order is None or not isinstance(command, PlaceOrder):
            return None
        sent = self._sent(order, snapshot)
        if sent < self.repeats:
            return None
        return self.breach(
            "DUPLICATE_ORDER",
            f"this is the same order {sent + 1} times within {self.window_s} s",
            observed=str(sent + 1),
            limit=str(self.repeats),
            advice="read what became of the earlier order; if another one is wanted, change its price or quantity, "
            f"or wait {self.window_s} s",
        )

    def _sent(self, order: HeldOrder, snapshot: Snapshot) -> int:
        """How often the bot has sent this order within the window, and before it where that is still under way."""
        since, quantity = snapshot.now - seconds(self.window_s), order.quantity
        lately = [attempt for attempt in snapshot.attempts if not attempt.refused and attempt.at >= since]
        # Most differ in their quantity: a busy bot comes with hundreds of attempts.
        same = [
            each for attempt in lately for each in attempt.orders if each.quantity == quantity and _is_same(each, order)
        ]
        own = [hold for hold in snapshot.holds if hold.bot == snapshot.bot]
        if own:
            seen = {attempt.hold_id for attempt in snapshot.attempts if attempt.refused or attempt.at >= since}
            same += [each for hold in own if hold.hold_id not in seen for each in hold.orders if _is_same(each, order)]
        return len(same)


def _is_same(earlier: HeldOrder, order: HeldOrder) -> bool:
    return (
        earlier.quantity == order.quantity
        and earlier.price == order.price
        and earlier.symbol == order.symbol
        and earlier.side == order.side
        and earlier.position_side == order.position_side
        and earlier.conditional is order.conditional
        and not _is_amend(earlier)
    )


def _is_amend(order: HeldOrder) -> bool:
    return order.replaces is not None or order.amendment is not None
