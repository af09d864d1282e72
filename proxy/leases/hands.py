"""What the warden can do to a bot whose lease ran out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.exchange.venue_account import VenueAccount
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.store.fence import Scope
from rules.account import OpenOrder

BY: Final = "lease"


class LeaseHands:
    """``venues`` are the accounts to cancel on."""

    def __init__(self, stops: BotStops, kill: KillDesk, venues: Mapping[str, VenueAccount]) -> None:
        self._stops = stops
        self._kill = kill
        self._venues = venues

    async def reduce(self, bot: str, reason: str) -> None:
        """Make the bot reduce-only until a person lets it go on."""
        await self._stops.reduce(bot, BY, reason)

    async def cancel_conditional(self, account: str, order: OpenOrder) -> None:
        """Cancel one conditional order; one that is gone is no trouble."""
        await self._venues[account].cancel_conditional(order.symbol, order.client_order_id)

    async def flatten(self, bot: str, reason: str) -> None:
        """Press the button for the bot: its own part of what it trades is closed, and it stays stopped."""
        await self._kill.press(Scope(bot=bot), BY, reason)
