"""The rehearsal on a practice exchange: copies of the live books, a guard of its own, load, and the button."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from proxy.drill.book import CopiedBook
from proxy.drill.load import Load
from proxy.drill.measuring import measured
from proxy.drill.shelf import DrillReport, drill_id
from proxy.drill.world import DrillWorld
from proxy.venues.binance.client_ids import is_guards
from rules.kill.events import Phase
from rules.kill.machine import DEADLINE

LOAD_BEFORE_S: Final = 2.0
GATE_WORKERS: Final = 2
LOAD_MIN_PER_S: Final = 10.0
"""Also where hardly anything was ever judged: a press with nothing under way rehearses little."""

_POLL_S: Final = 0.1
_ENDED: Final = (Phase.FLAT.value, Phase.FLAT_EXCEPT_DUST.value)

Say = Callable[[str], None]


def rehearse(
    books: Mapping[str, CopiedBook], policy: str, *, by: str, seen_per_s: int, at: datetime, say: Say
) -> DrillReport:
    """Run one to its end. Raises ``WorldFailed`` when the practice exchange or the guard before it does not start."""
    with tempfile.TemporaryDirectory(prefix="perpguard-drill-") as folder:
        data_dir = Path(folder) / "guard"
        data_dir.mkdir(mode=0o700)
        path = data_dir / "policy.toml"
        path.write_text(policy, encoding="utf-8")
        say("starting a practice exchange, with a copy of the book, and a guard before it")
        with DrillWorld(data_dir, path, books, gate_workers=GATE_WORKERS) as world:
            for line in world.not_copied:
                say(f"not copied: {line}")
            return asyncio.run(_pressed(world, books, by=by, seen_per_s=seen_per_s, at=at, say=say))


async def _pressed(
    world: DrillWorld, books: Mapping[str, CopiedBook], *, by: str, seen_per_s: int, at: datetime, say: Say
) -> DrillReport:
    load = _load(world, books, max(LOAD_MIN_PER_S, 2.0 * seen_per_s))
    sending = asyncio.create_task(load.run()) if load is not None else None
    began = time.monotonic()
    if load is not None:
        say(f"a bot sends {load.rate_per_s:g} orders a second through a gate")
        await asyncio.sleep(LOAD_BEFORE_S)
    say("the button is pressed")
    press = {"scope": "desk", "reason": f"a drill, begun by {by}", "by": by}
    pressed = await asyncio.to_thread(world.ask, "POST", "/control/kill", press)
    blocked_ns = time.time_ns()
    say(f"blocked after {pressed['blocked_ms']} ms")
    ended = await _until_done(world)
    sent_s = time.monotonic() - began
    if sending is not None:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    arrived = _arrivals(await asyncio.to_thread(world.sandbox, "GET", "/log"), blocked_ns)
    accounts = measured(world.data_dir)
    flat = bool(accounts) and all(each.phase in _ENDED for each in accounts)
    unrehearsed = tuple(_unrehearsed(world, load))
    report = DrillReport(
        id=drill_id(at),
        kind="practice",
        at=at,
        by=by,
        phase=max((each.phase for each in accounts), key=lambda phase: phase not in _ENDED, default="NOTHING"),
        passed=ended and flat and arrived == 0 and not unrehearsed,
        blocked_ms=pressed["blocked_ms"],
        accounts=accounts,
        rate_per_s=round(load.sent.orders / sent_s, 1) if load is not None else 0.0,
        rate_seen_per_s=float(seen_per_s),
        sent=load.sent.orders if load is not None else 0,
        taken=load.sent.passed if load is not None else None,
        arrived_after_blocked=arrived,
        not_copied=tuple(world.not_copied),
        trouble="; ".join(unrehearsed),
    )
    for each in accounts:
        say(f"{each.account}: {each.phase}, cancelled after {each.cancelled_ms} ms, flat after {each.flat_ms} ms")
    return report


def _unrehearsed(world: DrillWorld, load: Load | None) -> Iterator[str]:
    """What the press was to meet and did not: to find nothing there and end flat proves nothing."""
    if world.positions_not_copied:
        yield f"{world.positions_not_copied} positions were not copied, so closing them was not rehearsed"
    if load is not None and load.sent.orders and not load.sent.passed:
        yield "none of the bot's orders was taken, so it was pressed with nothing under way"


def _load(world: DrillWorld, books: Mapping[str, CopiedBook], rate_per_s: float) -> Load | None:
    """A bot on the first account that has a contract."""
    for account, book in books.items():
        if book.symbols:
            return Load(world.places.gate, world.bot_keys[account], book.symbols[0], rate_per_s)
    return None


async def _until_done(world: DrillWorld) -> bool:
    deadline = time.monotonic() + DEADLINE.total_seconds() + 10
    while time.monotonic() < deadline:
        progress = (await asyncio.to_thread(world.ask, "GET", "/control/kill"))["kill"]
        if progress is not None and not progress["running"]:
            return True
        await asyncio.sleep(_POLL_S)
    return False


def _arrivals(log: Mapping[str, Any], after_ns: int) -> int:
    """Orders of bots that reached the exchange later than the answer that said BLOCKED. The kill's own are none."""
    return sum(
        1
        for entry in log["entries"]
        if entry["time_ns"] > after_ns
        and entry["method"] == "POST"
        and entry["path"] in ("/fapi/v1/order", "/fapi/v1/batchOrders", "/fapi/v1/algoOrder")
        and not is_guards(entry["params"].get("newClientOrderId", ""))
    )
