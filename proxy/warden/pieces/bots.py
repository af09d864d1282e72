"""Builds the kill's hands for one bot: on an account that others trade too, kept to its own part of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from proxy.exchange.venue_account import VenueAccount
from proxy.kill.bot_hands import BotHands
from proxy.kill.hands import AccountHands, VenueHands
from proxy.venues.binance import client_ids
from proxy.warden.pieces.account import AccountPieces
from proxy.warden.pieces.ground import Ground
from rules.decision import Enforcement
from rules.model import PositionSide
from rules.position.own_share import OwnShare


class KnownShare:
    """A bot's shares of one account, as its keeper knows them."""

    def __init__(self, bot: str, pieces: AccountPieces) -> None:
        self._bot = bot
        self._pieces = pieces

    @property
    def begun_at(self) -> datetime | None:
        """Up to when fills were in the shares that this warden took up; ``None`` where none were, or nobody says."""
        return self._pieces.outside.shares.restored_at

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """The bot's signed part of a leg; ``None`` before the first survey, while the stream has a gap, and until it is
        looked up what filled meanwhile."""
        account = self._pieces.keeper.account
        if account is None or account.feed_stale or symbol in self._pieces.outside.unsettled:
            return None
        return self._pieces.outside.shares.quantity(self._bot, symbol, position_side)

    def counted(self, symbol: str, order_id: str) -> Decimal:
        """How much of an order's fill is in the shares already."""
        return self._pieces.outside.shares.filled_by(symbol, order_id)


def bot_hands(
    ground: Ground,
    bot: str,
    account: str,
    venue: VenueAccount,
    whole: Mapping[str, VenueHands],
    accounts: Mapping[str, AccountPieces],
) -> AccountHands:
    """The hands on one account the bot has a key for. Where it trades alone and is not kept to its own part by the
    policy, all of the account is its: what the guard cannot tell apart is closed rather than left."""
    if has_all(ground, bot, account):
        return whole[account]
    return BotHands(
        venue,
        tag=client_ids.tag(account, bot),
        share=KnownShare(bot, accounts[account]),
        tags=lambda: client_ids.tags_of(account, ground.traders()),
    )


def has_all(ground: Ground, bot: str, account: str) -> bool:
    """Whether all of an account is one bot's: nobody else trades there, and no rule keeps it to its own part."""
    others = {trader for trader, traded in ground.traders() if traded == account} - {bot}
    rules = ground.policy().rules_for(account=account, bot=bot, symbol=None)
    isolated = any(isinstance(rule, OwnShare) and rule.enforcement is Enforcement.ENFORCE for rule in rules)
    return not others and not isolated
