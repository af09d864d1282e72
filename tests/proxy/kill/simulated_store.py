"""The shared store as gates and warden see it, in memory: answers take their time, and may not come at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.store.gates import GateWord
from proxy.store.telling import ToldHolds
from proxy.store.trouble import StoreUnavailable
from proxy.store.warden_store import AgedHold
from rules.model import TradingState


@dataclass
class SimulatedStore:
    """``delay_s`` is the longest way to it, and back. What is in ``away`` is not answered. ``filled`` is the server
    that a warden has filled."""

    chance: random.Random
    delay_s: float = 0.003
    fields: dict[str, str] = field(default_factory=dict)
    words: dict[str, tuple[int, float]] = field(default_factory=dict)
    under_way: dict[str, tuple[AgedHold, ...]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    server: str = "first"
    filled: str = "first"

    async def _way(self, who: str) -> None:
        await asyncio.sleep(self.chance.uniform(0, self.delay_s))
        if who in self.away:
            raise ConnectionError(who)

    async def set_state(self, level: str, state: TradingState, *, generation: int, kill_running: bool | None) -> int:
        await self._way("warden")
        number = max(generation, int(self.fields.get("generation", "0")))
        self.fields |= {level: state.value, "generation": str(number)}
        latch = f"kill:{level.removeprefix('killed:')}"
        if kill_running:
            self.fields[latch] = "1"
        elif kill_running is False:
            self.fields.pop(latch, None)
        await self._way("warden")
        return number

    async def controls(self) -> dict[str, str]:
        await self._way("warden")
        return dict(self.fields)

    async def gates(self) -> dict[str, GateWord]:
        await self._way("warden")
        now = asyncio.get_running_loop().time()
        return {gate: GateWord(generation, now - at) for gate, (generation, at) in self.words.items()}

    async def holds(self, account: str) -> tuple[AgedHold, ...]:
        await self._way("warden")
        return self.under_way.get(account, ())

    async def told_holds(self, accounts: Sequence[str]) -> ToldHolds:
        await self._way("warden")
        holds = tuple((account, aged.hold) for account in accounts for aged in self.under_way.get(account, ()))
        return ToldHolds(self.server, self.server == self.filled, holds)

    def fail_over(self, *, filled: bool) -> None:
        """Another server takes its place, and lacks the holds; ``filled`` where a warden has gone through it since."""
        self.server = "second"
        if filled:
            self.filled = self.server
        self.under_way.clear()

    def wipe(self) -> None:
        """It lost everything."""
        self.fields.clear()
        self.words.clear()
        self.under_way.clear()
        self.filled = ""


class Ear:
    """One gate's way to the store."""

    def __init__(self, store: SimulatedStore, name: str) -> None:
        self.store = store
        self.name = name

    async def hear(self, generation: int) -> Mapping[str, str]:
        try:
            await self.store._way(self.name)
        except ConnectionError:
            raise StoreUnavailable(self.name) from None
        self.store.words[self.name] = (generation, asyncio.get_running_loop().time())
        told = dict(self.store.fields)
        await asyncio.sleep(self.store.chance.uniform(0, self.store.delay_s))
        return told
