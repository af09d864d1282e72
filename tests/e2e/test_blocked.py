"""F01 with real processes: bots that send as fast as they can, presses at random moments, and the exchange's own log.

BLOCKED comes back when every gate has said that it obeys, so what is sent afterwards has no business in the log. What a
gate handed to the kernel before may still be read by the exchange; two of our own requests, one after the other, are
read behind it, and from then on nothing may arrive. Each comes by a connection of its own, because the gate's may have
been new: connections are accepted in the order in which they came, and take some turns more than those that stand.
Ten thousand presses, in virtual time, are in `tests/proxy/kill/test_blocked.py`.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.kill.desk import KillDesk
from proxy.kill.hands import AccountHands
from proxy.kill.rearm import RearmRefused
from proxy.kill.report import KillReport
from proxy.kill.roster import Roster
from proxy.practice.world import ACCOUNT
from proxy.store.embedded import embedded_url
from proxy.store.fence import DESK, Scope
from proxy.store.gates import LEASE_S
from proxy.store.warden_store import WardenStore
from rules.kill.settings import Flatten
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

pytestmark = pytest.mark.full

BOT = "demo-bot"
PRESSES = 200
SENDERS = 4
SCOPES = (DESK, Scope(venue="binanceusdm"), Scope(ACCOUNT), Scope(bot=BOT))


class Senders:
    """Bots of one key that send entries for as long as they are not told to stop, and count what passed."""

    def __init__(self, world: LiveWorld) -> None:
        self.world = world
        self.passed = [0] * SENDERS
        self.ended = threading.Event()

    def run(self, number: int) -> None:
        bot = self.world.bot_named(BOT)
        while not self.ended.is_set():
            side = "BUY" if self.passed[number] % 2 == 0 else "SELL"
            try:
                answer = bot.order("BTCUSDT", side, "0.002")
            except httpx.HTTPError:
                continue
            self.passed[number] += answer.status_code == 200


@contextmanager
def sending(world: LiveWorld) -> Iterator[Senders]:
    senders = Senders(world)
    threads = [threading.Thread(target=senders.run, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield senders
    finally:
        senders.ended.set()
        for thread in threads:
            thread.join()


def a_button(world: LiveWorld, store: WardenStore) -> KillDesk:
    """A kill desk with no account to make flat, so that the next press need not wait for the calm of the last."""

    async def record(what: str, by: str, detail: dict[str, Any]) -> None:
        return

    async def certify(report: KillReport) -> None:
        return

    def nobody(bot: str, account: str) -> AccountHands:
        raise AssertionError("nobody is to be made flat")

    return KillDesk(
        data_dir=world.data_dir,
        roster=Roster(hands={}, venues={}, traders=list, bot_hands=nobody),
        store=store,
        record=record,
        certify=certify,
        changed=lambda scope: None,
        flatten=Flatten,
    )


def test_f01_nothing_arrives_after_blocked(tmp_path: Path) -> None:
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    with LiveWorld(tmp_path / "data", policy, balance=10_000_000, gate_workers=2) as world, sending(world) as senders:
        until(lambda: all(senders.passed), "everybody sends", 60)
        asyncio.run(press_at_random(world, senders))
        print(f"{PRESSES} presses, {sum(senders.passed)} entries before them, none after")
        assert "pressing for" not in world.guard_log(), "the guard took up a press that was answered"


async def press_at_random(world: LiveWorld, senders: Senders) -> None:
    chance, took = random.Random(1), list[float]()
    store = WardenStore(embedded_url(world.data_dir), "demo")
    desk = a_button(world, store)
    try:
        for number in range(PRESSES):
            await let_go(desk, senders)
            await asyncio.sleep(chance.uniform(0, 0.01))
            scope = chance.choice(SCOPES)
            blocked = await desk.press(scope, "ann", "a random moment")
            if (blocked.gates.gates, blocked.gates.silent) == (2, ()):
                took.append(blocked.blocked_ms)
            else:  # A machine too busy to answer in time says so; what it says is not what is tested here.
                await asyncio.sleep(LEASE_S)
            total = await asyncio.to_thread(read_behind, world)
            await asyncio.sleep(0.05)
            late = world.door.log()[total:]
            assert late == [], f"press {number} of {scope}: arrived after BLOCKED: {late}"
    finally:
        await store.aclose()
    assert len(took) > 0.8 * PRESSES, "most presses were not acknowledged in time"
    took.sort()
    print(f"blocked after {took[len(took) // 2]} ms, p99 {took[int(len(took) * 0.99)]} ms")


async def let_go(desk: KillDesk, senders: Senders) -> None:
    """Re-arm whatever stands, until entries pass. The guard's own warden compares the truths at the same time, and may
    carry a stop on that it read before: in one process the two wait for each other, here they do not."""
    before, deadline = sum(senders.passed), time.monotonic() + 60
    while sum(senders.passed) < before + 3:
        assert time.monotonic() < deadline, "entries do not pass again"
        for scope in desk.engaged():
            with suppress(RearmRefused):
                await desk.rearm(scope, "bob", "the next one, please", str(scope))
        await asyncio.sleep(0.05)


def read_behind(world: LiveWorld) -> int:
    """How much has arrived, once everything that was in the kernel's hands has been read."""
    for _ in range(2):
        httpx.get(f"{world.places.exchange}/sandbox/log", timeout=30, trust_env=False).raise_for_status()
    return world.door.total()
