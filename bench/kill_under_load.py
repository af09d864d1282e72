"""How long BLOCKED takes while the gate is under load: 500 orders a second and 3,000 hostile connections.

Real processes on this machine: practice exchange, store, warden, two gates, a process of bots and one of hostile
clients. In every round a new guard gets some resting orders and a position, then the load, and then the button is
pressed over the control API. What is measured is the press as its client sees it, from the first byte of the request
to the last of the 202; the warden's own account of it; and, in the exchange's log, when the kill's first cancel came
and whether any order of a bot came afterwards. Then the button is pressed again and again, while the bots go on.

Before the press the warden is asked for its health many times, in turns with a process that does nothing else: what it
takes longer is the delay that its busy loop would add to each step of a kill.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from bench.failure import BenchFailed
from bench.flood import Flood
from bench.hostile import Hostile
from bench.idle import Idle
from bench.machine import machine, percentile
from bench.wire import EXPIRING_ORDER, Connection
from proxy.practice.ending import ends_in_order
from proxy.practice.world import World

POLICY: Final = Path(__file__).with_name("policy.toml")
RATE: Final = 500.0
HOSTILE: Final = 3_000
ROUNDS: Final = 2
PRESSES: Final = 15
"""Of every round, the first one included."""

PROBES: Final = 400
"""Questions to the warden, and to an idle process, before the press."""

ACCEPTED_SHARE: Final = 0.75
"""Of the orders that were tried: with fewer, the gates are busy with something else than trade."""

_COUNTED_S: Final = 2.0
_GATHER_S: Final = 15.0
_WARM_S: Final = 8.0  # A warden that has just started still learns the history of the market.
_BETWEEN_S: Final = 0.2
_CANCEL_WITHIN_S: Final = 10.0
_BOOK: Final[tuple[Mapping[str, str], ...]] = (
    {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"},
    {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "85000"},
    {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "3000"},
)


@dataclass(slots=True)
class Round:
    """One guard under one load. Times in milliseconds; ``late`` are orders that reached the exchange although their bot
    built them after BLOCKED."""

    load: str
    rate: float = 0.0
    """Orders accepted a second."""
    refused_rate: float = 0.0
    held: int = 0
    warden_ms: list[float] = field(default_factory=list)
    idle_ms: list[float] = field(default_factory=list)
    blocked_ms: list[float] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)
    first_cancel_ms: float = 0.0
    last_arrival_ms: float = 0.0
    late: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when an order was sent after BLOCKED, or nothing could be measured."""
    parser = argparse.ArgumentParser(prog="bench.kill_under_load", description="BLOCKED under load.")
    parser.add_argument("--rate", type=float, default=RATE, help=f"orders a second (default {RATE:g})")
    parser.add_argument("--hostile", type=int, default=HOSTILE, help=f"hostile connections (default {HOSTILE})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"guards under full load (default {ROUNDS})")
    parser.add_argument("--presses", type=int, default=PRESSES, help=f"presses of each (default {PRESSES})")
    args = parser.parse_args(arguments)
    plan = [(0.0, 0), (args.rate, 0), *[(args.rate, args.hostile)] * args.rounds]
    try:
        rounds = [measure(rate, hostile, args.presses) for rate, hostile in plan]
    except BenchFailed as failure:
        print(f"bench.kill_under_load: {failure}", file=sys.stderr)
        return 1
    print(report(rounds))
    return int(any(each.late for each in rounds))


def measure(rate: float, hostile: int, presses: int) -> Round:
    """One guard, one load, ``presses`` presses. Raises ``BenchFailed``."""
    result = Round(f"{rate:g} orders/s, {hostile} hostile" if rate else "none")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perpguard-bench-")))
        world = stack.enter_context(World(directory, POLICY, scenario="flat", balance=10_000_000))
        _fill_book(world)
        if rate:
            key = world.guard_key
            flood = stack.enter_context(Flood(world.places.gate, key.key, key.secret, EXPIRING_ORDER, rate))
            if hostile:
                crowd = stack.enter_context(Hostile(world.places.gate, hostile))
                crowd.gather(_GATHER_S)
            time.sleep(_WARM_S)
            rates = flood.rates_over(_COUNTED_S)
            result.rate, result.refused_rate = rates["accepted"], rates["refused"]
            if hostile:
                result.held = crowd.held
                if not crowd.stands():
                    raise BenchFailed(f"the gates answered or cut off {crowd.met} of {result.held} hostile connections")
            _check(rates, result.load)
        _probe(world, stack.enter_context(Idle()), result)
        _press_all(world, result, presses)
    return result


def _check(rates: Mapping[str, float], load: str) -> None:
    """Raise ``BenchFailed`` where it is not trade that the gates are busy with."""
    if not rates["accepted"] or rates["accepted"] < ACCEPTED_SHARE * sum(rates.values()):
        told = ", ".join(f"{each:.0f} {kind}" for kind, each in rates.items())
        raise BenchFailed(f"too few orders got through under {load}: {told} a second")


def _probe(world: World, idle: Idle, result: Round) -> None:
    """How long the warden's loop, and a process with nothing else to do, take to answer."""
    console = urlsplit(world.places.console)
    warden = http.client.HTTPConnection(str(console.hostname), console.port, timeout=30)
    nobody = http.client.HTTPConnection("127.0.0.1", idle.port, timeout=30)
    for _ in range(PROBES):
        for connection, times in ((warden, result.warden_ms), (nobody, result.idle_ms)):
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            times.append((time.perf_counter() - began) * 1000)


def _press_all(world: World, result: Round, presses: int) -> None:
    button = _Button(world)
    pressed_ns = time.time_ns()
    button.press(result)
    blocked_ns = time.time_ns()
    for _ in range(presses - 1):
        time.sleep(_BETWEEN_S)
        button.press(result)
    _read_log(world, result, pressed_ns, blocked_ns)


class _Button:
    """A kept-alive connection to the control API: what is measured is the press, not the way to it."""

    def __init__(self, world: World) -> None:
        console = urlsplit(world.places.console)
        self._connection = http.client.HTTPConnection(str(console.hostname), console.port, timeout=30)
        self._connection.connect()
        self._headers = {
            "Authorization": f"Bearer {world.control_token.reveal()}",
            "Content-Type": "application/json",
        }

    def press(self, result: Round) -> None:
        body = json.dumps({"scope": "desk", "reason": "bench of the kill under load", "by": "bench"})
        began = time.perf_counter()
        self._connection.request("POST", "/control/kill", body, self._headers)
        reply = self._connection.getresponse()
        answer = json.loads(reply.read())
        result.blocked_ms.append((time.perf_counter() - began) * 1000)
        if reply.status != 202:
            raise BenchFailed(f"the press was answered {reply.status}: {answer}")
        result.told_ms.append(answer["blocked_ms"])


def _fill_book(world: World) -> None:
    with Connection(world.places.gate, world.guard_key.key, world.guard_key.secret) as bot:
        for order in _BOOK:
            status, body = bot.exchange(bot.signed_order(**order))
            if status != 200:
                raise BenchFailed(f"the book could not be filled: {status} {body[:200]!r}")


def _read_log(world: World, result: Round, pressed_ns: int, blocked_ns: int) -> None:
    """When the first cancel came, and what came from bots after BLOCKED; orders on the wire by then may still come."""
    deadline = time.monotonic() + _CANCEL_WITHIN_S
    while True:
        log = httpx.get(f"{world.places.exchange}/sandbox/log", timeout=30, trust_env=False).raise_for_status()
        entries: list[dict[str, Any]] = log.json()["entries"]
        cancels = [entry["time_ns"] for entry in entries if entry["method"] == "DELETE"]
        if cancels:
            break
        if time.monotonic() > deadline:
            raise BenchFailed(f"no cancel of the kill within {_CANCEL_WITHIN_S:g} s")
        time.sleep(0.1)
    orders = [
        entry
        for entry in entries
        if entry["path"] == "/fapi/v1/order" and not entry["params"].get("newClientOrderId", "").startswith("pgk-")
    ]
    result.first_cancel_ms = (min(cancels) - pressed_ns) / 1e6
    after = [(entry["time_ns"] - blocked_ns) / 1e6 for entry in orders if entry["time_ns"] > blocked_ns]
    result.last_arrival_ms = max(after, default=0.0)
    result.late = sum(_built_ns(entry["params"]["newClientOrderId"]) > blocked_ns for entry in orders)


def _built_ns(client_order_id: str) -> int:
    """When the bot built an order: it stands in the bot's own part of the id (``bench.wire``)."""
    found = re.search(r"b-([0-9a-f]+)-\d+$", client_order_id)
    if found is None:
        raise BenchFailed(f"an order of nobody's: {client_order_id}")
    return int(found[1], 16)


def report(rounds: Sequence[Round]) -> str:
    """A Markdown table, the machine and the date."""
    lines = [
        "| load | orders accepted/s | refused/s | hostile held | warden answers, p50 / p99 ms | "
        "an idle process, p50 / p99 ms | BLOCKED, first press, ms | all presses p50 ms | p99 ms | max ms | "
        "warden's own p99 ms | first cancel ms | last order on the wire, ms after BLOCKED | sent after BLOCKED |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in rounds:
        cells = [each.load, f"{each.rate:.0f}", f"{each.refused_rate:.0f}", str(each.held)]
        cells += [
            f"{statistics.median(times):.1f} / {percentile(times, 99):.0f}" for times in (each.warden_ms, each.idle_ms)
        ]
        cells += [f"{each.blocked_ms[0]:.0f}"]
        cells += [f"{statistics.median(each.blocked_ms):.0f}", f"{percentile(each.blocked_ms, 99):.0f}"]
        cells += [f"{max(each.blocked_ms):.0f}", f"{percentile(each.told_ms, 99):.0f}", f"{each.first_cancel_ms:.0f}"]
        cells += [f"{each.last_arrival_ms:.0f}", str(each.late)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((*lines, "", f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
