"""User-data streams for bots: keys of the guard's own, and one upstream stream an account shared by all its bots.

A stream key belongs to one guard key and shows one account. It is derived from the vault, so any gate knows it, and it
lasts as long as its guard key is obeyed. A bot is never left on a stream with a hole: after one its socket is closed,
so that it connects again and reads its account anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from proxy.clock import milliseconds
from proxy.gate.account_stream import AccountStream, KeyCall, StreamKeyRefused
from proxy.gate.answers import Answer, refusal
from proxy.gate.bot_socket import BotSocket
from proxy.gate.event_views import EventViews
from proxy.gate.identity import Identities, Identity
from proxy.gate.upstream import OutboundRequest, OutcomeUnknown, Upstream
from proxy.vault.keys import ExchangeKey
from proxy.venues.binance import rejections
from proxy.venues.binance.encode import build
from proxy.venues.binance.private_stream import combined, event_type, key_body, read_listen_key
from proxy.venues.binance.route import Route
from proxy.venues.binance.routes import find_route
from rules.kill.budget import Spend

log = logging.getLogger("perpguard.gate")

READY_WITHIN_S: Final = 8.0
"""How long a bot that wants a stream waits for the venue's; then it is told to try again."""

IDLE_MAX_S: Final = 15 * 60.0
"""An upstream stream nobody listens to is given up after this long."""

TEND_EVERY_S: Final = 0.25

# Too early, or too late: neither says anything about the key.
_NOT_A_REFUSAL: Final = (408, 418, 429)

NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
"""RFC 6455 section 7.4.1 and IANA's registry: 1012 asks the client to connect again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attached:
    """A bot's socket on its account's stream. ``close`` takes it off; the socket itself is its owner's to close.

    ``events`` are the types that the bot wants, ``None`` all.
    """

    guard_key: str
    bot: str
    stream_key: str
    socket: BotSocket
    combined: bool
    events: frozenset[str] | None
    account_of: _Account

    def close(self) -> None:
        """No further event goes to this socket. May be called more than once."""
        self.account_of.bots.discard(self)


class _Account:
    """One account's upstream stream and the bots on it."""

    def __init__(self, name: str, *, host: str, key_call: KeyCall, views: EventViews) -> None:
        self.bots: set[Attached] = set()
        self.wanted_s = 0.0
        self._name = name
        self._views = views
        self.stream = AccountStream(name, host=host, key_call=key_call, on_event=self._deliver, on_gap=self._gap)
        self.task = asyncio.create_task(self.stream.run())

    def close(self, code: int, reason: str, *, guard_key: str | None = None) -> None:
        """Close the sockets of all bots, or those of one guard key."""
        self.close_these({each for each in self.bots if guard_key in (None, each.guard_key)}, code, reason)

    def close_these(self, bots: set[Attached], code: int, reason: str) -> None:
        """Take these off the stream and close their sockets."""
        for each in bots:
            each.close()
            each.socket.close(code, reason)

    def _deliver(self, event: bytes) -> None:
        for each in tuple(self.bots):
            try:
                frames = self._views.show(self._name, event, each.bot)
            except Exception:  # The edge of what bots may see: a bug there shows them nothing, and never in silence.
                log.exception("an event could not be shown to %s; its stream is closed", each.bot)
                self.close_these({each}, INTERNAL_ERROR, "GUARD INTERNAL: connect again and read the account")
                continue
            for frame in frames:
                if each.events is None or event_type(frame) in each.events:
                    each.socket.send(combined(each.stream_key, frame) if each.combined else frame)

    def _gap(self) -> None:
        self.close(SERVICE_RESTART, "the exchange's private stream had a gap; connect again and read the account")


