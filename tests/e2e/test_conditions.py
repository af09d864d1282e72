"""What the running guard has measured of the practice exchange, as its gates are given it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.ledger.marks import MarkReader, MarksUnavailable, marks_path
from proxy.store.embedded import embedded_url
from proxy.store.warden_store import WardenStore
from rules.facts import PRICE_WINDOWS_S, Conditions
from tests.support.policies import a_policy
from tests.support.worlds import LiveWorld, until

TRADING = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT"}


def published(world: LiveWorld) -> Conditions | None:
    async def ask() -> Conditions | None:
        store = WardenStore(embedded_url(world.data_dir), "demo")
        try:
            return await store.conditions("binanceusdm")
        finally:
            await store.aclose()

    return asyncio.run(ask())


def everything(world: LiveWorld) -> Conditions | None:
    """The conditions once every part of every symbol is known."""
    found = published(world)
    if found is None or set(found.symbols) != TRADING or len(found.correlations) != 10:
        return None
    for condition in found.symbols.values():
        parts = (
            condition.daily_volume,
            condition.open_interest,
            condition.volatility,
            condition.volatility_usual,
            condition.bid_depth,
            condition.ask_depth,
            condition.temperature,
            *(condition.range_of(window_s) for window_s in PRICE_WINDOWS_S),
        )
        if None in parts:
            return None
    return found


def test_everything_is_known_before_anybody_orders_and_orders_and_marks_are_remembered(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy(), scenario="calm") as world:
        found = until(lambda: everything(world), "everything is measured", 90, every_s=0.5)
        assert all(datetime.now(UTC) - each.as_of < timedelta(minutes=3) for each in found.symbols.values())
        for _ in range(3):
            world.bot.order("SOLUSDT", "BUY", "1").raise_for_status()

        def measured() -> Conditions | None:
            now = published(world)
            latency = now.latency if now is not None else None
            known = latency is not None and latency.round_trip_ms is not None and latency.stream_lag_ms is not None
            return now if known and latency is not None and latency.clock_skew_ms is not None else None

        until(measured, "the way to the exchange is measured", 30)
        reader = MarkReader(marks_path(world.data_dir))

        def kept() -> bool:
            try:
                now = datetime.now(UTC)
                marks = reader.marks_between("binanceusdm", "SOLUSDT", now - timedelta(minutes=2), now)
                fundings = reader.funding_between("binanceusdm", "SOLUSDT", now - timedelta(days=2), now)
            except MarksUnavailable:
                return False
            return bool(marks) and len(fundings) >= 2

        until(kept, "the mark and the fundings are on the disk", 60, every_s=0.5)
        assert "Traceback" not in world.guard_log()
