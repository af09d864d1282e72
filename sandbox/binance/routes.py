"""The table of everything the dialect answers: method, path, handler, who may call, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from sandbox.binance import (
    accounts,
    conditionals,
    forced_closes,
    klines,
    market_data,
    orders,
    reference,
    settings,
    tickers,
    twaps,
)
from sandbox.binance.call import AccountCall, Call


class Access(Enum):
    """What a caller must show: nothing, an API key, or a key and a signature."""

    PUBLIC = auto()
    KEY = auto()
    SIGNED = auto()


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """A route anyone may call. `weight` counts against the caller's address (`weight_all` when no symbol is named)."""

    answer: Callable[[Call], object]
    weight: int
    weight_all: int | None = None


@dataclass(frozen=True, slots=True)
class AccountRoute:
    """A route that needs an account. `places_orders` counts against the order limits and is open to faults."""

    answer: Callable[[AccountCall], object]
    access: Access
    weight: int
    weight_all: int | None = None
    places_orders: bool = False


Route = PublicRoute | AccountRoute

# The method under which frames of the trading socket are routed and logged.
WS = "WS"

# Asking for every symbol at once costs more; weights after the venue's documentation, as remembered.
_WEIGHTS_WITHOUT_SYMBOL = {
    "/fapi/v1/openOrders": 40,
    "/fapi/v1/openAlgoOrders": 40,
    "/fapi/v1/ticker/24hr": 40,
    "/fapi/v1/ticker/price": 2,
    "/fapi/v2/ticker/price": 2,
    "/fapi/v1/ticker/bookTicker": 5,
    "/fapi/v1/premiumIndex": 10,
    "/fapi/v1/forceOrders": 50,
}


def _public() -> Iterator[tuple[str, str, Route]]:
    rows: tuple[tuple[str, Callable[[Call], object], int], ...] = (
        ("/fapi/v1/ping", reference.ping, 1),
        ("/fapi/v1/time", reference.server_time, 1),
        ("/fapi/v1/exchangeInfo", reference.exchange_info, 1),
        ("/fapi/v1/depth", market_data.depth, 5),
        ("/fapi/v1/trades", market_data.trades, 5),
        ("/fapi/v1/historicalTrades", market_data.trades, 20),
        ("/fapi/v1/aggTrades", market_data.agg_trades, 20),
        ("/fapi/v1/klines", klines.klines, 2),
        ("/fapi/v1/markPriceKlines", klines.mark_price_klines, 2),
        ("/fapi/v1/indexPriceKlines", klines.index_price_klines, 2),
        ("/fapi/v1/premiumIndex", tickers.premium_index, 1),
        ("/fapi/v1/fundingRate", market_data.funding_rates, 1),
        ("/fapi/v1/fundingInfo", market_data.funding_info, 1),
        ("/fapi/v1/ticker/24hr", tickers.ticker_24h, 1),
        ("/fapi/v1/ticker/price", tickers.ticker_price, 1),
        ("/fapi/v2/ticker/price", tickers.ticker_price, 1),
        ("/fapi/v1/ticker/bookTicker", tickers.book_ticker, 2),
        ("/fapi/v1/openInterest", market_data.open_interest, 1),
        ("/futures/data/openInterestHist", klines.open_interest_history, 0),
        ("/api/v3/ping", reference.ping, 1),
        ("/api/v3/time", reference.server_time, 1),
        ("/api/v3/exchangeInfo", reference.empty_exchange_info, 20),
        ("/dapi/v1/exchangeInfo", reference.empty_exchange_info, 1),
        ("/sapi/v1/system/status", reference.system_status, 1),
    )
    for path, answer, weight in rows:
        yield "GET", path, PublicRoute(answer, weight, _WEIGHTS_WITHOUT_SYMBOL.get(path))


