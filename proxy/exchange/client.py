"""ccxt's Binance client held on a leash: exact numbers, our named troubles, one host, no redirects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from proxy.exchange.ccxt_parts import binanceusdm
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueUnavailable

# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code, seen 2026-11.
_THROTTLED: Final = (-1003, -1015)
_UNKNOWN: Final = (-1001, -1006, -1007)
# The venue, or what stands before it, gave up waiting: the request may have had its effect ("HTTP return codes").
_GAVE_UP: Final = 408
# Without Retry-After: a 429 counts per minute; a 418 bans for two minutes at least.
_RETRY_AFTER_DEFAULT: Final = {429: 10.0, 418: 120.0}
# Binance's longest ban is three days ("IP limits", seen 2026-11); what is more is no time to wait but a mistake.
_RETRY_AFTER_MAX: Final = 7 * 24 * 3600.0
# Half a character, which JSON can spell and nothing can write down.
_HALF: Final = re.compile("[\ud800-\udfff]")


class Leash:
    """What we change in any of ccxt's Binance clients; put before it among the bases."""

    def parse_json(self, text: str) -> Any:
        """JSON with exact numbers and whole characters; ``None`` for what is no JSON, or nested beyond all reason."""
        try:
            answer = json.loads(text, parse_float=Decimal)
            return _whole(answer) if "\\ud" in text or "\\uD" in text else answer
        except (ValueError, RecursionError):
            return None

    def handle_errors(
        self,
        status: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, Any],
        body: str,
        answer: Any,
        *_: object,
    ) -> None:
        """Turn the venue's answer into one of our troubles; returns for a usable answer."""
        if status in _RETRY_AFTER_DEFAULT:
            raise VenueThrottled(status, _retry_after(status, headers))
        code = int(answer["code"]) if isinstance(answer, dict) and _is_integer(answer.get("code")) else 0
        if code in _THROTTLED:
            raise VenueThrottled(status, _retry_after(429, headers))
        if status >= 500 or status == _GAVE_UP or code in _UNKNOWN:
            raise VenueUnavailable(f"status {status}, code {code}")
        if code < 0:
            raise VenueRefused(code, str(answer.get("msg", ""))[:200])
        if 400 <= status < 500:
            raise VenueRefused(-status, f"status {status}")
        if status != 200 or answer is None:
            raise VenueUnavailable(f"status {status}, no JSON" if answer is None else f"status {status}")


class BinanceClient(Leash, binanceusdm):  # type: ignore[misc]  # ccxt carries no types
    """ccxt's binanceusdm with exact numbers and our named troubles."""


class _Redirected(aiohttp.ClientConnectionError):
    """The venue tried to send us, and our signature, elsewhere."""


def redirected(urls: Any, base_url: str) -> Any:
    """ccxt's URLs with scheme and host of ``base_url`` in all of them, whatever the nesting."""
    base = urlsplit(base_url)
    if base.scheme not in ("http", "https") or not base.hostname or base.path.strip("/") or base.query or base.username:
        raise ValueError("base_url must be http(s)://host[:port] and nothing more")
    if isinstance(urls, dict):
        return {name: redirected(url, base_url) for name, url in urls.items()}
    if not isinstance(urls, str):
        # Whatever ccxt may put there one day, we could not tell where it points.
        raise ValueError(f"cannot redirect a {type(urls).__name__} among ccxt's URLs")
    parts = urlsplit(urls)
    scheme = base.scheme.replace("http", "ws") if parts.scheme in ("ws", "wss") else base.scheme
    return urlunsplit((scheme, base.netloc, parts.path, parts.query, ""))


def no_redirects() -> aiohttp.TraceConfig:
    """A trace that ends every request the venue tries to send elsewhere."""

    async def refuse(*_: object) -> NoReturn:
        raise _Redirected

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def _retry_after(status: int, headers: Mapping[str, Any]) -> float:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    wanted = float(text) if text.isascii() and text.isdigit() else _RETRY_AFTER_DEFAULT[status]
    return min(wanted, _RETRY_AFTER_MAX)


def _whole(answer: Any) -> Any:
    """The answer with a mark in place of every half character. What it stands in can be told, and acted upon."""
    match answer:
        case str():
            return _HALF.sub("\ufffd", answer)
        case list():
            return [_whole(each) for each in answer]
        case dict():
            return {_whole(name): _whole(each) for name, each in answer.items()}
        case _:
            return answer


def _is_integer(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.removeprefix("-").isdecimal())
