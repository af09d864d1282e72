"""The control plane: one process that watches the venue, keeps the store true, remembers all and holds the button.

Each loop below has one job and a bound; the loops share nothing but the pieces they are given.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Final

from fastapi import FastAPI
from redis.exceptions import RedisError

from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.dead_man import DeadMan
from proxy.accounts.keeper import REPLY_TIMEOUT_S, AccountKeeper
from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.outside_watch import OutsideWatch
from proxy.accounts.protection_watch import ProtectionWatch
from proxy.accounts.record_keeper import RecordKeeper
from proxy.accounts.stream import PrivateStream
from proxy.accounts.venue_account import VenueAccount
from proxy.accounts.venue_clock import VenueClock
from proxy.console.app import create_console
from proxy.control import Control
from proxy.control_token import control_token
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.kill.hands import VenueHands
from proxy.ledger.mark_keeper import MarkKeeper
from proxy.measures import conditions_keeper, mark_keeper, remember_symbols
from proxy.policy.desk import PolicyDesk
from proxy.scribe import Scribe
from proxy.settings import Settings
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.watch import AnomalyWatch
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey, KeyState
from proxy.vault.vault import Vault
from proxy.watches import dead_man, key_watch, outside_watch, owner_of, protection_watch
from rules.policy import Policy
from rules.snapshot import Account

log = logging.getLogger("perpguard.warden")

KEYS_EVERY_S: Final = 0.25
DECAY_EVERY_S: Final = 5.0
STORE_EVERY_S: Final = 0.5
CLOCK_OFF: Final = -1021
"""Binance's word for a time stamp that it does not take."""

_STORE_TROUBLE: Final = (RedisError, OSError, TimeoutError)


class AccountsChanged(Exception):
    """The vault holds other accounts than this process was built for; it ends, and is started anew with them."""


