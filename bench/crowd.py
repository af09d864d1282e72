"""A crowd of bots on kept-alive connections, a few of which trade: orders at a fixed rate, in a process of its own.

The rate is offered: an order is due at its moment whether the last was answered or not, and its time counts from then.
One that finds every trading connection busy for longer than ``LATE_S`` is not sent and counts as late.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import multiprocessing
import resource
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count, cycle
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import uvloop

from proxy.vault.keys import GuardKey, Secret

TRADING: Final = 32
"""Connections that trade; all others only stay."""

STAY_EVERY_S: Final = 20.0
"""Less than the gate's 30 s for an idle connection."""

LATE_S: Final = 2.0
KINDS: Final = ("sent", "accepted", "refused", "failed", "late", "dropped")
"""Of orders; ``dropped`` are connections of the crowd that the gate closed."""

BOUNDS_MS: Final = tuple(0.1 * 1.15**number for number in range(80))
"""Upper bounds of the classes that times are counted in: 0.1 ms to 6 s."""

_OPENED_AT_ONCE: Final = 64
_SPAWN: Final = multiprocessing.get_context("spawn")
_STAY: Final = b"GET /healthz HTTP/1.1\r\nHost: guard\r\n\r\n"


class Crowd:
    """So many connections to the gate at ``url``, and so many orders a second, from entering the context to leaving."""

    def __init__(
        self, url: str, keys: Sequence[GuardKey], order: Mapping[str, str], *, connections: int, rate: float
    ) -> None:
        self._counts: Any = _SPAWN.Array("q", len(KINDS), lock=False)
        self._times: Any = _SPAWN.Array("q", len(BOUNDS_MS) + 1, lock=False)
        self._ready: Any = _SPAWN.Event()
        self._stop: Any = _SPAWN.Event()
        secrets = [(key.key, key.secret.reveal()) for key in keys]
        told = (self._counts, self._times, self._ready, self._stop)
        self._process = _SPAWN.Process(
            target=_run, args=(url, secrets, dict(order), connections, rate, told), daemon=True
        )

    def __enter__(self) -> Crowd:
        self._process.start()
        if not self._ready.wait(120):
            raise TimeoutError("the crowd did not gather")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, wait for the answers, and go."""
        self._stop.set()
        self._process.join(60)
        self._process.terminate()

    @property
    def counts(self) -> dict[str, int]:
        """So far, by ``KINDS``."""
        return dict(zip(KINDS, self._counts, strict=True))

    @property
    def times(self) -> list[int]:
        """How many orders so far took up to each of ``BOUNDS_MS``, and longer than all."""
        return list(self._times)


def quantile_ms(times: Sequence[int], share: float) -> float:
    """The upper bound of the class in which this share of orders is reached; 0 without any."""
    wanted, seen = share * sum(times), 0
    for bound, number in zip((*BOUNDS_MS, float("inf")), times, strict=True):
        seen += number
        if number and seen >= wanted:
            return bound
    return 0.0


def _run(
    url: str, keys: list[tuple[str, str]], order: dict[str, str], connections: int, rate: float, told: Any
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_Bots(url, keys, order, rate, told).run(connections))


class _Line(asyncio.Protocol):
    """One bot's kept-alive connection: bytes out, one whole answer in. A gate ends one that another bot's key is named
    on."""

    def __init__(self, key: str, secret: Secret) -> None:
        self.key, self.secret = key, secret
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self.lost = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].partition(b"\r\n")[0])
        if len(self._buffer) >= end + 4 + length:
            status, self._buffer = int(head[9:12]), b""
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    async def ask(self, request: bytes) -> int:
        """The status of the answer. Raises ``ConnectionResetError`` or ``TimeoutError``."""
        if self.lost:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(20):
            return await self._answer

    def close(self) -> None:
        self._transport.close()


class _Bots:
    def __init__(self, url: str, keys: list[tuple[str, str]], order: dict[str, str], rate: float, told: Any) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._prefix = str(parts.hostname), int(parts.port or 80), parts.path
        self._keys = cycle([(key, Secret(secret)) for key, secret in keys])
        self._order, self._rate = order, rate
        self._counts, self._times, self._ready, self._stop = told
        self._numbers = count(1)
        self._free: deque[_Line] = deque()
        self._due: deque[float] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, connections: int) -> None:
        turnstile = asyncio.Semaphore(_OPENED_AT_ONCE)
        lines = await asyncio.gather(*(self._open(turnstile, *next(self._keys)) for _ in range(connections)))
        self._free.extend(lines[:TRADING])
        staying = [asyncio.create_task(self._stay(line, number)) for number, line in enumerate(lines[TRADING:])]
        self._ready.set()
        await self._trade()
        for _ in range(len(self._due)):
            self._count("late")
        self._due.clear()  # Or whoever is answered now would send the next.
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=30)
        for task in staying:
            task.cancel()
        for line in lines:
            line.close()

    async def _open(self, turnstile: asyncio.Semaphore, key: str, secret: Secret) -> _Line:
        async with turnstile:
            _, line = await asyncio.get_running_loop().create_connection(
                lambda: _Line(key, secret), self._host, self._port
            )
            if await line.ask(_STAY) != 200:
                raise ConnectionError("the gate is not there")
            return line

    async def _stay(self, line: _Line, number: int) -> None:
        await asyncio.sleep(number % 1000 / 1000 * STAY_EVERY_S)
        while True:
            try:
                await line.ask(_STAY)
            except (OSError, TimeoutError):
                self._count("dropped")
                return
            await asyncio.sleep(STAY_EVERY_S)

    async def _trade(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            while due <= time.monotonic():
                self._due.append(due)
                due += 1 / self._rate
            self._send_due()
            await asyncio.sleep(max(0.0, min(due - time.monotonic(), 0.05)))

    def _send_due(self) -> None:
        while self._due and self._due[0] < time.monotonic() - LATE_S:
            self._due.popleft()
            self._count("late")
        while self._due and self._free:
            task = asyncio.create_task(self._send(self._free.popleft(), self._due.popleft()))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, line: _Line, due: float) -> None:
        self._count("sent")
        try:
            status = await line.ask(self._signed(line))
        except (OSError, TimeoutError):
            self._count("failed")
            line = await self._open(asyncio.Semaphore(1), line.key, line.secret)
        else:
            self._count("accepted" if status == 200 else "refused")
            self._times[bisect_left(BOUNDS_MS, (time.monotonic() - due) * 1000)] += 1
        self._free.append(line)
        self._send_due()

    def _signed(self, line: _Line) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        named = {**self._order, "newClientOrderId": f"s{now_ms:x}-{next(self._numbers)}"}
        form = urlencode({**named, "recvWindow": "20000", "timestamp": str(now_ms)})
        signature = hmac.new(line.secret.reveal().encode(), form.encode(), hashlib.sha256).hexdigest()
        body = f"{form}&signature={signature}"
        return (
            f"POST {self._prefix}/fapi/v1/order HTTP/1.1\r\nHost: guard\r\nX-MBX-APIKEY: {line.key}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode("ascii")

    def _count(self, kind: str) -> None:
        self._counts[KINDS.index(kind)] += 1
