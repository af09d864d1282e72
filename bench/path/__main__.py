"""One signed order through the guard, beside nginx, HAProxy, mitmproxy with a minimal addon, and FastAPI with httpx.

Every proxy stands on one core; the upstream, the load generator, and what of the guard is not its gate (store and
warden) share the other. All ways lead to the same upstream and take turns in rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.failure import BenchFailed
from bench.machine import machine, percentile, today
from bench.path.generator import BadAnswer
from bench.path.guarded import NAME, PathWorld
from bench.path.measuring import Generator, Mode, Way, generator, make_ready, measure, refused_of
from bench.path.report import DIRECT, TLS, YARDSTICK, as_json, as_summary, as_table, put_into
from bench.path.sockets import placed_over_a_socket
from bench.path.stages import stages_us
from bench.path.ways.programs import MITMDUMP, find_haproxy, find_mitmdump, find_nginx, haproxy, mitmproxy, nginx, usual
from bench.path.ways.proxy import DidNotStart
from bench.processes import family, pin, two_cores
from proxy.practice.ending import ends_in_order
from proxy.practice.world import WorldFailed

ROUNDS: Final = 5
RATES: Final = (200.0, 500.0, 1000.0)
AT_ONCE: Final = 32
GUARD: Final = "guard"
SOCKET_RATE: Final = 40.0
"""Orders a second over one socket: its door lets fifty pass."""

SOCKET_TIMES: Final = 4
"""So many times as long as a round of a closed loop."""

Alone = dict[str, float]
"""Microseconds by what was measured."""

_ROOM: Final = 1.1
"""A rate is offered to ways that carry this much more; beyond it a queue grows that says nothing but how long it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when orders were refused or lost."""
    parser = argparse.ArgumentParser(prog="bench.path", description="The way of one order, guarded and not.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns each way takes (default {ROUNDS})")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each closed loop, twice for rates (default 1)")
    parser.add_argument("--rates", default=",".join(f"{rate:g}" for rate in RATES), help="orders a second, by commas")
    parser.add_argument("--only", default="", help="names of ways, by commas, besides direct; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the short table between FILE's marks")
    args = parser.parse_args(arguments)
    rates = [float(rate) for rate in args.rates.split(",") if rate]
    modes = [
        Mode("one at a time", 1, args.seconds),
        Mode(f"{AT_ONCE} at once", AT_ONCE, args.seconds),
        *(Mode(f"{rate:g}/s", AT_ONCE, 2 * args.seconds, rate) for rate in rates),
    ]
    try:
        ways, alone = run(modes, max(1, args.rounds), {name for name in args.only.split(",") if name})
    except (BenchFailed, WorldFailed, DidNotStart) as failure:
        print(f"bench.path: {failure}", file=sys.stderr)
        return 1
    where, when = machine(), today()
    if args.json is not None:
        args.json.write_text(json.dumps(as_json(ways, modes, alone, where, when), indent=1), encoding="utf-8")
    if args.readme is not None:
        page = args.readme.read_text(encoding="utf-8")
        args.readme.write_text(put_into(page, as_summary(ways, modes, where, when)), encoding="utf-8")
    print(as_table(ways, modes, alone, where, when))
    return 0


def run(modes: Sequence[Mode], rounds: int, only: set[str]) -> tuple[list[Way], Alone]:
    """All ways that there are, in all modes; and what is measured of the guard alone. Raises ``BenchFailed``."""
    proxies, others = two_cores()
    if proxies == others:
        print("there is one core only: all share it, and nothing here says what a proxy costs", file=sys.stderr)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-bench-")))
        world = stack.enter_context(PathWorld(directory / "world"))
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        pin(family(os.getpid()), others)
        pin(world.gates, proxies)
        load = stack.enter_context(generator(world.terms))
        ways = list(_ways(world, directory, proxies, stack, only))
        for way in ways:
            make_ready(load, way, modes)
        for number in range(rounds):
            _round(load, world, modes, ways[number % len(ways) :] + ways[: number % len(ways)])
        guard = next((way for way in ways if way.name == GUARD), None)
        return ways, {} if guard is None else _of_the_guard_alone(load, world, guard, modes[0])


def _of_the_guard_alone(load: Generator, world: PathWorld, guard: Way, one: Mode) -> Alone:
    """Its stages over as many orders as before; and orders over a socket, at the pace its door allows."""
    stages = stages_us(load, world, guard, one, guard.readings[one.name].orders)
    seconds = SOCKET_TIMES * one.seconds
    orders = max(1, round(SOCKET_RATE * seconds))
    try:
        sockets = placed_over_a_socket(world.places.gate, world.keys, world.terms, orders, 1 / SOCKET_RATE)
    except (OSError, BadAnswer) as trouble:
        raise BenchFailed(f"order.place: {trouble}") from trouble
    slow = Mode(f"POST at {SOCKET_RATE:g}/s", 1, seconds, SOCKET_RATE)
    posts = load.run(guard, slow, orders)
    refused_of(guard, slow, posts)
    named = {f"order.place over a socket, {SOCKET_RATE:g}/s": sockets, slow.name: posts.micros}
    slowly = {
        f"{name}, {percent}": value
        for name, micros in named.items()
        for percent, value in (("p50", percentile(micros, 50)), ("p99", percentile(micros, 99)))
    }
    return {f"{stage}, mean": value for stage, value in stages.items()} | slowly


def _round(load: Generator, world: PathWorld, modes: Sequence[Mode], ways: Sequence[Way]) -> None:
    """Every mode, on every way in turn; nobody always goes first."""
    most = next(mode.name for mode in reversed(modes) if mode.rate is None)
    for mode in modes:
        for way in ways:
            if mode.rate is None or way.paces[most] > _ROOM * mode.rate:
                measure(load, way, mode, world.taken)


def _ways(world: PathWorld, directory: Path, cores: set[int], stack: ExitStack, only: set[str]) -> Iterator[Way]:
    """The ways that are wanted and can be had; what is not installed is named."""
    yield _way(DIRECT, world, urlsplit(world.upstream).port, None)
    for name, program, start in (
        (YARDSTICK, find_nginx(), nginx),
        ("HAProxy", find_haproxy(), haproxy),
        ("mitmproxy", find_mitmdump(), mitmproxy),
    ):
        if only and name not in only:
            continue
        if program is None:
            more = f" ({MITMDUMP} may name its mitmdump)" if start is mitmproxy else ""
            print(f"{name} is not installed: its row is missing{more}", file=sys.stderr)
            continue
        pid, port = stack.enter_context(start(program, world.upstream, directory / name, cores))
        yield _way(name, world, port, pid)
    if not only or "FastAPI + httpx" in only:
        pid, port = stack.enter_context(usual(world.upstream, directory / "usual", cores))
        yield _way("FastAPI + httpx", world, port, pid)
    gate = urlsplit(world.places.gate)
    if not only or GUARD in only:
        yield _guard(GUARD, world, (str(gate.hostname), gate.port or 0), gate.netloc)
    program = find_nginx()
    if program is not None and (not only or YARDSTICK + TLS in only):
        started = nginx(program, world.upstream, directory / "nginx-tls", cores, world.certificate)
        pid, port = stack.enter_context(started)
        way = _way(YARDSTICK + TLS, world, port, pid)
        way.host, way.authority = f"{NAME}:{port}", world.authority
        yield way
    if not only or GUARD + TLS in only:
        second = urlsplit(world.https)
        way = _guard(GUARD + TLS, world, (str(gate.hostname), second.port or 0), second.netloc)
        way.authority = world.authority
        yield way


def _way(name: str, world: PathWorld, port: int | None, pid: int | None) -> Way:
    pids = (lambda: family(pid)) if pid is not None else tuple
    return Way(name, ("127.0.0.1", port or 0), f"127.0.0.1:{port}", world.keys, pids=pids)


def _guard(name: str, world: PathWorld, address: tuple[str, int], host: str) -> Way:
    prefix = urlsplit(world.places.gate).path
    return Way(name, address, host, world.keys, prefix, pids=lambda: world.gates, stores=lambda: world.stores)


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
