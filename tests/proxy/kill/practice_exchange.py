"""The practice exchange as a process of its own, for tests over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from proxy.exchange.troubles import VenueUnavailable
from proxy.exchange.venue_account import VenueAccount
from proxy.kill.hands import Reading, VenueHands
from proxy.vault.keys import Secret

ROOT = Path(__file__).parents[3]
SECRET = "s" * 64


def api_key(account: str) -> str:
    return account.ljust(64, "k")


async def _read(venue: VenueHands) -> Reading | None:
    """Everything, ``None`` where the exchange did not answer in time."""
    try:
        return await venue.survey()
    except VenueUnavailable:
        return None


class PracticeExchange:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def hands(self, account: str = "main", **options: Any) -> VenueAccount:
        return VenueAccount(
            name=account,
            venue="binanceusdm",
            api_key=api_key(account),
            secret=Secret(options.pop("secret", SECRET)),
            base_url=self.base_url,
            **options,
        )

    async def populate(self, account: str = "main", *, hedged: bool = False) -> None:
        """Two positions (three legs when hedged), two plain and three conditional orders, one on a symbol unheld."""
        hands = self.hands(account)
        try:
            venue = hands._venue
            if hedged:
                await venue.fapiPrivatePostPositionSideDual({"dualSidePosition": "true"})
            long, short = ({"positionSide": "LONG"}, {"positionSide": "SHORT"}) if hedged else ({}, {})
            orders: list[dict[str, str]] = [
                {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5", **long},
                {"symbol": "ETHUSDT", "side": "SELL", "type": "MARKET", "quantity": "3", **short},
                *([{"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.2", **short}] * hedged),
                *(
                    {
                        "symbol": "BTCUSDT",
                        "side": "BUY",
                        "type": "LIMIT",
                        "timeInForce": "GTC",
                        "quantity": "0.01",
                        "price": price,
                        **long,
                    }
                    for price in ("87000", "88000")
                ),
            ]
            for order in orders:
                await venue.fapiPrivatePostOrder(order)
            conditionals = [
                ("BTCUSDT", "SELL", "STOP_MARKET", "80000", {"closePosition": "true", **long}),
                ("ETHUSDT", "BUY", "STOP_MARKET", "3300", {"closePosition": "true", **short}),
                ("SOLUSDT", "BUY", "STOP_MARKET", "170", {"quantity": "1", **long}),
            ]
            for symbol, side, order_type, trigger, more in conditionals:
                await venue.fapiPrivatePostAlgoOrder(
                    {
                        "algoType": "CONDITIONAL",
                        "symbol": symbol,
                        "side": side,
                        "type": order_type,
                        "triggerPrice": trigger,
                        **more,
                    }
                )
        finally:
            await hands.aclose()

    async def flat(self, account: str = "main") -> bool:
        hands = self.hands(account)
        try:
            venue = VenueHands(hands)
            async with asyncio.timeout(60):
                while (reading := await _read(venue)) is None or reading.unread:
                    continue  # A busy machine: what was not read in time says nothing.
            return not (reading.plain_orders or reading.conditional_orders or reading.algo_orders or reading.positions)
        finally:
            await hands.aclose()

    async def control(self, method: str, door: str, **content: Any) -> Any:
        import httpx

        async with httpx.AsyncClient(base_url=self.base_url, trust_env=False) as client:
            answer = await client.request(method, f"/sandbox/{door}", json=content if method == "POST" else None)
            answer.raise_for_status()
            return answer.json()


@contextlib.asynccontextmanager
async def practice_exchange(*accounts: str, options: Sequence[str] = ()) -> AsyncIterator[PracticeExchange]:
    given = [f"{name}:{api_key(name)}:{SECRET}:1000000" for name in accounts or ("main",)]
    customers = [part for each in given for part in ("--account", each)]
    limits = ["--weight-limit", "0", "--order-limit", "0", "--scenario", "flat"]
    command = [sys.executable, "-m", "sandbox", "--port", "0", *limits, *customers, *options]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        yield PracticeExchange(line.decode().split()[-1])
    finally:
        process.terminate()
        await process.wait()
