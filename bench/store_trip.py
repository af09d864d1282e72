"""``python -m bench.store_trip``: what an order's two calls of the store cost, by redis-py and by the lean client.

A hold that reserves and writes ahead, and the settling that releases it: the real scripts on the embedded server. The
ways take turns in rounds, so that a machine that slows down slows both. Before that, what one answer to a hold costs
to read: by hiredis, and by a strict reader in plain Python, which is what a parser of our own would be. After it, what
the store and a gate's whole access to it spend on an order of bots that have tried little or much before.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import hiredis

from proxy.practice.ending import ends_in_order
from proxy.store.attempts import ATTEMPTS_MAX, NO_ATTEMPTS
from proxy.store.client import HOT_PATIENCE, HOT_TIMEOUT_S, Script, connect, run_script, within
from proxy.store.codec import dump
from proxy.store.documents import Documents
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.hold_script import hold_arguments, hold_keys
from proxy.store.keys import Keys
from proxy.store.lean.client import LeanClient
from proxy.store.view import HoldRequest
from rules.account import HeldOrder
from rules.model import PositionSide, Side

ROUNDS: Final = 15
ORDERS: Final = 320
"""In each round and way, shared by those at once."""

AT_ONCE: Final = (1, 32)
TRIED: Final = ((1, 0), (1, 200), (32, 200))
"""Bots in turn, and how often each tried something before."""

TRIED_ORDERS: Final = 96

Run = Callable[[Script, Sequence[str], Sequence[Any]], Awaitable[Any]]

_RECORD: Final = {"kind": "intent", "id": "bench", "bot": "grid", "what": "x" * 400}
_PATIENCE_S: Final = 40 * HOT_TIMEOUT_S
"""Longer than a gate's: a machine busy with other things must not end the measurement."""


