"""What the guard adds to a market stream: one 200-byte stream at 1,000 messages a second, a hundred bots, one upstream.

A publisher process plays the venue and a real gate process stands in front of it. Of the bots, a few spread over the
order in which they came read every message as it arrives and measure its age; the rest are drained now and then and
counted to the last byte. A few more of the measuring kind are connected to the publisher itself: that is the direct
way, in the same run and on the same clock. Everything is raw sockets, so that the clients do not eat the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import secrets
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.failure import BenchFailed
from bench.machine import machine
from bench.processes import usage
from proxy.clock import utc_now
from proxy.practice.ending import ends_in_order
from proxy.practice.world import inherited_environment
from proxy.store.fence import Fence
from proxy.supervision.supervisor import listening_socket
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault

POLICY: Final = Path(__file__).with_name("policy.toml")
BOTS: Final = 100
RATE: Final = 1000
SECONDS: Final = 10.0
SECONDS_MAX: Final = 12.0
"""Before the gate's first ping, which these clients would take for a piece of the stream."""

PAYLOAD_BYTES: Final = 200
MEASURED: Final = 5
"""Bots on each way that look at every message."""

_STREAM: Final = "btcusdt@aggTrade"
_WARM: Final = 200
"""Messages before the clock starts, at ``RATE`` whatever the rate that is measured: the gate's first ping is near."""

_START_TIMEOUT_S: Final = 90.0
_TIMEOUT_S: Final = 30.0
_STAMP: Final = slice(6, 25)
"""Where in a message its time of sending stands: nineteen digits of nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Ages in microseconds when read, sorted; and what the gate spent."""

    direct: list[float]
    guard: list[float]
    messages: int
    bots: int
    rate: float
    gate_cpu_s: float
    upstreams: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="bench.relay", description="A market stream for a hundred bots.")
    parser.add_argument("--bots", type=int, default=BOTS, help=f"bots at the guard (default {BOTS})")
    parser.add_argument("--rate", type=int, default=RATE, help=f"messages a second (default {RATE})")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"how long, {SECONDS_MAX:.0f} at most (default {SECONDS:.0f})"
    )
    args = parser.parse_args(arguments)
    try:
        result = measure(max(MEASURED, args.bots), max(1, args.rate), min(SECONDS_MAX, max(0.1, args.seconds)))
    except BenchFailed as failure:
        print(f"bench.relay: {failure}", file=sys.stderr)
        return 1
    print(report(result))
    return 0


