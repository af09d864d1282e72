"""The guard's own hands on one exchange account, through ccxt: reads for the survey, cancels and closes for the kill.

ccxt's per-endpoint calls are used, not its unified ones: those derive a position's side from its notional, so a mark
price of 0 makes a position without a side (``parse_position_risk``, ccxt 4.5.90). So symbols are the venue's own ids,
every number stays exact, and nothing has to be loaded before a position can be closed. It decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from ccxt.async_support.binanceusdm import binanceusdm
from ccxt.base.errors import BaseError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from proxy.vault.keys import Secret
from rules.instrument import Instrument, MarginTier
from rules.model import MarginMode, OrderType, PositionSide, Side
from rules.snapshot import Account, Market, OpenOrder, Position

GUARD_ORDER_PREFIX: Final = "pgk-"
"""Client order ids of the kill begin so; bots may neither use nor cancel them."""

_ATTEMPTS: Final = 3
_RETRY_WAIT: Final = wait_random_exponential(multiplier=0.1, max=0.5)
# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code, seen 2026-11.
_THROTTLED: Final = (-1003, -1015)
_UNKNOWN: Final = (-1001, -1006, -1007)
_CLOCK_OFF: Final = -1021
_NO_SUCH_ORDER: Final = -2013
# Without Retry-After: a 429 counts per minute; a 418 bans for two minutes at least.
_RETRY_AFTER_DEFAULT: Final = {429: 10.0, 418: 120.0}

T = TypeVar("T")
Row = Mapping[str, Any]


class VenueTrouble(Exception):
    """Anything that came between us and the venue's answer."""


class VenueUnavailable(VenueTrouble):
    """No usable answer: not reached, too slow, broken, or in a shape we do not know. Reads and cancels may go again."""


class VenueThrottled(VenueTrouble):
    """The venue demands silence for ``retry_after`` seconds; asking sooner turns a 429 into a ban."""

    def __init__(self, status: int, retry_after: float) -> None:
        super().__init__(f"throttled ({status}), retry after {retry_after:g} s")
        self.status = status
        self.retry_after = retry_after


