"""Exits that the bots of one account keep sending after its kill has ended flat: they are cancelled for as long as they
come, and of each bot it is said once what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.kill.bot_exits import Cancelled, cancel_exits
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.tries import PURSUER
from proxy.record import Record
from proxy.store.fence import Scope
from rules.kill.legs import RestingOrder

log = logging.getLogger("perpguard.kill")

NO_NEWS_S: Final = 30.0
"""So long after exits were cancelled another order is no news: a bot that sends on and on costs no more than the
readings of any flat account."""


@dataclass(slots=True, kw_only=True)
class KeptExits:
    """What was done about them since one job ended. ``keepers`` are the bots of which it was said that they keep
    sending exits, ``refused`` those of which it was said that theirs cannot be cancelled; ``cancelled_at`` is when
    exits were last cancelled, in the loop's time."""

    account: str
    record: Record
    keepers: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    cancelled_at: float = float("-inf")

    def are_no_news(self, now: float) -> bool:
        """Whether exits were cancelled just now."""
        return now < self.cancelled_at + NO_NEWS_S

    async def cancel(
        self, hand: AccountHands, reading: Reading, exits: Mapping[RestingOrder, str], is_stopped: Callable[[], bool]
    ) -> Cancelled:
        """Cancel these of a reading as long as their scope is stopped."""
        self.cancelled_at = asyncio.get_running_loop().time()
        return await cancel_exits(hand, reading, exits, is_stopped)

    async def tell(self, scope: Scope, done: Cancelled) -> None:
        """Say once of each bot what became of its exits."""
        about = {"account": self.account, "scope": str(scope)}
        for bot in sorted(frozenset(done.gone.values()) - self.keepers):
            log.warning("%s keeps sending exits to %s after its kill; they are cancelled", bot, self.account)
            await self.record("kill.exits_cancelled", PURSUER, {**about, "bot": bot, "shown": _named(done.gone, bot)})
        for bot in sorted(frozenset(done.refused.values()) - self.refused):
            log.error("%s has exits on %s after its kill that the exchange refuses to cancel", bot, self.account)
            detail = {**about, "bot": bot, "not_cancelled": _named(done.refused, bot)}
            await self.record("kill.exits_refused", PURSUER, detail)
        self.keepers |= frozenset(done.gone.values())
        self.refused |= frozenset(done.refused.values())


def _named(exits: Mapping[RestingOrder, str], bot: str) -> list[str]:
    """One bot's exits, by symbol and order id."""
    return sorted(f"{order.symbol} {order.order_id}" for order, whose in exits.items() if whose == bot)