def measure(bots: int, rate: int, seconds: float) -> Result:
    """One run. Raises ``BenchFailed``."""
    messages = max(1, round(rate * seconds))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-bench-")))
        publisher = stack.enter_context(_publisher())
        gate = stack.enter_context(_gate(directory, publisher.port))
        direct = [Bot(publisher.port, f"/direct/{_STREAM}") for _ in range(MEASURED)]
        through = [Bot(gate.port, f"/binanceusdm/ws/{_STREAM}") for _ in range(bots)]
        for bot in (*direct, *through):
            stack.callback(bot.close)
        # Evenly spread over the order of arrival, which is the order in which a message is handed out.
        measured = through[:: max(1, bots // MEASURED)][:MEASURED]
        drained = [bot for bot in through if bot not in measured]
        publisher.run(_WARM, RATE)
        _read_all(drained, measured, direct, _WARM)
        for bot in (*direct, *measured):
            bot.ages_us.clear()
        before = usage(gate.pid).cpu_s
        publisher.run(messages, rate)
        elapsed_s = _read_all(drained, measured, direct, messages)
        spent = usage(gate.pid).cpu_s - before
        upstreams = publisher.upstreams()
    if upstreams != 1:
        raise BenchFailed(f"the venue saw {upstreams} connections of the guard")
    return Result(
        direct=sorted(age for bot in direct for age in bot.ages_us),
        guard=sorted(age for bot in measured for age in bot.ages_us),
        messages=messages,
        bots=bots,
        rate=messages / elapsed_s,
        gate_cpu_s=spent,
        upstreams=upstreams,
    )


def report(result: Result) -> str:
    """A Markdown table, what the gate spent, the machine and the date."""
    direct, guard = _quantiles(result.direct), _quantiles(result.guard)
    per_message_us = result.gate_cpu_s / result.messages * 1e6
    lines = [
        "| way | age p50 µs | age p99 µs | added p50 µs | added p99 µs |",
        "|---|---|---|---|---|",
        f"| direct | {direct[0]:.0f} | {direct[1]:.0f} | - | - |",
        f"| guard | {guard[0]:.0f} | {guard[1]:.0f} | {guard[0] - direct[0]:.0f} | {guard[1] - direct[1]:.0f} |",
        "",
        f"{result.messages} messages to {result.bots} bots at {result.rate:.0f}/s over {result.upstreams} upstream "
        f"connection; CPU of the gate {per_message_us:.0f} µs a message, {per_message_us / result.bots:.2f} µs a bot "
        "and message",
        "",
        f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return "\n".join(lines)


def _quantiles(ages: list[float]) -> tuple[float, float]:
    return statistics.median(ages), ages[max(0, -(-len(ages) * 99 // 100) - 1)]


class Bot:
    """A raw socket that has been let in. Frames of the stream all have one length, which makes reading cheap."""

    def __init__(self, port: int, path: str) -> None:
        # The first to come waits until the gate has started.
        self.socket = socket.create_connection(("127.0.0.1", port), _START_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode("ascii")
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            try:
                byte = self.socket.recv(1)
            except OSError as error:
                raise BenchFailed(f"{path} was not answered: {error!r}") from error
            if not byte:
                raise BenchFailed(f"{path} was refused: {answer[:80]!r}")
            answer += byte
        self.ages_us: list[float] = []
        self._rest = b""
        self.socket.setblocking(False)

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def measure(self) -> int:
        """Read what is there, note the age of each message; how many there were. Raises ``BenchFailed`` at the end."""
        try:
            part = self.socket.recv(1 << 16)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise BenchFailed(f"a bot that measures was cut off: {error!r}") from error
        if not part:
            raise BenchFailed("a bot that measures was cut off")
        chunk = self._rest + part
        now, whole = time.monotonic_ns(), len(chunk) // _FRAME_BYTES
        for number in range(whole):
            stamp = chunk[number * _FRAME_BYTES + _HEAD_BYTES :][_STAMP]
            self.ages_us.append((now - int(stamp)) / 1000)
        self._rest = chunk[whole * _FRAME_BYTES :]
        return whole


_HEAD_BYTES: Final = 4
_FRAME_BYTES: Final = _HEAD_BYTES + PAYLOAD_BYTES


def _payload() -> bytes:
    """200 bytes of JSON that begin with the time."""
    head = f'{{"E":"{time.monotonic_ns():019d}","p":"'
    return f'{head}{"0" * (PAYLOAD_BYTES - len(head) - 2)}"}}'.encode("ascii")


def _read_all(drained: Sequence[Bot], measured: Sequence[Bot], direct: Sequence[Bot], messages: int) -> float:
    """Read ``messages`` on every bot; seconds it took. The drained ones are read by a thread that mostly sleeps."""
    began = time.monotonic()
    failures: list[Exception] = []

    def drain() -> None:
        try:
            _drain(drained, messages * _FRAME_BYTES)
        except Exception as error:  # Raised again by the main thread.
            failures.append(error)

    # Where the reading below fails, nobody waits for it; closing the sockets ends it.
    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    left = dict.fromkeys((*measured, *direct), messages)
    with selectors.DefaultSelector() as selector:
        for bot in left:
            selector.register(bot.socket, selectors.EVENT_READ, bot)
        while left:
            ready = selector.select(_TIMEOUT_S)
            if not ready:
                raise BenchFailed(f"messages are missing after {_TIMEOUT_S} s of silence")
            for key, _ in ready:
                left[key.data] -= key.data.measure()
                if left[key.data] == 0:
                    selector.unregister(key.data.socket)
                    del left[key.data]
    thread.join()
    if failures:
        raise BenchFailed(f"a bot was cut off: {failures[0]!r}")
    return time.monotonic() - began


def _drain(bots: Sequence[Bot], size: int) -> None:
    left = dict.fromkeys(bots, size)
    buffer = bytearray(1 << 20)
    silent_since = time.monotonic()
    while left:
        time.sleep(0.05)
        for bot in tuple(left):
            try:
                read = bot.socket.recv_into(buffer)
            except BlockingIOError:
                continue
            if read == 0:
                raise BenchFailed("closed")
            silent_since = time.monotonic()
            left[bot] -= read
            if left[bot] == 0:
                del left[bot]
        if time.monotonic() - silent_since > _TIMEOUT_S:
            raise BenchFailed("messages are missing")


@dataclass(frozen=True, slots=True)
class _Publisher:
    port: int
    pipe: Connection

    def run(self, messages: int, rate: int) -> None:
        """Begin to publish so many."""
        self.pipe.send((messages, rate))

    def upstreams(self) -> int:
        """How many connections other than direct ones there ever were."""
        self.pipe.send(None)
        return int(self.pipe.recv())


@contextmanager
def _publisher() -> Iterator[_Publisher]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_publish, args=(theirs,))
    process.start()
    try:
        yield _Publisher(ours.recv(), ours)
    finally:
        process.terminate()
        process.join()


def _publish(pipe: Connection) -> None:
    """The publisher process: a combined endpoint with one stream, and the same stream bare under ``/direct``."""
    direct: list[ServerConnection] = []
    combined: list[ServerConnection] = []
    upstreams = 0
    subscribed = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        nonlocal upstreams
        if connection.request is not None and connection.request.path.startswith("/direct"):
            direct.append(connection)
        else:
            upstreams += 1
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                await connection.send(json.dumps({"result": None, "id": json.loads(text)["id"]}))
                combined.append(connection)
                subscribed.set()

    async def publish(messages: int, rate: int) -> None:
        loop = asyncio.get_running_loop()
        await subscribed.wait()
        began = loop.time()
        for number in range(messages):
            if (ahead_s := began + number / rate - loop.time()) > 0:
                await asyncio.sleep(ahead_s)
            payload = _payload()
            wrapped = b'{"stream":"%s","data":%s}' % (_STREAM.encode(), payload)
            for connection in combined:
                await connection.send(wrapped, text=True)
            payload = _payload()
            for connection in direct:
                await connection.send(payload, text=True)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with serve(talk, "127.0.0.1", 0, compression=None) as server:
            pipe.send(server.sockets[0].getsockname()[1])
            while True:
                order: Any = await loop.run_in_executor(None, pipe.recv)
                if order is None:
                    pipe.send(upstreams)
                else:
                    with contextlib.suppress(ConnectionClosed):  # The clients miss what is missing.
                        await publish(*order)

    asyncio.run(run())


@dataclass(frozen=True, slots=True)
class _Gate:
    port: int
    pid: int


@contextmanager
def _gate(directory: Path, venue_port: int) -> Iterator[_Gate]:
    """One real gate process on a data directory of its own. It has no store: market streams need none."""
    passphrase = secrets.token_urlsafe(24)
    vault = Vault.create(directory / "vault" / "vault.json", Secret(passphrase))
    vault.add_exchange_key(
        account="bench", venue="binanceusdm", api_key="bench", api_secret=Secret("bench"), now=utc_now()
    )
    Fence.initialise(directory)
    config = directory / "perpguard.toml"
    config.write_text(
        f'data_dir = "."\npolicy = "{POLICY}"\n[venues.binanceusdm]\nurl = "http://127.0.0.1:{venue_port}"\n'
    )
    listener = listening_socket("127.0.0.1", 0)
    command = [sys.executable, "-m", "proxy", "--config", str(config), "gate", "--fd", str(listener.fileno())]
    with (directory / "gate.log").open("w") as log:
        process = subprocess.Popen(
            command,
            pass_fds=(listener.fileno(),),
            env=inherited_environment() | {"PERPGUARD_PASSPHRASE": passphrase},
            stderr=log,
        )
        try:
            yield _Gate(listener.getsockname()[1], process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_TIMEOUT_S)
            listener.close()


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
