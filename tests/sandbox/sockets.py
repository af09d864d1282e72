"""Raw WebSockets to the practice exchange: what was heard, with a bound on every wait."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from proxy.vault.keys import Secret
from tests.sandbox.practice import ALICE, PracticeServer
from tests.support.practice_client import Bot

PATIENCE_S = 5.0

Json = dict[str, Any]


class Ear:
    """One open socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def next(self) -> Any:
        return json.loads(await asyncio.wait_for(self.connection.recv(), PATIENCE_S))

    async def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """Everything up to and including the first message that is `wanted`."""
        heard = [await self.next()]
        while not wanted(heard[-1]):
            heard.append(await self.next())
        return heard

    async def ask(self, **frame: Any) -> Any:
        """Send a frame; returns its answer, skipping what comes in between."""
        await self.connection.send(json.dumps(frame))
        return (await self.until(lambda message: isinstance(message, dict) and "id" in message))[-1]

    async def closed(self) -> tuple[int, str]:
        """Wait until the venue has closed the connection; code and reason."""
        await asyncio.wait_for(self.connection.wait_closed(), PATIENCE_S)
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def listen(venue: PracticeServer, path: str, max_queue: int | None = None) -> AsyncIterator[Ear]:
    """A socket with room for everything: with its queue full, this client cannot even see the end of a handshake."""
    async with connect(venue.ws + path, max_queue=max_queue) as connection:
        yield Ear(connection)


def listen_key(venue: PracticeServer, method: str = "POST", key: str = ALICE[0]) -> httpx.Response:
    return httpx.request(method, f"{venue.url}/fapi/v1/listenKey", headers={"X-MBX-APIKEY": key})


@asynccontextmanager
async def hear_account(venue: PracticeServer, credential: tuple[str, str] = ALICE) -> AsyncIterator[Ear]:
    """A user-data stream, where clients open it today."""
    key = listen_key(venue, key=credential[0]).json()["listenKey"]
    async with listen(venue, f"/private/ws?listenKey={key}") as ear:
        yield ear


def trader(venue: PracticeServer, credential: tuple[str, str] = ALICE) -> Bot:
    return Bot(venue.url, credential[0], Secret(credential[1]))


def is_config(message: Any) -> bool:
    return bool(message["e"] == "ACCOUNT_CONFIG_UPDATE")


async def heard_so_far(ear: Ear, bot: Bot) -> list[Json]:
    """All that was sent before now: everything up to the echo of a leverage change, which is left out."""
    bot.send("POST", "/fapi/v1/leverage", symbol="SOLUSDT", leverage=10)
    return (await ear.until(is_config))[:-1]


def signed_frame(credential: tuple[str, str], method: str, frame_id: Any = 1, **params: Any) -> Json:
    """A frame of the trading socket, signed with a shared secret the way ccxt does."""
    named = {"apiKey": credential[0], "timestamp": int(time.time() * 1000), **params}
    text = "&".join(f"{name}={named[name]}" for name in sorted(named))
    signature = hmac.new(credential[1].encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"id": frame_id, "method": method, "params": named | {"signature": signature}}
