"""Who is asking: guard key to bot and account, signature, clock window. The exchange's own checks, with our keys.

The vault is local, so identities are known with the store away. A key switched off by a person is refused here as soon
as the vault file says so, and by the store's script at once.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import Final

from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey, KeyState, last_four
from proxy.vault.vault import Vault
from proxy.venues.binance import client_ids, rejections, signing
from proxy.venues.binance.rejections import Rejection
from proxy.venues.binance.route import Access, Route
from proxy.venues.binance.wire import Parameters

log = logging.getLogger("perpguard.gate")

_RELOAD_EVERY_S: Final = 0.25


class Refused(Exception):
    """The request ends here, with this answer."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.msg)
        self.rejection = rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An authenticated bot and the exchange account it trades on."""

    bot: str
    account: str
    venue: str
    guard_key: str
    key_hint: str
    exchange_key: ExchangeKey
    replay_digest: str
    replay_window_ms: int

    @property
    def tag(self) -> str:
        """What the venue's ids of this bot's orders begin with."""
        return client_ids.tag(self.account, self.bot)


class Identities:
    """Authenticates requests against the vault's guard keys."""

    def __init__(self, vault: Vault, venue: str) -> None:
        self._vault = vault
        self._venue = venue
        self._reload_due = 0.0

    def identify(
        self, route: Route, api_key: str | None, query: bytes, body: bytes, parameters: Parameters, now_ms: int
    ) -> Identity:
        """The identity behind a request. Raises ``Refused`` with the venue's own error.

        ``MalformedRequest`` passes through for a missing or odd timestamp.
        """
        self._reload()
        if api_key is None:
            raise Refused(rejections.key_format())
        known = self._vault.guard_key(api_key)
        if known is None:
            raise Refused(rejections.unauthorised())
        digest, window_ms = "", 0
        if route.access is Access.SIGNED:
            # The signature first: whoever cannot sign learns nothing about the key's state or the clock.
            if not signing.verify(query, body, known.secret.reveal()):
                raise Refused(rejections.bad_signature())
            timing = signing.read_timing(parameters)
            stale = signing.check_window(timing.timestamp_ms, timing.recv_window_ms, now_ms)
            if stale is not None:
                raise Refused(rejections.stale_timestamp())
            digest = hashlib.sha256(api_key.encode() + b"\0" + query + b"\0" + body).hexdigest()
            # After this long the timestamp itself is refused, so the mark may be forgotten.
            window_ms = timing.recv_window_ms + 2 * signing.FUTURE_MAX_MS
        if known.state is KeyState.ROTATED:
            raise Refused(rejections.unauthorised())
        if known.state is not KeyState.ACTIVE:
            raise Refused(rejections.key_disabled())
        exchange_key = self._vault.exchange_key(known.account)
        if exchange_key.venue != self._venue:
            raise Refused(rejections.unauthorised())
        return Identity(
            bot=known.bot,
            account=known.account,
            venue=self._venue,
            guard_key=known.key,
            key_hint=last_four(known.key),
            exchange_key=exchange_key,
            replay_digest=digest,
            replay_window_ms=window_ms,
        )

    def _reload(self) -> None:
        """Adopt keys another process issued or disabled; a vault that cannot be read keeps the keys known so far."""
        if time.monotonic() < self._reload_due:
            return
        self._reload_due = time.monotonic() + _RELOAD_EVERY_S
        try:
            self._vault.reload_if_changed()
        except (VaultError, OSError) as trouble:
            log.error("the vault cannot be read again, keys stay as they were: %s", trouble)
