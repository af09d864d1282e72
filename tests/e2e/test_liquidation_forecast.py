"""A leveraged position at the practice exchange: its odds of liquidation are published, obeyed, and grow old."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from proxy.practice.world import ACCOUNT
from proxy.store.embedded import embedded_url
from proxy.store.warden_store import WardenStore
from proxy.venues.binance.venue import VENUE
from rules.facts import AccountRecord, Forecast
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

BTC = "BTCUSDT"
HOUR_S = 3_600
DAYS = 40


class WarmWorld(LiveWorld):
    """A world whose forecasts are warmed from a file: the practice exchange remembers a day."""

    @property
    def environment(self) -> dict[str, str]:
        warm = self.data_dir / "bars.csv"
        if not warm.exists():
            warm.write_text(_bars())
        return super().environment | {"PERPGUARD_SIGNALS_WARM": json.dumps([str(warm)])}


def _bars() -> str:
    """Forty days of a wild market, up to the last full hour: three per cent an hour."""
    chance = np.random.default_rng(11)
    end = int(time.time()) // HOUR_S * HOUR_S
    rows, price = ["symbol,ts,open,high,low,close,volume"], 100.0
    for hour in range(DAYS * 24):
        path = price * np.exp(np.cumsum(chance.standard_normal(20) * 0.03 / 20**0.5))
        high, low = max(price, path.max()), min(price, path.min())
        rows.append(f"{BTC},{end - (DAYS * 24 - hour) * HOUR_S},{price},{high},{low},{path[-1]},1")
        price = float(path[-1])
    return "\n".join(rows) + "\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[WarmWorld]:
    rule = a_rule(
        "desk.liquidation_forecast", probability_max=0.05, horizon_s=86_400, forecast_age_max_s=9, when_stale="refuse"
    )
    with WarmWorld(tmp_path / "data", a_policy(rule), scenario="calm") as world:
        yield world


def record(world: LiveWorld) -> AccountRecord | None:
    async def ask() -> AccountRecord | None:
        store = WardenStore(embedded_url(world.data_dir), "demo")
        try:
            return await store.account_record(ACCOUNT)
        finally:
            await store.aclose()

    return asyncio.run(ask())


def signals(world: LiveWorld) -> Mapping[str, Any] | None:
    async def ask() -> Mapping[str, Any] | None:
        store = WardenStore(embedded_url(world.data_dir), "demo")
        try:
            return await store.signals(VENUE)
        finally:
            await store.aclose()

    return asyncio.run(ask())


def stated(world: LiveWorld) -> dict[tuple[str, int], Forecast]:
    found = record(world)
    forecasts = found.forecasts if found is not None else ()
    return {(each.symbol, each.horizon_s): each for each in forecasts if each.name == "liquidation"}


def code(answer: httpx.Response) -> str:
    return answer.headers.get("x-guard-code", "")


def test_the_odds_of_a_leveraged_position_are_published_obeyed_and_grow_old(world: WarmWorld) -> None:
    assert world.bot.order(BTC, "BUY", "0.8").status_code == 200, "nothing is held that could be liquidated"
    found = until(lambda: stated(world), "the odds are published")
    assert {("BTCUSDT", hours * HOUR_S) for hours in (1, 8, 24)} < set(found)
    hour, day, whole = found[BTC, HOUR_S], found[BTC, 24 * HOUR_S], found["", 24 * HOUR_S]
    assert 0 < hour.probability < day.probability <= whole.probability < 1
    assert not hour.reliable, "nothing has been scored yet"

    def refused() -> bool:
        answer = world.bot.order(BTC, "BUY", "0.001")
        return (code(answer), answer.status_code) == ("LIQUIDATION_PROBABILITY_ABOVE_LIMIT", 400)

    until(refused, "an entry is refused")

    told = until(lambda: told if (told := signals(world)) and told["accounts"] else None, "people are told")
    (leg,) = told["accounts"][0]["forecast"]["legs"]
    assert [each["move"] for each in leg["stress"]] == [-0.2, -0.4, -0.66] and leg["stress"][0]["hit"]
    btc = next(each for each in told["symbols"] if each["symbol"] == BTC)
    assert not btc["cold"] and btc["hours"] >= DAYS * 24 and 0.01 < btc["volatility"]["1"] < 0.1

    world.door.arm(unknown_503=100_000, unknown_503_execution="never", scope="reads")

    def old() -> bool:
        return all((datetime.now(UTC) - each.as_of).total_seconds() > 9 for each in stated(world).values())

    until(old, "the forecasts are old")
    world.bot.order(BTC, "BUY", "0.001")
    world.door.disarm()

    def judged_without() -> bool:
        measures = [
            each
            for record in world.export()
            for decision in record.get("decisions", ())
            for each in decision.get("measures", ())
        ]
        return any(each["name"] == "forecast" and each["value"] == "stale" for each in measures)

    until(judged_without, "the audit says that the forecast was stale", every_s=0.5)
    until(lambda: world.bot.order(BTC, "SELL", "0.8", reduceOnly="true").status_code == 200, "the way out is open")
    until(lambda: not stated(world), "nothing is held, nothing is stated")
    assert "Traceback" not in world.guard_log()
