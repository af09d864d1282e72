"""What must hold before a scope trades again, as the guard's own looks find it: what a person says of what is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.accounts.key_watch import KeyWatch
from proxy.exchange.troubles import VenueRefused, VenueUnavailable
from proxy.kill.desk import KillDesk
from proxy.kill.jobs import job_directory
from proxy.kill.journal import Job, Journal
from proxy.kill.preconditions import Checked, Precondition, checked, not_named
from proxy.kill.rearm import RearmRefused
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.warden_store import AgedHold
from proxy.vault.keys import Secret
from proxy.vault.sealing import WORK_FACTOR_MIN
from proxy.vault.vault import Vault
from proxy.warden.pieces.hands import newcomers
from proxy.warden.pieces.preconditions import Preconditions
from rules.account import Hold, HoldStatus, Position
from rules.model import PositionSide
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk
from tests.proxy.kill.virtual_time import in_virtual_time

MAIN = Scope("main")


def looks_of(
    kill: KillDesk, positions: Sequence[Position] = (), key: KeyWatch | None = None, store: SimulatedStore | None = None
) -> Preconditions:
    """The looks of a desk of the account ``main``, whose newest survey shows these positions."""
    account = SimpleNamespace(name="main", open_orders=(), positions=tuple(positions), shares=())
    pieces: Any = SimpleNamespace(keeper=SimpleNamespace(account=account, venue="binanceusdm"), key=key)
    ground: Any = SimpleNamespace(scribe=SimpleNamespace(verification=None), store=store)
    return Preconditions(ground, kill, {"main": pieces}, {}, ground)


async def flat(looks: Preconditions, scope: Scope, said: str = "") -> Checked:
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

    async def looked_at(looks: Preconditions) -> None:
        found = await flat(looks, MAIN)
        assert not found.holds and len(found.left) == 1 and found.left[0].startswith(line)
        assert not (await flat(looks, MAIN, "something is left, I live with it")).holds
        assert (await flat(looks, MAIN, f"{name} is left, I live with it")).acknowledged

    kill, positions = in_virtual_time(killed())
    assert kill.reports()[0].phase.value == ("FLAT_EXCEPT_DUST" if what == "dust" else "DEGRADED")
    asyncio.run(looked_at(looks_of(kill, positions)))


def a_kill_that_did_not_end(data_dir: Path, account: str, scope: str = "desk") -> None:
    job = Job(
        job_id="20261129T200000000000-0a0a0a0a",
        account=account,
        scope=scope,
        by="ann",
        reason="a key leaked",
        started_at=datetime(2026, 11, 29, 20, tzinfo=UTC),
        blocked_ms=1.0,
    )
    Journal.create(job_directory(data_dir, account) / f"{job.job_id}.jsonl", job).close()


async def test_a_kill_of_an_account_that_left_the_vault_is_acknowledged_by_its_name(tmp_path: Path) -> None:
    Fence.initialise(tmp_path).engage(DESK)
    a_kill_that_did_not_end(tmp_path, "old")
    kill = a_desk(tmp_path, SimulatedStore(random.Random(1), delay_s=0), SimulatedVenue(3, quiet=True))
    found = await flat(looks_of(kill), DESK)
    assert not kill.running(DESK) and not found.holds
    assert found.left == ("kill:old did not end, and no key of it is in the vault any more",)
    assert not (await flat(looks_of(kill), DESK, "what old dust there is, I hold")).holds
    assert (await flat(looks_of(kill), DESK, "kill:old is closed, I looked")).acknowledged
    await kill.rearm(DESK, "ann", "the leak is over", "desk")
    assert kill.engaged() == frozenset()


@pytest.mark.parametrize(
    ("scope", "bot", "holds"),
    [
        (Scope(bot="grid"), "maker", True),
        (Scope(bot="grid"), "grid", False),
        (MAIN, "maker", False),
        (DESK, "maker", False),
    ],
    ids=str,
)
async def test_what_another_bot_has_under_way_keeps_no_killed_bot_from_coming_back(
    tmp_path: Path, scope: Scope, bot: str, holds: bool
) -> None:
    Fence.initialise(tmp_path).engage(scope)
    store = SimulatedStore(random.Random(1), delay_s=0)
    kill = a_desk(tmp_path, store, SimulatedVenue(3, quiet=True))
    kill.roster = replace(kill.roster, traders=lambda: [("grid", "main"), ("maker", "main")])
    under_way = Hold(hold_id="h", bot=bot, status=HoldStatus.PENDING, orders=(), sequence=1)
    store.under_way["main"] = (AgedHold(under_way, 1),)
    found = await looks_of(kill, store=store).nothing_unknown(scope)
    said = "no order with an unknown outcome" if holds else "1 orders whose outcome is not known"
    assert (found.holds, found.said) == (holds, said)


@pytest.mark.parametrize("scope", [DESK, Scope(venue="binanceusdm")])
async def test_a_kill_of_an_account_that_came_into_the_vault_since_is_an_obstacle(tmp_path: Path, scope: Scope) -> None:
    Fence.initialise(tmp_path).engage(scope)
    a_kill_that_did_not_end(tmp_path, "new", "account:new")
    path = tmp_path / "vault"
    now, passphrase = datetime(2026, 11, 29, 19, tzinfo=UTC), Secret("a test of the vault")
    vault = Vault.create(path, passphrase, work_factor=WORK_FACTOR_MIN)
    ground: Any = SimpleNamespace(vault=vault)
    kill = a_desk(tmp_path, SimulatedStore(random.Random(1), delay_s=0), SimulatedVenue(3, quiet=True))
    kill.roster = replace(kill.roster, newcomers=lambda: newcomers(ground, {}))
    if scope == DESK:
        assert kill.abandoned(scope) == ("new",)
    Vault.open(path, passphrase).add_exchange_key(
        account="new", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s" * 64), now=now
    )
    assert (kill.abandoned(scope), kill.running(scope)) == ((), True)
    found = await flat(looks_of(kill), scope, "kill:new is closed, I looked")
    assert (found.holds, found.left) == (False, ())
    assert found.said == "the kill of new has not ended; restart the guard: it does not know this account yet"
    with pytest.raises(RearmRefused, match="the kill of new has not ended"):
        await kill.rearm(scope, "ann", "the leak is over", str(scope))
    assert kill.engaged() == {scope}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("DOGEUSDT LONG 0.04 of main", {"DOGEUSDT"}),
        ("dust, nothing else remaining of DOGEUSDT.", {"DOGEUSDT"}),
        ("(dogeusdt), dogeusdt-long: I live with it", {"DOGEUSDT"}),
        ("我知道DOGEUSDT还在", {"DOGEUSDT"}),
        ("1000DOGEUSDT and DOGEUSDT_261225", set[str]()),
        ("DOGEUSDT, key:main.", {"DOGEUSDT", "key:main"}),
        ("key:main-2, kill:main, monkey:main", {"key:main-2"}),
        ("Key:main and key:main-2; both may withdraw", {"key:main", "key:main-2"}),
    ],
)
def test_what_is_left_is_named_by_whole_words(said: str, names: set[str]) -> None:
    left = ("DOGEUSDT LONG 0.04 of main", "key:main withdrawals", "key:main-2 withdrawals")
    assert {line.partition(" ")[0] for line in left} - set(not_named(left, said)) == names


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
    said = "key:main is of a test network, which has no such question"
    (before,) = await checked([look], MAIN, said)
    assert (before.holds, before.left) == (False, ())
    assert await watch.check() is answers
    (found,) = await checked([look], MAIN, said)
    assert found.acknowledged is answers
    for another in ("", "DOGEUSDT LONG 0.04 of main", "DOGEUSDT dust, nothing else remaining"):
        (unsaid,) = await checked([look], MAIN, another)
        assert not unsaid.holds


@pytest.mark.parametrize("code", [-2014, -2015])
async def test_a_key_that_the_venue_refuses_is_wrong_and_not_untold(tmp_path: Path, code: int) -> None:
    async def ask() -> Any:
        raise VenueRefused(code, "Invalid API-key, IP, or permissions for action.")

    Fence.initialise(tmp_path)
    kill = a_desk(tmp_path, SimulatedStore(random.Random(1)), SimulatedVenue(3, quiet=True))
    nothing: Any = None
    watch = KeyWatch(account="main", ask=ask, accepted=tuple, reduce=nothing, only_alerts=lambda: False, record=nothing)
    assert not await watch.check(), "a key that was mended is not refused for another hour"
    look = Precondition("exchange keys", looks_of(kill, key=watch).exchange_keys)
    (found,) = await checked([look], MAIN, "DOGEUSDT LONG 0.04 of main")
    assert not found.holds and found.left[0].startswith(f"key:main the exchange refuses it (refused ({code})")
    (named,) = await checked([look], MAIN, "key:main is off, and stays off")
    assert named.acknowledged
