"""One account's private stream through ccxt: listen key, connection and pings are its work, frames come untouched.

ccxt's own reading of the frames loses what the guard needs (the account's absolute legs, amendments, conditional
orders), so the frames are taken before it reads them, as decision 7 takes REST answers. Source of the stream's rules:
Binance USD-M "User Data Streams", seen 2026-11: a listen key lives 60 minutes after it was made or renewed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from proxy.exchange.ccxt_parts import BaseError, binanceusdm_streams
from proxy.exchange.client import Leash, no_redirects, redirected
from proxy.exchange.troubles import VenueUnavailable
from proxy.vault.keys import Secret

log = logging.getLogger("perpguard.accounts")

PING_EVERY_S: Final = 5.0
"""Two pings without a pong end the connection: a silent one is noticed within three of these."""

RENEW_EVERY_S: Final = 1_200.0
CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0


class _Client(Leash, binanceusdm_streams):  # type: ignore[misc]  # ccxt carries no types
    """ccxt's streaming client; its frames go to ``received``, which must not raise."""

    received: Callable[[object], None]

    def handle_message(self, client: object, message: object) -> None:
        """A frame, before ccxt reads anything into it."""
        self.received(message)


class PrivateStream:
    """One connection at a time. Build it inside a running event loop."""

    def __init__(
        self, *, api_key: str, secret: Secret, base_url: str, stream_url: str, received: Callable[[object], None]
    ) -> None:
        self._client = _Client(
            {
                "apiKey": api_key,
                "secret": secret.reveal(),
                "timeout": int(CONNECT_TIMEOUT_S * 1000),
                "enableRateLimit": False,
                "session": aiohttp.ClientSession(trust_env=False, trace_configs=[no_redirects()]),
                "streaming": {"keepAlive": int(PING_EVERY_S * 1000), "maxPingPongMisses": 2.0},
            }
        )
        self._client.received = received
        # At debug level ccxt writes headers, the API key among them.
        self._client.logger.setLevel(logging.INFO)
        urls = self._client.urls["api"]
        streams = redirected(urls.pop("ws"), stream_url)
        self._client.urls = {"api": {**redirected(urls, base_url), "ws": streams}}
        self._url = ""

    async def connect(self) -> None:
        """Take a listen key and connect; frames come from now on. Raises ``VenueTrouble``."""
        await self.disconnect()
        try:
            answer = await self._client.fapiPrivatePostListenKey()
            self._url = self._client.get_private_ws_url("linear", str(answer["listenKey"]))
            self._ended = self._client.watch(self._url, "frames", None, "linear")
            connected = self._client.clients[self._url].connected
            await asyncio.wait({connected, self._ended}, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                raise VenueUnavailable(_name_of(self._ended))
            if not connected.done():
                raise VenueUnavailable("the stream did not open in time")
        except (BaseError, KeyError, TypeError) as trouble:
            # ccxt's text may hold the listen key, which is all that is needed to hear the stream.
            raise VenueUnavailable(f"stream: {type(trouble).__name__}") from None

    async def ended(self) -> str:
        """Wait until the connection is over, renewing its key meanwhile; why, in a word. Raises ``VenueTrouble``."""
        while True:
            done, _ = await asyncio.wait({self._ended}, timeout=RENEW_EVERY_S)
            if done:
                return _name_of(self._ended)
            try:
                await self._client.fapiPrivatePutListenKey()
            except BaseError as trouble:
                raise VenueUnavailable(f"the listen key was not renewed: {type(trouble).__name__}") from None

    @property
    def silent_s(self) -> float:
        """Seconds since the venue last sent a frame or a pong."""
        client = self._client.clients.get(self._url) if self._url else None
        if client is None:
            return float("inf")
        signs = (client.lastPong, client.last_message_at, client.connectionEstablished)
        return max(0.0, time.time() - max(sign or 0 for sign in signs) / 1000)

    async def disconnect(self) -> None:
        """End the connection, if there is one."""
        client = self._client.clients.pop(self._url, None) if self._url else None
        self._url = ""
        if client is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await client.close()
            except (TimeoutError, aiohttp.ClientError, OSError):
                log.debug("a stream did not close by itself")

    async def aclose(self) -> None:
        """Close everything. Call it once, at the end."""
        await self.disconnect()
        session = self._client.session
        await self._client.close()
        await session.close()


def _name_of(ended: asyncio.Future[Any]) -> str:
    if ended.cancelled():
        return "closed"
    error = ended.exception()
    return "closed" if error is None else type(error).__name__
