"""What memory a gate holds with a crowd of bots at its doors: idle, with their connections, and after their orders.

A real world: upstream, store, warden and one gate, under the policy of ``bench.path``. Half of the connections come by
HTTP, half by TLS. Each makes a request as soon as it is open, and then one order in every round, a few of them at once.
What is read is the gate's resident memory, as the kernel tells it. The exit code is 1 when it passes the bound, or when
an order was not accepted.
"""

from __future__ import annotations

import argparse
import resource
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.failure import BenchFailed
from bench.machine import machine, today
from bench.path.guarded import PathWorld
from bench.path.orders import PRICES, QUANTITIES, Terms
from bench.processes import usage
from bench.soak import GATE_RSS_MAX
from bench.wire import Connection
from proxy.practice.ending import ends_in_order
from proxy.venues.binance.venue import VENUE

CONNECTIONS: Final = 2_000
ROUNDS: Final = 5
AT_ONCE: Final = 32
"""Orders under way, whatever the number of connections."""

_STAY_EVERY: Final = 500
"""Orders, after which every connection makes a request that is none: the gate closes what is idle for 30 s."""

_TAKES_WITHIN_S: Final = 90.0
_ASK_EVERY_S: Final = 1.0
_REASON_BYTES: Final = 200
_PING: Final = b"GET /healthz HTTP/1.1\r\nHost: guard\r\n\r\n"
_NUMBERS: Final = count(1)


@dataclass(slots=True)
class Memory:
    """Resident bytes of the gate: before anybody came, with everybody connected, and after each round of orders."""

    idle: int = 0
    connected: int = 0
    rounds: list[int] = field(default_factory=list)
    refused: int = 0
    """Orders that were not accepted."""
    reasons: Counter[str] = field(default_factory=Counter)
    """What was said to them."""

    @property
    def most(self) -> int:
        """The most that was seen."""
        return max(self.idle, self.connected, *self.rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when it does not hold."""
    parser = argparse.ArgumentParser(prog="bench.connections", description="A gate's memory with a crowd at its doors.")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help=f"of bots (default {CONNECTIONS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"orders on each connection (default {ROUNDS})")
    args = parser.parse_args(arguments)
    try:
        memory = measure(max(1, args.connections), args.rounds)
    except BenchFailed as failure:
        print(f"bench.connections: {failure}", file=sys.stderr)
        return 1
    print(report(memory, args.connections))
    return 1 if memory.most > GATE_RSS_MAX or memory.refused else 0


def measure(connections: int, rounds: int) -> Memory:
    """Start a world, open so many connections, half by either door, and trade on all of them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-bench-")))
        world = stack.enter_context(PathWorld(directory / "world"))
        (gate,) = world.gates
        memory = Memory(idle=usage(gate).rss)
        bots = [stack.enter_context(each) for each in _connected(world, connections)]
        memory.connected = usage(gate).rss
        threads = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        if rounds:
            _wait_until_taken(threads, bots, world.terms)
        for _ in range(rounds):
            for begin in range(0, connections, _STAY_EVERY):
                _stay(threads, bots)
                part = bots[begin : begin + _STAY_EVERY]
                reasons = list(threads.map(lambda bot: _refused_for(bot, world.terms), part))
                memory.reasons.update(reason for reason in reasons if reason is not None)
            memory.rounds.append(usage(gate).rss)
    memory.refused = memory.reasons.total()
    return memory


def _wait_until_taken(threads: ThreadPoolExecutor, bots: Sequence[Connection], terms: Terms) -> None:
    """A guard that has just begun refuses orders until it knows its markets well enough. Raises ``BenchFailed``."""
    deadline = time.monotonic() + _TAKES_WITHIN_S
    while (reason := _refused_for(bots[0], terms)) is not None:
        if time.monotonic() > deadline:
            raise BenchFailed(f"the guard takes no order: {reason}")
        _stay(threads, bots)
        time.sleep(_ASK_EVERY_S)


def _stay(threads: ThreadPoolExecutor, bots: Sequence[Connection]) -> None:
    """A request on every connection, so that the gate does not take it for idle."""
    list(threads.map(lambda bot: bot.exchange(_PING), bots))


def report(memory: Memory, connections: int) -> str:
    """A table for a person."""
    rows = [
        ("idle", memory.idle),
        (f"{connections} connections, half of them by TLS", memory.connected),
        *((f"{number * connections} orders later", size) for number, size in enumerate(memory.rounds, 1)),
    ]
    return "\n".join(
        (
            "| a gate | RSS MiB |",
            "|---|---|",
            *(f"| {name} | {size / 2**20:.1f} |" for name, size in rows),
            "",
            *([f"DID NOT HOLD: {memory.refused} orders were not accepted"] if memory.refused else []),
            *(f"{times} x {reason}" for reason, times in memory.reasons.most_common()),
            f"{machine()}; {today()}",
        )
    )


def _connected(world: PathWorld, number: int) -> Iterator[Connection]:
    """So many bots, by either door in turn, each of which has had an answer."""
    tls = ssl.create_default_context(cafile=world.authority)
    doors = cycle(((world.places.gate, None), (f"https://127.0.0.1:{urlsplit(world.https).port}/{VENUE}", tls)))
    for key, (url, context) in islice(zip(cycle(world.guard_keys.values()), doors, strict=False), number):
        bot = Connection(url, key.key, key.secret, context)
        bot.exchange(_PING)
        yield bot


def _refused_for(bot: Connection, terms: Terms) -> str | None:
    """One order, which expires at once; what was said, unless it was accepted."""
    number = next(_NUMBERS)
    request = bot.signed_order(
        symbol=terms.symbol,
        side="BUY",
        type="LIMIT",
        timeInForce="IOC",
        quantity=str(terms.lot * (1 + number % QUANTITIES)),
        price=str(terms.top - terms.tick * (number % PRICES)),
    )
    status, said = bot.exchange(request)
    return None if status == 200 else f"{status} {said[:_REASON_BYTES].decode(errors='replace')}"


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
