"""What is measured on each way, in rounds in which all ways take turns: so a machine that slows down slows all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import IO, Any, Final

from bench.failure import BenchFailed
from bench.machine import percentile
from bench.path.generator import GO, Job, Result
from bench.path.guarded import ended, started
from bench.path.orders import Key, Terms
from bench.processes import cpu_s, rss_mib

REFUSED_MAX: Final = 0.01
"""A part of the orders: with more than that and more than one refused, it is not an order's way that is measured."""

_READY_WITHIN_S: Final = 90.0
_ASK_EVERY_S: Final = 1.0
_WARM: Final = 100
_SPARE: Final = 1.5
"""Orders are signed for this many times the pace of before, in case a round is faster."""

_ORDERS_MAX: Final = 60_000


@dataclass(frozen=True, slots=True)
class Mode:
    """How orders are offered: so many at once, as fast as answers come, or at a rate. ``seconds`` each round."""

    name: str
    at_once: int
    seconds: float
    rate: float | None = None


@dataclass(slots=True)
class Reading:
    """One way in one mode, round by round: what a row of the table is made of."""

    orders: int = 0
    refused: int = 0
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    micros: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    cpu_with_store_us: list[float] = field(default_factory=list)

    def facts(self) -> dict[str, float]:
        """Medians of the rounds; the 99.9th percentile is of all orders together. Microseconds."""
        return {
            "orders": self.orders,
            "refused": self.refused,
            "p50_us": median(self.p50),
            "p99_us": median(self.p99),
            "p99_9_us": percentile(self.micros, 99.9),
            "orders_per_s": median(self.rates),
            "cpu_us": median(self.cpu_us),
            "cpu_with_store_us": median(self.cpu_with_store_us),
        }


@dataclass(slots=True)
class Way:
    """One way to the upstream. ``pids`` are its processes, ``stores`` what it keeps its state in."""

    name: str
    address: tuple[str, int]
    host: str
    keys: Sequence[Key]
    prefix: str = ""
    authority: str | None = None
    pids: Callable[[], Sequence[int]] = tuple
    stores: Callable[[], Sequence[int]] = tuple
    readings: dict[str, Reading] = field(default_factory=dict)
    paces: dict[str, float] = field(default_factory=dict)
    rss_mib: float = 0.0


class Generator:
    """The load generator's process."""

    def __init__(self, process: subprocess.Popen[bytes], terms: Terms) -> None:
        self._process = process
        self._terms = terms

    def run(self, way: Way, mode: Mode, orders: int, begin: Callable[[], None] = lambda: None) -> Result:
        """One job on one way; ``begin`` is called when its connections stand and before its first order.

        Raises ``BenchFailed``.
        """
        job = Job(
            address=way.address,
            host=way.host,
            prefix=way.prefix,
            authority=way.authority,
            keys=[(key.key, key.secret) for key in way.keys],
            symbol=self._terms.symbol,
            top=str(self._terms.top),
            tick=str(self._terms.tick),
            lot=str(self._terms.lot),
            at_once=mode.at_once,
            orders=orders,
            seconds=mode.seconds,
            rate=mode.rate,
        )
        self._answer(way, mode, json.dumps(asdict(job)))
        begin()
        return Result(**self._answer(way, mode, GO))

    def _answer(self, way: Way, mode: Mode, line: str) -> dict[str, Any]:
        to, back = _pipes(self._process)
        to.write(line.encode() + b"\n")
        to.flush()
        answer: dict[str, Any] = json.loads(back.readline() or b'{"failed": "the load generator ended"}')
        if "failed" in answer:
            raise BenchFailed(f"{way.name}, {mode.name}: {answer['failed']}")
        return answer


@contextmanager
def generator(terms: Terms) -> Iterator[Generator]:
    """A load generator on the core of whoever starts it."""
    process = started([sys.executable, "-m", "bench.path.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Generator(process, terms)
    finally:
        ended(process)


def make_ready(load: Generator, way: Way, modes: Sequence[Mode]) -> None:
    """Wait until a guard knows its account and its markets, then run in: the first orders load code and fill caches.

    Raises ``BenchFailed``.
    """
    deadline = time.monotonic() + _READY_WITHIN_S
    while (said := load.run(way, Mode("one order", 1, 1.0), 1)).refused:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{way.name} takes no order: {said.refused}")
        time.sleep(_ASK_EVERY_S)
    for mode in modes:
        if mode.rate is None:
            said = load.run(way, mode, _WARM)
            way.paces[mode.name] = said.orders / said.elapsed_s


def measure(load: Generator, way: Way, mode: Mode, taken: Callable[[], int]) -> None:
    """One round of one mode on one way. ``taken`` is how many orders the upstream has counted.

    Raises ``BenchFailed``.
    """
    reading = way.readings.setdefault(mode.name, Reading())
    pace = mode.rate or way.paces[mode.name] * _SPARE
    orders = min(_ORDERS_MAX, max(mode.at_once, round(pace * mode.seconds)))
    at_upstream, before = taken(), (0.0, 0.0)

    def begin() -> None:
        nonlocal before
        before = cpu_s(way.pids()), cpu_s(way.stores())

    said = load.run(way, mode, orders, begin)
    gate_s, store_s = cpu_s(way.pids()) - before[0], cpu_s(way.stores()) - before[1]
    refused = refused_of(way, mode, said)
    arrived = taken() - at_upstream
    # What was refused may have arrived, too: where its answer was lost.
    if not len(said.micros) <= arrived <= said.orders:
        raise BenchFailed(f"{way.name}, {mode.name}: {arrived} arrived, {len(said.micros)} accepted")
    way.rss_mib = rss_mib(way.pids())
    if mode.rate is None:
        way.paces[mode.name] = said.orders / said.elapsed_s
    reading.orders += said.orders
    reading.refused += refused
    reading.p50.append(median(said.micros))
    reading.p99.append(percentile(said.micros, 99))
    reading.rates.append(said.orders / said.elapsed_s)
    reading.micros += said.micros
    reading.cpu_us.append(gate_s / said.orders * 1e6)
    reading.cpu_with_store_us.append((gate_s + store_s) / said.orders * 1e6)


def refused_of(way: Way, mode: Mode, said: Result) -> int:
    """How many orders were refused. Raises ``BenchFailed`` when it is not an order's way any more that was measured."""
    refused = said.orders - len(said.micros)
    if refused > max(1, REFUSED_MAX * said.orders):
        raise BenchFailed(f"{way.name}, {mode.name}: {refused} of {said.orders} refused: {said.refused}")
    return refused


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout
