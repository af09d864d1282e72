"""What the warden can do to a bot whose lease ran out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from proxy.accounts.venue_account import VenueAccount
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from rules.snapshot import OpenOrder

BY: Final = "lease"


class LeaseHands:
    """``traders`` says which bots trade which accounts: pairs of both. ``venues`` by account."""

    def __init__(
        self,
        stops: BotStops,
        kill: KillDesk,
        venues: Mapping[str, VenueAccount],
        traders: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        self._stops = stops
        self._kill = kill
        self._venues = venues
        self._traders = traders

    async def reduce(self, bot: str, reason: str) -> None:
        """Make the bot reduce-only until a person lets it go on."""
        await self._stops.reduce(bot, BY, reason)

    async def cancel_conditional(self, account: str, order: OpenOrder) -> None:
        """Cancel one conditional order; one that is gone is no trouble."""
        await self._venues[account].cancel_order(order.symbol, order.client_order_id, conditional=True)

    async def flatten(self, account: str, bot: str, reason: str) -> bool:
        """Press the button for the account, where the bot is the only one that trades there."""
        if account not in self._venues or any(trader != bot for trader, traded in self._traders() if traded == account):
            return False
        await self._kill.close(account, f"{BY} of {bot}", reason)
        return True
