"""One gate's order path in this process: both doors, a real vault, store and judge, and an exchange on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.budget.meter import Meter
from proxy.gate.bot_socket import SocketGone
from proxy.gate.counting import Counting
from proxy.gate.egress import Egress, VenueBudget
from proxy.gate.identity import Identities
from proxy.gate.rest import PREFIX
from proxy.gate.views import Views
from proxy.gate.wiring import VenueSide, doors_to
from proxy.vault.keys import GuardKey, Secret
from proxy.vault.vault import Vault
from proxy.venues.binance.signing import sign
from rules.resize import Resize
from rules.rule import Rule
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import NOW
from tests.support.through_the_door import ThroughTheDoor

VENUE = "binanceusdm"
REAL_KEY = "R" * 64
NOW_MS = int(NOW.timestamp() * 1000)


def pem(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass
class Keys:
    """A vault with one account and two bots' keys on it: one signs with HMAC, one with Ed25519."""

    vault: Vault
    hmac: GuardKey
    ed25519: GuardKey
    private: Ed25519PrivateKey

    @classmethod
    def in_directory(cls, directory: Path) -> Keys:
        issued = datetime(2026, 11, 24, tzinfo=UTC)
        vault = Vault.create(directory / "vault.json", Secret("correct horse battery staple"), work_factor=2**14)
        vault.add_exchange_key(account="demo", venue=VENUE, api_key=REAL_KEY, api_secret=Secret("S" * 64), now=issued)
        private = Ed25519PrivateKey.generate()
        return cls(
            vault=vault,
            hmac=vault.issue(bot="demo-bot", account="demo", label="hmac", now=issued),
            ed25519=vault.issue(bot="demo-bot", account="demo", label="ed", now=issued, public_key=pem(private)),
            private=private,
        )

    def signature(self, key: GuardKey, payload: str) -> str:
        """As the key's bot signs."""
        if key.public_key is None:
            return sign(payload, key.secret.reveal())
        return base64.b64encode(self.private.sign(payload.encode())).decode()


