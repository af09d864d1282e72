"""Real clients as their users make them: nothing is changed but the address and the key."""

from __future__ import annotations

import inspect
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
from binance.async_client import AsyncClient
from binance.client import BaseClient, Client
from binance.ws.streams import BinanceSocketManager

from proxy.practice.client import repointed
from tests.support.worlds import LiveWorld

CCXT = {"sync": ccxt.binanceusdm, "async": ccxt.async_support.binanceusdm, "pro": ccxt.pro.binanceusdm}
"""The three faces of ccxt; the last two answer with awaitables, see ``answer``."""

_PYTHON_BINANCE_PATHS = {
    "API_URL": "/api",
    "MARGIN_API_URL": "/sapi",
    "FUTURES_URL": "/fapi",
    "FUTURES_DATA_URL": "/futures/data",
}


def a_ccxt(world: LiveWorld, face: str = "sync", bot: str = "bot") -> Any:
    """ccxt at the guard, with the guard key of ``bot``. Close the async ones."""
    key = world.guard_keys[bot]
    exchange = CCXT[face]({"apiKey": key.key, "secret": key.secret.reveal(), "enableRateLimit": False})
    exchange.urls["api"] = repointed(exchange.urls["api"], world.places.gate)
    return exchange


async def answer(value: Any) -> Any:
    """What a call of any face of ccxt, or of python-binance, answers."""
    return await value if inspect.isawaitable(value) else value


def repoint_python_binance(world: LiveWorld, monkeypatch: Any) -> None:
    """python-binance's addresses are class attributes."""
    gate = world.places.gate
    for attribute, path in _PYTHON_BINANCE_PATHS.items():
        monkeypatch.setattr(BaseClient, attribute, gate + path)
    sockets = gate.replace("http", "ws", 1)
    monkeypatch.setattr(BaseClient, "WS_FUTURES_URL", f"{sockets}/ws-fapi/v1")
    monkeypatch.setattr(BinanceSocketManager, "FSTREAM_URL", f"{sockets}/")


def a_python_binance(world: LiveWorld, monkeypatch: Any) -> Any:
    """The synchronous client at the guard."""
    repoint_python_binance(world, monkeypatch)
    return Client(world.guard_key.key, world.guard_key.secret.reveal(), ping=False)


async def an_async_python_binance(world: LiveWorld, monkeypatch: Any) -> Any:
    """The asynchronous client at the guard. Close its connection."""
    repoint_python_binance(world, monkeypatch)
    return AsyncClient(world.guard_key.key, world.guard_key.secret.reveal())
