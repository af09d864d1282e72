"""Bots that send orders at a steady pace, one after another, and remember what each was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.support.clients import a_ccxt
from tests.support.practice_client import fresh_id
from tests.support.worlds import LiveWorld

Send = Callable[[str], Any]


class Trader:
    """Sends by ``send`` every ``every_s`` seconds while the context lasts. ``told`` is what became of each."""

    def __init__(self, name: str, send: Send, every_s: float = 0.04) -> None:
        self.told: dict[str, Any] = {}
        self.bot = name
        self._send = send
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Trader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(30)

    @property
    def accepted(self) -> list[str]:
        return [name for name, told in self._so_far() if told == "accepted"]

    @property
    def troubles(self) -> dict[str, Any]:
        return {name: told for name, told in self._so_far() if told != "accepted"}

    def _so_far(self) -> list[tuple[str, Any]]:
        """In one step: the thread goes on meanwhile."""
        return list(self.told.items())

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._every_s, time.monotonic())
            name = fresh_id(self.bot)
            try:
                self._send(name)
                self.told[name] = "accepted"
            except Exception as trouble:  # Whatever it is: the test says that there is none.
                self.told[name] = repr(trouble)


def by_ccxt(world: LiveWorld, bot: str) -> Send:
    """ccxt on one kept-alive session, as a bot has it."""
    exchange = a_ccxt(world, bot=bot)
    exchange.load_markets()

    def send(name: str) -> None:
        exchange.create_order(
            "BTC/USDT:USDT", "limit", "buy", 0.002, 81_000, {"newClientOrderId": name, "timeInForce": "IOC"}
        )

    return send


def by_httpx(world: LiveWorld, bot: str) -> Send:
    """httpx on one kept-alive connection."""
    client = world.bot_named(bot)

    def send(name: str) -> None:
        client.order("BTCUSDT", "BUY", "0.002", 81_000, newClientOrderId=name, timeInForce="IOC").raise_for_status()

    return send