@dataclass
class Exchange:
    """Answers every order with an acceptance, unless told otherwise; remembers what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes | None = None
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """What it says besides with every answer, its counters for one."""
    hang_up: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Requests wait for it; set from the start."""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split("\r\n")[0].split()
                sizes = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                content = await reader.readexactly(int(sizes[0].partition(":")[2])) if sizes else b""
                path, _, query = target.partition("?")
                self.asked.append((method, path, dict(parse_qsl(query or content.decode()))))
                self._arrived.set()
                await self.gate.wait()
                if self.hang_up:
                    return
                body = self.body if self.body is not None else self._accepted(path)
                more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
                length = f"HTTP/1.1 {self.status} X\r\n{more}Content-Length: {len(body)}\r\n\r\n"
                writer.write(length.encode() + body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The gate has had enough.
        finally:
            writer.close()

    async def received(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(10):
            while len(self.asked) < count:
                self._arrived.clear()
                await self._arrived.wait()

    def _accepted(self, path: str) -> bytes:
        client_id = self.asked[-1][2].get("newClientOrderId") or self.asked[-1][2].get("clientAlgoId") or "c"
        if path.endswith("/listenKey"):
            return json.dumps({"listenKey": "UPSTREAM1"}).encode()
        name, client = ("algoId", "clientAlgoId") if "algo" in path else ("orderId", "clientOrderId")
        return json.dumps({name: 1, client: client_id, "status": "NEW"}).encode()

    def orders(self) -> list[tuple[str, str, dict[str, str]]]:
        """What was asked, without what differs from one send to the next."""
        volatile = {"timestamp", "signature"}
        return [
            (method, path, {name: text for name, text in sent.items() if name not in volatile})
            for method, path, sent in self.asked
        ]


class MemorySocket:
    """A bot's socket without a wire."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed: tuple[int, str] | None = None
        self.gone = asyncio.Event()
        self.waited_s = 0.0

    async def receive(self) -> str:
        frame = None if self.gone.is_set() else await self._frames.get()
        if frame is None:
            raise SocketGone
        return frame

    def send(self, message: bytes) -> None:
        if not self.gone.is_set():
            self._answers.put_nowait(message)

    def close(self, code: int, reason: str) -> None:
        if not self.gone.is_set():
            self.closed = (code, reason)
            self.hang_up()

    def hang_up(self) -> None:
        """The bot's side goes away."""
        self.gone.set()
        self._frames.put_nowait(None)

    def say(self, frame: str) -> None:
        self._frames.put_nowait(frame)

    async def heard(self) -> bytes:
        async with asyncio.timeout(10):
            return await self._answers.get()

    async def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.heard())
        return answer

    async def ask(self, frame: str) -> dict[str, Any]:
        self.say(frame)
        return await self.answer()

    @property
    def silent(self) -> bool:
        return self._answers.empty()


class Gate:
    """Both doors of one gate on a desk's store."""

    def __init__(
        self,
        desk: Desk,
        keys: Keys,
        exchange: Exchange,
        *rules: Rule,
        stream_host: str = "",
        resizes: tuple[Resize, ...] = (),
    ) -> None:
        self.counting = Counting()
        self.clock: Callable[[], datetime] = lambda: NOW
        """The venue's time, as the doors know it."""
        self.desk = desk
        self.keys = keys
        self.exchange = exchange
        # In the middle of the venue's windows, where its counters are believed. There time stands still.
        self.meter = Meter(lambda: NOW + timedelta(seconds=5), steady_s=lambda: 0.0)
        self.upstream = Egress(self.meter, {})
        self.budget = VenueBudget(self.meter, self.upstream, desk.store, VENUE)
        self.identities = Identities(keys.vault, VENUE)
        policy = desk.under(*rules, resizes=resizes)
        venue = VenueSide(
            upstream=self.upstream,
            hosts=dict.fromkeys(("fapi", "sapi", "api", "dapi"), exchange.url),
            stream_host=stream_host,
            now=lambda: self.clock(),
            budget=self.budget,
        )
        doors = doors_to(
            venue,
            desk=desk.name,
            store=desk.store,
            judge=desk.judge(*rules, resizes=resizes),
            identities=self.identities,
            views=Views(lambda: policy, desk.store, VENUE),
            now=lambda: self.clock(),
            counting=self.counting,
        )
        self.rest_door, self.trading_door = doors.rest, doors.trading
        self.streams, self.sockets, self.views = doors.streams, doors.keys, doors.events
        self._watching = asyncio.create_task(self.sockets.watch())
        self._client = httpx.AsyncClient(transport=ThroughTheDoor(self.rest_door), base_url=f"http://guard{PREFIX}")

    async def rest(
        self, method: str, path: str, sent: Mapping[str, str], key: GuardKey | None = None, *, signature: str = ""
    ) -> httpx.Response:
        """A signed REST request, as an SDK builds it."""
        key = key or self.keys.hmac
        payload = urlencode(sent)
        query = f"{payload}&{urlencode({'signature': signature or self.keys.signature(key, payload)})}"
        return await self._client.request(method, f"{path}?{query}", headers={"X-MBX-APIKEY": key.key})

    async def key_only(self, method: str, path: str, key: GuardKey) -> httpx.Response:
        return await self._client.request(method, path, headers={"X-MBX-APIKEY": key.key})

    async def keyless(self, path: str) -> httpx.Response:
        """What anybody may read."""
        return await self._client.get(path)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[MemorySocket]:
        """A trading socket, served until the test is done with it."""
        socket = MemorySocket()
        serving = asyncio.create_task(self.trading_door.serve(socket, "127.0.0.1"))
        try:
            yield socket
        finally:
            socket.hang_up()
            await serving

    async def aclose(self) -> None:
        self._watching.cancel()
        await self.streams.aclose()
        await self.rest_door.drain()
        await self._client.aclose()
        await self.upstream.aclose()


def a_frame(
    keys: Keys, method: str, sent: Mapping[str, Any], key: GuardKey | None = None, *, frame_id: Any = 1, **instead: Any
) -> str:
    """A signed frame, as ccxt.pro builds it; ``instead`` replaces parameters after they were signed."""
    key = key or keys.hmac
    params: dict[str, Any] = {"apiKey": key.key, "timestamp": NOW_MS, **sent}
    payload = "&".join(f"{name}={_text(params[name])}" for name in sorted(params))
    params |= {"signature": keys.signature(key, payload), **instead}
    return json.dumps({"id": frame_id, "method": method, "params": params})


def a_bare_frame(method: str, sent: Mapping[str, Any] | None = None, *, frame_id: Any = 1) -> str:
    """A frame of a socket that is logged on."""
    return json.dumps({"id": frame_id, "method": method, "params": dict(sent or {})})


@asynccontextmanager
async def an_exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange()
    exchange.gate.set()
    server = await asyncio.start_server(exchange, "127.0.0.1", 0)
    exchange.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield exchange
    finally:
        server.close()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
