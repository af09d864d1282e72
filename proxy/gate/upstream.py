"""The seam to the exchange: one request out, one reply back, and honesty about what is not known.

Orders go by the client in ``wire``, everything else by httpx; the judge never sees which client it is. Nothing here
retries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any, Final, Protocol
from urllib.request import Request

import httpx
from msgspec import Struct

from proxy import under_way
from proxy.budget.silence import Silence
from proxy.venues.binance.route import BUDGET_HOST
from rules.kill.budget import Spend

REPLY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Binance's exchangeInfo is about 1 MiB; anything beyond this is not an answer."""

CONNECTIONS_MAX: Final = 256
# Shorter than any venue's own idle limit, so that a kept-alive connection is not closed under an order.
KEEPALIVE_S: Final = 4.0


Turnstile = Callable[[], Callable[[], None]]
"""Called directly before the first byte; raises ``NotSent`` to stop it. What it returns is called after the last."""


class NotSent(Exception):
    """The request never left: no connection, or the fence closed. Nothing can have happened at the venue."""


class FenceClosed(NotSent):
    """A kill or a re-arm came between the decision and the socket write."""


class FenceLapsed(NotSent):
    """The store has not been heard for too long: whether a kill came is not known here."""


class VenueSilent(NotSent):
    """The venue demands silence of the address this would leave by: refused there, it would count as one more."""

    def __init__(self, silence: Silence) -> None:
        super().__init__(f"the exchange demands silence for {silence.left_s} s ({silence.status})")
        self.silence = silence


class OutcomeUnknown(Exception):
    """Bytes left and no whole answer came back. The venue may or may not have acted."""


class OutboundRequest(Struct, frozen=True, kw_only=True):
    """What goes to the venue: only our own constants, our parameters and our credentials.

    ``account`` is whose request it is, empty for nobody's. ``host`` is which of the venue's it is for; ``cost`` is what
    it takes of the venue's budget, ``None`` for a host that counts another one. ``limit_group`` is that of its route.
    ``order`` says that it acts: places, amends or cancels. ``way_out`` says that nothing of it adds risk: exits and
    cancels.
    """

    method: str
    url: str
    body: str
    api_key: str | None
    account: str = ""
    host: str = BUDGET_HOST
    limit_group: str = ""
    cost: Spend | None = None
    order: bool = False
    way_out: bool = False

    def __repr__(self) -> str:
        # The URL of a signed GET carries the signature; the key is the real one.
        return f"OutboundRequest(method={self.method!r}, url={self.url.partition('?')[0]!r})"


class UpstreamReply(Struct, frozen=True, kw_only=True):
    """A whole answer of the venue."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream(Protocol):
    """Whatever can carry a request to the venue."""

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        """Send once, through ``fence``.

        Raises ``NotSent`` or ``OutcomeUnknown``.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class _NoCookies(DefaultCookiePolicy):
    """A cookie the venue sets for one account must not go out with another's request."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        """Never."""
        return False


class HttpxUpstream:
    """httpx with nothing left to the environment: no proxies, no redirects, no retries, bounded everything."""

    def __init__(self, local_address: str | None = None) -> None:
        """``local_address`` is the source address to send from, ``None`` for the host's usual one."""
        limits = httpx.Limits(
            max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX, keepalive_expiry=KEEPALIVE_S
        )
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                http2=False, retries=0, trust_env=False, limits=limits, local_address=local_address
            ),
            timeout=httpx.Timeout(
                under_way.REPLY_TIMEOUT_S, connect=under_way.CONNECT_TIMEOUT_S, pool=under_way.POOL_TIMEOUT_S
            ),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(_NoCookies()),
        )

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        """See ``Upstream.send``."""
        written = _Writing(fence)
        outbound = self._client.build_request(
            request.method,
            request.url,
            content=request.body.encode("ascii") if request.body else None,
            headers=_headers(request),
            extensions={"trace": written},
        )
        try:
            reply = await self._client.send(outbound, stream=True)
            try:
                return UpstreamReply(status=reply.status_code, headers=dict(reply.headers), body=await _bounded(reply))
            finally:
                await reply.aclose()
        except (httpx.HTTPError, OSError) as error:
            if written.happened:
                raise OutcomeUnknown(type(error).__name__) from error
            raise NotSent(type(error).__name__) from error
        finally:
            written.left()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class _Writing:
    """httpcore's trace hook: runs the fence between the last await and the first write, and remembers the write."""

    __slots__ = ("_fence", "_left", "happened")

    def __init__(self, fence: Turnstile | None) -> None:
        self._fence = fence
        self._left: Callable[[], None] | None = None
        self.happened = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            if self._fence is not None:
                self._left = self._fence()
            self.happened = True
        elif event == "http11.send_request_body.complete":
            self.left()

    def left(self) -> None:
        """Nothing more will be written. Safe to repeat."""
        if self._left is not None:
            self._left()


def _headers(request: OutboundRequest) -> dict[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "perpguard"}
    if request.api_key is not None:
        headers["X-MBX-APIKEY"] = request.api_key
    if request.body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return headers


async def _bounded(reply: httpx.Response) -> bytes:
    parts: list[bytes] = []
    length = 0
    async for part in reply.aiter_raw():
        length += len(part)
        if length > REPLY_BYTES_MAX:
            raise httpx.ReadError("the reply is larger than any answer of this venue")
        parts.append(part)
    return b"".join(parts)