def _orders() -> Iterator[tuple[str, str, Route]]:
    places: tuple[tuple[str, str, Callable[[AccountCall], object]], ...] = (
        ("POST", "/fapi/v1/order", orders.place_order),
        ("PUT", "/fapi/v1/order", orders.amend_order),
        ("POST", "/fapi/v1/batchOrders", orders.place_batch),
        ("PUT", "/fapi/v1/batchOrders", orders.amend_batch),
        ("POST", "/fapi/v1/algoOrder", conditionals.place_algo),
        ("POST", "/sapi/v1/algo/futures/newOrderTwap", twaps.place_twap),
    )
    for method, path, answer in places:
        yield method, path, AccountRoute(answer, Access.SIGNED, 1, places_orders=True)
    others: tuple[tuple[str, str, Callable[[AccountCall], object], int], ...] = (
        ("POST", "/fapi/v1/order/test", orders.test_order, 1),
        ("GET", "/fapi/v1/order", orders.query_order, 1),
        ("DELETE", "/fapi/v1/order", orders.cancel_order, 1),
        ("DELETE", "/fapi/v1/batchOrders", orders.cancel_batch, 1),
        ("DELETE", "/fapi/v1/allOpenOrders", orders.cancel_open_orders, 1),
        ("POST", "/fapi/v1/countdownCancelAll", orders.countdown, 10),
        ("GET", "/fapi/v1/openOrder", orders.query_open_order, 1),
        ("GET", "/fapi/v1/openOrders", orders.open_orders, 1),
        ("GET", "/fapi/v1/allOrders", orders.all_orders, 5),
        ("GET", "/fapi/v1/algoOrder", conditionals.query_algo, 1),
        ("DELETE", "/fapi/v1/algoOrder", conditionals.cancel_algo, 1),
        ("GET", "/fapi/v1/openAlgoOrders", conditionals.open_algos, 1),
        ("GET", "/fapi/v1/allAlgoOrders", conditionals.all_algos, 5),
        ("DELETE", "/fapi/v1/algoOpenOrders", conditionals.cancel_open_algos, 1),
        ("GET", "/sapi/v1/algo/futures/openOrders", twaps.open_twaps, 1),
        ("DELETE", "/sapi/v1/algo/futures/order", twaps.cancel_twap, 1),
    )
    for method, path, answer, weight in others:
        yield method, path, AccountRoute(answer, Access.SIGNED, weight, _WEIGHTS_WITHOUT_SYMBOL.get(path))


