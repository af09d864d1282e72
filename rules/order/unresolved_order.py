"""unresolved_order: a lost answer does not become a second position. A gate, because no limit sees a double as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from rules.account import HeldOrder, UnreportedOrder
from rules.ages import seconds
from rules.decision import Breach
from rules.exposure import held_order
from rules.intent import is_guaranteed_exit
from rules.model import Command, PlaceOrder
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot


class Match(StrEnum):
    """SIDE takes every entry on the same side of the symbol for a repetition; PRICE only one at the same price."""

    SIDE = "side"
    PRICE = "price"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedOrder(Rule):
    """Refuse an entry that may repeat one whose answer the bot never got.

    Bots that lose an answer send their order again under a new name and, often, a new size (freqtrade does, in its
    next loop). The first may have been executed. So a further entry on its side (in hedge mode: on its leg) is refused
    until the bot got an answer that names the first (``GET /fapi/v1/order`` with its ``origClientOrderId``,
    ``openOrders``, ``allOrders`` and their like; that a list does not name it proves nothing), until the exchange has
    proven that it never was, until nothing is left of it (neither under way nor resting, and no position on its side),
    or until ``remember_s`` is over. A bot that never asks opens nothing more there before the position is closed.

    Exits, cancels and amends are not looked at. The gate holds for the desk, set or not, and a bot's table can only
    tighten it: `match = "price"` for grids stands at `desk`, beside `match = "side"` for the bots that are none.
    """

    rule_id: ClassVar[str] = "unresolved_order"
    codes: ClassVar[Mapping[str, str]] = {
        "UNRESOLVED_ORDER": "an earlier entry on this side may have been executed, and the bot has not asked",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 17(3)",)
    example: ClassVar[str] = """
[desk.unresolved_order]
enforcement = "enforce"
match = "price"

[bot.trend.unresolved_order]
enforcement = "enforce"
match = "side"
"""

    match: Annotated[
        Match,
        Setting(
            '`"side"`: every entry on that side; `"price"`: only one at the same limit or trigger price, for grids',
            Looser.HIGHER,
        ),
    ] = Match.SIDE
    remember_s: Annotated[
        int, Setting("seconds since the answer was lost; after a week it is forgotten in any case", Looser.LOWER)
    ] = 86_400

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an entry like one of this bot's whose outcome it does not know; name the oldest of those."""
        if not snapshot.unreported or not isinstance(command, PlaceOrder) or is_guaranteed_exit(command):
            return None
        asked = held_order(command, snapshot)
        if asked is None:
            return None
        lost = [each for each in snapshot.unreported if self._repeats(asked, each, snapshot)]
        if not lost:
            return None
        name = min(lost, key=lambda each: (each.at, each.order.client_order_id)).order.client_order_id
        return self.breach(
            "UNRESOLVED_ORDER",
            f"the answer to the order {name} on this side was lost, and it may have been executed",
            observed=name,
            advice=f"ask for the status of the order {name} by its client order id; then entries pass again",
        )

    def _repeats(self, asked: HeldOrder, lost: UnreportedOrder, snapshot: Snapshot) -> bool:
        order = lost.order
        same = (order.symbol, order.side, order.position_side) == (asked.symbol, asked.side, asked.position_side)
        if lost.bot != snapshot.bot or order.replaces is not None or not same:
            return False
        if self.match is Match.PRICE and (order.price, order.conditional) != (asked.price, asked.conditional):
            return False
        return snapshot.now - lost.at <= seconds(self.remember_s)
