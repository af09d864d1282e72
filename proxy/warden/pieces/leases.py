"""Builds what judges bots' leases."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.accounts.keeper import AccountKeeper
from proxy.guard_id import known_guard_id
from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.leases.hands import LeaseHands
from proxy.leases.watch import LeaseWatch
from proxy.store.leases import LeaseStore
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.hands import Hands
from rules.account import Account


def build_leases(
    ground: Ground, stops: BotStops, kill: KillDesk, hands: Mapping[str, Hands], keepers: Mapping[str, AccountKeeper]
) -> LeaseWatch:
    """The watch of a desk. ``keepers``, by account, may be filled later."""
    store = LeaseStore(ground.settings.store, ground.settings.desk, known_guard_id(ground.settings.data_dir))
    ground.closing.push_async_callback(store.aclose)

    def book(account: str) -> Account | None:
        keeper = keepers.get(account)
        return keeper.account if keeper is not None else None

    return LeaseWatch(
        store=store,
        hands=LeaseHands(stops, kill, {name: pair.feed for name, pair in hands.items()}),
        books=book,
        policy=lambda: ground.policy().kill.lease,
        record=ground.scribe.event,
    )
