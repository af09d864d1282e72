"""What must hold before a scope trades again, as the guard's own looks find it: what a person says of what is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.troubles import VenueRefused, VenueUnavailable
from proxy.kill.desk import KillDesk
from proxy.kill.jobs import job_directory
from proxy.kill.journal import Job, Journal
from proxy.kill.preconditions import Checked, Precondition, checked
from proxy.store.fence import DESK, Fence, Scope
from proxy.warden.pieces.rearming import Looks
from rules.model import PositionSide
from rules.snapshot import Position
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk
from tests.proxy.kill.virtual_time import in_virtual_time

MAIN = Scope("main")


def looks_of(kill: KillDesk, positions: Sequence[Position] = (), key: KeyWatch | None = None) -> Looks:
    """The looks of a desk of the account ``main``, whose newest survey shows these positions."""
    account = SimpleNamespace(name="main", open_orders=(), positions=tuple(positions), shares=())
    pieces: Any = SimpleNamespace(keeper=SimpleNamespace(account=account, venue="binanceusdm"), key=key)
    nothing: Any = SimpleNamespace(scribe=SimpleNamespace(verification=None))
    return Looks(nothing, kill, {"main": pieces}, {}, nothing)


async def flat(looks: Looks, scope: Scope, said: str = "") -> Checked:
    return (await checked([Precondition("flat", looks.flat)], scope, said))[0]


@pytest.mark.parametrize(
    ("what", "name", "line"),
    [
        ("dust", "DOGEUSDT", "DOGEUSDT LONG 0.04 of main"),
        ("not trading", "LUNCUSDT", "LUNCUSDT LONG 5 of main"),
        ("not surveyed", "LUNCUSDT", "LUNCUSDT LONG 5 of main"),
        ("not read", "algo orders", "algo orders not read: "),
        ("never read", "main", "main not known: the venue could not be read of main"),
    ],
)
def test_naming_what_a_kill_left_acknowledges_it(tmp_path: Path, what: str, name: str, line: str) -> None:
    async def killed() -> tuple[KillDesk, list[Position]]:
        Fence.initialise(tmp_path)
        venue = SimulatedVenue(3, quiet=True, fault_share=0, hedged=True)
        kill = a_desk(tmp_path, SimulatedStore(random.Random(5)), venue)
        match what:
            case "dust":
                venue.positions["DOGEUSDT", PositionSide.LONG] = Decimal("0.04")
            case "not trading" | "not surveyed":
                venue.positions["LUNCUSDT", PositionSide.LONG] = Decimal(5)
                venue.halted.add("LUNCUSDT")
            case "not read":
                venue.away.add("algo orders")
            case _:
                venue.banned_until = venue.loop.time() + 300
        await kill.press(MAIN, "ann", "stop")
        await kill.runs.join()
        return kill, [
            Position(symbol=symbol, position_side=side, quantity=held, entry_price=Decimal(1), mark_price=Decimal(1))
            for (symbol, side), held in venue.positions.items()
            if held and what != "not surveyed"
        ]

    async def looked_at(looks: Looks) -> None:
        found = await flat(looks, MAIN)
        assert not found.holds and len(found.left) == 1 and found.left[0].startswith(line)
        assert not (await flat(looks, MAIN, "something is left, I live with it")).holds
        assert (await flat(looks, MAIN, f"{name} is left, I live with it")).acknowledged

    kill, positions = in_virtual_time(killed())
    assert kill.reports()[0].phase.value == ("FLAT_EXCEPT_DUST" if what == "dust" else "DEGRADED")
    asyncio.run(looked_at(looks_of(kill, positions)))


async def test_a_kill_of_an_account_that_left_the_vault_is_acknowledged_by_its_name(tmp_path: Path) -> None:
    Fence.initialise(tmp_path).engage(DESK)
    job = Job(
        job_id="20261129T200000000000-0a0a0a0a",
        account="old",
        scope="desk",
        by="ann",
        reason="a key leaked",
        started_at=datetime(2026, 11, 29, 20, tzinfo=UTC),
        blocked_ms=1.0,
    )
    Journal.create(job_directory(tmp_path, "old") / f"{job.job_id}.jsonl", job).close()
    kill = a_desk(tmp_path, SimulatedStore(random.Random(1), delay_s=0), SimulatedVenue(3, quiet=True))
    found = await flat(looks_of(kill), DESK)
    assert not kill.running(DESK) and not found.holds
    assert found.left == ("old has a kill that did not end, and no key in the vault any more",)
    assert (await flat(looks_of(kill), DESK, "old is closed, I looked")).acknowledged
    await kill.rearm(DESK, "ann", "the leak is over", "desk")
    assert kill.engaged() == frozenset()


@pytest.mark.parametrize("answers", [False, True])
async def test_a_key_whose_rights_the_venue_will_not_tell_is_acknowledged_by_its_account(
    tmp_path: Path, answers: bool
) -> None:
    async def ask() -> Any:
        raise VenueRefused(-404, "status 404") if answers else VenueUnavailable("no answer")

    async def nothing(*_: object) -> bool:
        return False

    async def record(*_: object) -> None:
        return

    Fence.initialise(tmp_path)
    kill = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, quiet=True))
    watch = KeyWatch(account="main", ask=ask, accepted=tuple, reduce=nothing, only_alerts=lambda: False, record=record)
    look = Precondition("exchange keys", looks_of(kill, key=watch).exchange_keys)
    said = "main: a test network, which has no such question"
    (before,) = await checked([look], MAIN, said)
    assert (before.holds, before.left) == (False, ())
    assert await watch.check() is answers
    (found,) = await checked([look], MAIN, said)
    assert found.acknowledged is answers
    (unsaid,) = await checked([look], MAIN, "")
    assert not unsaid.holds
