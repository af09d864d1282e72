"""A guard under a steady load for a long time: does anything grow, break or go missing?

A real world: practice exchange, guard with its own store, a crowd of kept-alive connections of which a few trade at a
fixed rate. Every five seconds memory and processor time of each process are read, and how long orders took. At the
end the exchange's count of orders, the audit's and the bots' must be one number. The result is a JSON file and a
picture in ``--results``; the exit code says whether everything held.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from bench.crowd import Crowd, quantile_ms
from bench.machine import machine
from bench.plot import Panel, drawn
from bench.processes import Usage, guard_processes, usage
from bench.wire import EXPIRING_ORDER
from proxy.practice.ending import ends_in_order
from proxy.practice.world import World

POLICY: Final = Path(__file__).with_name("policy.toml")
SECONDS: Final = 1800.0
RATE: Final = 500.0
CONNECTIONS: Final = 2_000

SAMPLE_EVERY_S: Final = 5.0
WARM_UP_SHARE: Final = 0.2
"""Of the run: caches fill, and the store's stream reaches the length at which the archive keeps it."""

FLAT_WITHIN: Final = 0.10
GATE_RSS_MAX: Final = 120 * 1024 * 1024
ACCEPTED_SHARE: Final = 0.90
RATE_HELD: Final = 0.98

