"""Builds what the warden has for each account: its keeper, and what watches and remembers beside it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from proxy.accounts.births import Birth
from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.dead_man import DeadMan
from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.outside_watch import OutsideWatch
from proxy.accounts.protection_watch import ProtectionWatch
from proxy.accounts.record_keeper import RecordKeeper
from proxy.accounts.venue_timers import VenueTimers
from proxy.exchange.events import Event
from proxy.exchange.stream import PrivateStream
from proxy.kill.desk import KillDesk
from proxy.kill.watch import TriggerWatch
from proxy.ledger.books.keeper import LedgerKeeper
from proxy.ledger.books.schema import books_path
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.fills_keeper import FillsKeeper
from proxy.signals.watch import AnomalyWatch
from proxy.vault.keys import ExchangeKey
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.hands import Hands
from proxy.warden.pieces.venue import VenuePieces
from proxy.warden.pieces.watches import (
    build_dead_man,
    build_key_watch,
    build_outside_watch,
    build_protection_watch,
    build_trigger_watch,
    build_venue_timers,
    owner_of,
)
from proxy.watchdog.heart import Heart
from proxy.watchdog.pulse import VENUE_TURN_MAX_S
from rules.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPieces:
    """What looks after one account."""

    keeper: AccountKeeper
    key: KeyWatch
    outside: OutsideWatch
    protection: ProtectionWatch
    record: RecordKeeper
    fills: FillsKeeper
    timers: DeadMan
    venue_timers: VenueTimers
    triggers: TriggerWatch
    ledger: LedgerKeeper

    def loops(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs for as long as the warden does."""
        return (
            self.keeper.run(),
            self.key.run(),
            self.outside.run(),
            self.record.run(),
            self.fills.run(),
            self.protection.run(),
            self.timers.run(),
            self.venue_timers.run(),
            self.triggers.run(),
            self.ledger.run(),
        )


def build_account(
    ground: Ground, hands: Hands, venue: VenuePieces, kill: KillDesk, heart: Heart, anomaly: AnomalyWatch
) -> AccountPieces:
    """The pieces of one account, and who of them tells whom."""
    key, feed, market, event = hands.key, hands.feed, venue.market, ground.scribe.event
    owner = owner_of(ground.vault, key.account)
    outside = build_outside_watch(
        feed,
        market,
        policy=ground.policy,
        vault=ground.vault,
        kill=kill,
        record=event,
        data_dir=ground.settings.data_dir,
        heard=lambda: ground.scribe.heard,
        now=ground.now,
    )
    protection = build_protection_watch(key.account, ground.policy, kill, event, ground.now)
    record = RecordKeeper(
        account=key.account,
        store=ground.store,
        venue=feed,
        data_dir=ground.settings.data_dir,
        owner=owner,
        markets=lambda: market.markets,
        now=ground.now,
        ahead_ms=lambda: venue.clock.offset_ms,
        unprotected=lambda: protection.unprotected,
        forecasts=lambda: venue.signals.forecasts(key.account),
    )

    fills = FillsKeeper(
        account=key.account,
        markets=lambda: market.markets,
        slippage=venue.conditions.slippage,
        record=event,
    )

    ledger = _ledger(ground, hands, venue, lambda: keeper)
    outside.tell_funding(ledger.funding_shared)

    def heard(told: Event) -> None:
        record.heard(told)
        fills.heard(told)
        ledger.heard(told)

    def published(account: Account, reading: int) -> None:
        protection.saw(account)
        record.published(account, reading)

    books = Bookkeeper(
        book=Book(key.account, owner),
        desk=ground.settings.desk,
        store=ground.store,
        markets=lambda: market.markets,
        shares=outside,
        outside=outside,
        heard=heard,
        published=published,
    )

    def born(birth: Birth) -> None:
        books.born(birth)
        ledger.born(birth)

    keeper = _keeper(ground, hands, books)
    outside.changed = keeper.publish_soon
    outside.born = born
    _connect_stream(ground, key, keeper, venue.conditions)
    return AccountPieces(
        keeper=keeper,
        key=build_key_watch(feed, ground.policy, ground.vault, kill, event),
        outside=outside,
        protection=protection,
        record=record,
        fills=fills,
        timers=build_dead_man(feed, ground.store, event, keeper.survey_soon),
        venue_timers=build_venue_timers(feed, lambda: keeper.account, ground.policy, heart, ground.now),
        triggers=_triggers(ground, hands, venue, kill, anomaly, outside, keeper, record),
        ledger=ledger,
    )


def _ledger(ground: Ground, hands: Hands, venue: VenuePieces, keeper: Callable[[], AccountKeeper]) -> LedgerKeeper:
    """Who keeps the account's ledger, and reads the venue's statement for it."""

    def held() -> set[str]:
        account = keeper().account
        if account is None:
            return set()
        return {leg.symbol for leg in account.positions} | {order.symbol for order in account.open_orders}

    ledger = LedgerKeeper(
        account=hands.key.account,
        venue=hands.feed.statement,
        path=books_path(ground.settings.data_dir),
        owner=owner_of(ground.vault, hands.key.account),
        held=held,
        now=ground.now,
        ahead_ms=lambda: venue.clock.offset_ms,
        accounts=len(ground.vault.accounts()),
    )
    ground.closing.push_async_callback(ledger.aclose)
    return ledger


def _triggers(
    ground: Ground,
    hands: Hands,
    venue: VenuePieces,
    kill: KillDesk,
    anomaly: AnomalyWatch,
    outside: OutsideWatch,
    keeper: AccountKeeper,
    record: RecordKeeper,
) -> TriggerWatch:
    """What presses by itself: it looks at what the other pieces know, and reads the venue with the kill's hands."""
    account = hands.key.account
    return build_trigger_watch(
        hands.kill,
        venue.market,
        venue.conditions,
        outside,
        book=lambda: keeper.account,
        memory=lambda: record.record,
        anomaly=lambda: anomaly.account(account).value,
        owner=owner_of(ground.vault, account),
        policy=ground.policy,
        kill=kill,
        store=ground.store,
        record=ground.scribe.event,
        now=ground.now,
    )


def _keeper(ground: Ground, hands: Hands, books: Bookkeeper) -> AccountKeeper:
    """Who surveys and follows the account, and puts what it finds into ``books``."""
    account = hands.key.account
    return AccountKeeper(
        desk=ground.settings.desk,
        hands=hands.feed,
        store=ground.store,
        now=ground.now,
        survey_every_s=ground.settings.survey_every_s,
        books=books,
        record=ground.scribe.event,
        streams=ground.settings.streams,
        turned=lambda pause_s: ground.pulse.turned(f"the keeper of {account}", pause_s + VENUE_TURN_MAX_S),
    )


def _connect_stream(ground: Ground, key: ExchangeKey, keeper: AccountKeeper, conditions: ConditionsKeeper) -> None:
    """The account's private stream, whose frames also tell how slow the venue is; nothing where streams are off."""
    feed = keeper.feed
    if feed is None:
        return

    def received(frame: object) -> None:
        conditions.hear_frame(frame)
        feed.received(frame)

    feed.stream = PrivateStream(
        api_key=key.api_key,
        secret=key.api_secret,
        base_url=ground.settings.venue_urls[key.venue],
        stream_url=ground.settings.stream_urls[key.venue],
        received=received,
    )
    ground.closing.push_async_callback(feed.stream.aclose)
