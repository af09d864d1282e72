"""The controls of a desk: what gates are told to obey, and how far each of them obeys it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from proxy.store.client import Script
from proxy.store.desk_store import DeskStore
from proxy.store.epoch import GENERATION_MAX
from proxy.store.gates import FORGOTTEN_AFTER_S, GateWord, decode_gates
from proxy.store.ownership import ELSEWHERE, DeskTaken
from proxy.store.ramp import ramp_field
from rules.model import TradingState
from rules.ramp import WHOLE


class Controls(DeskStore):
    """Trading states, kill latches, ramps and switched off guard keys of one desk, and the gates that heed them."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        super().__init__(url, desk, guard)
        self._state = Script.named("state")

    async def set_state(self, level: str, state: TradingState, *, generation: int, kill_running: bool | None) -> int:
        """Set the trading state of ``desk``, ``venue:``, ``account:``, ``bot:`` or ``symbol:NAME``, and the kill latch.

        A killed bot has a level of its own, ``killed:bot:NAME``; its latch is named like the others, ``kill:bot:NAME``.
        The number in the store now: ``generation``, or a greater one that stands there, which stays. Not of another
        guard's desk: raises ``DeskTaken``.
        """
        latch = f"kill:{level.removeprefix('killed:')}"
        runs = "" if kill_running is None else str(int(kill_running))
        arguments = [self._ownership.guard, level, state.value, generation, GENERATION_MAX, latch, runs]
        reply = await self._ownership.run(self._state, [self._keys.controls], arguments)
        return int(reply[0])

    async def set_ramp(self, scope: str, share: Decimal) -> None:
        """Say what fraction of its limits a scope has that came back; all of them takes the word back. Raises
        ``DeskTaken``, as ``set_state`` does."""
        field = ramp_field(scope)
        command = ("HDEL", field) if share == WHOLE else ("HSET", field, f"{share:f}")
        await self._ownership.write(self._keys.controls, command)

    async def controls(self) -> dict[str, str]:
        """Every trading state and kill latch that is set. Raises ``DeskTaken``, as ``set_state`` does: another guard's
        stops are none of ours."""
        self._ownership.check()
        fields: Any = await self._redis.hgetall(self._keys.controls)
        if self._ownership.is_anothers(fields.get("guard")):
            raise DeskTaken(ELSEWHERE)
        return dict(fields)

    async def gates(self) -> dict[str, GateWord]:
        """Every gate that has asked of late, and what it obeys; those that have ended are forgotten."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(self._keys.gates)
        (seconds, micros), fields = await pipeline.execute()
        found = decode_gates(fields, int(seconds) * 1_000_000 + int(micros))
        gone = [gate for gate, word in found.items() if word.age_s > FORGOTTEN_AFTER_S]
        if gone:
            await self._redis.hdel(self._keys.gates, *gone)
        return {gate: word for gate, word in found.items() if gate not in gone}

    async def set_key_disabled(self, guard_key: str, *, disabled: bool) -> None:
        """Switch a guard key off, or on again, for every gate. Raises ``DeskTaken``, as ``set_state`` does."""
        command = ("HSET", guard_key, "1") if disabled else ("HDEL", guard_key)
        await self._ownership.write(self._keys.disabled, command)
