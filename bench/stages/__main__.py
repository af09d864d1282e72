"""Where the CPU time of one order goes, from the request in hand to the answer, stage by stage.

One gate's own code in this process: real vault, fence and journal, the judge and the desk, the policy of a preset. What
is not the judging of an order is recorded once and then played back: the store's answers come from an embedded store
that one order was carried through, the exchange's answer is an acceptance. So no client, no socket and no server is
measured, and every order meets the account as it was published: 2 positions, 5 resting orders, 3 symbols.

The whole is measured in rounds without a mark in them, the stages in rounds of their own; a mark costs some tenths of
a microsecond, which is measured and taken off. All are medians of the rounds, and so is what was played back, which is
taken off the whole. CPU time of this thread, so that a busy machine is not taken for slow
code; the fixed loop of ``bench.decide`` says how fast the machine was.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.decide.__main__ import calibration
from bench.failure import BenchFailed
from bench.machine import machine
from bench.stages.clock import PLAYED_BACK, STAGES, Clock, marked, marks
from bench.stages.gate import Gate
from bench.stages.picture import publish, recorded_picture
from proxy.practice.ending import ends_in_order
from proxy.store.embedded import EmbeddedStore

POLICY: Final = Path(__file__).parents[2] / "configs" / "policies" / "desk.toml"
ORDERS: Final = 2000
ROUNDS: Final = 20


async def measure(gate: Gate, orders: int, rounds: int) -> tuple[list[float], dict[str, float], list[float]]:
    """Microseconds of each round's average order, of each stage of it in the median round, and of the fixed loop
    between the rounds."""
    wholes, loops, clocks = [], [], list[Clock]()
    share = max(1, orders // rounds)
    for turn in range(2 * rounds):
        queries = [gate.request() for _ in range(share)]
        loops.append(calibration())
        gc.collect()
        gc.disable()
        try:
            if turn % 2:
                clock = Clock()
                clocks.append(clock)
                with marks(clock):
                    for query in queries:
                        clock.begin()
                        await gate.carry(query)
                        clock.end()
            else:
                began = time.thread_time_ns()
                for query in queries:
                    await gate.carry(query)
                wholes.append((time.thread_time_ns() - began) / 1000 / share)
        finally:
            gc.enable()
    mark_ns = _mark_ns()
    stages = {
        stage: statistics.median(
            max(0.0, clock.spent_ns[stage] - clock.marks[stage] * mark_ns) / 1000 / share for clock in clocks
        )
        for stage in dict.fromkeys(stage for clock in clocks for stage in clock.spent_ns)
    }
    return wholes, stages, loops


def _mark_ns() -> float:
    """What one mark adds to the stage it stands in: half of one that holds nothing."""
    clock = Clock()

    def nothing() -> None:
        """Nothing is what is measured."""

    work = marked(clock, "nothing", nothing)
    for _ in range(2000):
        work()
    return (clock.spent_ns["nothing"] + clock.spent_ns["answer"]) / sum(clock.marks.values())


async def run(policy: Path, orders: int, rounds: int, pictures: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What every picture (holds under way, earlier entries) costs, as plain JSON."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="perpguard-stages-") as name, EmbeddedStore(Path(name)) as store:
        picture = recorded_picture(datetime.now(UTC))
        await publish(store.url, policy, picture)
        gate = Gate(Path(name), store.url, policy, picture)
        try:
            for _ in range(2):  # The first is told the documents, the second finds a hold and an earlier entry.
                await gate.carry(gate.request())
            gate.store.play_back()
            for under_way, tried in pictures:
                gate.store.under_way, gate.store.tried = under_way, tried
                for _ in range(200):
                    await gate.carry(gate.request())
                wholes, stages, loops = await measure(gate, orders, rounds)
                loop = statistics.median(loops)
                whole = statistics.median(wholes) - sum(stages.get(each, 0.0) for each in PLAYED_BACK)
                found[f"{under_way} holds, {tried} earlier entries"] = {
                    "whole_us": round(whole, 1),
                    "whole_in_loops": round(whole / loop, 3),
                    "loop_us": round(loop, 1),
                    "stages_us": {stage: round(us, 1) for stage, us in stages.items() if stage not in PLAYED_BACK},
                }
        finally:
            await gate.aclose()
    return {"orders": orders, "policy": policy.name, "machine": machine(), "pictures": found}


def report(found: dict[str, Any]) -> str:
    """A Markdown table, the machine and the date."""
    pictures = found["pictures"]
    measured = list(pictures.values())

    def row(name: str, cells: Sequence[str]) -> str:
        return f"| {name} | {' | '.join(cells)} |"

    names = [stage for stage in dict.fromkeys(stage for stage, *_ in STAGES) if stage not in PLAYED_BACK]
    return "\n".join(
        (
            row("stage, CPU µs of an order", list(pictures)),
            "|---|" + "---|" * len(pictures),
            *(
                row(stage, [f"{each['stages_us'].get(stage, 0.0):.0f}" for each in measured])
                for stage in (*names, "answer")
            ),
            row("**whole**", [f"{each['whole_us']:.0f}" for each in measured]),
            row("whole, x loop", [f"{each['whole_in_loops']:.2f}" for each in measured]),
            "",
            f"{found['policy']}; {found['machine']}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when an order was refused."""
    parser = argparse.ArgumentParser(prog="bench.stages", description="CPU time of one order, stage by stage.")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"orders of each kind (default {ORDERS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds they are measured in (default {ROUNDS})")
    parser.add_argument("--policy", type=Path, default=POLICY, help="the policy to judge under (default: desk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(arguments)
    rounds = max(1, min(args.rounds, args.orders))
    try:
        found = asyncio.run(run(args.policy, max(1, args.orders), rounds, ((0, 0), (20, 200))))
    except BenchFailed as failure:
        print(f"bench.stages: {failure}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2) if args.json else report(found))
    return 0


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
