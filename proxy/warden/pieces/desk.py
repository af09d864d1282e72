"""Builds the whole of a desk: every venue, every account, and the kill that reaches them all."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.accounts.keeper import AccountKeeper
from proxy.certificate.desk import CertificateDesk
from proxy.certificate.keeping import CertificateKeeper
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.kill.hands import VenueHands
from proxy.kill.line import KillLine
from proxy.kill.pursuit import Pursuit
from proxy.kill.readings import FeedShows, shown_by_feed
from proxy.kill.rearm_desk import RearmDesk
from proxy.kill.roster import Roster
from proxy.kill.sentinels import SentinelWatch
from proxy.leases.watch import LeaseWatch
from proxy.overrides.desk import OverrideDesk
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.scoreboard.log import LogUnavailable
from proxy.signals.watch import AnomalyWatch
from proxy.store.fence import Scope
from proxy.venues.binance import client_ids
from proxy.warden.pieces.account import AccountPieces, build_account
from proxy.warden.pieces.bots import bot_hands, has_all
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.hands import Hands, meters_of, newcomers, take_hands
from proxy.warden.pieces.heart import build_heart, take_beats
from proxy.warden.pieces.keys import exchange_keys
from proxy.warden.pieces.leases import build_leases
from proxy.warden.pieces.rearming import build_rearming
from proxy.warden.pieces.venue import VenuePieces, build_venues
from proxy.watchdog.heart import Heart
from proxy.watchdog.pulse import TURN_MAX_S
from proxy.watchdog.turns import Turns

log = logging.getLogger("perpguard.signals")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskPieces:
    """What the warden runs: ``venues`` by venue, ``accounts`` by account, and what concerns them all."""

    venues: Mapping[str, VenuePieces]
    accounts: Mapping[str, AccountPieces]
    kill: KillDesk
    pursuit: Pursuit
    rearming: RearmDesk
    certificates: CertificateDesk
    stops: BotStops
    overrides: OverrideDesk
    watch: AnomalyWatch
    scoreboard: Scoreboard
    heart: Heart
    leases: LeaseWatch
    line: KillLine
    sentinels: SentinelWatch

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs, for every account and venue, for as long as the warden does."""
        for account in self.accounts.values():
            yield from account.loops()
        for venue in self.venues.values():
            yield from venue.loops()
        yield self.scoreboard.run()
        yield self.heart.run()
        yield self.leases.run()

    def venue_of(self, account: str) -> VenuePieces:
        """The venue that one of our accounts is on."""
        return self.venues[self.accounts[account].keeper.venue]


def build_desk(ground: Ground) -> DeskPieces:
    """Take the hands in hand and give each piece what it needs of the others."""
    settings, event = ground.settings, ground.scribe.event
    meters = meters_of(ground)
    hands = take_hands(ground, meters)
    beats = take_beats(ground)
    heart = build_heart(ground, beats, lambda: kill)
    keepers: dict[str, AccountKeeper] = {}

    def book_moved(scope: Scope) -> None:
        for name, keeper in keepers.items():
            if scope.covers(name, keeper.venue) or (scope.bot, name) in ground.traders():
                keeper.survey_soon()

    scoreboard = _scoreboard(ground)
    venues = build_venues(ground, hands, keepers, meters, scoreboard)
    whole = {name: VenueHands(pair.kill) for name, pair in hands.items()}
    accounts: dict[str, AccountPieces] = {}
    certificates = CertificateDesk(CertificateKeeper(settings.data_dir, ground.vault, ground.now), event)
    kill = KillDesk(
        data_dir=settings.data_dir,
        roster=Roster(
            hands=whole,
            venues={name: pair.key.venue for name, pair in hands.items()},
            traders=ground.traders,
            bot_hands=lambda bot, account: bot_hands(ground, bot, account, hands[account].kill, whole, accounts),
            newcomers=lambda: newcomers(ground, hands),
        ),
        store=ground.store,
        record=event,
        certify=certificates.certify,
        changed=book_moved,
        flatten=lambda: ground.policy().kill.flatten,
        turned=lambda: ground.pulse.turned("the kill's mirror", TURN_MAX_S),
        turn=Turns(beats, f"the warden on {socket.gethostname()}").held,
    )
    stops = _bot_stops(ground, kill)
    watch = AnomalyWatch(ground.store, ground.active_traders)
    accounts |= {
        name: build_account(ground, pair, venues[pair.key.venue], kill, heart, watch) for name, pair in hands.items()
    }
    keepers.update((name, pieces.keeper) for name, pieces in accounts.items())

    leases = build_leases(ground, stops, kill, hands, keepers)
    return DeskPieces(
        venues=venues,
        accounts=accounts,
        kill=kill,
        pursuit=_pursuit(ground, hands, kill, keepers),
        rearming=build_rearming(ground, kill, accounts, venues, heart, stops),
        certificates=certificates,
        stops=stops,
        overrides=_override_desk(ground, hands, venues),
        watch=watch,
        scoreboard=scoreboard,
        heart=heart,
        leases=leases,
        line=KillLine(settings.data_dir, kill, kill.roster.accounts),
        sentinels=_sentinels(ground, hands, kill),
    )


