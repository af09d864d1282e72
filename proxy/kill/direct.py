"""Hands straight from the vault, for a kill on the command line: no warden, no gate, and a store only if it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.accounts.shares import counted_until
from proxy.clock import utc_now
from proxy.exchange.venue_account import VenueAccount
from proxy.guard_id import known_guard_id
from proxy.kill.bot_hands import BotHands
from proxy.kill.hands import VenueHands
from proxy.policy.reading import PolicyError, load_policy
from proxy.policy.shelf import policy_path
from proxy.settings import Settings
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import ExchangeKey
from proxy.venues.binance import client_ids
from rules.account import Account
from rules.decision import Enforcement
from rules.market.data_freshness import DataFreshness
from rules.model import PositionSide, TradingState
from rules.position.own_share import OwnShare

log = logging.getLogger("perpguard.kill")

STORE_S: Final = 1.0
"""How long the store is asked whose share of a position is whose; a kill of one bot alone needs to know."""

PUBLISHED_AGE_MAX: Final = timedelta(seconds=float(DataFreshness().account_age_max_s))
"""How old the shares in the store may be, the age from which ``data_freshness`` refuses entries where the policy sets
no other: since then the bot may have closed some of its share itself."""


class PublishedShare:
    """The shares of ``bot`` as the warden published them last, read once: what is closed from then on is taken off."""

    def __init__(self, bot: str, account: Account | None, now: Callable[[], datetime] = utc_now) -> None:
        self.bot = bot
        believed = account is not None and not account.feed_stale and now() - account.as_of <= PUBLISHED_AGE_MAX
        self._account = account if believed else None

    @property
    def begun_at(self) -> datetime | None:
        """Up to when fills are in them: an account may be read long after what filled was last counted."""
        return None if self._account is None else counted_until(self._account)

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """The bot's signed part of a leg; ``None`` when the store did not answer, or with what is no longer so."""
        if self._account is None:
            return None
        own = (
            share.quantity
            for share in self._account.shares
            if (share.bot, share.symbol, share.position_side) == (self.bot, symbol, position_side)
        )
        return sum(own, Decimal(0))

    def distrust(self) -> None:
        """An order of the bot's was on its way when they were read: what it did is in none of them."""
        self._account = None

    def counted(self, symbol: str, order_id: str) -> Decimal:
        """Nothing is counted in what is never read again."""
        return Decimal(0)


class DirectHands:
    """Opens the hands of a scope, and tells the store. Use as an async context manager.

    ``tells_store`` is false where nobody knows as which desk: it is not read either, then.
    """

    def __init__(self, settings: Settings, traders: Iterable[tuple[str, str]], *, tells_store: bool = True) -> None:
        self._settings = settings
        self._traders = tuple(traders)
        self._tells_store = tells_store
        self._closing = AsyncExitStack()
        self._store: WardenStore | None = None

    async def __aenter__(self) -> DirectHands:
        """Connect to nothing yet."""
        if self._tells_store:
            guard = known_guard_id(self._settings.data_dir)
            self._store = WardenStore(self._settings.store, self._settings.desk, guard)
            self._closing.push_async_callback(self._store.aclose)
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close every connection."""
        await self._closing.aclose()

    @property
    def store(self) -> WardenStore | None:
        """The store, where it is to be told; whether it answers is not known."""
        return self._store

    async def hand(self, scope: Scope, key: ExchangeKey) -> VenueHands:
        """The hands on one account, kept to one bot's part of it where the scope is a bot that has only a part."""
        venue = VenueAccount.of(
            key,
            self._settings,
            other_urls=self._settings.venues[key.venue].other_urls,
            addresses=self._settings.kill_addresses(key.account),
        )
        self._closing.push_async_callback(venue.aclose)
        if scope.bot is None or self._has_all(scope.bot, key.account):
            return VenueHands(venue)
        share = PublishedShare(scope.bot, await self._published(key.account))
        tags = client_ids.tags_of(key.account, self._traders)
        return BotHands(venue, tag=client_ids.tag(key.account, scope.bot), share=share, tags=lambda: tags)

    async def latch(self, scope: Scope, generation: int | None, *, running: bool = True) -> None:
        """Tell gates on other machines. Raises what the store client raises, ``DeskTaken`` for another guard's desk.

        Without a number of our own the store's stays as it is: gates never let go again on a smaller one.
        """
        if self._store is None:
            return
        number = generation or int((await self._store.controls()).get("generation", "0")) or 1
        await self._store.set_state(scope.control, TradingState.HALTED, generation=number, kill_running=running)

    async def end(self, scope: Scope, generation: int | None) -> bool:
        """Give the exits back to the bots: a warden would, but there may be none. Never raises.

        Whether the store has the stop now.
        """
        try:
            async with asyncio.timeout(STORE_S):
                await self.latch(scope, generation, running=False)
        except Exception as trouble:  # The edge: whatever ails the store, the kill has ended.
            log.warning("the store was not told of the end of the kill of %s: %s", scope, type(trouble).__name__)
            return False
        return self._store is not None

    async def _published(self, account: str) -> Account | None:
        if self._store is None:
            return None
        try:
            async with asyncio.timeout(STORE_S):
                await self._store.controls()  # Another guard's account of that name is none of ours.
                return await self._store.account(account)
        except Exception as trouble:  # The edge: whatever the store holds, the account has hands.
            log.warning("what the store has of %s cannot be read: %s", account, type(trouble).__name__)
            return None  # Its orders go all the same; of its positions the report says that nobody knows.

    def _has_all(self, bot: str, account: str) -> bool:
        others = {trader for trader, traded in self._traders if traded == account} - {bot}
        return not others and not self._isolated(bot, account)

    def _isolated(self, bot: str, account: str) -> bool:
        """Whether the policy keeps the bot to its own part. One that cannot be read may."""
        try:
            policy = load_policy(policy_path(self._settings))
        except PolicyError:
            return True
        rules = policy.rules_for(account=account, bot=bot, symbol=None)
        return any(isinstance(rule, OwnShare) and rule.enforcement is Enforcement.ENFORCE for rule in rules)
