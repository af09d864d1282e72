"""Builds the whole of a desk: every venue, every account, and the kill that reaches them all."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.accounts.keeper import AccountKeeper
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.kill.hands import VenueHands
from proxy.pieces.account import AccountPieces, build_account
from proxy.pieces.ground import Ground
from proxy.pieces.hands import take_hands
from proxy.pieces.venue import VenuePieces, build_venues
from proxy.signals.watch import AnomalyWatch
from proxy.store.fence import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskPieces:
    """What the warden runs: ``venues`` by venue, ``accounts`` by account, and what concerns them all."""

    venues: Mapping[str, VenuePieces]
    accounts: Mapping[str, AccountPieces]
    kill: KillDesk
    stops: BotStops
    watch: AnomalyWatch

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs, for every account and venue, for as long as the warden does."""
        for account in self.accounts.values():
            yield from account.loops()
        for venue in self.venues.values():
            yield from venue.loops()

    def venue_of(self, account: str) -> VenuePieces:
        """The venue that one of our accounts is on."""
        return self.venues[self.accounts[account].keeper.venue]


def build_desk(ground: Ground) -> DeskPieces:
    """Take the hands in hand and give each piece what it needs of the others."""
    settings, event = ground.settings, ground.scribe.event
    hands = take_hands(ground)
    keepers: dict[str, AccountKeeper] = {}

    def book_moved(scope: Scope) -> None:
        for name, keeper in keepers.items():
            if scope.covers(name):
                keeper.survey_soon()

    venues = build_venues(ground, hands, keepers)
    kill = KillDesk(
        data_dir=settings.data_dir,
        hands={name: VenueHands(pair.kill) for name, pair in hands.items()},
        store=ground.store,
        record=event,
        changed=book_moved,
    )
    stops = BotStops(
        data_dir=settings.data_dir,
        store=ground.store,
        record=event,
        traders=ground.traders,
        generation=kill.generation,
    )
    accounts = {name: build_account(ground, pair, venues[pair.key.venue], kill) for name, pair in hands.items()}
    keepers.update((name, pieces.keeper) for name, pieces in accounts.items())
    watch = AnomalyWatch(ground.store, ground.traders)
    return DeskPieces(venues=venues, accounts=accounts, kill=kill, stops=stops, watch=watch)
