"""The venue's calls that a kill makes, on an account of its own: nothing else waits in its connections.

It keeps the venue's silence: once a 429 or a 418 says how long to stay away, no request leaves before that is over,
not even one that others had already asked for. It takes the venue's time for its stamps as soon as the venue calls
ours wrong. It moves to the venue's next address where one does not answer. It decides nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from proxy.exchange.calls import Call, Calls
from proxy.exchange.market_payloads import Depth, Touch, depth_of, touches_of
from proxy.exchange.payloads import parsed
from proxy.exchange.row import Row
from proxy.exchange.troubles import (
    OutcomeUnknown,
    VenueRefused,
    VenueThrottled,
    VenueUnavailable,
    VenueUnreached,
)
from proxy.exchange.way_out_payloads import CloseReport, Listed, close_report, fees_of, listing_of, moment
from proxy.venues.binance.client_ids import is_guards
from rules.kill.events import Fee
from rules.model import PositionSide, Side

T = TypeVar("T")

# The most that Binance accepts ("General Info", timing security, seen 2026-11): a slow way must not make a close late.
_RECEIVE_WINDOW_MS: Final = 60_000
# An answer that takes longer is as good as lost: the kill reads the venue again and goes on from there.
_TIMEOUT_MS: Final = 3_000
_ATTEMPTS: Final = 2
_AGAIN_AFTER_S: Final = 0.1
_DEPTH_LEVELS: Final = 50
_CLOCK_OFF: Final = -1021
_NO_SUCH_ORDER: Final = -2013
_GONE: Final = (-2011, _NO_SUCH_ORDER)
_TRADES_MAX: Final = 1_000
# Each counts what weighs on it by itself, and bans by itself ("IP limits", seen 2026-11).
_FUTURES: Final = "fapi"
_SPOT: Final = "sapi"

NO_SUCH_PATH: Final = (-404, -5000)
"""No such path: what Binance's test networks answer (a bare 404, seen 2021-12), and what it says in its own code. Every
other refusal (a firewall's 403, a key's missing right) leaves open what works there."""


class WayOut:
    """Reads, cancels and closes of one account. All raise a ``VenueTrouble``."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._venue = calls.client
        self._venue.options["recvWindow"] = _RECEIVE_WINDOW_MS
        self._venue.timeout = min(self._venue.timeout, _TIMEOUT_MS)
        # Reading the certificates takes 20 ms, which would otherwise pass after the press.
        self._venue.open()

    @property
    def silent(self) -> bool:
        """Whether the venue's futures demand silence just now: then no request of ours to them leaves."""
        return time.monotonic() < self._calls.silent_until.get(_FUTURES, 0.0)

    async def server_time(self) -> datetime | None:
        """The venue's clock; weight 1."""
        answer = await self._read(self._venue.fapiPublicGetTime)
        return moment(parsed(lambda: answer["serverTime"]))

    async def plain_orders(self) -> tuple[Row, ...]:
        """Every open plain order; weight 40."""
        return rows_of(await self._read(self._venue.fapiPrivateGetOpenOrders))

    async def conditional_orders(self) -> tuple[Row, ...]:
        """Every waiting conditional order; weight 40."""
        return rows_of(await self._read(self._venue.fapiPrivateGetOpenAlgoOrders))

    async def algo_orders(self) -> tuple[Row, ...]:
        """Every working TWAP and volume order of the futures account; test networks have no such path (404).

        They live in Binance's spot API ("Algo Trading", seen 2026-11), under limits of their own.
        """
        answer = await self._read(self._venue.sapiGetAlgoFuturesOpenOrders, host=_SPOT)
        return rows_of(parsed(lambda: answer["orders"]))

    async def positions(self) -> tuple[Row, ...]:
        """Every leg with a position or an order, of either margin mode; weight 5."""
        return rows_of(await self._read(self._venue.fapiPrivateV3GetPositionRisk))

    async def touches(self) -> Mapping[str, Touch]:
        """Best bid and ask of every symbol; weight 5."""
        rows = await self._read(self._venue.fapiPublicGetTickerBookTicker)
        return parsed(lambda: touches_of(rows))

    async def depth(self, symbol: str) -> Depth:
        """The nearest fifty levels of a book; weight 2."""
        row = await self._read(self._venue.fapiPublicGetDepth, {"symbol": symbol, "limit": str(_DEPTH_LEVELS)})
        return parsed(lambda: depth_of(row))

    async def listing(self) -> Mapping[str, Listed]:
        """Every contract's limits and whether it trades; weight 1."""
        answer = await self._read(self._venue.fapiPublicGetExchangeInfo)
        return parsed(lambda: listing_of(answer["symbols"]))

    async def cancel_plain(self, symbol: str) -> None:
        """Cancel every plain order of a symbol. The venue's OK is no proof; read."""
        await self._read(self._venue.fapiPrivateDeleteAllOpenOrders, {"symbol": symbol})

    async def cancel_conditional(self, symbol: str) -> None:
        """Cancel every conditional order of a symbol."""
        await self._read(self._venue.fapiPrivateDeleteAlgoOpenOrders, {"symbol": symbol})

    async def cancel_algo(self, order_id: str) -> None:
        """Stop one TWAP or volume order. One that is gone already is as good."""
        await self._cancelled(self._venue.sapiDeleteAlgoFuturesOrder, {"algoId": order_id}, host=_SPOT)

    async def close(
        self,
        symbol: str,
        position_side: PositionSide,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        client_order_id: str,
    ) -> CloseReport:
        """Send one reduce-only order, IOC at ``price`` or at the market.

        Never sent twice: OutcomeUnknown means read before the next one.
        """
        assert is_guards(client_order_id), client_order_id  # noqa: S101 - else bots could cancel it
        # In hedge mode the venue refuses the flag: the leg named by positionSide is what makes the order reduce.
        hedged = position_side is not PositionSide.BOTH
        reducing = {"positionSide": position_side.value} if hedged else {"reduceOnly": "true"}
        kind = {"type": "MARKET"}
        if price is not None:
            kind = {"type": "LIMIT", "timeInForce": "IOC", "price": format(price, "f")}
        order = {
            "symbol": symbol,
            "side": side.value,
            "quantity": format(quantity, "f"),
            "newClientOrderId": client_order_id,
            "newOrderRespType": "RESULT",
            **kind,
            **reducing,
        }
        try:
            row = await self._once(self._venue.fapiPrivatePostOrder, order)
            return parsed(lambda: close_report(row))
        except VenueUnavailable as trouble:
            raise OutcomeUnknown(str(trouble)) from None
        except VenueRefused as refusal:
            if refusal.code == _CLOCK_OFF:
                await self._set_clock()
            raise

    async def order(self, symbol: str, client_order_id: str) -> CloseReport | None:
        """What became of a close; ``None`` where the venue knows none. Weight 1."""
        try:
            row = await self._read(
                self._venue.fapiPrivateGetOrder, {"symbol": symbol, "origClientOrderId": client_order_id}
            )
        except VenueRefused as refusal:
            if refusal.code == _NO_SUCH_ORDER:
                return None
            raise
        return parsed(lambda: close_report(row))

    async def fees(self, symbol: str, since: datetime) -> tuple[Fee, ...]:
        """What the last executions of a symbol were charged; weight 5."""
        asked = {
            "symbol": symbol,
            "startTime": str(int(since.timestamp() * 1000)),
            "limit": str(_TRADES_MAX),
        }
        rows = rows_of(await self._read(self._venue.fapiPrivateGetUserTrades, asked))
        return parsed(lambda: fees_of(rows))

    async def _cancelled(self, call: Call, named: dict[str, str], *, host: str = _FUTURES) -> None:
        """Cancel one order. One that is gone already is as good."""
        try:
            await self._read(call, named, host=host)
        except VenueRefused as refusal:
            if refusal.code not in _GONE:
                raise

    async def _read(self, call: Call, params: dict[str, str] | None = None, *, host: str = _FUTURES) -> Any:
        """A request that is safe to repeat: reads and cancels."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._once(call, params or {}, host=host)
            except VenueRefused as refusal:
                if refusal.code != _CLOCK_OFF or attempt == _ATTEMPTS:
                    raise
                await self._set_clock()
            except VenueUnavailable:
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_AGAIN_AFTER_S)
        raise AssertionError("the last attempt returns or raises")

    async def _set_clock(self) -> None:
        await self._once(self._venue.load_time_difference, {})

    async def _once(self, call: Call, params: dict[str, str], *, host: str = _FUTURES) -> Any:
        left = self._calls.silent_until.get(host, 0.0) - time.monotonic()
        if left > 0:
            raise VenueThrottled(418, left)
        address = self._calls.address
        try:
            return await self._calls.once(call, params)
        except VenueThrottled as throttled:
            until = time.monotonic() + throttled.retry_after
            self._calls.silent_until[host] = max(self._calls.silent_until.get(host, 0.0), until)
            raise
        except VenueUnreached:
            self._calls.leave(address)
            raise


def rows_of(answer: Any) -> tuple[Row, ...]:
    """The rows of a list. An answer of another shape (``{}``, ``""``) is no empty list: that would read as flat."""
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise VenueUnavailable(f"unexpected answer: {type(answer).__name__}, not a list of rows")
    return tuple(answer)