def _account() -> Iterator[tuple[str, str, Route]]:
    reads: tuple[tuple[str, Callable[[AccountCall], object], int], ...] = (
        ("/fapi/v2/balance", accounts.balances, 5),
        ("/fapi/v3/balance", accounts.balances, 5),
        ("/fapi/v2/account", accounts.account_v2, 5),
        ("/fapi/v3/account", accounts.account_v3, 5),
        ("/fapi/v2/positionRisk", accounts.position_risk_v2, 5),
        ("/fapi/v3/positionRisk", accounts.position_risk_v3, 5),
        ("/fapi/v1/accountConfig", accounts.account_config, 5),
        ("/fapi/v1/symbolConfig", accounts.symbol_config, 5),
        ("/fapi/v1/leverageBracket", accounts.leverage_brackets, 1),
        ("/fapi/v1/commissionRate", accounts.commission_rate, 20),
        ("/fapi/v1/userTrades", accounts.user_trades, 5),
        ("/fapi/v1/income", accounts.incomes, 30),
        ("/fapi/v1/adlQuantile", forced_closes.adl_quantiles, 5),
        ("/fapi/v1/forceOrders", forced_closes.force_orders, 20),
        ("/fapi/v1/rateLimit/order", accounts.order_rate_limits, 1),
        ("/fapi/v1/apiTradingStatus", accounts.api_trading_status, 1),
        ("/fapi/v1/positionSide/dual", settings.position_mode, 30),
        ("/fapi/v1/multiAssetsMargin", settings.multi_assets, 30),
        ("/fapi/v1/positionMargin/history", settings.position_margin_history, 1),
        ("/sapi/v1/capital/config/getall", reference.coins, 10),
        ("/sapi/v1/account/apiRestrictions", reference.api_restrictions, 1),
        ("/sapi/v1/margin/allPairs", reference.nothing, 1),
        ("/sapi/v1/margin/isolated/allPairs", reference.nothing, 10),
    )
    for path, answer, weight in reads:
        yield "GET", path, AccountRoute(answer, Access.SIGNED, weight)
    writes: tuple[tuple[str, Callable[[AccountCall], object]], ...] = (
        ("/fapi/v1/leverage", settings.change_leverage),
        ("/fapi/v1/marginType", settings.change_margin_type),
        ("/fapi/v1/positionMargin", settings.change_position_margin),
        ("/fapi/v1/positionSide/dual", settings.change_position_mode),
        ("/fapi/v1/multiAssetsMargin", settings.change_multi_assets),
        ("/sapi/v1/sub-account/subAccountApiPermission", settings.change_sub_account_key),
    )
    for path, answer in writes:
        yield "POST", path, AccountRoute(answer, Access.SIGNED, 1)
    yield "POST", "/fapi/v1/listenKey", AccountRoute(settings.open_listen_key, Access.KEY, 1)
    yield "PUT", "/fapi/v1/listenKey", AccountRoute(settings.extend_listen_key, Access.KEY, 1)
    yield "DELETE", "/fapi/v1/listenKey", AccountRoute(settings.close_listen_key, Access.KEY, 1)


def _operations() -> Iterator[tuple[str, str, Route]]:
    """The operations of the WebSocket trading API: method "WS", and the operation's name for a path."""
    for name, place in (
        ("order.place", orders.place_order),
        ("order.modify", orders.amend_order),
        ("algoOrder.place", conditionals.place_algo),
    ):
        yield WS, name, AccountRoute(place, Access.SIGNED, 1, places_orders=True)
    signed: tuple[tuple[str, Callable[[AccountCall], object], int], ...] = (
        ("order.cancel", orders.cancel_order, 1),
        ("order.status", orders.query_order, 1),
        ("algoOrder.cancel", conditionals.cancel_algo, 1),
        ("account.status", accounts.account_v2, 5),
        ("v2/account.status", accounts.account_v3, 5),
        ("account.balance", accounts.balances, 5),
        ("v2/account.balance", accounts.balances, 5),
        ("account.position", accounts.position_risk_v2, 5),
        ("v2/account.position", accounts.position_risk_v3, 5),
    )
    for name, answer, weight in signed:
        yield WS, name, AccountRoute(answer, Access.SIGNED, weight)
    for name, answer, weight in (
        ("userDataStream.start", settings.open_listen_key, 5),
        ("userDataStream.ping", settings.extend_listen_key, 1),
        ("userDataStream.stop", settings.close_listen_key, 1),
    ):
        yield WS, name, AccountRoute(answer, Access.KEY, weight)
    public: tuple[tuple[str, Callable[[Call], object], int, int | None], ...] = (
        ("depth", market_data.depth, 5, None),
        ("ticker.price", tickers.ticker_price, 1, 2),
        ("ticker.book", tickers.book_ticker, 2, 5),
    )
    for name, read, weight, weight_all in public:
        yield WS, name, PublicRoute(read, weight, weight_all)


ROUTES: dict[tuple[str, str], Route] = {
    (method, path): route for rows in (_public(), _orders(), _account(), _operations()) for method, path, route in rows
}

# Operations that only read; everything else that is not a GET wants to change something.
_WS_READS = ("order.status", "account.", "v2/account.", "depth", "ticker.")


def reads_only(method: str, path: str) -> bool:
    """True for requests that cannot change anything, which the request log leaves out."""
    return method == "GET" or (method == WS and path.startswith(_WS_READS))
