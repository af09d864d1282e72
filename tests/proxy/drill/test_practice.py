"""A rehearsal passes only when there was something to stop and to close, as there would be at a real press."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.drill import practice
from proxy.drill.load import Sent
from proxy.drill.shelf import AccountDrill, DrillReport
from proxy.drill.world import DrillWorld

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
FLAT = AccountDrill(
    account="main",
    phase="FLAT",
    positions=1,
    orders=3,
    blocked_ms=5,
    cancelled_ms=300,
    flat_ms=900,
    verified_ms=6_000,
    cost_estimate="",
    estimate_in_book="",
    cost="",
)


@dataclass
class World:
    """A practice exchange on which the kill ended flat, and no order came after it."""

    positions_not_copied: int = 0
    not_copied: list[str] = field(default_factory=list)
    data_dir: Path = Path("/nowhere")

    def ask(self, method: str, path: str, body: Any = None) -> Mapping[str, Any]:
        return {"blocked_ms": 5.0, "kill": {"running": False}}

    def sandbox(self, method: str, path: str) -> Mapping[str, Any]:
        return {"entries": []}


@dataclass
class Load:
    sent: Sent
    rate_per_s: float = 10.0

    async def run(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "LOAD_BEFORE_S", 0.01)
    monkeypatch.setattr(practice, "measured", lambda data_dir: (FLAT,))


async def rehearsed(monkeypatch: pytest.MonkeyPatch, world: World, sent: Sent | None) -> DrillReport:
    monkeypatch.setattr(practice, "_load", lambda *_: Load(sent) if sent is not None else None)
    return await practice._pressed(cast(DrillWorld, world), {}, by="ann", seen_per_s=0, at=AT, say=lambda line: None)


@pytest.mark.parametrize("sent", [Sent(orders=20, passed=19), None], ids=["under load", "nothing to trade"])
async def test_a_book_that_was_copied_and_closed_passes(monkeypatch: pytest.MonkeyPatch, sent: Sent | None) -> None:
    report = await rehearsed(monkeypatch, World(), sent)
    assert (report.passed, report.trouble) == (True, "")
    assert report.taken == (19 if sent is not None else None)


async def test_a_position_that_was_not_copied_was_not_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(positions_not_copied=1, not_copied=["BTCUSDT position of main: refused"])
    report = await rehearsed(monkeypatch, world, Sent(orders=20, passed=19))
    assert not report.passed and "1 positions were not copied" in report.trouble


async def test_a_press_on_orders_of_which_none_was_taken_has_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    report = await rehearsed(monkeypatch, World(), Sent(orders=240, failed=240))
    assert not report.passed and "none of the bot's orders was taken" in report.trouble
    assert (report.sent, report.taken) == (240, 0)


async def test_an_order_that_was_not_copied_is_named_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    report = await rehearsed(monkeypatch, World(not_copied=["BTCUSDT LIMIT of main: refused"]), Sent(20, 20))
    assert report.passed and report.not_copied == ("BTCUSDT LIMIT of main: refused",)
