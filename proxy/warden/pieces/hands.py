"""The warden's hands on the venues: two for each account, so that following it never delays killing it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from proxy.accounts.budget_keeper import VenueTime
from proxy.budget.meter import Meter, Payer
from proxy.exchange.metering import ASK_AGAIN_S, metering
from proxy.exchange.venue_account import VenueAccount
from proxy.host_id import host_id
from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey
from proxy.warden.pieces.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """One account's: ``feed`` reads and follows it, ``kill`` is the kill's alone."""

    key: ExchangeKey
    feed: VenueAccount
    kill: VenueAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueMeter:
    """What the warden spends at one venue, by the venue's own clock."""

    meter: Meter
    time: VenueTime


def meters_of(ground: Ground) -> dict[str, VenueMeter]:
    """A meter for every venue that an account is on. The gates are the others that spend."""
    meters = {}
    for venue in {key.venue for key in ground.vault.accounts()}:
        time = VenueTime(ground.now)
        meter = Meter(time.now, others=ground.settings.gate_workers, machine=host_id())
        meters[venue] = VenueMeter(meter=meter, time=time)
    return meters


def take_hands(ground: Ground, meters: Mapping[str, VenueMeter]) -> dict[str, Hands]:
    """The hands of every account in the vault, by account. ``meters``, by venue, hear what each of them spends."""
    return {
        key.account: Hands(
            key=key,
            feed=_hand(
                ground, key, meters[key.venue].meter, (ground.settings.egress.get(key.account, ""),), spares=True
            ),
            kill=_hand(ground, key, meters[key.venue].meter, ground.settings.kill_addresses(key.account), spares=False),
        )
        for key in ground.vault.accounts()
    }


def newcomers(ground: Ground, hands: Mapping[str, Hands]) -> dict[str, str]:
    """The accounts that the vault has got since these hands were taken, and the venue of each."""
    with suppress(VaultError, OSError):  # What it had stays; the mirror of the keys says that it cannot be read.
        ground.vault.reload_if_changed()
    return {key.account: key.venue for key in ground.vault.accounts() if key.account not in hands}


def _hand(ground: Ground, key: ExchangeKey, meter: Meter, addresses: Sequence[str], *, spares: bool) -> VenueAccount:
    hand = VenueAccount.of(
        key,
        ground.settings,
        addresses=addresses,
        trace=lambda address: metering(meter, Payer(key.account, address), spares_the_kill=spares),
        again_s=ASK_AGAIN_S if spares else math.inf,
        other_urls=ground.settings.venues[key.venue].other_urls,
    )
    ground.closing.push_async_callback(hand.aclose)
    return hand