class VenueRefused(VenueTrouble):
    """The venue said no, with its own code: the request has had no effect."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"refused ({code}): {message}")
        self.code = code
        self.message = message


class OutcomeUnknown(VenueTrouble):
    """An order was sent and nobody knows what became of it. Only reading the venue tells; never send it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRef:
    """An open order, as little of it as a cancel needs."""

    symbol: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRef:
    """An open leg, as little of it as a close needs. ``quantity`` is signed."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What keeps an account from being flat. Parsed so leniently that no new order type can stop a kill."""

    plain: tuple[OrderRef, ...]
    conditional: tuple[OrderRef, ...]
    positions: tuple[PositionRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What the venue said to a close. ``status`` is its own word."""

    order_id: str
    client_order_id: str
    status: str
    filled_quantity: Decimal
    average_price: Decimal | None


class VenueAccount:
    """One account at one venue, with a connection pool of its own. Build it inside a running event loop."""

    def __init__(
        self, *, name: str, venue: str, api_key: str, secret: Secret, base_url: str, timeout: float = 5.0
    ) -> None:
        if venue != "binanceusdm":
            raise ValueError(f"no hands for venue {venue!r}; known: binanceusdm")
        self.name = name
        self.venue = venue
        self._venue = _Binance(
            {
                "apiKey": api_key,
                "secret": secret.reveal(),
                "timeout": int(timeout * 1000),
                # The venue's own 429 sets the pace: waiting in a queue of ours is time in the market.
                "enableRateLimit": False,
                "session": aiohttp.ClientSession(trust_env=False, trace_configs=[_no_redirects()]),
            }
        )
        # At debug level ccxt writes headers, the API key among them.
        self._venue.logger.setLevel(logging.INFO)
        self._venue.urls = {"api": redirected(self._venue.urls["api"], base_url)}

    async def aclose(self) -> None:
        """Close the connections. Call it once, at the end."""
        session = self._venue.session
        await self._venue.close()
        await session.close()

    async def server_time(self) -> datetime:
        """The venue's clock."""
        answer = await self._read(self._venue.fapiPublicGetTime)
        return _parsed(lambda: datetime.fromtimestamp(int(answer["serverTime"]) / 1000, UTC))

    async def instruments(self) -> dict[str, Instrument]:
        """Every contract the venue lists, with its margin tiers. One that cannot be understood is left out."""
        listing, brackets = await _together(
            self._read(self._venue.fapiPublicGetExchangeInfo), self._read(self._venue.fapiPrivateGetLeverageBracket)
        )
        tiers = _parsed(lambda: {row["symbol"]: tuple(map(_tier, row["brackets"])) for row in brackets})
        rows = _parsed(lambda: tuple(listing["symbols"]))
        found = (_instrument(row, tiers) for row in rows)
        return {instrument.symbol: instrument for instrument in found if instrument is not None}

    async def account(self, version: int, now: datetime) -> Account:
        """The whole account, orders read before positions."""
        conditional, plain = await self._order_rows({})
        positions, dual, totals = await _together(
            self._read(self._venue.fapiPrivateV3GetPositionRisk),
            self._read(self._venue.fapiPrivateGetPositionSideDual),
            self._read(self._venue.fapiPrivateV3GetAccount),
        )
        return _parsed(
            lambda: Account(
                name=self.name,
                version=version,
                as_of=now,
                margin_balance=Decimal(totals["totalMarginBalance"]),
                available_balance=Decimal(totals["availableBalance"]),
                hedged=_flag(dual["dualSidePosition"]),
                positions=_positions(positions),
                open_orders=_open_orders(plain, conditional),
            )
        )

    async def symbol_state(self, symbols: frozenset[str], base: Account, version: int, now: datetime) -> Account:
        """``base`` with the orders and positions of ``symbols``, and the balance, read anew. Far cheaper than all."""
        *states, totals = await _together(
            *(self._symbol_rows(symbol) for symbol in sorted(symbols)), self._read(self._venue.fapiPrivateV3GetAccount)
        )
        return _parsed(
            lambda: replace(
                base,
                version=version,
                as_of=now,
                margin_balance=Decimal(totals["totalMarginBalance"]),
                available_balance=Decimal(totals["availableBalance"]),
                positions=(
                    *(position for position in base.positions if position.symbol not in symbols),
                    *(position for state in states for position in _positions(state.positions)),
                ),
                open_orders=(
                    *(order for order in base.open_orders if order.symbol not in symbols),
                    *(order for state in states for order in _open_orders(state.plain, state.conditional)),
                ),
            )
        )

    async def markets(self, now: datetime) -> dict[str, Market]:
        """Mark prices of every symbol."""
        rows = await self._read(self._venue.fapiPublicGetPremiumIndex)
        return _parsed(
            lambda: {
                row["symbol"]: Market(symbol=row["symbol"], mark_price=Decimal(row["markPrice"]), as_of=now)
                for row in rows
                if Decimal(row["markPrice"]) > 0
            }
        )

    async def book(self) -> Book:
        """What has to go before the account is flat; account-wide, whatever it costs of the venue's budget."""
        conditional, plain = await self._order_rows({})
        positions = await self._read(self._venue.fapiPrivateV3GetPositionRisk)
        return _parsed(
            lambda: Book(
                plain=tuple(OrderRef(symbol=row["symbol"], order_id=str(row["orderId"])) for row in plain),
                conditional=tuple(OrderRef(symbol=row["symbol"], order_id=str(row["algoId"])) for row in conditional),
                positions=tuple(_position_ref(row) for row in positions if Decimal(row["positionAmt"])),
            )
        )

    async def cancel_all(self, symbol: str, conditional: bool) -> None:
        """Cancel every plain, or every conditional, order of a symbol. The venue's OK is no proof; read."""
        venue = self._venue
        cancel = venue.fapiPrivateDeleteAlgoOpenOrders if conditional else venue.fapiPrivateDeleteAllOpenOrders
        await self._read(cancel, {"symbol": symbol})  # Safe to do twice, like a read.

    async def close_position(
        self, symbol: str, position_side: PositionSide, side: Side, quantity: Decimal, client_order_id: str
    ) -> OrderReport:
        """Send one reduce-only market order. Never sent twice: OutcomeUnknown means read before the next one."""
        assert client_order_id.startswith(GUARD_ORDER_PREFIX), client_order_id  # noqa: S101 - else bots could cancel it
        # In hedge mode the venue refuses the flag: the leg named by positionSide is what makes the order reduce.
        hedged = position_side is not PositionSide.BOTH
        reducing = {"positionSide": position_side.value} if hedged else {"reduceOnly": "true"}
        order = {
            "symbol": symbol,
            "side": side.value,
            "type": "MARKET",
            "quantity": format(quantity, "f"),
            "newClientOrderId": client_order_id,
            "newOrderRespType": "RESULT",
            **reducing,
        }
        try:
            row = await self._call(self._venue.fapiPrivatePostOrder, order)
            return _parsed(lambda: _order_report(row))
        except VenueUnavailable as trouble:
            raise OutcomeUnknown(str(trouble)) from None

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> OpenOrder | None:
        """One order by the client's id, in whatever state; at its end nothing of it is left to fill.

        ``None`` when the venue knows none, which for seconds after a time-out proves nothing.
        """
        try:
            if conditional:
                row = await self._read(self._venue.fapiPrivateGetAlgoOrder, {"clientAlgoId": client_order_id})
                return _parsed(lambda: _conditional_order(row))
            asked = {"symbol": symbol, "origClientOrderId": client_order_id}
            row = await self._read(self._venue.fapiPrivateGetOrder, asked)
            return _parsed(lambda: _plain_order(row))
        except VenueRefused as refusal:
            if refusal.code == _NO_SUCH_ORDER:
                return None
            raise

    async def _symbol_rows(self, symbol: str) -> _SymbolRows:
        conditional, plain = await self._order_rows({"symbol": symbol})
        positions = await self._read(self._venue.fapiPrivateV3GetPositionRisk, {"symbol": symbol})
        return _SymbolRows(conditional=conditional, plain=plain, positions=positions)

    async def _order_rows(self, params: dict[str, str]) -> tuple[Any, Any]:
        # An order's way is conditional, plain, position. Read one after another in that direction, none slips through
        # between two reads; read at the same time, one that triggers just then is in neither answer.
        conditional = await self._read(self._venue.fapiPrivateGetOpenAlgoOrders, params)
        return conditional, await self._read(self._venue.fapiPrivateGetOpenOrders, params)

    async def _read(
        self, call: Callable[[dict[str, str]], Awaitable[Any]], params: dict[str, str] | None = None
    ) -> Any:
        """A request that is safe to repeat: a few times, and once more after setting the clock."""
        try:
            return await self._repeated(call, params or {})
        except VenueRefused as refusal:
            if refusal.code != _CLOCK_OFF:
                raise
            await self._call(self._venue.load_time_difference, {})
            return await self._repeated(call, params or {})

    async def _repeated(self, call: Callable[[dict[str, str]], Awaitable[Any]], params: dict[str, str]) -> Any:
        retry = retry_if_exception_type(VenueUnavailable)
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS), wait=_RETRY_WAIT, retry=retry, reraise=True
        ):
            with attempt:
                return await self._call(call, params)
        raise AssertionError("tenacity reraises")

    async def _call(self, call: Callable[[dict[str, str]], Awaitable[Any]], params: dict[str, str]) -> Any:
        try:
            return await call(dict(params))
        except BaseError as trouble:
            # ccxt's text holds the whole signed URL; the names of the error and its cause say enough.
            cause = f" ({type(trouble.__cause__).__name__})" if trouble.__cause__ else ""
            raise VenueUnavailable(f"{type(trouble).__name__}{cause}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _SymbolRows:
    conditional: tuple[Row, ...]
    plain: tuple[Row, ...]
    positions: tuple[Row, ...]


class _Binance(binanceusdm):  # type: ignore[misc]  # ccxt carries no types
    """ccxt's binanceusdm with exact numbers and our named troubles."""

    def parse_json(self, text: str) -> Any:
        try:
            return json.loads(text, parse_float=Decimal)
        except ValueError:
            return None

    def handle_errors(
        self, status: int, reason: str, url: str, method: str, headers: Row, body: str, answer: Any, *_: object
    ) -> None:
        if status in _RETRY_AFTER_DEFAULT:
            raise VenueThrottled(status, _retry_after(status, headers))
        code = int(answer["code"]) if isinstance(answer, dict) and _is_integer(answer.get("code")) else 0
        if code in _THROTTLED:
            raise VenueThrottled(status, _retry_after(429, headers))
        if status >= 500 or code in _UNKNOWN:
            raise VenueUnavailable(f"status {status}, code {code}")
        if code < 0:
            raise VenueRefused(code, str(answer.get("msg", ""))[:200])
        if 400 <= status < 500:
            raise VenueRefused(-status, f"status {status}")
        if status != 200 or answer is None:
            raise VenueUnavailable(f"status {status}, no JSON" if answer is None else f"status {status}")


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


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(*_: object) -> NoReturn:
        raise _Redirected

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


async def _together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """All at once; the first trouble stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
    return [task.result() for task in tasks]


def _parsed(parse: Callable[[], T]) -> T:
    """What ``parse`` makes of an answer; an unexpected shape is the venue's trouble, not ours to crash over."""
    try:
        return parse()
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as trouble:
        raise VenueUnavailable(f"unexpected answer: {type(trouble).__name__} {trouble}"[:200]) from None


def _retry_after(status: int, headers: Row) -> float:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(text) if text.isascii() and text.isdigit() else _RETRY_AFTER_DEFAULT[status]


def _is_integer(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.removeprefix("-").isdecimal())


def _flag(value: object) -> bool:
    return value is True or value == "true"


def _some(value: object) -> Decimal | None:
    """A price or limit; the venue writes 0 (or nothing) where there is none."""
    return Decimal(str(value)) or None if value not in (None, "") else None


def _tier(row: Row) -> MarginTier:
    return MarginTier(
        notional_floor=Decimal(row["notionalFloor"]),
        notional_cap=Decimal(row["notionalCap"]),
        leverage_max=Decimal(row["initialLeverage"]),
        maintenance_rate=Decimal(row["maintMarginRatio"]),
        maintenance_amount=Decimal(row["cum"]),
    )


def _instrument(row: Row, tiers: Mapping[str, tuple[MarginTier, ...]]) -> Instrument | None:
    try:
        filters = {each["filterType"]: each for each in row["filters"]}
        price, lot, notional = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MIN_NOTIONAL"]
        market_lot = filters["MARKET_LOT_SIZE"]
        return Instrument(
            symbol=row["symbol"],
            base_asset=row["baseAsset"],
            quote_asset=row["quoteAsset"],
            trading=row["status"] == "TRADING",
            tick_size=Decimal(price["tickSize"]),
            step_size=Decimal(lot["stepSize"]),
            quantity_min=Decimal(lot["minQty"]),
            quantity_max=Decimal(lot["maxQty"]),
            market_step_size=_some(market_lot["stepSize"]) or Decimal(lot["stepSize"]),
            market_quantity_min=Decimal(market_lot["minQty"]),
            market_quantity_max=Decimal(market_lot["maxQty"]),
            notional_min=Decimal(notional["notional"]),
            price_min=_some(price.get("minPrice")),
            price_max=_some(price.get("maxPrice")),
            tiers=tiers.get(row["symbol"], ()),
        )
    except (KeyError, TypeError, InvalidOperation):
        return None  # Unknown to the guard is refused there; better one symbol than none.


def _position_ref(row: Row) -> PositionRef:
    return PositionRef(
        symbol=row["symbol"],
        position_side=PositionSide(row["positionSide"]),
        quantity=Decimal(row["positionAmt"]),
    )


def _positions(rows: Iterable[Row]) -> tuple[Position, ...]:
    return tuple(
        Position(
            symbol=row["symbol"],
            position_side=PositionSide(row["positionSide"]),
            quantity=Decimal(row["positionAmt"]),
            entry_price=Decimal(row["entryPrice"]),
            mark_price=Decimal(row["markPrice"]),
            liquidation_price=_some(row.get("liquidationPrice")),
            # Version 3 of positionRisk names no margin mode; only an isolated position has a wallet of its own.
            margin_mode=MarginMode.ISOLATED if _some(row.get("isolatedWallet")) else MarginMode.CROSS,
        )
        for row in rows
        if Decimal(row["positionAmt"])
    )


def _open_orders(plain: Iterable[Row], conditional: Iterable[Row]) -> tuple[OpenOrder, ...]:
    return (*map(_plain_order, plain), *map(_conditional_order, conditional))


def _plain_order(row: Row) -> OpenOrder:
    filled = Decimal(row["executedQty"])
    still_open = row["status"] in ("NEW", "PARTIALLY_FILLED")
    return OpenOrder(
        symbol=row["symbol"],
        side=Side(row["side"]),
        position_side=PositionSide(row["positionSide"]),
        order_type=OrderType(row["type"]),
        leaves_quantity=Decimal(row["origQty"]) - filled if still_open else Decimal(0),
        price=_some(row["price"]),
        trigger_price=None,
        reduce_only=_flag(row["reduceOnly"]),
        close_position=False,
        order_id=str(row["orderId"]),
        client_order_id=row["clientOrderId"],
        filled_quantity=filled,
    )


def _conditional_order(row: Row) -> OpenOrder:
    closes = _flag(row["closePosition"])
    # Once triggered, what can fill is the plain order that it became.
    waiting = row["algoStatus"] == "NEW"
    quantity = None if closes else Decimal(row["quantity"])
    return OpenOrder(
        symbol=row["symbol"],
        side=Side(row["side"]),
        position_side=PositionSide(row["positionSide"]),
        order_type=OrderType(row["orderType"]),
        leaves_quantity=quantity if waiting else Decimal(0),
        price=_some(row.get("price")),
        trigger_price=_some(row.get("triggerPrice")),
        reduce_only=_flag(row["reduceOnly"]),
        close_position=closes,
        order_id=str(row["algoId"]),
        client_order_id=row["clientAlgoId"],
    )


def _order_report(row: Row) -> OrderReport:
    return OrderReport(
        order_id=str(row["orderId"]),
        client_order_id=row["clientOrderId"],
        status=row["status"],
        filled_quantity=Decimal(row["executedQty"]),
        average_price=_some(row.get("avgPrice")),
    )
