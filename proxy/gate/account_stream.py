"""One account's private stream at the venue, kept open: key, connection, renewal, back-off. Knows no bot.

What it hands on has no hole between two calls of ``on_gap``: whoever listens must read the account again after one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from proxy.gate.upstream import NotSent, OutcomeUnknown
from proxy.venues.binance.private_stream import RENEW_EVERY_S, is_expiry, stream_url

log = logging.getLogger("perpguard.gate")

EVENT_BYTES_MAX: Final = 1024 * 1024
EVENTS_QUEUED_MAX: Final = 256
OPEN_TIMEOUT_S: Final = 5.0
PING_EVERY_S: Final = 15.0
"""A connection that answers no ping for as long again is dead, whatever TCP believes."""

PAUSE_MIN_S: Final = 0.25
PAUSE_MAX_S: Final = 15.0
RENEW_AGAIN_S: Final = 60.0


class StreamKeyRefused(Exception):
    """The venue gave no stream key, or does not know ours any more."""


KeyCall = Callable[[str], Awaitable[str]]
"""Calls ``listenKey`` with a method (POST or PUT) and returns the key.

Raises ``StreamKeyRefused``, ``NotSent`` or ``OutcomeUnknown``.
"""


class _Connect(connect):
    """A connection to the address we asked for or none: a redirect would carry the key to somebody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc


class AccountStream:
    """Follows one account. ``live`` is set while every event reaches ``on_event``."""

    def __init__(
        self,
        name: str,
        *,
        host: str,
        key_call: KeyCall,
        on_event: Callable[[bytes], None],
        on_gap: Callable[[], None],
    ) -> None:
        self.live = asyncio.Event()
        self._name = name
        self._host = host
        self._key_call = key_call
        self._on_event = on_event
        self._on_gap = on_gap

    async def run(self) -> None:
        """Follow the stream until cancelled, opening it again, with growing pauses, whenever it ends."""
        pause_s = PAUSE_MIN_S
        while True:
            try:
                await self._follow()
            except (StreamKeyRefused, NotSent, OutcomeUnknown, WebSocketException, OSError, TimeoutError) as trouble:
                log.warning("the private stream of %s ended: %s", self._name, type(trouble).__name__)
            finally:
                was_live = self.live.is_set()
                self.live.clear()
                if was_live:
                    self._on_gap()
            pause_s = PAUSE_MIN_S if was_live else min(pause_s * 2, PAUSE_MAX_S)
            await asyncio.sleep(pause_s)

    async def _follow(self) -> None:
        """One connection, from its key to its end."""
        listen_key = await self._key_call("POST")
        async with (
            _Connect(
                stream_url(self._host, listen_key),
                proxy=None,
                compression=None,
                user_agent_header="perpguard",
                max_size=EVENT_BYTES_MAX,
                max_queue=EVENTS_QUEUED_MAX,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=1.0,
                ping_interval=PING_EVERY_S,
                ping_timeout=PING_EVERY_S,
            ) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            renewing = tasks.create_task(self._renew(socket))
            self.live.set()
            try:
                while not is_expiry(event := await socket.recv(decode=False)):
                    self._on_event(event)
                log.warning("the private stream of %s expired", self._name)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else "no word"
                log.warning("the private stream of %s was closed: %s", self._name, code)
            renewing.cancel()

    async def _renew(self, socket: ClientConnection) -> None:
        """Extend the key in time. A venue that does not know it any more will send nothing more: then start anew."""
        pause_s = float(RENEW_EVERY_S)
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._key_call("PUT")
            except StreamKeyRefused:
                await socket.close()
                return
            except (NotSent, OutcomeUnknown) as trouble:
                log.warning("the stream key of %s was not renewed: %s", self._name, type(trouble).__name__)
                pause_s = RENEW_AGAIN_S
            else:
                pause_s = float(RENEW_EVERY_S)
