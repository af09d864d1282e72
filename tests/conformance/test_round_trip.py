"""Whatever was judged is what is sent: any command, encoded, reads back as itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.venues.binance.encode import build, encode
from proxy.venues.binance.frames import TARGETS, read_frame, verify_frame
from proxy.venues.binance.requests import read_request
from proxy.venues.binance.routes import Access, find_route
from proxy.venues.binance.signing import sign, verify
from proxy.venues.binance.values import plain
from proxy.venues.binance.wire import read_parameters
from rules.decision import Cleared
from rules.intent import is_guaranteed_exit
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    MarginMode,
    OrderType,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
    TimeInForce,
    TriggerBy,
)

SECRET = "real-secret"
FORM = "application/x-www-form-urlencoded"
Clear = Callable[[Command], Cleared[Command]]

numbers = st.decimals(Decimal("1E-18"), Decimal("999999999999"), places=18).map(lambda d: Decimal(plain(d)))
symbols = st.from_regex(r"[A-Z0-9_]{1,32}", fullmatch=True) | st.text("币安人生ÄЖ๓_USDT1", min_size=1, max_size=32)
client_ids = st.from_regex(r"[.A-Z:/a-z0-9_-]{1,36}", fullmatch=True).filter(lambda i: not i.lower().startswith("pgk-"))
order_ids = st.integers(1, 2**63 - 1).map(str)
sides, flags = st.sampled_from(Side), st.booleans()
legs = st.sampled_from(PositionSide)
price_matches = st.sampled_from(["OPPONENT", "OPPONENT_5", "QUEUE", "QUEUE_20"])


@st.composite
def orders(draw: st.DrawFn, conditional: bool) -> PlaceOrder:
    kind = draw(st.sampled_from([kind for kind in OrderType if kind.is_conditional is conditional]))
    trailing = kind is OrderType.TRAILING_STOP_MARKET
    priced = not kind.is_market
    matched = priced and draw(flags)
    closing = kind in (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET) and draw(flags)
    time_in_force = None if kind is OrderType.MARKET else draw(st.none() | st.sampled_from(TimeInForce))
    order = PlaceOrder(
        symbol=draw(symbols),
        side=draw(sides),
        order_type=kind,
        quantity=None if closing else draw(numbers),
        position_side=draw(legs),
        price=draw(numbers) if priced and not matched else None,
        price_match=draw(price_matches) if matched else None,
        time_in_force=time_in_force,
        reduce_only=None if closing else draw(st.none() | flags),
        close_position=closing,
        trigger_price=draw(numbers) if conditional and not trailing else None,
        trigger_by=draw(st.none() | st.sampled_from(TriggerBy)) if conditional else None,
        activate_price=draw(st.none() | numbers) if trailing else None,
        callback_rate=draw(numbers) if trailing else None,
        price_protect=draw(st.none() | flags) if conditional else None,
        good_till_ms=draw(st.integers(1, 253402300799000)) if time_in_force is TimeInForce.GTD else None,
        self_trade_prevention=draw(st.none() | st.sampled_from(["NONE", "EXPIRE_BOTH"])),
        response_type=draw(st.none() | st.sampled_from(["ACK", "RESULT"])),
        client_order_id=draw(st.none() | client_ids),
    )
    if time_in_force is TimeInForce.GTE_GTC and not (conditional and is_guaranteed_exit(order)):
        return replace(order, time_in_force=TimeInForce.GTC)  # It ends with a position, so it goes with exits alone.
    return order


@st.composite
def amends(draw: st.DrawFn) -> AmendOrder:
    matched, by_id = draw(flags), draw(flags)
    return AmendOrder(
        symbol=draw(symbols),
        side=draw(sides),
        quantity=draw(numbers),
        price=None if matched else draw(numbers),
        price_match=draw(price_matches) if matched else None,
        order_id=draw(order_ids) if by_id else None,
        client_order_id=None if by_id else draw(client_ids),
    )


def cancels(conditional: bool) -> st.SearchStrategy[CancelOrder]:
    named = symbols | st.none() if conditional else symbols
    fixed = {"symbol": named, "conditional": st.just(conditional)}
    return st.builds(CancelOrder, order_id=order_ids, **fixed) | st.builds(
        CancelOrder, client_order_id=client_ids, **fixed
    )


amounts = st.builds(lambda n, take: n.copy_negate() if take else n, numbers, flags)
margins = st.builds(AdjustIsolatedMargin, symbol=symbols, position_side=legs, amount=amounts)
SINGLES: list[tuple[str, st.SearchStrategy[Command]]] = [
    ("POST /fapi/v1/order", orders(False)),
    ("POST /fapi/v1/algoOrder", orders(True)),
    ("PUT /fapi/v1/order", amends()),
    ("DELETE /fapi/v1/order", cancels(False)),
    ("DELETE /fapi/v1/algoOrder", cancels(True)),
    ("DELETE /fapi/v1/allOpenOrders", st.builds(CancelAll, symbol=symbols)),
    ("DELETE /fapi/v1/algoOpenOrders", st.builds(CancelAll, symbol=symbols, conditional=st.just(True))),
    ("POST /fapi/v1/leverage", st.builds(SetLeverage, symbol=symbols, leverage=st.integers(1, 125).map(Decimal))),
    (
        "POST /fapi/v1/marginType",
        st.builds(SetMarginMode, symbol=symbols, margin_mode=st.sampled_from(MarginMode)),
    ),
    ("POST /fapi/v1/positionSide/dual", st.builds(SetPositionMode, hedged=flags)),
    ("POST /fapi/v1/multiAssetsMargin", st.builds(SetMultiAssetMode, enabled=flags)),
    ("POST /fapi/v1/positionMargin", margins),
    ("POST /fapi/v1/countdownCancelAll", st.builds(ArmDeadMan, symbol=symbols, countdown_ms=st.integers(0, 10**10))),
]
singles = st.sampled_from(SINGLES).flatmap(lambda row: row[1].map(lambda command: (row[0], [command])))
batches = st.one_of(
    st.lists(orders(False), min_size=1, max_size=5).map(lambda entries: ("POST /fapi/v1/batchOrders", entries)),
    st.lists(amends(), min_size=1, max_size=5).map(lambda entries: ("PUT /fapi/v1/batchOrders", entries)),
)
ids = st.lists(order_ids, min_size=1, max_size=10, unique=True)
names = st.lists(client_ids, min_size=1, max_size=10, unique=True)


def assert_round_trip(target: str, commands: list[Command], clear: Clear) -> None:
    route = find_route(*target.split())
    assert route is not None
    parameters = encode(route, [clear(command) for command in commands])
    upstream = build(route, parameters, secret=SECRET, timestamp_ms=1_795_332_044_000)
    query, body = upstream.query.encode(), upstream.body.encode()
    assert bool(body) is target.startswith(("POST", "PUT")) and bool(query) is not bool(body)
    assert verify(query, body, SECRET)
    sent = read_parameters(query, body, FORM)
    assert (sent.get("timestamp"), sent.get("recvWindow")) == ("1795332044000", "5000")
    assert read_request(route, sent).commands == tuple(commands)


# Thirty digits: arithmetic in the default context would round them to 28.
LONGEST = AdjustIsolatedMargin(
    symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal("-123456789012.123456789012345678")
)


@given(st.one_of(singles, batches))
@example(("POST /fapi/v1/positionMargin", [LONGEST]))
def test_every_command_reads_back_as_itself(clear: Clear, asked: tuple[str, list[Command]]) -> None:
    assert_round_trip(*asked, clear)


METHODS = {f"{method} {path}": name for name, (method, path) in TARGETS.items()}
calls = st.sampled_from([row for row in SINGLES if row[0] in METHODS]).flatmap(
    lambda row: row[1].map(lambda command: (row[0], command))
)


@given(calls)
def test_a_frame_says_what_the_rest_request_says(clear: Clear, asked: tuple[str, Command]) -> None:
    target, command = asked
    route = find_route(*target.split())
    assert route is not None
    parameters = dict(encode(route, [clear(command)])) | {"apiKey": "key", "timestamp": "1795332044000"}
    payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    call = {"id": 1, "method": METHODS[target], "params": parameters | {"signature": sign(payload, SECRET)}}
    frame = read_frame(json.dumps(call))
    assert verify_frame(frame, SECRET)
    assert frame.route is route
    assert read_request(frame.route, frame.parameters).commands == (command,)


@given(symbols, ids)
def test_cancels_by_the_venues_ids_read_back(clear: Clear, symbol: str, order_ids: list[str]) -> None:
    batch: list[Command] = [CancelOrder(symbol=symbol, order_id=order_id) for order_id in order_ids]
    assert_round_trip("DELETE /fapi/v1/batchOrders", batch, clear)


@given(symbols, names)
def test_cancels_by_the_bots_ids_read_back(clear: Clear, symbol: str, client_ids: list[str]) -> None:
    batch: list[Command] = [CancelOrder(symbol=symbol, client_order_id=client_id) for client_id in client_ids]
    assert_round_trip("DELETE /fapi/v1/batchOrders", batch, clear)


def test_hosts_are_the_tables_and_secrets_do_not_show() -> None:
    hosts = {
        "/fapi/v1/time": "fapi",
        "/futures/data/basis": "fapi",
        "/sapi/v1/system/status": "sapi",
        "/api/v3/ping": "api",
        "/dapi/v1/exchangeInfo": "dapi",
    }
    for path, host in hosts.items():
        route = find_route("GET", path)
        assert route is not None and route.access is Access.PUBLIC
        upstream = build(route, (("symbol", "a b"),), secret=SECRET, timestamp_ms=1)
        assert (upstream.host, upstream.query, upstream.signed) == (host, "symbol=a+b", False)
    account = find_route("GET", "/fapi/v3/account")
    assert account is not None
    assert "signature" not in repr(build(account, (), secret=SECRET, timestamp_ms=1))


@pytest.mark.parametrize(
    "batch",
    [
        [CancelOrder(symbol="BTCUSDT", order_id="1"), CancelOrder(symbol="BTCUSDT", client_order_id="a")],
        [CancelOrder(symbol="BTCUSDT", order_id="1"), CancelOrder(symbol="ETHUSDT", order_id="2")],
        [CancelOrder(symbol=None, order_id="1")],
        [CancelOrder(symbol="BTCUSDT", order_id="1"), CancelAll(symbol="BTCUSDT")],
    ],
)
def test_a_batch_of_cancels_that_one_call_cannot_say_is_a_bug(clear: Clear, batch: list[Command]) -> None:
    with pytest.raises(AssertionError):
        assert_round_trip("DELETE /fapi/v1/batchOrders", batch, clear)
