"""Signed Binance requests with nothing between the test and the wire, and the practice exchange's control door."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from itertools import count
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from proxy.vault.keys import Secret

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
DEAD_MAN: Final = "/fapi/v1/countdownCancelAll"
_NUMBERS = count(1)


def fresh_id(prefix: str = "t") -> str:
    """A client order id that was never used before, by this process or another."""
    return f"{prefix}-{time.time_ns():x}-{next(_NUMBERS)}"


class Bot:
    """Somebody with a key and its secret, at the guard's address or straight at the exchange's."""

    def __init__(self, base_url: str, key: str, secret: Secret) -> None:
        self.base_url = base_url
        self.key = key
        self._secret = secret
        self.client = httpx.Client(base_url=base_url, timeout=30, trust_env=False)

    def signature(self, payload: str | bytes) -> str:
        raw = payload.encode() if isinstance(payload, str) else payload
        return hmac.new(self._secret.reveal().encode(), raw, hashlib.sha256).hexdigest()

    def signed(self, params: Mapping[str, Any]) -> str:
        """The parameters as a form, with time stamp and signature. ``timestamp`` may be given."""
        form = urlencode({"timestamp": str(time.time_ns() // 1_000_000), "recvWindow": "20000", **params})
        return f"{form}&signature={self.signature(form)}"

    def request(self, method: str, path: str, **params: Any) -> httpx.Request:
        """A signed request: parameters in the body of a POST or PUT, else in the query."""
        form = self.signed(params)
        headers = {"X-MBX-APIKEY": self.key}
        if method in ("POST", "PUT"):
            return httpx.Request(method, self.base_url + path, content=form, headers=headers | FORM)
        return httpx.Request(method, f"{self.base_url}{path}?{form}", headers=headers)

    def send(self, method: str, path: str, **params: Any) -> httpx.Response:
        return self.client.send(self.request(method, path, **params))

    def order(self, symbol: str, side: str, quantity: Any, price: Any = None, **params: Any) -> httpx.Response:
        """A limit order when a price is given, else a market order."""
        return self.send("POST", "/fapi/v1/order", **order_params(symbol, side, quantity, price, **params))

    def stop(self, symbol: str, side: str, quantity: Any, trigger_price: Any) -> httpx.Response:
        """A reduce-only stop, which lives in the exchange's algo service."""
        return self.send(
            "POST",
            "/fapi/v1/algoOrder",
            algoType="CONDITIONAL",
            symbol=symbol,
            side=side,
            type="STOP_MARKET",
            quantity=quantity,
            triggerPrice=trigger_price,
            reduceOnly="true",
            clientAlgoId=fresh_id("s"),
        )

    def cancel_all(self, symbol: str) -> httpx.Response:
        return self.send("DELETE", "/fapi/v1/allOpenOrders", symbol=symbol)

    def open_orders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.send("GET", "/fapi/v1/openOrders").raise_for_status().json()
        return rows

    def positions(self) -> dict[str, float]:
        rows = self.send("GET", "/fapi/v3/positionRisk").raise_for_status().json()
        return {row["symbol"]: float(row["positionAmt"]) for row in rows if float(row["positionAmt"]) != 0}


def order_params(symbol: str, side: str, quantity: Any, price: Any = None, **params: Any) -> dict[str, Any]:
    limit = {} if price is None else {"timeInForce": "GTC", "price": str(price)}
    return {
        "symbol": symbol,
        "side": side,
        "type": "MARKET" if price is None else "LIMIT",
        "quantity": str(quantity),
        **limit,
        "newClientOrderId": fresh_id(),
        **params,
    }


class Door:
    """The practice exchange's control door: prices, faults, and the log of everything that wanted to change it."""

    def __init__(self, exchange: str) -> None:
        self._client = httpx.Client(base_url=f"{exchange}/sandbox", timeout=30, trust_env=False)

    def log(self) -> list[dict[str, Any]]:
        """What bots wanted changed, and the kill; the dead-man timers that the guard keeps by itself are left out."""
        return [entry for entry in self._entries() if entry["path"] != DEAD_MAN]

    def timers(self) -> list[dict[str, Any]]:
        """The log entries of those timers."""
        return [entry for entry in self._entries() if entry["path"] == DEAD_MAN]

    def total(self) -> int:
        """How many entries ``log`` has."""
        return len(self.log())

    def _entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._client.get("/log").raise_for_status().json()["entries"]
        return entries

    def arrivals(self, **params: str) -> list[dict[str, Any]]:
        """Log entries whose parameters contain these."""
        return [entry for entry in self.log() if params.items() <= entry["params"].items()]

    def clear(self) -> None:
        self._client.delete("/log").raise_for_status()

    def arm(self, **faults: Any) -> None:
        self._client.post("/faults", json=faults).raise_for_status()

    def disarm(self) -> None:
        self._client.delete("/faults").raise_for_status()

    def mark_price(self, symbol: str) -> float:
        status = self._client.get("/status").raise_for_status().json()
        return float(status["prices"][symbol]["mark"])

    def jump(self, symbol: str, price: float) -> None:
        """The market is at another price at once, and so is its mark."""
        told = {"symbol": symbol, "price": str(price), "mark_price": str(price)}
        self._client.post("/price", json=told).raise_for_status()

    def break_streams(self) -> None:
        """Nobody hears anything until ``mend_streams``."""
        self._client.post("/streams", json={"refuse": True, "disconnect": True}).raise_for_status()

    def mend_streams(self) -> None:
        self._client.post("/streams", json={"refuse": False}).raise_for_status()
