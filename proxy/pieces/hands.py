"""The warden's hands on the venues: two for each account, so that following it never delays killing it."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.accounts.venue_account import VenueAccount
from proxy.pieces.ground import Ground
from proxy.vault.keys import ExchangeKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """One account's: ``feed`` reads and follows it, ``kill`` is the kill's alone."""

    key: ExchangeKey
    feed: VenueAccount
    kill: VenueAccount


def take_hands(ground: Ground) -> dict[str, Hands]:
    """The hands of every account in the vault, by account."""
    return {
        key.account: Hands(key=key, feed=_hand(ground, key), kill=_hand(ground, key)) for key in ground.vault.accounts()
    }


def _hand(ground: Ground, key: ExchangeKey) -> VenueAccount:
    hand = VenueAccount(
        name=key.account,
        venue=key.venue,
        api_key=key.api_key,
        secret=key.api_secret,
        base_url=ground.settings.venue_urls[key.venue],
        spot_url=ground.settings.hosts(key.venue)["sapi"],
        other_urls=ground.settings.venues[key.venue].other_urls,
    )
    ground.closing.push_async_callback(hand.aclose)
    return hand
