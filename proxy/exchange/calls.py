"""How an account's requests reach the venue: one pool, one host, reads repeated, orders never, troubles with names."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

import aiohttp
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from proxy.exchange.ccxt_parts import BaseError
from proxy.exchange.client import BinanceClient, no_redirects, redirected
from proxy.exchange.egress import WaysOut, open_session
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueUnavailable, VenueUnreached
from proxy.vault.keys import Secret

Call: TypeAlias = Callable[[dict[str, str]], Awaitable[Any]]
"""One of the client's calls, one for each of the venue's addresses."""

_ATTEMPTS: Final = 3
_RETRY_WAIT: Final = wait_random_exponential(multiplier=0.1, max=0.5)
_CLOCK_OFF: Final = -1021
_BANNED: Final = 418


class Calls:
    """One key's connections. ``client`` names what can be called. Build it inside a running event loop.

    ``other_urls`` are more addresses of the same venue; ``address`` counts which one is in use. ``addresses`` are the
    source addresses to go out by, the first until the venue bans it; empty is the usual one; ``sources`` names
    them. ``trace`` makes what watches the requests of one of those; where it holds back what the venue would not hear,
    ``again_s`` is how soon who was told of a ban may ask again.
    """

    def __init__(
        self,
        *,
        api_key: str,
        secret: Secret,
        base_url: str,
        spot_url: str | None,
        timeout: float,
        other_urls: Sequence[str] = (),
        addresses: Sequence[str] = ("",),
        trace: Callable[[str], aiohttp.TraceConfig] | None = None,
        again_s: float = math.inf,
    ) -> None:
        self._again_s = again_s
        self.sources = tuple(addresses)
        self._ways = WaysOut(
            [
                open_session(address, [no_redirects(), *([trace(address)] if trace is not None else [])])
                for address in addresses
            ]
        )
        self.client = BinanceClient(
            {
                "apiKey": api_key,
                "secret": secret.reveal(),
                "timeout": int(timeout * 1000),
                # The venue's own 429 sets the pace: waiting in a queue of ours is time in the market.
                "enableRateLimit": False,
                "session": self._ways.current,
            }
        )
        # At debug level ccxt writes headers, the API key among them.
        self.client.logger.setLevel(logging.INFO)
        known = self.client.urls["api"]
        spot = redirected(known["sapi"], spot_url or base_url)
        self._addresses = [redirected(known, url) | {"sapi": spot} for url in (base_url, *other_urls)]
        self.address = 0
        self.silent_until: dict[str, float] = {}
        """When the silence ends that the venue demanded, by host, by the monotonic clock: for all who call here."""
        self.client.urls = {"api": self._addresses[0]}

    async def aclose(self) -> None:
        """Close the connections. Call it once, at the end."""
        await self.client.close()
        await self._ways.aclose()

    def adjust_clock(self, offset_ms: int) -> None:
        """The venue's time less this host's: from now on requests are stamped with the venue's."""
        self.client.options["timeDifference"] = -offset_ms

    @property
    def venue_ms(self) -> int:
        """The venue's clock as requests are stamped with it, in milliseconds."""
        return int(self.client.nonce())

    def leave(self, address: int) -> None:
        """Go on to the next address, unless somebody has left that one already."""
        if address == self.address:
            self.address = (address + 1) % len(self._addresses)
            self.client.urls = {"api": self._addresses[self.address]}

    async def read(self, call: Call, params: dict[str, str] | None = None) -> Any:
        """A request that is safe to repeat: a few times, and once more after setting the clock."""
        try:
            return await self._repeated(call, params or {})
        except VenueRefused as refusal:
            if refusal.code != _CLOCK_OFF:
                raise
            await self.once(self.client.load_time_difference, {})
            return await self._repeated(call, params or {})

    async def _repeated(self, call: Call, params: dict[str, str]) -> Any:
        retry = retry_if_exception_type(VenueUnavailable) | retry_if_exception(_by_another_way)
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS), wait=_RETRY_WAIT, retry=retry, reraise=True
        ):
            with attempt:
                return await self.once(call, params)
        raise AssertionError("tenacity reraises")

    async def once(self, call: Call, params: dict[str, str]) -> Any:
        """A request that is sent once, whatever becomes of it.

        A ban of the address it went out by demands no silence where there is another: the next request goes by that.
        """
        way = self._ways.current
        self.client.session = way
        try:
            return await call(dict(params))
        except VenueThrottled as trouble:
            if trouble.status != _BANNED:
                raise
            left_s = self._ways.banned(way, trouble.retry_after)
            if left_s != trouble.retry_after:
                raise VenueThrottled(_BANNED, left_s) from None
            trouble.retry_after = min(left_s, self._again_s)
            raise
        except VenueUnavailable:
            self._ways.failed(way)
            raise
        except BaseError as trouble:
            self._ways.failed(way)
            # ccxt's text holds the whole signed URL; the names of the error and its cause say enough.
            cause = f" ({type(trouble.__cause__).__name__})" if trouble.__cause__ else ""
            raise VenueUnreached(f"{type(trouble).__name__}{cause}") from None


def _by_another_way(trouble: BaseException) -> bool:
    return isinstance(trouble, VenueThrottled) and trouble.status == _BANNED and trouble.retry_after == 0


async def together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """All at once; the first trouble stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
    return [task.result() for task in tasks]
