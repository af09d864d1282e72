"""Handlers of reference data: ping, time, exchangeInfo, and the spot answers clients insist on before they trade."""

from __future__ import annotations

from sandbox.binance.call import AccountCall, Call, Json, plain
from sandbox.engine.instrument import Instrument
from sandbox.engine.market import Market

# Binance's way of writing "never": 25 December 2100.
_NO_DELIVERY_MS = 4_133_404_800_000
_ONBOARDED_MS = 1_569_398_400_000
_ORDER_TYPES = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)


def ping(call: Call) -> Json:
    """GET .../ping."""
    return {}


def server_time(call: Call) -> Json:
    """GET .../time: the wall clock, because clients sign with theirs; market data carries engine time."""
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Json:
    """GET /fapi/v1/exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, call.limits.weight.listed),
            _rate_limit("ORDERS", "MINUTE", 1, call.limits.orders_1m.listed),
            _rate_limit("ORDERS", "SECOND", 10, call.limits.orders_10s.listed),
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "0"}],
        "symbols": [_symbol(market) for market in call.exchange.markets.values()],
    }


def empty_exchange_info(call: Call) -> Json:
    """GET /api/v3/exchangeInfo and /dapi/v1/exchangeInfo: markets that exist and list nothing."""
    return {"timezone": "UTC", "serverTime": call.now_ms, "rateLimits": [], "exchangeFilters": [], "symbols": []}


def coins(call: Call) -> list[Json]:
    """GET /sapi/v1/capital/config/getall: coins without networks, so that nothing can be deposited or withdrawn."""
    names = ["USDT", *(market.instrument.base for market in call.exchange.markets.values())]
    return [
        {
            "coin": name,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "name": name,
            "free": "0",
            "locked": "0",
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for name in names
    ]


def nothing(call: Call) -> list[Json]:
    """GET /sapi/v1/margin/allPairs and its isolated sister: no margin pairs."""
    return []


def system_status(call: Call) -> Json:
    """GET /sapi/v1/system/status: 1 during maintenance. An outage is not announced."""
    maintenance = call.exchange.maintenance
    return {"status": int(maintenance), "msg": "system_maintenance" if maintenance else "normal"}


def api_restrictions(call: AccountCall) -> Json:
    """GET /sapi/v1/account/apiRestrictions: what the calling key may do."""
    return {
        "ipRestrict": call.permissions.ip_restricted,
        "createTime": _ONBOARDED_MS,
        "enableReading": True,
        "enableFutures": call.sub_keys.may_trade_futures(call.credential.api_key),
        "enableWithdrawals": call.permissions.withdrawals,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableMargin": False,
        "enableSpotAndMarginTrading": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
        # Keys without an address restriction lose their trading right after some time; 0 is "no date set".
        "tradingAuthorityExpirationTime": 0 if call.permissions.ip_restricted else _NO_DELIVERY_MS,
    }


def _rate_limit(kind: str, interval: str, number: int, limit: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _symbol(market: Market) -> Json:
    instrument = market.instrument
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _NO_DELIVERY_MS if market.delivery_ms is None else market.delivery_ms,
        "onboardDate": _ONBOARDED_MS,
        "status": str(market.status),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": _decimals(plain(instrument.tick)),
        "quantityPrecision": _decimals(plain(instrument.lot_step)),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": format(instrument.trigger_protect, ".4f"),
        "liquidationFee": format(instrument.liquidation_fee, ".6f"),
        "marketTakeBound": plain(instrument.market_take_bound),
        "maxMoveOrderLimit": 10000,
        "filters": _filters(instrument),
        "orderTypes": list(_ORDER_TYPES),
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def _filters(instrument: Instrument) -> list[Json]:
    lots = {"minQty": plain(instrument.quantity_min), "stepSize": plain(instrument.lot_step)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(instrument.price_min),
            "maxPrice": plain(instrument.price_max),
            "tickSize": plain(instrument.tick),
        },
        {"filterType": "LOT_SIZE", "maxQty": plain(instrument.quantity_max), **lots},
        {"filterType": "MARKET_LOT_SIZE", "maxQty": plain(instrument.market_quantity_max), **lots},
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.orders_max},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.notional_min)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": format(1 + instrument.band, ".4f"),
            "multiplierDown": format(1 - instrument.band, ".4f"),
            "multiplierDecimal": "4",
        },
    ]


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])
