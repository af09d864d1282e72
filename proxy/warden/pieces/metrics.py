"""Builds what ``/metrics`` shows of a desk: one source for each part of the warden that knows something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from proxy.console.desk_views import DeskView
from proxy.drill.rehearsed import rehearsed
from proxy.metrics.from_budget import put_budget
from proxy.metrics.from_desk import put_desk
from proxy.metrics.from_drills import put_drills
from proxy.metrics.from_gates import put_gates
from proxy.metrics.from_kills import put_kills
from proxy.metrics.from_process import put_build, put_process
from proxy.metrics.from_signals import put_signals
from proxy.metrics.from_store import put_store
from proxy.metrics.gathering import Gatherer
from proxy.metrics.sheet import Sheet
from proxy.process_facts import process_facts
from proxy.signals.plane import SignalsPlane
from proxy.store.client import STORE_TROUBLE
from proxy.store.health import HealthStore
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground


def build_metrics(
    ground: Ground, desk: DeskPieces, glance: Callable[[], Awaitable[DeskView]], signals: SignalsPlane
) -> Gatherer:
    """Everything that is gathered for one scrape."""
    health = HealthStore(ground.settings.store, ground.settings.desk)
    ground.closing.push_async_callback(health.aclose)

    async def store(sheet: Sheet) -> None:
        try:
            seen = await health.look(list(desk.accounts))
        except STORE_TROUBLE:
            sheet.put("store_up", 0)
            raise
        put_store(sheet, seen, desk.accounts)
        put_gates(sheet, seen)

    async def seen(sheet: Sheet) -> None:
        put_desk(sheet, await glance())

    async def kills(sheet: Sheet) -> None:
        put_kills(sheet, await asyncio.to_thread(desk.kill.reports))

    async def drills(sheet: Sheet) -> None:
        accounts = await asyncio.to_thread(rehearsed, ground.settings.data_dir, list(desk.accounts))
        put_drills(sheet, accounts, ground.now())

    async def forecasts(sheet: Sheet) -> None:
        put_signals(sheet, await signals.signals())

    async def budget(sheet: Sheet) -> None:
        for venue, pieces in desk.venues.items():
            put_budget(sheet, venue, pieces.budget.standings(), pieces.budget.silences())

    async def process(sheet: Sheet) -> None:
        put_build(sheet)
        put_process(sheet, "warden", await asyncio.to_thread(process_facts))

    return Gatherer(
        {
            "store": store,
            "desk": seen,
            "kills": kills,
            "drills": drills,
            "signals": forecasts,
            "budget": budget,
            "process": process,
        }
    )
