"""Who is asking: guard key to bot and account, signature, clock window. The exchange's own checks, with our keys.

The vault is local, so identities are known with the store away. A key switched off by a person is refused here as soon
as the vault file says so, and by the store's script at once.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Final

from msgspec import Struct

from proxy.vault import keys
from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey, GuardKey, KeyState, last_four
from proxy.vault.vault import Vault
from proxy.venues.binance import client_ids, rejections, signing
from proxy.venues.binance.frames import Call, Frame, verify_frame
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


class Identity(Struct, frozen=True, kw_only=True):
    """An authenticated bot and the exchange account it trades on.

    ``valid_until_ms`` is the end of the request's own window, by the venue's clock: ``timestamp`` and ``recvWindow``.
    ``None`` for a request that has no window.
    """

    bot: str
    account: str
    venue: str
    guard_key: str
    key_hint: str
    exchange_key: ExchangeKey
    replay_digest: str
    replay_window_ms: int
    valid_until_ms: int | None

    @property
    def tag(self) -> str:
        """What the venue's ids of this bot's orders begin with."""
        return client_ids.tag(self.account, self.bot)


class _Mark(Struct, frozen=True):
    """What a signed request is known by until its timestamp is too old, so that it is not carried out twice."""

    digest: str = ""
    window_ms: int = 0
    valid_until_ms: int | None = None


class Identities:
    """Authenticates requests against the vault's guard keys."""

    def __init__(self, vault: Vault, venue: str) -> None:
        self._vault = vault
        self._venue = venue
        self._reload_due = 0.0
        self._stream_keys: dict[str, str] = {}

    def identify(
        self, route: Route, api_key: str | None, query: bytes, body: bytes, parameters: Parameters, now_ms: int
    ) -> Identity:
        """The identity behind a REST request. Raises ``Refused`` with the venue's own error.

        ``MalformedRequest`` passes through for a missing or odd timestamp.
        """
        known = self._known(api_key)
        if route.access is not Access.SIGNED:
            return self._identity(known, _Mark())
        # The signature first: whoever cannot sign learns nothing about the key's state or the clock.
        payload, signature = signing.read_signature(query, body)
        if not signing.signs_request(payload, signature, _verifying_key(known)):
            raise Refused(rejections.bad_signature())
        # Over what is signed, not over the bytes: a signature can be spelled and placed in more than one way.
        return self._identity(known, _mark(known, payload, parameters, now_ms, now_ms))

    def identify_frame(self, frame: Call, now_ms: int, arrived_ms: int) -> Identity:
        """The identity behind a frame that carries its own key; see ``identify``.

        It is as old as it was when it came, at ``arrived_ms`` at the earliest: an exit that the gate reads behind its
        bot's own burst was sent in time. What adds risk is still not sent after its window.
        """
        known = self._known(frame.api_key)
        if isinstance(frame, Frame) and frame.route.access is not Access.SIGNED:
            return self._identity(known, _Mark())
        if not verify_frame(frame, _verifying_key(known)):
            raise Refused(rejections.bad_signature())
        payload = frame.signed_payload.encode()
        return self._identity(known, _mark(known, payload, frame.parameters, now_ms, arrived_ms))

    def identify_logon(self, frame: Call, now_ms: int) -> Identity:
        """The identity a socket is opened to by ``session.logon``: of an Ed25519 guard key only, as at Binance."""
        identity = self.identify_frame(frame, now_ms, now_ms)
        if self._known(identity.guard_key).public_key is None:
            raise Refused(rejections.logon_key_kind())
        return identity

    def identify_session(self, guard_key: str, frame: Frame, now_ms: int, arrived_ms: int) -> Identity:
        """The identity behind a frame without a key, on a socket where ``guard_key`` logged on; see ``identify``.

        The key is looked up again, so a key that is switched off ends here whatever the socket was allowed before. A
        timestamp is checked when there is one, as in ``identify_frame``; without, ``recvWindow`` counts from
        ``arrived_ms``, and may be over by now. Nothing is signed, so what tells a frame from its repetition is its id
        and all it asks for: a client that sends a frame again after a broken connection sends the same of both.
        """
        known = self._known(guard_key)
        if frame.route.access is not Access.SIGNED:
            return self._identity(known, _Mark())
        asked = f"session {frame.id!r} {frame.method} {frame.signed_payload}".encode()
        if frame.parameters.get("timestamp") is not None:
            return self._identity(known, _mark(known, asked, frame.parameters, now_ms, arrived_ms))
        # Nothing says when it was meant to be sent. The mark counts from now: it outlives every copy that has come.
        window_ms = signing.read_recv_window(frame.parameters)
        mark = _Mark(_digest(known, asked), window_ms + 2 * signing.FUTURE_MAX_MS, arrived_ms + window_ms)
        return self._identity(known, mark)

    def identify_stream(self, stream_key: str) -> Identity | None:
        """The identity a stream key of ours stands for, or ``None``: not ours, or its guard key is not obeyed."""
        self._reload()
        issued = self._vault.guard_keys()
        if len(self._stream_keys) < len(issued):  # Keys are only ever added; neither text nor secret of one changes.
            self._stream_keys = {keys.stream_key(each): each.key for each in issued}
        guard_key = self._stream_keys.get(stream_key)
        try:
            return None if guard_key is None else self._identity(self._known(guard_key), _Mark())
        except Refused:
            return None

    def stream_key(self, guard_key: str) -> str:
        """The stream key of a guard key. ``Refused`` for a key that is not known."""
        return keys.stream_key(self._known(guard_key))

    def issued(self, guard_key: str) -> bool:
        """Whether there is a guard key with this text, in whatever state."""
        self._reload()
        return self._vault.guard_key(guard_key) is not None

    def named(self, api_key: str | None) -> tuple[str, str] | None:
        """Account and bot of the key that a request names without signing, ``None`` where it names none that is obeyed.

        Named, not proven: the text of a key is no secret. It says whose share of a gate a request is of, nothing else.
        """
        try:
            known = self._identity(self._known(api_key), _Mark())
        except Refused:
            return None
        return known.account, known.bot

    def obeys(self, guard_key: str) -> bool:
        """Whether a guard key is ACTIVE now."""
        self._reload()
        known = self._vault.guard_key(guard_key)
        return known is not None and known.state is KeyState.ACTIVE

    def _known(self, api_key: str | None) -> GuardKey:
        self._reload()
        if api_key is None:
            raise Refused(rejections.key_format())
        known = self._vault.guard_key(api_key)
        if known is None:
            raise Refused(rejections.unauthorised())
        return known

    def _identity(self, known: GuardKey, mark: _Mark) -> Identity:
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
            replay_digest=mark.digest,
            replay_window_ms=mark.window_ms,
            valid_until_ms=mark.valid_until_ms,
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


def _mark(known: GuardKey, payload: bytes, parameters: Parameters, now_ms: int, arrived_ms: int) -> _Mark:
    """Check the clock window, as of when a request came, and say what it is known by while it lasts."""
    timing = signing.read_timing(parameters)
    if signing.check_window(timing.timestamp_ms, timing.recv_window_ms, now_ms, arrived_ms) is not None:
        raise Refused(rejections.stale_timestamp())
    valid_until_ms = timing.timestamp_ms + timing.recv_window_ms
    # The mark is set after this and lives longer than ``valid_until_ms``, beyond which nothing that is marked is sent:
    # so a copy meets the mark, however long it waited before it asked for it. Exits and cancels are not marked.
    return _Mark(_digest(known, payload), timing.recv_window_ms + 2 * signing.FUTURE_MAX_MS, valid_until_ms)


def _digest(known: GuardKey, payload: bytes) -> str:
    return hashlib.sha256(known.key.encode() + b"\0" + payload).hexdigest()


def _verifying_key(known: GuardKey) -> signing.VerifyingKey:
    if known.public_key is None:
        return known.secret.reveal()
    return signing.read_public_key(known.public_key)
