"""Unmodified ccxt trades on the practice exchange; only its URLs are swapped."""

from __future__ import annotations

import re
import time
from typing import Any

import ccxt
import pytest

from tests.sandbox.practice import ALICE, BOB, PracticeServer, start, stop

BTC = "BTC/USDT:USDT"


def client(venue: PracticeServer, credential: tuple[str, str] = ALICE) -> Any:
    """A binanceusdm client whose every URL points at the practice exchange."""
    exchange = ccxt.binanceusdm({"apiKey": credential[0], "secret": credential[1], "enableRateLimit": False})

    def repoint(urls: dict[str, Any]) -> None:
        for name, url in urls.items():
            if isinstance(url, dict):
                repoint(url)
            elif isinstance(url, str):
                urls[name] = re.sub(r"^\w+://[^/]+", venue.url, url)

    repoint(exchange.urls["api"])
    return exchange


def open_contracts(exchange: Any) -> float:
    return float(sum(position["contracts"] for position in exchange.fetch_positions()))


def test_markets_load_with_keys_and_the_settling_symbol_is_inactive(venue: PracticeServer) -> None:
    markets = client(venue).load_markets()
    assert markets[BTC]["active"]
    assert not markets["LUNC/USDT:USDT"]["active"]
    assert markets[BTC]["limits"]["cost"]["min"] == 100


def test_a_round_trip_is_visible_everywhere(venue: PracticeServer) -> None:
    exchange = client(venue)
    order = exchange.create_order(BTC, "market", "buy", 0.1)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.1, 90004.5)
    position = exchange.fetch_positions([BTC])[0]
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.1, 90004.5)
    exchange.create_order(BTC, "market", "sell", 0.1, None, {"reduceOnly": True})
    assert open_contracts(exchange) == 0
    trades = exchange.fetch_my_trades(BTC)
    paid = sum(trade["fee"]["cost"] for trade in trades)
    lost = 0.1 * (90004.5 - 89995.5)
    assert exchange.fetch_balance()["USDT"]["total"] == pytest.approx(10_000 - paid - lost)
    kinds = [entry["info"]["incomeType"] for entry in exchange.fetch_ledger()]
    assert kinds.count("COMMISSION") == 2
    assert kinds.count("REALIZED_PNL") == 1


def test_limit_orders_are_placed_edited_listed_and_cancelled(venue: PracticeServer) -> None:
    exchange = client(venue)
    order = exchange.create_order(BTC, "limit", "buy", 0.01, 88000, {"clientOrderId": "mine-1"})
    exchange.edit_order(order["id"], BTC, "limit", "buy", 0.02, 88100)
    assert [(x["price"], x["amount"]) for x in exchange.fetch_open_orders(BTC)] == [(88100, 0.02)]
    exchange.cancel_order(order["id"], BTC)
    assert exchange.fetch_order(order["id"], BTC)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(order["id"], BTC)


