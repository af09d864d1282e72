"""The last stop of a leg goes: after a short grace the account is reduce-only, and it is said once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.accounts import protection_watch
from proxy.accounts.protection_watch import ProtectionWatch, stop_rules
from rules.account import Account, OpenOrder
from rules.decision import Enforcement
from rules.facts import Unprotected
from rules.model import OrderType, PositionSide, Side
from rules.position.protective_stop import ProtectiveStop
from rules.rule import Rule
from tests.rules.builders import NOW, World, a_policy, an_account, an_open_order

BOTH = PositionSide.BOTH
RULE = ProtectiveStop(within_s=10, distance_max=Decimal("0.05"), replace_s=1)
LONG = an_account().long("BTCUSDT", "1")


def a_stop(order_id: str = "1", symbol: str = "BTCUSDT", trigger: str = "48000") -> OpenOrder:
    return an_open_order(
        Side.SELL,
        symbol,
        "1",
        order_id=order_id,
        order_type=OrderType.STOP_MARKET,
        reduce_only=True,
        trigger_price=trigger,
    )


class Desk:
    """The kill desk and the audit around one watch, and a clock that the test turns."""

    def __init__(self, *rules: ProtectiveStop) -> None:
        self.rules = rules
        self.at = 1000.0
        self.reduced: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.killed = self.store_gone = False
        self.looks = 0
        self.watch = ProtectionWatch(
            account="demo",
            rules=lambda: self.rules,
            response=self,
            record=self._record,
            now=self._now,
            monotonic=lambda: self.at,
        )

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.at - 1000)

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        self.looks += 1
        if self.store_gone:
            raise StoreGone
        self.reduced.append(f"{account} by {by}: {reason}")
        return True

    def stopped(self, account: str) -> bool:
        return self.killed

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.records.append({"what": what, "by": by, **detail})

    def shows(self, world: World) -> None:
        self.watch.saw(published(world))


def published(world: World) -> Account:
    assert world.account is not None
    return world.account


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(protection_watch, "TICK_S", 0.001)
    return Desk(RULE)


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[None]:
    task = asyncio.create_task(desk.watch.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def rest() -> None:
    """Long enough for the watch to have looked many times."""
    for _ in range(30):
        await asyncio.sleep(0.001)


async def test_the_last_stop_goes_and_the_account_is_reduce_only(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG)
        desk.at += 0.9
        await rest()
        assert desk.reduced == [] and desk.records == []
        desk.at += 0.2
        await rest()
    assert desk.reduced == ["demo by warden: PROTECTION_LOST: BTCUSDT BOTH has no protective stop any more"]
    assert desk.records == [
        {
            "what": "protection.lost",
            "by": "warden",
            "account": "demo",
            "symbol": "BTCUSDT",
            "position_side": "BOTH",
            "replace_s": 1,
        }
    ]
    assert "PROTECTION_LOST on demo: BTCUSDT BOTH has no stop any more" in caplog.text


@pytest.mark.parametrize(
    "then",
    [LONG.resting(a_stop("2")), an_account(), LONG.resting(a_stop("2", trigger="50000"))],
    ids=["replaced", "closed", "moved to the entry"],
)
async def test_a_stop_that_is_replaced_and_a_leg_that_is_closed_are_nothing(desk: Desk, then: World) -> None:
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG)
        desk.shows(then)
        desk.at += 60
        await rest()
    assert desk.reduced == [] and desk.records == []


async def test_the_grace_runs_from_the_loss_however_many_documents_follow(desk: Desk) -> None:
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        for _ in range(4):
            desk.shows(LONG)
            desk.at += 0.3
        await rest()
    assert len(desk.reduced) == 1


async def test_one_of_two_stops_may_go(desk: Desk) -> None:
    async with running(desk):
        desk.shows(LONG.resting(a_stop(), a_stop("2")))
        desk.shows(LONG.resting(a_stop("2")))
        desk.at += 60
        await rest()
    assert desk.reduced == []


async def test_a_stop_that_is_moved_out_of_the_band_is_gone(desk: Desk) -> None:
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG.resting(a_stop("2", trigger="30000")))
        desk.at += 2
        await rest()
    assert len(desk.reduced) == 1


async def test_a_leg_that_never_had_a_stop_has_lost_none(desk: Desk) -> None:
    async with running(desk):
        desk.shows(LONG)
        desk.at += 60
        desk.shows(LONG)
        await rest()
    assert desk.reduced == []
    assert desk.watch.unprotected == (Unprotected(symbol="BTCUSDT", position_side=BOTH, since=NOW),)


@pytest.mark.parametrize(
    "rule",
    [replace(RULE, enforcement=Enforcement.REPORT), replace(RULE, level="symbol:ETHUSDT")],
    ids=["report", "other"],
)
async def test_only_a_rule_that_is_enforced_for_the_symbol_is_acted_on(desk: Desk, rule: ProtectiveStop) -> None:
    desk.rules = (rule,)
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG)
        desk.at += 60
        await rest()
    assert desk.reduced == []


async def test_the_shortest_grace_of_the_leg_s_rules_counts(desk: Desk) -> None:
    longer = replace(RULE, replace_s=30)
    desk.rules = (longer, replace(RULE, level="symbol:BTCUSDT", replace_s=2), replace(RULE, level="symbol:ETHUSDT"))
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG)
        desk.at += 2
        await rest()
    assert [each["replace_s"] for each in desk.records] == [2]


async def test_a_kill_that_cancels_stops_is_no_alarm(desk: Desk) -> None:
    async with running(desk):
        desk.shows(LONG.resting(a_stop()))
        desk.killed = True
        desk.shows(LONG)
        desk.at += 60
        await rest()
    assert desk.reduced == [] and desk.records == []


async def test_while_the_store_is_away_it_is_tried_again_and_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(desk):
        desk.store_gone = True
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG)
        desk.at += 2
        await rest()
        assert desk.looks > 1 and desk.reduced == []
        desk.store_gone = False
        await rest()
    assert len(desk.reduced) == len(desk.records) == 1
    assert "demo cannot be made reduce-only yet: ConnectionError" in caplog.text


def test_unprotected_legs_are_kept_with_their_time(desk: Desk) -> None:
    desk.shows(LONG)
    desk.at += 5
    desk.shows(LONG.long("ETHUSDT", "1"))
    since = {each.symbol: (each.since - NOW).total_seconds() for each in desk.watch.unprotected}
    assert since == {"BTCUSDT": 0, "ETHUSDT": 5}
    desk.shows(LONG.resting(a_stop()))
    assert desk.watch.unprotected == ()


def test_a_policy_that_changes_is_followed(desk: Desk) -> None:
    desk.rules = ()
    desk.shows(LONG)
    assert desk.watch.unprotected == ()
    desk.rules = (RULE,)
    desk.shows(LONG)
    assert [each.symbol for each in desk.watch.unprotected] == ["BTCUSDT"]


async def test_a_stop_cancelled_while_no_warden_was_there_is_lost_too(desk: Desk) -> None:
    before = Unprotected(symbol="ETHUSDT", position_side=BOTH, since=NOW - timedelta(seconds=40))
    world = LONG.long("ETHUSDT", "1")
    desk.watch.restore(published(world.resting(a_stop())), [before])
    assert desk.watch.unprotected == (before,)
    async with running(desk):
        desk.shows(world)
        desk.at += 2
        await rest()
    assert [each["symbol"] for each in desk.records] == ["BTCUSDT"]


@pytest.mark.parametrize(("down_s", "more_s"), [(0.2, 0.6), (30.0, 0.0)])
async def test_a_stop_that_went_before_a_restart_is_still_waited_for(desk: Desk, down_s: float, more_s: float) -> None:
    """It went 0.3 seconds before the end, and had a second to be replaced."""
    desk.shows(LONG.resting(a_stop()))
    desk.shows(LONG)
    desk.at += 0.3
    remembered = desk.watch.unprotected
    desk.at += down_s
    next_watch = Desk(RULE)
    next_watch.at = desk.at
    next_watch.watch.restore(published(LONG), remembered)
    assert next_watch.watch.unprotected == remembered
    async with running(next_watch):
        await rest()
        assert next_watch.reduced == [], "whether it was replaced meanwhile, a document has to show"
        next_watch.shows(LONG)
        assert next_watch.watch.unprotected == remembered
        next_watch.at += max(0.0, more_s - 0.2)
        await rest()
        assert bool(next_watch.reduced) is (more_s == 0.0)
        next_watch.at += 0.2
        await rest()
    assert len(next_watch.reduced) == len(next_watch.records) == 1
    assert [each.lost_at for each in next_watch.watch.unprotected] == [None]


@pytest.mark.parametrize("then", [LONG.resting(a_stop("2")), an_account()], ids=["replaced", "closed"])
async def test_a_stop_that_was_replaced_during_a_restart_was_not_lost(desk: Desk, then: World) -> None:
    before = Unprotected(symbol="BTCUSDT", position_side=BOTH, since=NOW, lost_at=NOW)
    desk.watch.restore(published(LONG), [before])
    async with running(desk):
        desk.at += 60
        desk.shows(then)
        desk.shows(then)
        await rest()
    assert desk.reduced == [] and desk.watch._lost == {}


async def test_what_the_store_could_not_be_told_is_told_by_the_next_warden(desk: Desk) -> None:
    async with running(desk):
        desk.store_gone = True
        desk.shows(LONG.resting(a_stop()))
        desk.shows(LONG)
        desk.at += 2
        await rest()
    remembered = desk.watch.unprotected
    assert [each.lost_at for each in remembered] == [NOW]
    next_watch = Desk(RULE)
    next_watch.watch.restore(published(LONG), remembered)
    async with running(next_watch):
        next_watch.at += 5
        next_watch.shows(LONG)
        await rest()
    assert len(next_watch.reduced) == 1


def test_nothing_published_before_is_nothing_to_take_up(desk: Desk) -> None:
    desk.watch.restore(None)
    assert desk.watch.unprotected == ()


def test_a_leg_listed_for_both_sides_has_the_stop_of_either(desk: Desk) -> None:
    both = LONG.resting(a_stop()).short("BTCUSDT", "1")
    desk.shows(LONG.resting(a_stop()))
    desk.shows(both)
    assert desk.watch._lost == {}


def test_the_rules_of_an_account_are_the_desk_s_its_own_and_those_of_symbols() -> None:
    rules: list[Rule] = [
        RULE,
        replace(RULE, level="account:demo"),
        replace(RULE, level="symbol:BTCUSDT"),
        replace(RULE, level="account:other"),
        replace(RULE, level="symbol:ETHUSDT", enforcement=Enforcement.OFF),
    ]
    assert [rule.level for rule in stop_rules(a_policy(*rules), "demo")] == ["desk", "account:demo", "symbol:BTCUSDT"]


async def test_a_leg_that_a_new_policy_finds_bare_has_not_lost_its_stop(desk: Desk) -> None:
    desk.rules = ()
    async with running(desk):
        desk.shows(LONG)
        desk.rules = (RULE,)
        desk.shows(LONG)
        desk.shows(LONG)
        desk.at += 60
        await rest()
    assert desk.reduced == []
