"""The account of the bench at the practice exchange: two positions, five resting orders, three symbols.

It is filled before the guard looks at it for the first time, so it is what the guard finds, not what somebody did
outside. Then one order like those of the load is sent, and what the exchange says to it is taken down.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx
from websockets.sync.client import connect

from bench.path.orders import Terms
from bench.path.templates import Templates, taken_down
from proxy.vault.keys import Secret

BALANCE: Final = 250_000
SYMBOL: Final = "BTCUSDT"
_TICK: Final = Decimal("0.1")
_LOT: Final = Decimal("0.002")
"""Just above the exchange's smallest order: with its answer under way an order counts against every limit."""

_POSITIONS: Final = {"BTCUSDT": "0.1", "ETHUSDT": "2"}
_RESTING: Final = {"BTCUSDT": ("0.01", "0.1"), "ETHUSDT": ("0.1", "0.01"), "SOLUSDT": ("1", "0.01")}
_BELOW: Final = Decimal("0.98")
"""Of the mark: where resting orders lie, and the highest of the load's."""

_STOP: Final = Decimal("0.95")
_FRAMES_WITHIN_S: Final = 2.0
_Form = Mapping[str, Any]


class ExchangeRefused(Exception):
    """The practice exchange did not take an order of the account."""


class Owner:
    """The account's owner, straight at the exchange. A context manager."""

    def __init__(self, exchange: str, key: str, secret: Secret) -> None:
        self._exchange = exchange
        self._secret = secret
        self._client = httpx.Client(base_url=exchange, headers={"X-MBX-APIKEY": key}, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._client.close()

    def fill(self) -> Terms:
        """Positions, their stops and the resting orders; returns what the load orders. Raises ``ExchangeRefused``."""
        for symbol, quantity in _POSITIONS.items():
            self._order(symbol=symbol, side="BUY", type="MARKET", quantity=quantity)
            self._send(
                "/fapi/v1/algoOrder",
                algoType="CONDITIONAL",
                symbol=symbol,
                side="SELL",
                type="STOP_MARKET",
                quantity=quantity,
                triggerPrice=self._part_of_mark(symbol, _STOP, _RESTING[symbol][1]),
                workingType="MARK_PRICE",
                reduceOnly="true",
            )
        for symbol, (quantity, tick) in _RESTING.items():
            price = self._part_of_mark(symbol, _BELOW, tick)
            self._order(symbol=symbol, side="BUY", type="LIMIT", timeInForce="GTC", quantity=quantity, price=price)
        return Terms(SYMBOL, self._part_of_mark(SYMBOL, _BELOW, str(_TICK)), _TICK, _LOT)

    def example(self, terms: Terms) -> Templates:
        """One order of the load, as the exchange answers it and tells the account of it."""
        key = self._client.post("/fapi/v1/listenKey").raise_for_status().json()["listenKey"]
        frames: list[Mapping[str, Any]] = []
        with connect(f"ws{self._exchange.removeprefix('http')}/ws/{key}", proxy=None) as stream:
            answer = self._order(
                symbol=terms.symbol,
                side="BUY",
                type="LIMIT",
                timeInForce="IOC",
                quantity=terms.lot,
                price=terms.top,
                newClientOrderId=f"b-{time.time_ns():x}",
            )
            while not frames or frames[-1]["o"]["X"] == "NEW":
                frame = json.loads(stream.recv(timeout=_FRAMES_WITHIN_S))
                if frame.get("o", {}).get("c") == answer["clientOrderId"]:
                    frames.append(frame)
        return taken_down(answer, frames)

    def _part_of_mark(self, symbol: str, part: Decimal, tick: str) -> Decimal:
        reply = self._client.get("/fapi/v1/premiumIndex", params={"symbol": symbol}).raise_for_status()
        return (Decimal(reply.json()["markPrice"]) * part).quantize(Decimal(tick))

    def _order(self, **form: Any) -> _Form:
        return self._send("/fapi/v1/order", **form)

    def _send(self, path: str, **form: Any) -> _Form:
        text = urlencode({**form, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(self._secret.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = self._client.post(path, content=f"{text}&signature={signature}", headers=headers)
        if reply.status_code != 200:
            raise ExchangeRefused(f"{path} was answered {reply.status_code}: {reply.text[:200]}")
        answered: _Form = reply.json()
        return answered