def test_a_batch_answers_each_order_for_itself(venue: PracticeServer) -> None:
    exchange = client(venue)
    good = {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": 88000}
    too_big = good | {"amount": 5}
    placed = exchange.create_orders([good, too_big, good])
    # ccxt sorts by time, and a refusal has none.
    refused, *accepted = sorted(placed, key=lambda order: order["id"] or "")
    assert refused["info"]["code"] == -2019
    exchange.cancel_orders([order["id"] for order in accepted], BTC)
    assert exchange.fetch_open_orders(BTC) == []


def test_cancel_all_does_not_touch_the_stop_and_the_stop_protects(venue: PracticeServer) -> None:
    exchange = client(venue)
    exchange.create_order(BTC, "market", "buy", 0.1)
    exchange.create_order(BTC, "limit", "buy", 0.01, 88000)
    stop_loss = {"stopLossPrice": 85000, "reduceOnly": True, "workingType": "MARK_PRICE"}
    exchange.create_order(BTC, "market", "sell", 0.1, None, stop_loss)
    exchange.cancel_all_orders(BTC)
    assert exchange.fetch_open_orders(BTC) == []
    assert len(exchange.fetch_open_orders(BTC, params={"trigger": True})) == 1
    venue.price("BTCUSDT", "84000")
    assert open_contracts(exchange) == 0
    assert exchange.fetch_open_orders(BTC, params={"trigger": True}) == []


def test_cancel_all_conditionals_leaves_plain_orders(venue: PracticeServer) -> None:
    exchange = client(venue)
    exchange.create_order(BTC, "limit", "buy", 0.01, 88000)
    exchange.create_order(BTC, "STOP_MARKET", "sell", 0.01, None, {"stopPrice": 85000})
    exchange.cancel_all_orders(BTC, {"trigger": True})
    assert exchange.fetch_open_orders(BTC, params={"trigger": True}) == []
    assert len(exchange.fetch_open_orders(BTC)) == 1


def test_leverage_and_margin_mode(venue: PracticeServer) -> None:
    exchange = client(venue)
    exchange.set_leverage(50, BTC)
    exchange.set_margin_mode("isolated", BTC)
    assert exchange.fetch_leverage(BTC)["longLeverage"] == 50
    assert exchange.fetch_margin_mode(BTC)["marginMode"] == "isolated"
    exchange.create_order(BTC, "market", "buy", 0.1)
    exchange.add_margin(BTC, 100)
    position = exchange.fetch_positions([BTC])[0]
    assert position["marginMode"] == "isolated"
    assert position["collateral"] == pytest.approx(180.009 + 100 - 0.45)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        exchange.set_margin_mode("isolated", BTC)


def test_hedge_mode_keeps_two_legs(venue: PracticeServer) -> None:
    exchange = client(venue)
    exchange.load_markets()
    exchange.set_position_mode(True)
    assert exchange.fetch_position_mode(BTC)["hedged"]
    exchange.create_order(BTC, "market", "buy", 0.1, None, {"positionSide": "LONG"})
    exchange.create_order(BTC, "market", "sell", 0.05, None, {"positionSide": "SHORT"})
    assert {(x["side"], x["contracts"]) for x in exchange.fetch_positions()} == {("long", 0.1), ("short", 0.05)}
    with pytest.raises(ccxt.BaseError, match="-2022"):
        exchange.create_order(BTC, "market", "sell", 0.2, None, {"positionSide": "LONG"})
    with pytest.raises(ccxt.BaseError, match="-4061"):
        exchange.create_order(BTC, "market", "sell", 0.1)


def test_two_accounts_trade_with_each_other(venue: PracticeServer) -> None:
    alice, bob = client(venue), client(venue, BOB)
    resting = alice.create_order(BTC, "limit", "sell", 0.01, 90001)
    taken = bob.create_order(BTC, "market", "buy", 0.01)
    assert taken["average"] == 90001
    assert alice.fetch_order(resting["id"], BTC)["status"] == "closed"
    assert alice.fetch_my_trades(BTC)[0]["takerOrMaker"] == "maker"


def test_a_bot_with_too_much_leverage_is_liquidated(venue: PracticeServer) -> None:
    exchange = client(venue)
    exchange.set_leverage(50, BTC)
    exchange.create_order(BTC, "market", "buy", 4)
    price = exchange.fetch_positions()[0]["liquidationPrice"]
    assert 87_000 < price < 90_000
    venue.price("BTCUSDT", str(round(price - 50, 1)))
    assert open_contracts(exchange) == 0
    # The first order brings it down a tier, the second closes what is left.
    assert sum(order["contracts"] for order in exchange.fetch_my_liquidations(BTC)) == 4
    assert exchange.fetch_balance()["USDT"]["total"] >= 0


def test_market_data_parses(venue: PracticeServer) -> None:
    exchange = client(venue)
    assert len(exchange.fetch_order_book(BTC)["bids"]) == 20
    assert exchange.fetch_ticker(BTC)["last"] == 90000
    assert len(exchange.fetch_tickers()) == 6
    assert len(exchange.fetch_ohlcv(BTC, "5m", limit=100)) == 100
    assert exchange.fetch_funding_rate(BTC)["fundingRate"] == 0.0001
    assert exchange.fetch_open_interest(BTC)["openInterestAmount"] > 0
    assert exchange.fetch_open_interest_history(BTC)
    assert exchange.fetch_leverage_tiers([BTC])[BTC][0]["maxLeverage"] == 125
    assert exchange.fetch_trading_fee(BTC)["taker"] == 0.0005
    assert exchange.fetch_bids_asks([BTC])[BTC]["bid"] == 89995.5
    assert exchange.fetch_status()["status"] == "ok"
    assert abs(exchange.fetch_time() - time.time() * 1000) < 5_000


def test_a_crash_under_a_running_clock_liquidates() -> None:
    # 400x: ten minutes of crash in a second and a half.
    process, venue = start("--scenario", "crash", "--speed", "400", "--seed", "3")
    try:
        exchange = client(venue)
        exchange.create_order("ETH/USDT:USDT", "market", "buy", 30)
        deadline = time.monotonic() + 20
        while open_contracts(exchange) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert exchange.fetch_my_liquidations("ETH/USDT:USDT")
        assert open_contracts(exchange) == 0
    finally:
        stop(process)
