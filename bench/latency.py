"""What the guard adds to one order: the same signed POST straight to the practice exchange, through nginx, through it.

One kept-alive connection each, one order after another, the three taking turns in rounds so that a machine that slows
down slows all of them. The order is a limit order far from the market that expires at once, so the book, the account
and the exchange's work stay the same from the first to the last. Between rounds the guard's holds are waited for, as
they would be gone in a market with pauses; within a round they pile up.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.nginx import find_nginx, reverse_proxy
from bench.wire import Connection
from proxy.demo.world import World

POLICY: Final = Path(__file__).with_name("policy.toml")
ORDERS: Final = 500
ROUNDS: Final = 20
BUDGET_S: Final = 45.0
"""No new round is begun after this long: start, rounds and stop stay under a minute."""

_SETTLE_TIMEOUT_S: Final = 20.0
_ORDER: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "IOC",
    "quantity": "0.002",
    "price": "81000",
}


class BenchFailed(Exception):
    """An order was refused or lost: then there is nothing to measure."""


@dataclass(slots=True)
class Target:
    """One way to the exchange, and how long each order took on it."""

    name: str
    connection: Connection
    micros: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle time, in microseconds."""
        return statistics.median(self.micros)

    @property
    def p99(self) -> float:
        """The time that one order in a hundred exceeds, in microseconds."""
        return sorted(self.micros)[max(0, -(-len(self.micros) * 99 // 100) - 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when an order did not go through."""
    parser = argparse.ArgumentParser(prog="bench.latency", description="Latency of one order: direct, nginx, guard.")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"orders on each way (default {ORDERS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns each way takes (default {ROUNDS})")
    args = parser.parse_args(arguments)
    try:
        targets = measure(max(1, args.orders), max(1, min(args.rounds, args.orders)))
    except BenchFailed as failure:
        print(f"bench.latency: {failure}", file=sys.stderr)
        return 1
    print(report(targets))
    return 0


def measure(orders: int, rounds: int) -> list[Target]:
    """Times of ``orders`` orders on every way there is. Raises ``BenchFailed``."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-bench-")))
        world = stack.enter_context(World(directory, POLICY, scenario="flat", balance=10_000_000))
        ways = {"direct": world.places.exchange}
        program = find_nginx()
        if program is None:
            print("nginx is not installed: its row is missing, and so are the ratios", file=sys.stderr)
        else:
            ways["nginx"] = stack.enter_context(reverse_proxy(program, world.places.exchange, directory / "nginx"))
        targets = [
            Target(name, stack.enter_context(Connection(url, world.exchange_key, world.exchange_secret)))
            for name, url in ways.items()
        ]
        guard = Connection(world.places.gate, world.guard_key.key, world.guard_key.secret)
        targets.append(Target("guard", stack.enter_context(guard)))
        _warm(targets, world)
        began = time.monotonic()
        for number in range(rounds):
            if time.monotonic() - began > BUDGET_S:
                print(f"stopped after {number} of {rounds} rounds: time is up", file=sys.stderr)
                break
            share = orders // rounds + (1 if number < orders % rounds else 0)
            # Nobody always goes first.
            for target in targets[number % len(targets) :] + targets[: number % len(targets)]:
                target.micros += _run(target, share)
            _settle(world)
    return targets


def report(targets: Sequence[Target]) -> str:
    """A Markdown table, the machine and the date."""
    by_name = {target.name: target for target in targets}
    direct, nginx = by_name["direct"], by_name.get("nginx")
    lines = [
        "| way | orders | p50 µs | p99 µs | added p50 µs | added p99 µs | added p50, x nginx | p50, x nginx | "
        "p99, x nginx |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for target in targets:
        cells = [target.name, str(len(target.micros)), f"{target.median:.0f}", f"{target.p99:.0f}"]
        if target is direct:
            cells += ["-", "-", "-"]
        else:
            cells += [f"{target.median - direct.median:.0f}", f"{target.p99 - direct.p99:.0f}"]
            cells.append("-" if nginx is None else _ratio(target.median - direct.median, nginx.median - direct.median))
        cells += ["-", "-"] if nginx is None else [_ratio(target.median, nginx.median), _ratio(target.p99, nginx.p99)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((*lines, "", f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))


def machine() -> str:
    """The processors, the interpreter, and how busy the machine was besides."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}; Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}"


def _warm(targets: Sequence[Target], world: World) -> None:
    """The first orders of a process load code and fill caches; nobody trades on them."""
    for target in targets:
        _run(target, 20)
    _settle(world)


def _run(target: Target, orders: int) -> list[float]:
    """Times of so many orders one after another, in microseconds. The client's own work is done outside of them."""
    times = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(orders):
            request = target.connection.signed_order(**_ORDER)
            began = time.perf_counter_ns()
            status, body = target.connection.exchange(request)
            times.append((time.perf_counter_ns() - began) / 1000)
            if status != 200:
                raise BenchFailed(f"{target.name} answered {status}: {body[:200]!r}")
    finally:
        gc.enable()
    return times


def _settle(world: World) -> None:
    """Wait until the warden's survey has let every hold go, so that no round is judged on the last one's."""
    deadline = time.monotonic() + _SETTLE_TIMEOUT_S
    while time.monotonic() < deadline:
        if all(account["holds"] == 0 for account in world.ask("GET", "/api/desk")["accounts"]):
            return
        time.sleep(0.05)
    raise BenchFailed(f"holds are still open after {_SETTLE_TIMEOUT_S} s")


def _ratio(value: float, nginx: float) -> str:
    return f"{value / nginx:.1f}" if nginx > 0 else "-"


if __name__ == "__main__":
    sys.exit(main())
