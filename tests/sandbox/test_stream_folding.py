"""Whoever only listens knows what whoever asks knows: folding the user stream of a random day gives the REST state."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.sandbox.practice import ALICE, BOB, PracticeServer
from tests.sandbox.sockets import Json, hear_account, heard_so_far, trader
from tests.support.practice_client import Bot

SYMBOLS = {"BTCUSDT": ("0.01", 90_000, 1), "ETHUSDT": ("0.3", 3_000, 2), "SOLUSDT": ("5", 140, 2)}
ACTIONS = 150
OPEN = ("NEW", "PARTIALLY_FILLED")


class Folded:
    """An account as its events tell it."""

    def __init__(self) -> None:
        self.wallet = Decimal(0)
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.orders: dict[int, Json] = {}
        self.algos: dict[int, str] = {}
        self.traded: dict[int, Decimal] = {}

    def fold(self, event: Json) -> None:
        match event["e"]:
            case "ACCOUNT_UPDATE":
                self.wallet = Decimal(event["a"]["B"][0]["wb"])
                for leg in event["a"]["P"]:
                    self.positions[leg["s"], leg["ps"]] = Decimal(leg["pa"])
            case "ORDER_TRADE_UPDATE":
                order = event["o"]
                self.orders[order["i"]] = order
                self.traded[order["i"]] = self.traded.get(order["i"], Decimal(0)) + Decimal(order["l"])
                # Executions add up to what the order says of itself.
                assert self.traded[order["i"]] == Decimal(order["z"])
            case "ALGO_UPDATE":
                self.algos[event["o"]["aid"]] = event["o"]["X"]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_folding_the_stream_gives_the_rest_state(venue: PracticeServer, seed: int) -> None:
    chance = random.Random(seed)
    alice, bob = trader(venue, ALICE), trader(venue, BOB)
    if seed == 2:
        alice.send("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true").raise_for_status()
    folded = Folded()
    async with hear_account(venue) as ear:
        for number in range(ACTIONS):
            act(chance, venue, alice if chance.random() < 0.8 else bob, hedge=seed == 2)
            if number % 30 == 29:
                for event in await heard_so_far(ear, alice):
                    folded.fold(event)
                compare(folded, alice)
    assert len(folded.orders) > ACTIONS // 4


def act(chance: random.Random, venue: PracticeServer, bot: Bot, *, hedge: bool) -> None:
    symbol = chance.choice(list(SYMBOLS))
    unit, price, digits = SYMBOLS[symbol]
    side = chance.choice(["BUY", "SELL"])
    quantity = Decimal(unit) * chance.randint(1, 8)
    near = round(price * (1 + chance.uniform(-0.004, 0.004)), digits)
    leg = {"positionSide": chance.choice(["LONG", "SHORT"])} if hedge and bot.key == ALICE[0] else {}
    match chance.randrange(8):
        case 0 | 1:
            bot.order(symbol, side, quantity, **leg)
        case 2 | 3 | 4:
            bot.order(symbol, side, quantity, near, **leg)
        case 5:
            cancel_or_amend(chance, bot, symbol)
        case 6:
            place_stop(chance, bot, symbol, side, quantity, near, leg)
        case _:
            venue.price(symbol, str(near))


def cancel_or_amend(chance: random.Random, bot: Bot, symbol: str) -> httpx.Response:
    orders = [order for order in bot.open_orders() if order["symbol"] == symbol]
    if not orders or chance.random() < 0.1:
        return bot.cancel_all(symbol)
    order = chance.choice(orders)
    if chance.random() < 0.5:
        return bot.send("DELETE", "/fapi/v1/order", symbol=symbol, orderId=order["orderId"])
    quantity = Decimal(order["origQty"]) * 2
    named = {"symbol": symbol, "orderId": order["orderId"], "side": order["side"]}
    return bot.send("PUT", "/fapi/v1/order", **named, quantity=quantity, price=order["price"])


def place_stop(
    chance: random.Random, bot: Bot, symbol: str, side: str, quantity: Decimal, trigger: float, leg: dict[str, str]
) -> None:
    kind = chance.choice(["STOP_MARKET", "TAKE_PROFIT_MARKET"])
    asked = {"algoType": "CONDITIONAL", "symbol": symbol, "side": side, "type": kind, **leg}
    bot.send("POST", "/fapi/v1/algoOrder", **asked, quantity=str(quantity), triggerPrice=str(trigger))


def compare(folded: Folded, bot: Bot) -> None:
    """Positions, open orders, finished orders, conditional orders and the wallet, to the last digit."""
    rows = bot.send("GET", "/fapi/v2/positionRisk").json()
    asked = {(row["symbol"], row["positionSide"]): Decimal(row["positionAmt"]) for row in rows}
    held = {leg: quantity for leg, quantity in folded.positions.items() if quantity}
    assert held == {leg: quantity for leg, quantity in asked.items() if quantity}
    resting = {order["orderId"]: shown(order) for order in bot.open_orders()}
    assert resting == {number: told(order) for number, order in folded.orders.items() if order["X"] in OPEN}
    for symbol in SYMBOLS:
        for order in bot.send("GET", "/fapi/v1/allOrders", symbol=symbol, limit=1000).json():
            assert told(folded.orders[order["orderId"]]) == shown(order)
        for algo in bot.send("GET", "/fapi/v1/allAlgoOrders", symbol=symbol, limit=1000).json():
            assert folded.algos[algo["algoId"]] == algo["algoStatus"]
    assert folded.wallet == Decimal(bot.send("GET", "/fapi/v3/balance").json()[0]["balance"])


def shown(order: Json) -> tuple[Any, ...]:
    return order["status"], order["executedQty"], order["origQty"], order["price"], order["avgPrice"]


def told(order: Json) -> tuple[Any, ...]:
    return order["X"], order["z"], order["q"], order["p"], order["ap"]
