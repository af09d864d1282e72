"""What a metrics page wants of the store: how it is, what gates told, what is held, how far the archive is behind.

Over a connection of its own, so that whoever reads metrics takes none that the warden needs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import redis.asyncio

from proxy.store.client import connect, connect_anew
from proxy.store.gate_report import GateReport, decode_reports
from proxy.store.gates import FORGOTTEN_AFTER_S, GateWord, decode_gates
from proxy.store.holds import decode_hold
from proxy.store.keys import Keys

TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldState:
    """The holds of one account in one state, and how long ago the stalest changed last. Of one that is UNKNOWN
    that is when it was made. ``None`` where nobody knows of any. The state may be one that this version does not
    know."""

    account: str
    state: str
    count: int
    age_s_max: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """One look at the store. ``lag_s`` is the age of the oldest record that waits for the archive."""

    answer_s: float
    info: Mapping[str, Any]
    generation: int
    gates: Mapping[str, GateWord]
    reports: Mapping[str, GateReport | None]
    holds: Sequence[HoldState]
    waiting: int
    lag_s: float


class HealthStore:
    """One process's access. Every method raises what the store client raises."""

    def __init__(self, url: str, desk: str) -> None:
        self._redis: redis.asyncio.Redis = connect(url, timeout_s=TIMEOUT_S, connections_max=2)
        self._keys = Keys(desk)

    async def look(self, accounts: Sequence[str]) -> StoreHealth:
        """Everything, in two round trips. Reports of places whose gate ended more than a minute ago are forgotten.

        Where the server has become a replica, it connects anew and asks once more.
        """
        found = await self._look(accounts)
        if found.info.get("role") == "slave":
            await connect_anew(self._redis)
            found = await self._look(accounts)
        await self._forget([place for place, report in found.reports.items() if _is_gone(report, found.gates)])
        return found

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _look(self, accounts: Sequence[str]) -> StoreHealth:
        began = time.monotonic()
        await self._redis.ping()
        answer_s = time.monotonic() - began
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.info()
        pipeline.hget(self._keys.controls, "generation")
        pipeline.hgetall(self._keys.gates)
        pipeline.hgetall(self._keys.reports)
        pipeline.xlen(self._keys.audit)
        pipeline.xrange(self._keys.audit, count=1)
        for account in accounts:
            pipeline.hgetall(self._keys.holds(account))
        (seconds, micros), info, generation, gates, reports, waiting, oldest, *holds = await pipeline.execute()
        now_us = int(seconds) * 1_000_000 + int(micros)
        return StoreHealth(
            answer_s=answer_s,
            info=info,
            generation=int(generation or 0),
            gates=decode_gates(gates, now_us),
            reports=decode_reports(reports),
            holds=[state for name, held in zip(accounts, holds, strict=True) for state in _states(name, held, now_us)],
            waiting=int(waiting),
            lag_s=max(0.0, now_us / 1e6 - int(str(oldest[0][0]).partition("-")[0]) / 1e3) if oldest else 0.0,
        )

    async def _forget(self, places: Sequence[str]) -> None:
        if places:
            await self._redis.hdel(self._keys.reports, *places)


def _is_gone(report: GateReport | None, words: Mapping[str, GateWord]) -> bool:
    """One that another version wrote counts as gone: if its gate lives, it tells the same again in two seconds."""
    return report is None or report.gate not in words or words[report.gate].age_s > FORGOTTEN_AFTER_S


def _states(account: str, holds: Mapping[str, str], now_us: int) -> list[HoldState]:
    changed: dict[str, list[int]] = {}
    for hold_id, text in holds.items():
        state, at_us = _told(hold_id, text)
        changed.setdefault(state, []).append(at_us)
    return [
        HoldState(account=account, state=state, count=len(times), age_s_max=_age_s_max(times, now_us))
        for state, times in changed.items()
    ]


def _told(hold_id: str, text: str) -> tuple[str, int]:
    """A hold's state, and its time as ``decode_hold`` says it. Of one that another version of the guard wrote, and that
    cannot be read, the state as it stands there, and no time."""
    try:
        hold, at_us = decode_hold(hold_id, text)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError):
        return text.partition("|")[2].partition("|")[0], 0
    return hold.status.value, at_us


def _age_s_max(times: Sequence[int], now_us: int) -> float | None:
    known = list(filter(None, times))
    return max(0, now_us - min(known)) / 1e6 if known else None