class UserStreams:
    """The user-data streams of one gate process at one venue."""

    def __init__(
        self,
        *,
        identities: Identities,
        upstream: Upstream,
        hosts: Mapping[str, str],
        stream_host: str,
        now: Callable[[], datetime],
        views: EventViews,
    ) -> None:
        self._identities = identities
        self._upstream = upstream
        self._hosts = hosts
        self._stream_host = stream_host
        self._now = now
        self._views = views
        self._accounts: dict[str, _Account] = {}
        self._tending: asyncio.Task[None] | None = None

    async def answer(self, route: Route, identity: Identity) -> Answer:
        """Answer ``listenKey``. A POST waits for the venue's stream, so that a bot that then connects misses nothing.

        PUT extends nothing: the key does not expire. DELETE closes the bot's sockets on this gate.
        """
        if route.method == "DELETE":
            for account in self._accounts.values():
                account.close(NORMAL, "the stream key was deleted", guard_key=identity.guard_key)
            return Answer(status=200, body=b"{}")
        stream_key = self._identities.stream_key(identity.guard_key)
        if not await self.ready(stream_key):
            return refusal(rejections.venue_unreachable())
        return Answer(status=200, body=key_body(stream_key))

    async def ready(self, stream_key: str) -> bool:
        """Wait, bounded, until the account's events reach this gate; ``False`` when they do not.

        Asked before a bot's handshake is completed, it makes sure that the bot's stream begins with the handshake, and
        that a bot on a shared account begins with the share it has then. A stream that ends while the share is asked
        for is waited for again.
        """
        identity = self._identities.identify_stream(stream_key)
        if identity is None:
            return True  # There is nothing to wait for; ``open`` refuses it.
        account = self._account(identity.exchange_key)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while True:
                    await account.stream.live.wait()
                    listens = any(each.bot == identity.bot for each in account.bots)
                    await self._views.begin(identity.account, identity.bot, anew=not listens)
                    if account.stream.live.is_set():
                        return True
        except TimeoutError:
            return False

    def open(
        self, stream_key: str, socket: BotSocket, *, combined: bool, events: frozenset[str] | None = None
    ) -> Attached | None:
        """Put a bot's accepted socket on the stream its key stands for; ``None`` when it stands for nothing.

        ``combined`` wraps events as ``/stream?streams=`` does, ``events`` are the only types that are sent. The
        handshake is over, so a socket that comes while the venue's stream is down already has a hole: it is closed.
        """
        identity = self._identities.identify_stream(stream_key)
        if identity is None:
            return None
        account = self._account(identity.exchange_key)
        attached = Attached(
            guard_key=identity.guard_key,
            bot=identity.bot,
            stream_key=stream_key,
            socket=socket,
            combined=combined,
            events=events,
            account_of=account,
        )
        account.bots.add(attached)
        if not account.stream.live.is_set():
            reason = "the exchange's private stream is down; connect again and read the account"
            account.close_these({attached}, SERVICE_RESTART, reason)
        return attached

    async def aclose(self) -> None:
        """End all streams; bots are asked to connect again, to another gate."""
        for account in self._accounts.values():
            account.close(SERVICE_RESTART, "the gate is stopping; connect again")
        tasks = [account.task for account in self._accounts.values()]
        tasks += [self._tending] if self._tending is not None else []
        self._accounts.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _account(self, key: ExchangeKey) -> _Account:
        """The account's stream, begun if it is not there, and wanted as of now."""
        account = self._accounts.get(key.account)
        if account is None:
            account = self._accounts[key.account] = _Account(
                key.account,
                host=self._stream_host,
                key_call=lambda method: self._call_key(key, method),
                views=self._views,
            )
        account.wanted_s = asyncio.get_running_loop().time()
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._tend())
        return account

    async def _call_key(self, key: ExchangeKey, method: str) -> str:
        route = find_route(method, "/fapi/v1/listenKey")
        assert route is not None  # noqa: S101 - a row of the table; a test walks it
        outbound = build(route, (), secret="", timestamp_ms=milliseconds(self._now()))
        reply = await self._upstream.send(
            OutboundRequest(
                method=method,
                url=self._hosts[outbound.host] + outbound.path,
                body=outbound.body,
                api_key=key.api_key,
                account=key.account,
                cost=Spend(weight=route.weight),
            ),
            None,
        )
        listen_key = read_listen_key(reply.body) if reply.status == 200 else None
        if listen_key is not None:
            return listen_key
        if 400 <= reply.status < 500 and reply.status not in _NOT_A_REFUSAL:
            raise StreamKeyRefused(str(reply.status))
        raise OutcomeUnknown(f"status {reply.status} without a stream key")

    async def _tend(self) -> None:
        """Close what must not go on: sockets of keys switched off, streams in want of a bot."""
        while self._accounts:
            await asyncio.sleep(TEND_EVERY_S)
            for name, account in tuple(self._accounts.items()):
                try:
                    await self._tend_account(name, account)
                except Exception:  # The edge: whatever went wrong once, the next look must still come.
                    log.exception("tending the private stream of %s failed in the guard", name)

    async def _tend_account(self, name: str, account: _Account) -> None:
        now_s = asyncio.get_running_loop().time()
        for guard_key in {each.guard_key for each in account.bots}:
            if not self._identities.obeys(guard_key):
                reason = "GUARD KEY_DISABLED: this key was switched off"
                account.close(POLICY_VIOLATION, reason, guard_key=guard_key)
        if account.bots:
            account.wanted_s = now_s
        if account.task.done():
            log.error("the private stream of %s failed in the guard", name, exc_info=account.task.exception())
            account.close(INTERNAL_ERROR, "GUARD INTERNAL: connect again and read the account")
            del self._accounts[name]
        elif now_s - account.wanted_s > IDLE_MAX_S:
            account.task.cancel()
            del self._accounts[name]
        elif account.bots:
            await self._views.refresh(name)