def _sentinels(ground: Ground, hands: Mapping[str, Hands], kill: KillDesk) -> SentinelWatch:
    def covered(scope: Scope, at: float) -> list[str]:
        """The accounts of a scope whose keys, the exchange's and the bot's, had been there at a moment."""
        guard_keys = [key for key in ground.vault.guard_keys() if key.bot == scope.bot]
        traded = {key.account for key in guard_keys if key.created_at.timestamp() <= at}
        return [
            name
            for name in kill.roster.accounts(scope)
            if hands[name].key.created_at.timestamp() <= at and (scope.bot is None or name in traded)
        ]

    return SentinelWatch(data_dir=ground.settings.data_dir, press=kill.press, accounts=covered, at_it=kill.at_it)


def _scoreboard(ground: Ground) -> Scoreboard:
    board = Scoreboard(ground.settings.data_dir, ground.now)

    async def close() -> None:
        try:
            await asyncio.to_thread(board.close)
        except LogUnavailable as trouble:
            log.error("the last forecasts are not kept: %s", trouble)

    ground.closing.push_async_callback(close)
    return board


def _bot_stops(ground: Ground, kill: KillDesk) -> BotStops:
    return BotStops(
        data_dir=ground.settings.data_dir,
        store=ground.store,
        record=ground.scribe.event,
        traders=ground.traders,
        generation=kill.generation,
    )


def feed_shows(ground: Ground, keepers: Mapping[str, AccountKeeper], account: str, bot: str | None) -> FeedShows:
    """What the feed of an account knows of what a kill there, or the kill of one bot (``None``: no bot's), makes flat:
    for a bot that has all of an account that is all of it."""
    seen = keepers[account].account if account in keepers else None
    if seen is None:
        return FeedShows()
    return shown_by_feed(seen, None if bot is None or has_all(ground, bot, account) else bot)


def _pursuit(
    ground: Ground, hands: Mapping[str, Hands], kill: KillDesk, keepers: Mapping[str, AccountKeeper]
) -> Pursuit:
    return Pursuit(
        data_dir=ground.settings.data_dir,
        desk=kill,
        record=ground.scribe.event,
        shows=lambda account, bot: feed_shows(ground, keepers, account, bot),
        tags=lambda account: client_ids.tags_of(account, ground.traders()),
        now=ground.now,
        after_flat=exchange_keys(ground, hands).after_flat,
    )


def _override_desk(ground: Ground, hands: Mapping[str, Hands], venues: Mapping[str, VenuePieces]) -> OverrideDesk:
    def tradable(bot: str) -> frozenset[str] | None:
        """The symbols of the venues that a bot trades on, ``None`` for a bot without a key."""
        accounts = [account for trader, account in ground.traders() if trader == bot and account in hands]
        traded = [venues[hands[account].key.venue] for account in accounts]
        return frozenset(symbol for venue in traded for symbol in venue.market.instruments) if traded else None

    return OverrideDesk(
        data_dir=ground.settings.data_dir,
        store=ground.store,
        record=ground.scribe.event,
        policy=ground.policy,
        tradable=tradable,
        now=ground.now,
    )
