"""Listen keys: which account's events a bearer of the key may hear, and for how long.

Rules: Binance USD-M "User Data Streams": valid for sixty minutes; POST returns the key that is still valid and extends
it, PUT extends it (-1125 when there is none), DELETE closes it. Time is the wall clock, as for signatures.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import Enum, auto

from sandbox.binance.errors import VenueError

VALIDITY_MS = 60 * 60 * 1000


class KeyState(Enum):
    """What has become of a key somebody is listening with."""

    LIVE = auto()
    EXPIRED = auto()
    CLOSED = auto()


@dataclass(slots=True)
class _ListenKey:
    key: str = field(repr=False)
    account: str
    valid_until_ms: int


class ListenKeys:
    """At most one key an account."""

    def __init__(self) -> None:
        self._by_account: dict[str, _ListenKey] = {}
        self._by_key: dict[str, _ListenKey] = {}
        # The last key of each account that ran out, so that its listeners can be told why they hear nothing more.
        self._expired: dict[str, str] = {}

    def open(self, account: str, now_ms: int) -> str:
        """The account's key, new or still valid, good for another sixty minutes."""
        self._expire(now_ms)
        held = self._by_account.get(account)
        if held is None:
            # 64 characters, as on the venue.
            held = _ListenKey(secrets.token_hex(32), account, 0)
            self._by_account[account] = self._by_key[held.key] = held
        held.valid_until_ms = now_ms + VALIDITY_MS
        return held.key

    def extend(self, account: str, now_ms: int) -> str:
        """Sixty more minutes for a valid key; `VenueError` -1125 when there is none."""
        self._expire(now_ms)
        if account not in self._by_account:
            raise VenueError(-1125, "This listenKey does not exist.")
        return self.open(account, now_ms)

    def close(self, account: str) -> None:
        """End the account's key at once."""
        held = self._by_account.pop(account, None)
        if held is not None:
            del self._by_key[held.key]

    def expire_all(self) -> None:
        """End every key as if its time had run out (a test's hand)."""
        self._expire(None)

    def owner(self, key: str, now_ms: int) -> str | None:
        """The account of a valid key, None for any other text."""
        self._expire(now_ms)
        held = self._by_key.get(key)
        return held.account if held else None

    def state(self, account: str, key: str, now_ms: int) -> KeyState:
        """What has become of a key that once was `account`'s."""
        if self.owner(key, now_ms) is not None:
            return KeyState.LIVE
        return KeyState.EXPIRED if self._expired.get(account) == key else KeyState.CLOSED

    def _expire(self, now_ms: int | None) -> None:
        for held in list(self._by_account.values()):
            if now_ms is None or held.valid_until_ms <= now_ms:
                self._expired[held.account] = held.key
                self.close(held.account)
