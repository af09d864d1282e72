"""Handlers that change an account's settings: leverage, margin mode, position mode, isolated margin, stream key."""

from __future__ import annotations

from enum import StrEnum

from sandbox.binance.call import AccountCall, Json, money, plain
from sandbox.binance.errors import VenueError, malformed
from sandbox.engine.model import MarginMode, PositionSide
from sandbox.engine.preferences import adjust_isolated_margin, set_hedge_mode, set_leverage, set_margin_mode

_SUCCESS: Json = {"code": 200, "msg": "success"}


class _MarginType(StrEnum):
    ISOLATED = "ISOLATED"
    CROSSED = "CROSSED"
    # Older clients still send the unified spelling.
    CROSS = "CROSS"


def change_sub_account_key(call: AccountCall) -> Json:
    """POST /sapi/v1/sub-account/subAccountApiPermission, by the master: whether a sub-account's key trades futures."""
    email, api_key = call.params.required("email"), call.params.required("subAccountApiKey")
    futures = call.params.flag("canFuturesTrade")
    call.sub_keys.switch(call.credential, email, api_key, futures=futures)
    return {"subAccountApiKey": api_key, "canFuturesTrade": futures}


def change_leverage(call: AccountCall) -> Json:
    """POST /fapi/v1/leverage."""
    symbol = call.market().instrument.symbol
    leverage = call.params.required_integer("leverage")
    cap = set_leverage(call.exchange, call.account, symbol, leverage)
    return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": plain(cap)}


def change_margin_type(call: AccountCall) -> Json:
    """POST /fapi/v1/marginType."""
    symbol = call.market().instrument.symbol
    wire = call.params.choice("marginType", _MarginType, -1130, None)
    mode = MarginMode.ISOLATED if wire is _MarginType.ISOLATED else MarginMode.CROSS
    if call.account.multi_assets and mode is MarginMode.ISOLATED:
        raise VenueError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
    set_margin_mode(call.exchange, call.account, symbol, mode)
    return _SUCCESS


def change_position_mode(call: AccountCall) -> Json:
    """POST /fapi/v1/positionSide/dual."""
    call.params.required("dualSidePosition")
    set_hedge_mode(call.account, call.params.flag("dualSidePosition"))
    return _SUCCESS


def position_mode(call: AccountCall) -> Json:
    """GET /fapi/v1/positionSide/dual."""
    return {"dualSidePosition": call.account.hedge_mode}


def change_multi_assets(call: AccountCall) -> Json:
    """POST /fapi/v1/multiAssetsMargin: remembered and reported; with one asset it changes no arithmetic."""
    call.params.required("multiAssetsMargin")
    wanted = call.params.flag("multiAssetsMargin")
    if wanted is call.account.multi_assets:
        raise VenueError(-4171, "No need to change Multi-Assets mode.")
    if wanted and any(call.account.isolated(symbol) for symbol in call.exchange.markets):
        raise VenueError(-4167, "Unable to adjust to Multi-Assets mode with symbols under isolated-margin mode.")
    call.account.multi_assets = wanted
    call.exchange.events.multi_assets_changed(call.exchange.now_ms, call.account)
    return _SUCCESS


def multi_assets(call: AccountCall) -> Json:
    """GET /fapi/v1/multiAssetsMargin."""
    return {"multiAssetsMargin": call.account.multi_assets}


def change_position_margin(call: AccountCall) -> Json:
    """POST /fapi/v1/positionMargin: type 1 adds, 2 takes out."""
    symbol = call.market().instrument.symbol
    amount = call.params.required_number("amount")
    kind = call.params.required_integer("type")
    if kind not in (1, 2):
        raise malformed("type")
    if amount <= 0:
        raise VenueError(-4055, "Amount must be positive.")
    side = call.params.choice("positionSide", PositionSide, -4060, PositionSide.BOTH)
    adjust_isolated_margin(call.exchange, call.account, symbol, side, amount if kind == 1 else -amount)
    return {"code": 200, "msg": "Successfully modify position margin.", "amount": amount, "type": kind}


def position_margin_history(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/positionMargin/history."""
    symbol = call.market().instrument.symbol
    rows = [change for change in call.account.margin_changes if change.symbol == symbol]
    return [
        {
            "symbol": change.symbol,
            "type": 1 if change.amount > 0 else 2,
            "deltaType": "USER_ADJUST",
            "amount": money(abs(change.amount)),
            "asset": "USDT",
            "time": change.time_ms,
            "positionSide": str(change.position_side),
        }
        for change in rows[-call.limit(500, 500) :]
    ]


def open_listen_key(call: AccountCall) -> Json:
    """POST /fapi/v1/listenKey and userDataStream.start."""
    return {"listenKey": call.listen_keys.open(call.account.name, call.now_ms)}


def extend_listen_key(call: AccountCall) -> Json:
    """PUT /fapi/v1/listenKey and userDataStream.ping."""
    return {"listenKey": call.listen_keys.extend(call.account.name, call.now_ms)}


def close_listen_key(call: AccountCall) -> Json:
    """DELETE /fapi/v1/listenKey and userDataStream.stop."""
    call.listen_keys.close(call.account.name)
    return {}