class Orders:
    """Makes holds and settles them, over one way to the store."""

    def __init__(self, name: str, run: Run) -> None:
        self.name = name
        self._run = run
        self._keys = Keys("bench")
        self._documents = list(Documents(self._keys, lambda _text: None).concerning("main", "binanceusdm", "grid"))
        self._hold, self._settle = Script.named("hold", "archive"), Script.named("settle", "convert")
        self._made = 0

    async def one(self) -> None:
        """One order's two calls."""
        self._made += 1
        hold_id, keys = f"{self.name}-{self._made}", self._keys
        request = _request(hold_id)
        versions = [""] * len(self._documents)
        reply = await self._run(
            self._hold, hold_keys(keys, request, self._documents), hold_arguments(request, versions, NO_ATTEMPTS)
        )
        if reply[0] != "OK":
            raise RuntimeError(f"no hold: {reply[0]}")
        settled = [keys.holds("main"), keys.audit, keys.unreported("main")]
        await self._run(self._settle, settled, [hold_id, "RELEASE", "", 0, dump(_RECORD)])

    async def several(self, at_once: int) -> tuple[float, list[float]]:
        """CPU of this process for one call, and how long each order took; both in microseconds."""
        micros: list[float] = []

        async def one_after_another() -> None:
            for _ in range(ORDERS // at_once):
                began = time.perf_counter_ns()
                await self.one()
                micros.append((time.perf_counter_ns() - began) / 1000)

        before = time.process_time_ns()
        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
        return (time.process_time_ns() - before) / 1000 / ORDERS / 2, micros


def _request(hold_id: str) -> HoldRequest:
    order = HeldOrder(
        symbol="BTCUSDT",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        quantity=Decimal("0.002"),
        price=Decimal("81000"),
        client_order_id=hold_id,
    )
    return HoldRequest(
        hold_id=hold_id,
        account="main",
        venue="binanceusdm",
        bot="grid",
        guard_key="pgk_bench",
        orders=(order,),
        reserve=True,
        buckets=(),
        write_ahead=_RECORD,
        replay_digest=hold_id,
        replay_window_ms=1000,
    )


async def measure(url: str) -> None:
    """All rounds, printed as a table."""
    client = connect(url, timeout_s=HOT_TIMEOUT_S * HOT_PATIENCE)
    lean = LeanClient(url, filled=Keys("bench").filled, silence_s=_PATIENCE_S)

    async def by_redis_py(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        return await within(_PATIENCE_S, run_script(client, script, keys, arguments))

    ways = [Orders("redis-py", by_redis_py), Orders("lean", lean.run)]
    print("| at once | way | CPU µs a call | of redis-py | order p50 µs | of redis-py |\n|---|---|---|---|---|---|")
    for at_once in AT_ONCE:
        cpu: dict[str, list[float]] = {way.name: [] for way in ways}
        wall: dict[str, list[float]] = {way.name: [] for way in ways}
        for number in range(ROUNDS + 1):
            for way in ways:
                await client.delete(Keys("bench").audit, Keys("bench").attempts("main", "grid"))
                spent, micros = await way.several(at_once)
                if number:  # The first round loads code and scripts.
                    cpu[way.name].append(spent)
                    wall[way.name] += micros
        first = statistics.median(cpu["redis-py"]), statistics.median(wall["redis-py"])
        for way in ways:
            spent, took = statistics.median(cpu[way.name]), statistics.median(wall[way.name])
            columns = (
                at_once,
                way.name,
                f"{spent:.0f}",
                f"{spent / first[0]:.2f}",
                f"{took:.0f}",
                f"{took / first[1]:.2f}",
            )
            print("|", " | ".join(map(str, columns)), "|")
    await lean.aclose()
    await client.aclose()


async def by_what_was_tried(url: str) -> None:
    """The store's own time, and that of the gate's access to it, for the two calls of an order that the venue takes:
    by how many bots take turns, and by how often each has tried before."""
    client = connect(url, timeout_s=_PATIENCE_S)
    keys, number = Keys("bench"), 0

    async def orders(store: GateStore, bots: int, count: int) -> None:
        nonlocal number
        for _ in range(count):
            number += 1
            bot = f"grid-{number % bots}"
            request = replace(_request(f"order-{number}"), bot=bot, attempts_window_s=3600)
            await store.hold(request)
            await store.settle("main", request.hold_id, "ACCEPTED", [_RECORD], request.orders)
            await client.delete(keys.holds("main"))  # It is an order at the exchange by now.

    async def tried_before(bots: int, tried: int) -> None:
        began_us = int(time.time() * 1e6) - 60_000_000
        for bot in range(bots):
            key, held = keys.attempts("main", f"grid-{bot}"), dump(_request("").orders).decode()
            await client.delete(key)
            if tried:
                await client.rpush(
                    key, *(f"{began_us + each}|tried-{bot}-{each}|TRIED|{held}" for each in range(tried))
                )

    async def scripts_us() -> int:
        micros: int = (await client.info("commandstats"))["cmdstat_evalsha"]["usec"]
        return micros

    print("\n| bots in turn | earlier entries of each | µs of the store an order | CPU µs of the gate's access |")
    print("|---|---|---|---|")
    for bots, tried in TRIED:
        store, by_store, by_gate = GateStore(url, "bench", timeout_s=_PATIENCE_S), [], []
        await tried_before(bots, tried)
        await orders(store, bots, bots)
        for _ in range(ROUNDS):
            await client.delete(keys.audit)
            before, cpu_ns = await scripts_us(), time.process_time_ns()
            await orders(store, bots, TRIED_ORDERS)
            by_gate.append((time.process_time_ns() - cpu_ns) / 1000 / TRIED_ORDERS)
            by_store.append((await scripts_us() - before) / TRIED_ORDERS)
        earlier = f"{tried} to {ATTEMPTS_MAX}"
        print(f"| {bots} | {earlier} | {statistics.median(by_store):.0f} | {statistics.median(by_gate):.0f} |")
        await store.aclose()
    await client.aclose()


def plain(data: bytes, at: int = 0) -> tuple[Any, int]:
    """One whole reply that begins at ``at``, and where it ends, as strict as the protocol's description."""
    end = data.index(b"\r\n", at)
    kind, text, after = data[at], data[at + 1 : end], end + 2
    if kind == ord("+"):
        return text.decode(), after
    if len(text) > 20 or not text.removeprefix(b"-").isdigit():
        raise ValueError("no number")
    number = int(text)
    if kind == ord(":"):
        return number, after
    if number == -1:
        return None, after
    if kind == ord("$") and data[after + number : after + number + 2] == b"\r\n":
        return data[after : after + number].decode(), after + number + 2
    if kind != ord("*"):
        raise ValueError("not the protocol")
    items = []
    for _ in range(number):
        item, after = plain(data, after)
        items.append(item)
    return items, after


def read_answers() -> None:
    """One answer to a hold with five others under way: CPU of each reader, median over rounds in turns."""
    held = [part for n in range(5) for part in (f"hold-{n}", f"{n}|PENDING|1700000000000000|grid|" + "x" * 180)]
    strings = ["OK", "desk", "ACTIVE", "", "0.12|why", "", *held, *["12", ""] * 11, *["1|h|TRIED|" + "y" * 150] * 5]
    bulks = [b"$%d\r\n%b\r\n" % (len(text), text.encode()) for text in strings]
    answer = b"*%d\r\n" % (len(bulks) + 2) + b":7\r\n" + b"".join(bulks) + b":0\r\n"
    reader = hiredis.Reader(encoding="utf-8")

    def by_hiredis() -> Any:
        reader.feed(answer)
        return reader.gets()

    def by_us() -> Any:
        return plain(answer)[0]

    if by_hiredis() != by_us():
        raise RuntimeError("they read differently")
    spent: dict[str, list[float]] = {"hiredis": [], "plain Python": []}
    for _ in range(ROUNDS):
        for name, read in (("hiredis", by_hiredis), ("plain Python", by_us)):
            before = time.process_time_ns()
            for _ in range(1000):
                read()
            spent[name].append((time.process_time_ns() - before) / 1_000_000)
    texts = ", ".join(f"{name} {statistics.median(each):.1f} µs" for name, each in spent.items())
    print(f"an answer of {len(answer)} bytes, {len(strings) + 2} values: {texts}\n")


def main() -> None:
    """Measure and print."""
    read_answers()
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as store:
        asyncio.run(measure(store.url))
        asyncio.run(by_what_was_tried(store.url))
    load = os.getloadavg()[0]
    print(
        f"\n{os.cpu_count()} cores; Python {platform.python_version()}; load {load:.1f}; {datetime.now(UTC):%F %R} UTC"
    )


if __name__ == "__main__":
    ends_in_order()
    main()
