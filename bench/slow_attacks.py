"""What thousands of slow clients cost a bot that trades beside them: its orders with and without them, by turns.

Real processes on this machine: practice exchange, store, warden, one gate, a bot and a process of hostile clients. The
bot sends orders at a steady pace over one connection that stays, and every tenth over a new one. An order's time counts
from when it was due, so a gate that stalls is charged for all that wait. For each kind of attack, rounds without and
with the crowd take turns, so that a machine that slows down slows both; each lasts longer than a gate gives anybody for
a request, so the cutting off of the crowd and its coming back are in it. What counts is the difference at the 99th
percentile, and the worst.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.failure import BenchFailed
from bench.hostile import BEHAVIOURS, Hostile
from bench.machine import machine, percentile
from bench.wire import EXPIRING_ORDER, Connection
from proxy.practice.ending import ends_in_order
from proxy.practice.world import World

POLICY: Final = Path(__file__).with_name("policy.toml")
CONNECTIONS: Final = 3_000
ROUNDS: Final = 3
RATE: Final = 40.0
ORDERS: Final = 560
"""Of each round, half of them without the crowd and half with it: seven seconds each, and a gate cuts after five."""

NEW_EVERY: Final = 10
ALL: Final = "all in turn"

_GATHER_S: Final = 60.0
_MEET_S: Final = 15.0


@dataclass(slots=True)
class Times:
    """Milliseconds from when each order was due to the last byte of its answer; of new ones the connecting is in it.

    On a machine that does not get round to the store in time, some are refused: those are counted and timed as well.
    """

    kept_ms: list[float] = field(default_factory=list)
    new_ms: list[float] = field(default_factory=list)
    refused: int = 0


@dataclass(slots=True)
class Attack:
    """One kind of crowd: orders without it and with it, and how many stood there."""

    kind: str
    quiet: Times = field(default_factory=Times)
    attacked: Times = field(default_factory=Times)
    held: list[int] = field(default_factory=list)
    opened: int = 0
    met: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="bench.slow_attacks", description="Orders beside a crowd of slow clients.")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help=f"of the crowd (default {CONNECTIONS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each kind (default {ROUNDS})")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"of each round (default {ORDERS})")
    parser.add_argument("--kind", action="append", choices=[*BEHAVIOURS, ALL], help="of attack; default: each, and all")
    parser.add_argument("--json", type=Path, help="where to write everything that was measured")
    args = parser.parse_args(arguments)
    try:
        attacks = measure(args.kind or [*BEHAVIOURS, ALL], args.connections, args.rounds, args.orders)
    except BenchFailed as failure:
        print(f"bench.slow_attacks: {failure}", file=sys.stderr)
        return 1
    if args.json is not None:
        args.json.write_text(json.dumps({"machine": machine(), "attacks": [asdict(each) for each in attacks]}))
    print(report(attacks))
    return 0


def measure(kinds: Sequence[str], connections: int, rounds: int, orders: int) -> list[Attack]:
    """Every kind against one guard, by turns with quiet. Raises ``BenchFailed``."""
    attacks = [Attack(kind) for kind in kinds]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-bench-")))
        world = stack.enter_context(World(directory, POLICY, scenario="flat", balance=10_000_000, gate_workers=1))
        _trade(world, Times(), orders // 2)  # Nothing is warm before its first hundred.
        for attack in attacks * rounds:
            _trade(world, attack.quiet, orders // 2)
            behaviours = list(BEHAVIOURS) if attack.kind == ALL else [attack.kind]
            with Hostile(world.places.gate, connections, behaviours) as crowd:
                crowd.gather(_GATHER_S)
                attack.held.append(crowd.held)
                _trade(world, attack.attacked, orders // 2)
                _meet(crowd)
                attack.opened += crowd.opened
                attack.met += crowd.met
    for attack in attacks:
        for times in (attack.quiet, attack.attacked):
            if times.refused * 2 > len(times.kept_ms) + len(times.new_ms):
                raise BenchFailed(f"{times.refused} orders were refused")
    return attacks


def _meet(crowd: Hostile) -> None:
    """Wait, bounded, until the gate has dealt with a part of the crowd: the kernel lets in whom the gate never sees."""
    deadline = time.monotonic() + _MEET_S
    while not crowd.stands():
        if time.monotonic() > deadline:
            raise BenchFailed(f"the gate has answered or cut off {crowd.met} of {crowd.held} hostile connections")
        time.sleep(0.1)


def _trade(world: World, times: Times, orders: int) -> None:
    """So many orders, due at the pace of ``RATE``, each timed from then: one that is late makes the next late, too."""
    key = world.guard_key
    with Connection(world.places.gate, key.key, key.secret) as kept:
        began = time.perf_counter()
        for number in range(orders):
            due = began + number / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            if (number + 1) % NEW_EVERY:  # The first at once: a connection that says nothing is closed after a while.
                _send(kept, times)
                times.kept_ms.append((time.perf_counter() - due) * 1000)
            else:
                with Connection(world.places.gate, key.key, key.secret) as new:
                    _send(new, times)
                    times.new_ms.append((time.perf_counter() - due) * 1000)


def _send(connection: Connection, times: Times) -> None:
    status, _ = connection.exchange(connection.signed_order(**EXPIRING_ORDER))
    times.refused += status != 200


def report(attacks: Sequence[Attack]) -> str:
    """A Markdown table, the machine and the date."""
    lines = [
        "| attack | held | opened | answered or cut off | quiet p50 / p99 / max ms | attacked p50 / p99 / max ms | "
        "p99 moved by ms | refused, quiet / attacked | new connection, quiet p50 / max ms | attacked p50 / max ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in attacks:
        quiet, attacked = each.quiet, each.attacked
        cells: list[Any] = [each.kind, min(each.held), each.opened, each.met]
        cells += [
            f"{statistics.median(times.kept_ms):.1f} / {percentile(times.kept_ms, 99):.1f} / {max(times.kept_ms):.1f}"
            for times in (quiet, attacked)
        ]
        cells += [
            f"{percentile(attacked.kept_ms, 99) - percentile(quiet.kept_ms, 99):+.1f}",
            f"{quiet.refused} / {attacked.refused}",
        ]
        cells += [f"{statistics.median(times.new_ms):.1f} / {max(times.new_ms):.1f}" for times in (quiet, attacked)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join((*lines, "", f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
