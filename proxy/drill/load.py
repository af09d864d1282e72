"""Orders of a bot through a gate at a steady rate, for as long as a rehearsal lasts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final
from urllib.parse import urlencode

import httpx

from proxy.drill.book import CopiedSymbol
from proxy.vault.keys import GuardKey

RATE_MAX: Final = 500.0
"""Orders a second. One process of this kind sends no more on a small machine; the report says what was sent."""

UNDER_WAY_MAX: Final = 64
_TICK_S: Final = 0.02
_BELOW: Final = Decimal("0.97")
_WORTH: Final = Decimal("1.5")


@dataclass(slots=True)
class Sent:
    """What the load came to. ``passed`` are those that the exchange took."""

    orders: int = 0
    passed: int = 0
    failed: int = 0


class Load:
    """Small bids below the market, one after another. ``sent`` counts while ``run`` runs, until it is cancelled."""

    def __init__(self, gate: str, key: GuardKey, symbol: CopiedSymbol, rate_per_s: float) -> None:
        self.sent = Sent()
        self.rate_per_s = min(RATE_MAX, rate_per_s)
        self._gate = gate
        self._key = key
        self._symbol = symbol
        self._room = asyncio.Semaphore(UNDER_WAY_MAX)

    async def run(self) -> None:
        """Send until cancelled. What a slow gate keeps waiting is not sent later in a burst."""
        limits = httpx.Limits(max_connections=UNDER_WAY_MAX)
        async with (
            httpx.AsyncClient(base_url=self._gate, limits=limits, timeout=10, trust_env=False) as client,
            asyncio.TaskGroup() as orders,
        ):
            owed = 0.0
            while True:
                owed = min(owed + self.rate_per_s * _TICK_S, float(UNDER_WAY_MAX))
                while owed >= 1 and not self._room.locked():
                    await self._room.acquire()
                    owed -= 1
                    orders.create_task(self._order(client))
                await asyncio.sleep(_TICK_S)

    async def _order(self, client: httpx.AsyncClient) -> None:
        try:
            self.sent.orders += 1
            answer = await client.post("/fapi/v1/order", content=self._signed(), headers=self._headers)
            self.sent.passed += answer.status_code == httpx.codes.OK
        except httpx.HTTPError:
            self.sent.failed += 1
        finally:
            self._room.release()

    @property
    def _headers(self) -> dict[str, str]:
        return {"X-MBX-APIKEY": self._key.key, "content-type": "application/x-www-form-urlencoded"}

    def _signed(self) -> str:
        terms = self._symbol.instrument
        price = _on(self._symbol.mark_price * _BELOW, terms.tick_size, ROUND_DOWN)
        least = max(terms.quantity_min, terms.notional_min * _WORTH / price)
        form = urlencode(
            {
                "symbol": terms.symbol,
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": f"{_on(least, terms.step_size, ROUND_CEILING):f}",
                "price": f"{price:f}",
                "timestamp": str(time.time_ns() // 1_000_000),
                "recvWindow": "20000",
                "newClientOrderId": f"d-{time.time_ns():x}-{self.sent.orders}",
            }
        )
        secret = self._key.secret.reveal().encode()
        return f"{form}&signature={hmac.new(secret, form.encode(), hashlib.sha256).hexdigest()}"


def _on(number: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (number / step).to_integral_value(rounding) * step
