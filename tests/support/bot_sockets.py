"""A bot's WebSockets with nothing between the test and the frame: the trading API, and streams."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.practice_client import Bot

WAIT_S: Final = 30.0

Signer = Callable[[str], str]


def a_socket(base_url: str, path: str) -> connect:
    """A socket at the guard."""
    return connect(base_url.replace("http", "ws", 1) + path, proxy=None, compression=None, open_timeout=WAIT_S)


class TradingSocket:
    """One trading socket. Calls may overlap: answers are matched by their id, as they come."""

    def __init__(self, connection: ClientConnection, key: str, sign: Signer) -> None:
        self.connection = connection
        self.key = key
        self._sign = sign
        self._ids = count(1)
        self._awaited: dict[object, asyncio.Future[dict[str, Any]]] = {}

    async def ask(self, method: str, *, bare: bool = False, **params: Any) -> dict[str, Any]:
        """The answer to a signed frame, or to a ``bare`` one of a session. ``None`` takes a parameter away."""
        number = next(self._ids)
        sent = params if bare else self.signed(params)
        return await self.tell(json.dumps({"id": number, "method": method, "params": sent}), number)

    async def tell(self, frame: str, frame_id: object) -> dict[str, Any]:
        """The answer under ``frame_id`` to a frame as it stands. Raises ``ConnectionClosed`` without one."""
        answer = self._awaited[frame_id] = asyncio.get_running_loop().create_future()
        await self.connection.send(frame)
        async with asyncio.timeout(WAIT_S):
            return await answer

    def signed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Key, time stamp and signature beside these."""
        now = str(time.time_ns() // 1_000_000)
        given = {"apiKey": self.key, "timestamp": now, "recvWindow": "20000", **params}
        sent = {name: value for name, value in given.items() if value is not None}
        payload = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
        return sent | {"signature": self._sign(payload)}

    async def read(self) -> None:
        """Hand out answers until the socket is closed."""
        try:
            async for message in self.connection:
                answer = json.loads(message)
                self._awaited.pop(answer["id"]).set_result(answer)
            await self.connection.recv()  # Closed in good order: the waiting are told so all the same.
        except ConnectionClosed as closed:
            for waiting in self._awaited.values():
                waiting.set_exception(closed)


@asynccontextmanager
async def a_trading_socket(bot: Bot, key: str = "", sign: Signer | None = None) -> AsyncIterator[TradingSocket]:
    """A trading socket of ``bot``, or of another key at the same guard."""
    async with a_socket(bot.base_url, "/ws-fapi/v1") as connection:
        opened = TradingSocket(connection, key or bot.key, sign or bot.signature)
        reading = asyncio.create_task(opened.read())
        try:
            yield opened
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class UserStream:
    """A bot's private stream."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def told(self, event: str, **fields: Any) -> dict[str, Any]:
        """The next event of this type with these fields in its order; others are passed over."""
        async with asyncio.timeout(WAIT_S):
            while True:
                frame: dict[str, Any] = json.loads(await self.connection.recv())
                if frame.get("e") == event and fields.items() <= frame.get("o", {}).items():
                    return frame


@asynccontextmanager
async def a_user_stream(bot: Bot) -> AsyncIterator[UserStream]:
    """The private stream of ``bot``, its key fetched as usual."""
    listen_key = bot.send("POST", "/fapi/v1/listenKey").raise_for_status().json()["listenKey"]
    async with a_socket(bot.base_url, f"/private/ws?listenKey={listen_key}") as connection:
        yield UserStream(connection)


def guard_code(answer: Mapping[str, Any]) -> str:
    """The guard's code in the ``msg`` of a refusal, ``""`` in one of the exchange's."""
    words = str(answer["msg"]).partition(":")[0].split()
    return words[-1] if words[:1] == ["GUARD"] else ""


def base64_signer(private: Ed25519PrivateKey) -> Signer:
    """As a bot with an Ed25519 key signs."""
    return lambda payload: base64.b64encode(private.sign(payload.encode())).decode()


async def code_and_reason(connection: ClientConnection, within_s: float = WAIT_S) -> tuple[int | None, str]:
    """How the guard closed a socket."""
    async with asyncio.timeout(within_s):
        await connection.wait_closed()
    return connection.close_code, str(connection.close_reason)


def server_of(connection: ClientConnection, pids: list[int]) -> int:
    """Which of these processes has the other end of a connection on this machine, from /proc alone."""
    port = connection.local_address[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[2].rpartition(":")[2], 16) == port}
    sockets = {f"socket:[{inode}]" for inode in inodes}
    found = [pid for pid in pids if sockets & {_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()}]
    assert len(found) == 1, f"port {port}: {found} of {pids}"
    return found[0]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # Closed since it was listed.
        return ""