_BOTS: Final = tuple(f"bot-{number}" for number in range(8))
_SETTLE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look: seconds since the begin, resident bytes and share of a processor by process, and the orders since."""

    at_s: float
    rss: dict[str, int]
    cpu: dict[str, float]
    orders_per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(slots=True, kw_only=True)
class Soak:
    """What was asked for, what was seen, and what was counted at the end."""

    seconds: float
    rate: float
    connections: int
    samples: list[Sample] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    refused_for: dict[str, int] = field(default_factory=dict)
    """Orders by the code they were refused with, as the audit has them."""
    found_outside: list[str] = field(default_factory=list)
    """What the guard took for a stranger's, as the audit has it: an account is made reduce-only for that."""
    at_the_exchange: int = 0
    in_the_audit: int = 0
    ended: dict[str, float] = field(default_factory=dict)
    """Processes of the guard that were gone before the time was, and when that was seen: watching ends there."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0

    def troubles(self) -> Iterator[str]:
        """What did not hold, in words."""
        sent, accepted = self.counts["sent"], self.counts["accepted"]
        for name, at_s in self.ended.items():
            yield f"{name} was gone after {at_s:.0f} s"
        for kind in ("failed", "late", "dropped"):
            if self.counts[kind]:
                yield f"{self.counts[kind]} {kind}"
        if sent < RATE_HELD * self.rate * self.seconds:
            yield f"{sent / self.seconds:.0f} orders/s were sent, {self.rate:.0f} were asked for"
        if accepted < ACCEPTED_SHARE * sent:
            yield f"only {accepted} of {sent} orders were accepted"
        if not self.at_the_exchange == self.in_the_audit == accepted:
            yield f"bots were told {accepted}, the exchange took {self.at_the_exchange}, the audit {self.in_the_audit}"
        for name, sizes in self.settled_rss().items():
            middle = statistics.median(sizes)
            if max(abs(size / middle - 1) for size in sizes) > FLAT_WITHIN:
                yield f"the memory of {name} is not flat: {_mib(min(sizes))} to {_mib(max(sizes))}"
            if name.startswith("gate") and max(sizes) > GATE_RSS_MAX:
                yield f"{name} has {_mib(max(sizes))}, more than {_mib(GATE_RSS_MAX)}"

    def settled_rss(self) -> dict[str, list[int]]:
        """Resident bytes by process, after the warm-up."""
        settled = [sample for sample in self.samples if sample.at_s >= WARM_UP_SHARE * self.seconds]
        return {name: [sample.rss[name] for sample in settled] for name in (settled[0].rss if settled else ())}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write, and say; 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="bench.soak", description="The guard under a steady load for a long time.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long (default {SECONDS:.0f})")
    parser.add_argument("--rate", type=float, default=RATE, help=f"orders a second (default {RATE:.0f})")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help=f"of bots (default {CONNECTIONS})")
    parser.add_argument("--gates", type=int, default=1, help="gate processes (default 1)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where soak.json and soak.svg go")
    args = parser.parse_args(arguments)
    soak = Soak(seconds=args.seconds, rate=args.rate, connections=args.connections)
    run(soak, args.gates)
    troubles = list(soak.troubles())
    write(soak, troubles, args.results)
    print(words(soak, troubles))
    return 1 if troubles else 0


def run(soak: Soak, gates: int) -> None:
    """Start a world, load it, look at it, and count at the end."""
    with tempfile.TemporaryDirectory(prefix="perpguard-soak-") as directory:
        options: dict[str, Any] = {"scenario": "flat", "balance": 10_000_000, "gate_workers": gates, "bots": _BOTS}
        with World(Path(directory), POLICY, **options) as world:
            keys = list(world.guard_keys.values())
            crowd = Crowd(world.places.gate, keys, EXPIRING_ORDER, connections=soak.connections, rate=soak.rate)
            with crowd:
                _watch(world, crowd, soak)
            soak.counts = crowd.counts
            soak.p50_ms, soak.p99_ms, soak.p999_ms = (quantile_ms(crowd.times, share) for share in (0.5, 0.99, 0.999))
            soak.at_the_exchange = _totals(world)["orders_taken"]
            soak.in_the_audit = _archived(world, soak.counts["accepted"])
            soak.refused_for = _refused_for(world)
            soak.found_outside = _found_outside(world)


def write(soak: Soak, troubles: Sequence[str], results: Path) -> None:
    """``soak.json`` and ``soak.svg``."""
    results.mkdir(parents=True, exist_ok=True)
    told = asdict(soak) | {
        "troubles": list(troubles),
        "machine": machine(),
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    }
    (results / "soak.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    names = soak.samples[0].rss if soak.samples else {}
    panels = [
        Panel("memory", "MiB", {n: [(s.at_s, s.rss[n] / 2**20) for s in soak.samples] for n in names}),
        Panel("processor", "share of one", {n: [(s.at_s, s.cpu[n]) for s in soak.samples] for n in names}),
        Panel("orders", "1/s", {"answered": [(s.at_s, s.orders_per_s) for s in soak.samples]}),
        Panel(
            "time of an order",
            "ms",
            {"p50": [(s.at_s, s.p50_ms) for s in soak.samples], "p99": [(s.at_s, s.p99_ms) for s in soak.samples]},
        ),
    ]
    title = f"{soak.rate:.0f} orders/s, {soak.connections} connections, {soak.seconds:.0f} s"
    (results / "soak.svg").write_text(drawn(title, panels), encoding="utf-8")


def words(soak: Soak, troubles: Sequence[str]) -> str:
    """The result for a person."""
    sizes = ", ".join(f"{name} {_mib(max(each))}" for name, each in soak.settled_rss().items())
    return "\n".join(
        (
            f"{soak.counts}",
            f"refused for: {soak.refused_for}",
            *(f"taken for a stranger's: {each}" for each in soak.found_outside),
            f"exchange {soak.at_the_exchange}, audit {soak.in_the_audit}",
            f"p50 {soak.p50_ms:.1f} ms, p99 {soak.p99_ms:.1f} ms, p99.9 {soak.p999_ms:.1f} ms; memory at most: {sizes}",
            *(f"DID NOT HOLD: {trouble}" for trouble in troubles),
            machine(),
        )
    )


def _watch(world: World, crowd: Crowd, soak: Soak) -> None:
    """Take samples until the time is up or one of the processes is gone."""
    pids = guard_processes(world.guard_pid)
    began = last_at = time.monotonic()
    last, last_times = _used(pids), crowd.times
    while last_at - began < soak.seconds:
        time.sleep(min(SAMPLE_EVERY_S, max(0.1, began + soak.seconds - last_at)))
        now, used, times = time.monotonic(), _used(pids), crowd.times
        soak.ended = {name: round(now - began, 1) for name in pids if name not in used}
        if soak.ended:
            return
        since, passed_s = [new - old for new, old in zip(times, last_times, strict=True)], now - last_at
        soak.samples.append(
            Sample(
                at_s=round(now - began, 1),
                rss={name: each.rss for name, each in used.items()},
                cpu={name: round((each.cpu_s - last[name].cpu_s) / passed_s, 3) for name, each in used.items()},
                orders_per_s=round(sum(since) / passed_s, 1),
                p50_ms=round(quantile_ms(since, 0.5), 2),
                p99_ms=round(quantile_ms(since, 0.99), 2),
            )
        )
        last_at, last_times, last = now, times, used


def _used(pids: Mapping[str, int]) -> dict[str, Usage]:
    """What each process uses; without those that have ended."""
    found = {}
    for name, pid in pids.items():
        with suppress(FileNotFoundError, ProcessLookupError):
            found[name] = usage(pid)
    return found


def _totals(world: World) -> Any:
    return httpx.get(f"{world.places.exchange}/sandbox/log/totals", trust_env=False).raise_for_status().json()


def _archived(world: World, wanted: int) -> int:
    """How many orders the archive says were accepted, once it has caught up, or after ``_SETTLE_S``."""
    question = "SELECT count(*) FROM records WHERE kind = 'outcome' AND instr(body, '\"result\":\"ACCEPTED\"') > 0"
    deadline = time.monotonic() + _SETTLE_S
    while True:
        ((found,),) = _asked(world, question)
        if found >= wanted or time.monotonic() > deadline:
            return int(found)
        time.sleep(1.0)


def _refused_for(world: World) -> dict[str, int]:
    question = "SELECT code, count(*) FROM judgements WHERE verdict = 'DENY' GROUP BY code ORDER BY 2 DESC"
    return dict(_asked(world, question))


def _found_outside(world: World) -> list[str]:
    question = "SELECT body FROM records WHERE kind = 'event' AND instr(body, 'outside.activity') > 0 LIMIT 3"
    return [bytes(body).decode() for (body,) in _asked(world, question)]


def _asked(world: World, question: str) -> list[Any]:
    archive = sqlite3.connect(f"file:{world.data_dir / 'audit' / 'audit.db'}?mode=ro", uri=True)
    try:
        return archive.execute(question).fetchall()
    finally:
        archive.close()


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