class Warden:
    """Everything the warden process runs. Use as an async context manager, then ``run``."""

    def __init__(self, settings: Settings, vault: Vault, now: Callable[[], datetime]) -> None:
        """Raises ``PolicyError`` when there is no policy to run under."""
        self._settings = settings
        self._vault = vault
        self._now = now
        self._stack = AsyncExitStack()
        self._store = WardenStore(settings.store, settings.desk)
        self._watch = AnomalyWatch(self._store, self._traders)
        self._keepers: dict[str, AccountKeeper] = {}
        self._markets: dict[str, MarketKeeper] = {}
        self._keys: dict[str, KeyWatch] = {}
        self._outside: dict[str, OutsideWatch] = {}
        self._records: dict[str, RecordKeeper] = {}
        self._protection: dict[str, ProtectionWatch] = {}
        self._dead_men: list[DeadMan] = []
        self._clocks: dict[str, VenueClock] = {}
        self._conditions: dict[str, ConditionsKeeper] = {}
        self._marks: list[MarkKeeper] = []
        self._all_hands: list[VenueAccount] = []
        self._scribe = Scribe(
            data_dir=settings.data_dir, desk=settings.desk, store=self._store, reader=self._read, now=now
        )
        self._policies = PolicyDesk(
            data_dir=settings.data_dir,
            settings_file=settings.policy,
            store=self._store,
            scribe=self._scribe,
            now=now,
        )
        self.console: FastAPI

    async def __aenter__(self) -> Warden:
        """Take the hands in hand, and take up any kill a crash left unfinished, before all else."""
        settings = self._settings
        self._stack.callback(self._scribe.close)
        self._stack.push_async_callback(self._store.aclose)
        kill_hands: dict[str, VenueHands] = {}
        feeds: dict[str, VenueAccount] = {}
        for key in self._vault.accounts():
            feed, venue_hands = self._hands(key), self._hands(key)
            feeds[key.account] = feed
            self._all_hands += (feed, venue_hands)
            self._stack.push_async_callback(feed.aclose)
            self._stack.push_async_callback(venue_hands.aclose)
            kill_hands[key.account] = VenueHands(venue_hands)
            self._markets.setdefault(key.venue, self._market_keeper(key.venue, feed))
            self._clocks.setdefault(key.venue, self._clock(key.venue, feed))
            if key.venue not in self._conditions:
                self._measure(key.venue, feed)
        self._kill = KillDesk(
            data_dir=settings.data_dir,
            hands=kill_hands,
            store=self._store,
            record=self._scribe.event,
            changed=self._book_moved,
        )
        self._stops = BotStops(
            data_dir=settings.data_dir,
            store=self._store,
            record=self._scribe.event,
            traders=self._traders,
            generation=self._kill.generation,
        )
        for key in self._vault.accounts():
            self._keepers[key.account] = self._keeper(key, feeds[key.account])
        await self._kill.resume()
        control = Control(
            settings=settings,
            policies=self._policies,
            vault=self._vault,
            store=self._store,
            keepers=self._keepers,
            keys=self._keys,
            clocks=self._clocks,
            outside=self._outside,
            markets=self._markets,
            watch=self._watch,
            kill=self._kill,
            stops=self._stops,
            now=self._now,
        )
        self.console = create_console(
            control,
            token=control_token(settings),
            people=settings.control_people,
            hosts=settings.console_hosts,
            https=settings.control_https,
            now=self._now,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, the archive last."""
        await self._stack.aclose()

    async def run(self) -> None:
        """Run every loop until cancelled. A bug in one ends them all, and the supervisor starts the process anew.

        The kill's truths are kept equal from the first moment. Nothing is published before the archive is open, so an
        audit that cannot be written stops entries, by age, and nothing else. A second warden on the same data
        directory waits here until the first is gone.
        """
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._kill.mirror())
            loops.create_task(self._mirror_keys())
            await self._scribe.open()
            loops.create_task(self._stops.mirror())
            await self._until_store_answers()
            loops.create_task(remember_symbols(self._settings.data_dir, self._keepers, self._conditions, self._now()))
            for keeper in self._keepers.values():
                loops.create_task(keeper.run())
            for market in self._markets.values():
                loops.create_task(market.run())
            for key in self._keys.values():
                loops.create_task(key.run())
            for outside in self._outside.values():
                loops.create_task(outside.run())
            for remembered in self._records.values():
                loops.create_task(remembered.run())
            for protection in self._protection.values():
                loops.create_task(protection.run())
            for timers in self._dead_men:
                loops.create_task(timers.run())
            for clock in self._clocks.values():
                loops.create_task(clock.run())
            loops.create_task(self._policies.run())
            for conditions in self._conditions.values():
                loops.create_task(conditions.run())
            for marks in self._marks:
                loops.create_task(marks.run())
            loops.create_task(self._scribe.drain())
            loops.create_task(self._scribe.merge_journals())
            loops.create_task(self._watch_store())
            loops.create_task(self._decay())

    async def _until_store_answers(self) -> None:
        """The first state: an epoch of ours, and the policy. The console and the kill are up before this.

        A store without an epoch beside an archive with records has lost something: requests of before may still be
        under way, and nothing is published until they must be over.
        """
        while True:
            try:
                if not await self._store.has_epoch() and not self._scribe.is_empty:
                    log.warning("the store was restarted; entries are refused for another %s s", REPLY_TIMEOUT_S)
                    await asyncio.sleep(REPLY_TIMEOUT_S)
                await self._store.begin_epoch()
                await self._watch.load()
                await self._take_up()
                await self._policies.begin()
                await self._scribe.event("start", "warden", {"policy": self._in_force().version})
                return
            except _STORE_TROUBLE as trouble:
                log.warning("waiting for the store: %s", type(trouble).__name__)
                await asyncio.sleep(0.5)

    async def _take_up(self) -> None:
        """What an earlier warden published, and the holds it left: what is neither came from outside meanwhile."""
        for name, outside in self._outside.items():
            last = await self._store.account(name)
            remembered = await self._store.account_record(name)
            self._protection[name].restore(last, remembered.unprotected if remembered is not None else ())
            if last is not None:
                outside.restore(last)
                outside.held(order for aged in await self._store.holds(name) for order in aged.hold.orders)

    async def _read(self, records: Sequence[Mapping[str, Any]]) -> None:
        """What the audit tells: survey the symbols a request may have moved, stop bots, learn how they behave."""
        await self._stops.see(records)
        for record in records:
            keeper = self._keepers.get(str(record.get("account")))
            if keeper is None:
                continue
            self._outside[keeper.name].hear(record)
            self._records[keeper.name].hear(record)
            conditions = self._conditions[keeper.venue]
            request = str(record.get("id"))
            if record.get("kind") == "decision":
                for symbol in symbols_of(record):
                    keeper.expect(request, symbol)
                    conditions.attention.saw(symbol, time.time())
            elif record.get("kind") == "outcome":
                conditions.hear_outcome(record)
                keeper.happened(request, changed=record.get("result") in ("ACCEPTED", "UNKNOWN"))
                if record.get("venue_code") == CLOCK_OFF:
                    self._clocks[keeper.venue].soon()
        await self._watch.see(records)

    def _traders(self) -> list[tuple[str, str]]:
        """Which bots trade which accounts."""
        return [(key.bot, key.account) for key in self._vault.guard_keys()]

    async def _mirror_keys(self) -> None:
        """A key switched off in the vault is off in the store, for gates that do not see this machine's files."""
        known: dict[str, bool] = {}
        while True:
            try:
                self._vault.reload_if_changed()
                if {key.account for key in self._vault.accounts()} != set(self._keepers):
                    raise AccountsChanged
                for key in self._vault.guard_keys():
                    disabled = key.state is not KeyState.ACTIVE
                    if known.get(key.key) != disabled:
                        await self._store.set_key_disabled(key.key, disabled=disabled)
                        known[key.key] = disabled
            except VaultError as trouble:
                log.error("the vault cannot be read again: %s", trouble)
            except _STORE_TROUBLE as trouble:
                log.warning("key states cannot be written to the store: %s", type(trouble).__name__)
                known.clear()
            await asyncio.sleep(KEYS_EVERY_S)

    async def _watch_store(self) -> None:
        """A store that was restarted, or replaced by a failover, may have lost its last second, holds included."""
        known = ""
        while True:
            try:
                run_id = await self._store.run_id()
                if known and run_id != known:
                    log.warning("the store is another process than before; accounts are surveyed anew")
                    await self._store.distrust(list(self._keepers))
                    await self._policies.publish()
                    for keeper in self._keepers.values():
                        keeper.survey_soon()
                known = run_id
            except _STORE_TROUBLE as trouble:
                log.warning("the store does not answer: %s", type(trouble).__name__)
            await asyncio.sleep(STORE_EVERY_S)

    async def _decay(self) -> None:
        """Scores fall with time even when nobody sends anything."""
        while True:
            await asyncio.sleep(DECAY_EVERY_S)
            try:
                await self._watch.decay(time.time())
            except _STORE_TROUBLE as trouble:
                log.warning("scores cannot be written to the store: %s", type(trouble).__name__)

    def _book_moved(self, scope: Scope) -> None:
        for name, keeper in self._keepers.items():
            if scope.covers(name):
                keeper.survey_soon()

    def _in_force(self) -> Policy:
        return self._policies.policy

    def _hands(self, key: ExchangeKey) -> VenueAccount:
        return VenueAccount(
            name=key.account,
            venue=key.venue,
            api_key=key.api_key,
            secret=key.api_secret,
            base_url=self._settings.venue_urls[key.venue],
            spot_url=self._settings.hosts(key.venue)["sapi"],
        )

    def _clock(self, venue: str, hands: VenueAccount) -> VenueClock:
        def adjust(offset_ms: int) -> None:
            for each in self._all_hands:
                if each.venue == venue:
                    each.adjust_clock(offset_ms)

        return VenueClock(
            venue=venue, ask=hands.server_time, store=self._store, adjust=adjust, record=self._scribe.event
        )

    def _keeper(self, key: ExchangeKey, hands: VenueAccount) -> AccountKeeper:
        """The keeper of one account, and the watches beside it."""
        settings, market, record = self._settings, self._markets[key.venue], self._scribe.event
        self._keys[key.account] = key_watch(hands, self._in_force, self._vault, self._kill, record)
        outside = self._outside[key.account] = outside_watch(
            hands,
            market,
            policy=self._in_force,
            vault=self._vault,
            kill=self._kill,
            record=record,
            data_dir=settings.data_dir,
            now=self._now,
        )
        protection = self._protection[key.account] = protection_watch(
            key.account, self._in_force, self._kill, record, self._now
        )
        remembered = self._records[key.account] = RecordKeeper(
            account=key.account,
            store=self._store,
            venue=hands,
            data_dir=settings.data_dir,
            owner=owner_of(self._vault, key.account),
            markets=lambda: market.markets,
            now=self._now,
            unprotected=lambda: protection.unprotected,
        )

        def published(account: Account) -> None:
            protection.saw(account)
            remembered.published(account)

        keeper = AccountKeeper(
            desk=settings.desk,
            hands=hands,
            store=self._store,
            now=self._now,
            survey_every_s=settings.survey_every_s,
            books=Bookkeeper(
                book=Book(key.account, owner_of(self._vault, key.account)),
                desk=settings.desk,
                store=self._store,
                markets=lambda: market.markets,
                shares=outside,
                outside=outside,
                heard=remembered.heard,
                published=published,
            ),
            record=record,
            streams=settings.streams,
        )
        outside.settings_changed = keeper.publish_soon
        self._dead_men.append(dead_man(hands, self._store, record, keeper.survey_soon))
        if (feed := keeper.feed) is not None:
            conditions = self._conditions[key.venue]

            def received(frame: object) -> None:
                conditions.hear_frame(frame)
                feed.received(frame)

            stream = PrivateStream(
                api_key=key.api_key,
                secret=key.api_secret,
                base_url=settings.venue_urls[key.venue],
                stream_url=settings.stream_urls[key.venue],
                received=received,
            )
            feed.stream = stream
            self._stack.push_async_callback(stream.aclose)
        return keeper

    def _measure(self, venue: str, hands: VenueAccount) -> None:
        market = self._markets[venue]
        conditions = self._conditions[venue] = conditions_keeper(
            hands, market, self._clocks[venue], store=self._store, keepers=self._keepers, now=self._now
        )
        marks = mark_keeper(hands, market, conditions, data_dir=self._settings.data_dir, now=self._now)
        self._marks.append(marks)
        self._stack.push_async_callback(marks.aclose)

    def _market_keeper(self, venue: str, hands: VenueAccount) -> MarketKeeper:
        return MarketKeeper(
            venue=venue,
            hands=hands,
            store=self._store,
            document=self._scribe.document,
            now=self._now,
            every_s=self._settings.markets_every_s,
            answered=lambda ms: self._conditions[venue].latency.read(time.monotonic(), ms),
        )


def symbols_of(record: Mapping[str, Any]) -> list[str]:
    """The symbols a decision record names; none when it is not of the expected shape."""
    commands = record.get("commands")
    if not isinstance(commands, list):
        return []
    named = [command.get("symbol") for command in commands if isinstance(command, dict)]
    return [symbol for symbol in named if isinstance(symbol, str)]
