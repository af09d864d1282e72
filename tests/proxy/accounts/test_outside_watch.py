"""The watch on one account: gaps are healed to their owners, what nothing explains is reported and answered."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.accounts import funding_watch, outside, outside_watch, settling
from proxy.accounts.known_settings import SettingsView
from proxy.accounts.outside_watch import OutsideWatch
from proxy.accounts.shares import Shares
from proxy.audit import scribe as scribe_module
from proxy.audit.journal import Journal, journal_files
from proxy.exchange.payloads import FundingRow, PastOrder, PlacedOrder, SymbolConfig
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueUnavailable
from rules.account import Account, HeldOrder, Hold, HoldStatus, OpenOrder, Position
from rules.model import MarginMode, OrderType, PositionSide, Side
from rules.outside import OutsideAction
from tests.proxy.accounts.builders import (
    a_config_event,
    a_fill,
    a_funding,
    a_position,
    a_resting_order,
    a_survey,
    an_account_event,
    an_algo_event,
    an_order_event,
)
from tests.proxy.audit.test_scribe import a_warden_s
from tests.rules.builders import NOW
from tests.support.waiting import until

BUY, SELL = Side
NOW_MS = int(NOW.timestamp() * 1000)


class Desk:
    """The venue, the kill desk and the audit around one watch, in memory; what the watch does stands in ``done``."""

    def __init__(self, data_dir: Path, action: OutsideAction) -> None:
        self.action = action
        self.done: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.past: tuple[PastOrder, ...] = ()
        self.funding: list[FundingRow] = []
        self.conditionals: dict[str, PlacedOrder] = {}
        self.asked: list[str] = []
        self.venue_ms = NOW_MS
        self.killed = self.bot_killed = self.store_gone = False
        self.silent_s = 0.0
        self.shares = Shares(lambda name: name.partition("/")[0] if "/" in name else "")
        self.watch = OutsideWatch(
            account="main",
            action=lambda: self.action,
            shares=self.shares,
            response=self,
            venue=self,
            record=self._record,
            data_dir=data_dir,
            heard=lambda: time.monotonic() - self.silent_s,
            now=lambda: NOW,
        )

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        if self.store_gone:
            raise StoreGone
        self.done.append(f"reduce {account}")
        return True

    async def close(self, account: str, by: str, reason: str) -> bool:
        self.done.append(f"kill {account}")
        return True

    def stopped(self, account: str) -> bool:
        return self.killed

    def stopped_in_part(self, account: str) -> bool:
        return self.killed or self.bot_killed

    async def symbol_configs(self) -> dict[str, SymbolConfig]:
        return {}

    async def past_orders(self, symbol: str) -> tuple[PastOrder, ...]:
        return self.past

    async def conditional_by_id(self, order_id: str) -> PlacedOrder | None:
        self.asked.append(order_id)
        return self.conditionals.get(order_id)

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        assert conditional
        self.asked.append(client_order_id)
        found = (each for each in self.conditionals.values() if each.order.client_order_id == client_order_id)
        return next(found, None)

    async def fundings(self, since_ms: int) -> tuple[FundingRow, ...]:
        return tuple(row for row in self.funding if row.at_ms >= since_ms)

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.records.append({"what": what, **detail})

    def quantities(self) -> dict[str, str]:
        return {share.bot: f"{share.quantity:f}" for share in self.shares.all() if share.quantity}

    async def funding_read(self) -> None:
        async with asyncio.timeout(5):
            while self.watch.funding_mark is None:
                await asyncio.sleep(0.001)

    async def funded(self, expected: dict[str, str]) -> None:
        """Until each has received so much."""
        async with asyncio.timeout(5):
            while {share.bot: f"{share.funding:f}" for share in self.watch.all()} != expected:
                await asyncio.sleep(0.001)

    async def until(self, what: str) -> None:
        async with asyncio.timeout(5):
            while what not in (*self.done, *(each["what"] for each in self.records)):
                await asyncio.sleep(0.001)

    async def rest(self) -> None:
        """Long enough for anything that was suspected to be found."""
        await asyncio.sleep(outside.GRACE_S * 4)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "GRACE_S", 0.05)
    monkeypatch.setattr(outside_watch, "TICK_S", 0.005)
    monkeypatch.setattr(funding_watch, "SOON_S", 0.005)


@asynccontextmanager
async def running(data_dir: Path, action: OutsideAction = OutsideAction.REDUCE) -> AsyncIterator[Desk]:
    desk = Desk(data_dir, action)
    desk.watch.adopt((), ())
    async with looking(desk):
        yield desk


@asynccontextmanager
async def looking(desk: Desk) -> AsyncIterator[None]:
    task = asyncio.create_task(desk.watch.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("action", "done"),
    [(OutsideAction.ALERT, []), (OutsideAction.REDUCE, ["reduce main"]), (OutsideAction.KILL, ["kill main"])],
)
async def test_a_strange_order_is_reported_and_answered_as_the_policy_says(
    tmp_path: Path, action: OutsideAction, done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, action) as desk:
        desk.watch.saw(an_order_event("x", BUY, "1"), known=False)
        await desk.until(done[0] if done else "outside.activity")
        await desk.rest()
        assert desk.done == done
    assert [each["action"] for each in desk.records] == [action.value]
    assert [each.finding.activity.value for each in desk.watch.found] == ["order"]
    assert "OUTSIDE_ACTIVITY on main: order BTCUSDT BUY 1 LIMIT, id x" in caplog.text


async def test_a_store_that_is_away_is_asked_until_the_account_is_reduced(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        desk.store_gone = True
        desk.watch.saw(an_order_event("x", BUY, "1"), known=False)
        await desk.until("outside.activity")
        desk.store_gone = False
        await desk.until("reduce main")


async def test_the_venues_own_close_is_reported_and_answered_by_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, OutsideAction.KILL) as desk:
        for event in (a_fill("ann/1", BUY, "1"), a_fill("autoclose-1", SELL, "1")):
            desk.watch.apply(event)
            desk.watch.saw(event, known=event.client_order_id == "ann/1")
        await desk.until("venue.forced")
        await desk.rest()
        assert desk.done == []


async def test_the_kills_orders_are_its_own_only_while_the_account_is_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        desk.killed = True
        desk.watch.saw(a_fill("pgk-1", SELL, "1"), known=True)
        await desk.rest()
        assert desk.records == []
        desk.killed = False
        desk.watch.saw(a_fill("pgk-2", SELL, "1"), known=True)
        await desk.until("outside.activity")


async def test_an_order_that_only_a_gates_journal_knows_is_the_guards(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    decided = {
        "kind": "decision",
        "id": "r1",
        "account": "main",
        "at": NOW.isoformat(),
        "commands": [{"type": "PlaceOrder", "client_order_id": "a/1"}],
    }
    journal.append(decided | {"decisions": [{"verdict": "ALLOW"}]}, durable=False)
    journal.append(
        decided | {"id": "r2", "decisions": [{"verdict": "DENY"}], "commands": [{"client_order_id": "b/1"}]},
        durable=False,
    )
    journal.close()
    async with running(tmp_path) as desk:
        desk.watch.saw(an_order_event("a/1", BUY, "1"), known=False)
        await desk.rest()
        assert desk.records == []
        desk.watch.saw(an_order_event("b/1", BUY, "1"), known=False)
        await desk.until("outside.activity")


def decided(
    data_dir: Path,
    *commands: dict[str, Any],
    ago_s: float = 0.0,
    verdict: str = "ALLOW",
    request_id: str = "r0",
    account: str = "main",
) -> None:
    """A gate of this machine wrote these commands down, so long before ``NOW``, and no store has heard of them."""
    journal = Journal(data_dir)
    at = (NOW - timedelta(seconds=ago_s)).isoformat()
    record = {"kind": "decision", "id": request_id, "account": account, "at": at, "commands": list(commands)}
    journal.append(record | {"decisions": [{"verdict": verdict}] * len(commands)}, durable=False)
    journal.close()


A_PLACE = {"type": "PlaceOrder", "symbol": "BTCUSDT", "client_order_id": "a/1"}


async def seen_with_its_amend(desk: Desk) -> None:
    desk.watch.saw(an_order_event("a/1", SELL, "1"), known=True)
    desk.watch.saw(an_order_event("a/1", SELL, "2", execution="AMENDMENT"), known=True)
    await desk.rest()


@pytest.mark.parametrize("named", [{"order_id": "venue-a/1"}, {"client_order_id": "a/1"}])
async def test_an_amend_that_only_a_gates_journal_knows_is_the_guards(tmp_path: Path, named: dict[str, str]) -> None:
    """A bot moves its exit while the store is away: it passes, and the journal alone says so."""
    decided(tmp_path, {"type": "AmendOrder", "symbol": "BTCUSDT", **named})
    async with running(tmp_path) as desk:
        await seen_with_its_amend(desk)
        assert desk.records == []


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ({"type": "AmendOrder", "symbol": "BTCUSDT", "order_id": "venue-a/1"}, "DENY"),
        ({"type": "AmendOrder", "symbol": "ETHUSDT", "order_id": "venue-a/1"}, "ALLOW"),
        (A_PLACE, "ALLOW"),
    ],
)
async def test_nothing_else_in_it_explains_an_amend(tmp_path: Path, command: dict[str, str], verdict: str) -> None:
    decided(tmp_path, command, verdict=verdict)
    async with running(tmp_path) as desk:
        await seen_with_its_amend(desk)
        assert [each.finding.activity.value for each in desk.watch.found] == ["amend"]


async def test_an_exit_of_a_long_outage_of_the_store_is_the_guards_once_it_is_back(tmp_path: Path) -> None:
    """Events are told when the store takes them: what was sent minutes before is new only then."""
    async with running(tmp_path) as desk:
        desk.silent_s = 180.0
        await desk.rest()
        decided(tmp_path, A_PLACE, ago_s=170)
        desk.silent_s = 0.0
        await desk.rest()
        desk.watch.saw(an_order_event("a/1", SELL, "1"), known=False)
        await desk.rest()
        assert desk.records == []
        desk.watch.saw(an_order_event("x", SELL, "1"), known=False)
        await desk.until("outside.activity")


@pytest.mark.parametrize("silent_s", [0.0, 180.0])
async def test_what_was_decided_long_before_explains_nothing_that_is_new(tmp_path: Path, silent_s: float) -> None:
    decided(tmp_path, A_PLACE, ago_s=silent_s + 70)
    async with running(tmp_path) as desk:
        desk.silent_s = silent_s
        await desk.rest()
        desk.silent_s = 0.0
        desk.watch.saw(an_order_event("a/1", SELL, "1"), known=False)
        await desk.until("outside.activity")


async def test_a_busy_gates_journal_is_read_as_far_back_as_a_decision_explains_anything(tmp_path: Path) -> None:
    decided(tmp_path, A_PLACE, ago_s=50)
    busy = Journal(tmp_path)
    for _ in range(3):
        busy.append(
            {"kind": "outcome", "at": (NOW - timedelta(seconds=40)).isoformat(), "x": "x" * 1_000_000}, durable=False
        )
    busy.close()
    one = b"".join(path.read_bytes() for path in journal_files(tmp_path))
    for path in journal_files(tmp_path):
        path.unlink()
    (tmp_path / "journal" / "gate-1-1-a.jsonl").write_bytes(one)
    async with running(tmp_path) as desk:
        desk.watch.saw(an_order_event("a/1", SELL, "1"), known=False)
        await desk.rest()
        assert desk.records == []


async def test_a_decision_in_a_journal_explains_one_order_of_its_name(tmp_path: Path) -> None:
    decided(tmp_path, A_PLACE)
    async with running(tmp_path) as desk:
        desk.watch.saw(an_order_event("a/1", BUY, "1", order_id="1"), known=False)
        await desk.rest()
        assert desk.records == []
        desk.watch.hear({"kind": "intent", "id": "r0", "commands": [A_PLACE]})
        desk.watch.saw(an_order_event("a/1", BUY, "9", order_id="2"), known=False)
        await desk.until("outside.activity")


async def test_one_that_was_heard_of_explains_none_from_a_journal(tmp_path: Path) -> None:
    decided(tmp_path, A_PLACE)
    async with running(tmp_path) as desk:
        desk.watch.hear({"kind": "intent", "id": "r0", "commands": [A_PLACE]})
        desk.watch.saw(an_order_event("a/1", BUY, "1", order_id="1"), known=False)
        desk.watch.saw(an_order_event("a/1", BUY, "9", order_id="2"), known=False)
        await desk.until("outside.activity")
        assert len(desk.watch.found) == 1


async def test_so_does_none_of_a_hold_that_stood_at_the_start(tmp_path: Path) -> None:
    decided(tmp_path, A_PLACE)
    held = HeldOrder(
        symbol="BTCUSDT",
        side=BUY,
        position_side=PositionSide.BOTH,
        quantity=Decimal(1),
        price=None,
        client_order_id="a/1",
    )
    async with running(tmp_path) as desk:
        desk.watch.held([Hold(hold_id="r0", bot="a", sequence=1, status=HoldStatus.ACCEPTED, orders=(held,))])
        desk.watch.saw(an_order_event("a/1", BUY, "1", order_id="1"), known=False)
        desk.watch.hear({"kind": "intent", "id": "r0", "commands": [A_PLACE]})
        desk.watch.saw(an_order_event("a/1", BUY, "9", order_id="2"), known=False)
        await desk.until("outside.activity")
        assert len(desk.watch.found) == 1


async def test_until_an_account_was_surveyed_it_is_looked_back_to_when_the_guard_went(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OutsideAction.ALERT)
    desk.watch.restore(a_survey(as_of=NOW - timedelta(hours=5)))
    async with looking(desk):
        await desk.rest()
        assert desk.watch.searches_from == NOW - timedelta(hours=5, seconds=60)
        desk.watch.adopt((), ())
        await desk.rest()
        assert desk.watch.searches_from == NOW - timedelta(seconds=60)


async def test_after_the_loss_of_a_machine_its_gates_journals_stay_until_they_were_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store comes back without its last second. The journals are in the archive long before anybody looks."""
    monkeypatch.setattr(scribe_module, "MERGE_EVERY_S", 0.005)
    decided(tmp_path, A_PLACE, ago_s=18_000)
    (written,) = journal_files(tmp_path)
    path = written.rename(written.with_name("gate-4194305-1-a.jsonl"))  # No process has such a number.
    os.utime(path, (NOW.timestamp() - 18_000,) * 2)
    scribe = a_warden_s(tmp_path)
    await scribe.open()
    desk = Desk(tmp_path, OutsideAction.ALERT)
    desk.watch.restore(a_survey(as_of=NOW - timedelta(hours=5)))
    scribe.searched_from = lambda: desk.watch.searches_from
    merging = asyncio.create_task(scribe.merge_journals())
    await asyncio.sleep(0.5)
    desk.watch.adopt((), (a_resting_order("a/1", SELL, "1"),))
    async with looking(desk):
        await desk.rest()
        assert (desk.records, desk.watch.unexplained()) == ([], ())
        await until(lambda: not path.exists())
    merging.cancel()
    await asyncio.gather(merging, return_exceptions=True)
    scribe.close()


async def test_what_an_order_filled_while_the_stream_was_down_goes_to_its_owner(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        desk.watch.hear({"kind": "intent", "commands": [{"type": "PlaceOrder", "client_order_id": "ann/1"}]})
        filled = a_resting_order("ann/1", BUY, "0", "2")
        old = a_resting_order("ben/0", BUY, "0", "9")
        desk.past = (
            PastOrder(order=filled, changed_ms=NOW_MS + 5, average_price=Decimal(101)),
            PastOrder(order=old, changed_ms=NOW_MS - 5, average_price=Decimal(101)),
        )
        desk.watch.adopt((a_position("2"),), ())
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({"ann": "2"}, [])


async def test_so_it_does_where_the_stream_told_of_something_later_before_the_survey(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        desk.watch.hear({"kind": "intent", "commands": [{"type": "PlaceOrder", "client_order_id": "ben/5"}]})
        desk.past = (filled("ben/5", BUY, "1"), filled("ann/9", BUY, "2", after_ms=6_000))
        later = a_fill("ann/9", BUY, "2", at_ms=NOW_MS + 6_000)
        desk.watch.apply(later)
        desk.watch.saw(later, known=True)
        desk.watch.adopt((a_position("3"),), ())
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({"ann": "2", "ben": "1"}, [])


async def test_while_one_bot_is_killed_what_the_stream_missed_goes_to_its_owners_and_the_kill_is_no_stranger(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as desk:
        for event in (a_fill("ann/1", BUY, "1"), a_fill("gAbCpgk-0", BUY, "2")):
            desk.watch.apply(event)
        desk.bot_killed = True
        desk.watch.hear({"kind": "intent", "commands": [{"type": "PlaceOrder", "client_order_id": "ann/2"}]})
        missed = (a_resting_order("ann/2", SELL, "0", "1"), a_resting_order("gAbCpgk-1", SELL, "0", "2"))
        desk.past = tuple(PastOrder(order=each, changed_ms=NOW_MS + 5, average_price=Decimal(101)) for each in missed)
        desk.watch.adopt((), ())
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({}, [])
        desk.bot_killed = False
        late = a_resting_order("gAbCpgk-2", BUY, "0", "2")
        desk.past = (PastOrder(order=late, changed_ms=NOW_MS + 5, average_price=Decimal(101)),)
        desk.watch.adopt((a_position("2"),), ())
        await desk.until("outside.activity")


async def test_a_position_no_order_explains_is_found_and_then_nobodys(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        desk.watch.adopt((a_position("2"),), ())
        await desk.until("reduce main")
        desk.watch.adopt((a_position("2"),), ())
        await desk.rest()
        assert desk.quantities() == {"": "2"}
        assert [each.finding.activity.value for each in desk.watch.found] == ["position"]


async def test_a_strange_order_that_filled_while_the_stream_was_down_is_found(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        desk.past = (
            PastOrder(order=a_resting_order("x", BUY, "0", "2"), changed_ms=NOW_MS + 5, average_price=Decimal(101)),
        )
        desk.watch.adopt((a_position("2"),), ())
        await desk.until("reduce main")
        assert [each.finding.activity.value for each in desk.watch.found] == ["order"]
        assert desk.quantities() == {"": "2"}


async def test_funding_is_read_when_it_is_heard_of_and_by_a_restarted_warden_where_the_last_one_ended(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as desk:
        for bot, symbol in (("ann", "BTCUSDT"), ("ben", "ETHUSDT")):
            desk.watch.apply(a_fill(f"{bot}/1", BUY, "1", symbol=symbol))
        await desk.funding_read()
        desk.funding = [a_funding("1", "-2"), a_funding("2", "3", "ETHUSDT")]
        desk.watch.apply(an_account_event("FUNDING_FEE", change="-2"))
        desk.watch.apply(an_account_event("FUNDING_FEE", change="3"))
        await desk.funded({"ann": "-2", "ben": "3"})
        published = a_survey(shares=desk.watch.all(), funding_mark=desk.watch.funding_mark)
    after = Desk(tmp_path, OutsideAction.REDUCE)
    after.funding = [*desk.funding, a_funding("3", "0.5", "ETHUSDT", at_ms=2)]
    after.watch.restore(published)
    task = asyncio.create_task(after.watch.run())
    await after.funded({"ann": "-2", "ben": "3.5"})
    after.funding.append(a_funding("4", "1", at_ms=3))
    after.watch.missed()
    await after.funded({"ann": "-1", "ben": "3.5"})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_restarted_warden_reports_what_was_placed_while_it_was_away(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    desk.watch.restore(a_survey(a_resting_order("ann/1", BUY, "1")))
    desk.watch.adopt((), (a_resting_order("ann/1", BUY, "1"), a_resting_order("x", BUY, "1")))
    task = asyncio.create_task(desk.watch.run())
    await desk.until("reduce main")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [each.finding.detail for each in desk.watch.found] == ["BUY LIMIT, id x"]


async def with_new_leverage(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as 20 first, and as 5 then."""
    monkeypatch.setattr(outside_watch, "SETTINGS_EVERY_S", 0.005)
    leverage = 20

    async def read() -> dict[str, SymbolConfig]:
        return {"BTCUSDT": SymbolConfig(leverage=Decimal(leverage), margin_mode=MarginMode.CROSS)}

    monkeypatch.setattr(desk, "symbol_configs", read)
    await until(lambda: desk.watch.settings.usual is not None)
    leverage = 5
    await until(lambda: desk.watch.settings.usual is not None and desk.watch.settings.usual.leverage == 5)
    await desk.rest()


A_LEVERAGE = {"type": "SetLeverage", "symbol": "BTCUSDT", "leverage": "5"}


async def test_a_setting_that_only_a_gates_journal_knows_is_the_guards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fell over to a server that lost its last second."""
    decided(tmp_path, A_LEVERAGE, ago_s=1)
    async with running(tmp_path) as desk:
        await with_new_leverage(desk, monkeypatch)
        assert desk.records == []


@pytest.mark.parametrize(
    "terms", [{"account": "another"}, {"verdict": "DENY"}, {"ago_s": 70.0}], ids=["account", "verdict", "age"]
)
async def test_what_was_decided_otherwise_explains_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terms: dict[str, Any]
) -> None:
    decided(tmp_path, A_LEVERAGE, **terms)
    async with running(tmp_path) as desk:
        await with_new_leverage(desk, monkeypatch)
        assert [each.finding.activity.value for each in desk.watch.found] == ["leverage"]


async def test_nor_does_one_in_a_journal_that_the_venue_is_known_to_have_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(tmp_path, A_LEVERAGE)
    async with running(tmp_path) as desk:
        desk.watch.hear({"kind": "intent", "id": "r0", "commands": [A_LEVERAGE]})
        desk.watch.hear({"kind": "outcome", "id": "r0", "result": "REJECTED"})
        await with_new_leverage(desk, monkeypatch)
        assert [each.finding.activity.value for each in desk.watch.found] == ["leverage"]


async def test_a_change_that_is_told_long_after_it_happened_is_the_guards_by_its_time(tmp_path: Path) -> None:
    """Right after the venue took it the store went away, and the event waited for it."""
    sent = {"type": "SetMultiAssetMode", "enabled": True}
    async with running(tmp_path) as desk:
        desk.watch.hear({"kind": "intent", "id": "r0", "commands": [sent]})
        event = a_config_event(None, multi_assets=True, at_ms=NOW_MS)
        desk.venue_ms = NOW_MS + 40_000
        long_after = time.monotonic() + 40.0
        with pytest.MonkeyPatch.context() as later:
            later.setattr(outside_watch.time, "monotonic", lambda: long_after)
            desk.watch.saw(event, known=True)
        assert desk.watch._detector.suspicions == ()


async def test_settings_that_are_other_than_before_are_told_to_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_watch, "SETTINGS_EVERY_S", 0.005)
    configs = {"BTCUSDT": SymbolConfig(leverage=Decimal(20), margin_mode=MarginMode.CROSS)}
    changes: list[SettingsView] = []
    desk = Desk(tmp_path, OutsideAction.ALERT)

    async def read() -> dict[str, SymbolConfig]:
        return dict(configs)

    monkeypatch.setattr(desk, "symbol_configs", read)
    desk.watch.changed = lambda: changes.append(desk.watch.settings)
    task = asyncio.create_task(desk.watch.run())
    try:
        await until(lambda: len(changes) == 1)
        await asyncio.sleep(0.05)
        assert len(changes) == 1, "readings that say the same are no news"
        configs["BTCUSDT"] = SymbolConfig(leverage=Decimal(5), margin_mode=MarginMode.CROSS)
        await until(lambda: len(changes) == 2)
        desk.watch.saw(a_config_event("BTCUSDT", "7"), known=False)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    leverages = [view.usual.leverage for view in changes if view.usual is not None]
    assert leverages == [20, 5, 7]


STOP = a_resting_order("ann/9", SELL, "2", order_id="7", order_type=OrderType.STOP_MARKET, reduce_only=True)
FIRED = {"order_id": "900", "order_type": OrderType.MARKET, "reduce_only": True}


def became(order_id: str, stop: OpenOrder = STOP) -> PlacedOrder:
    """What the venue says of a stop; "" while it waits."""
    left = Decimal(0) if order_id else stop.leaves_quantity
    return PlacedOrder(
        order=replace(stop, leaves_quantity=left), quantity=Decimal(2), placed_ms=NOW_MS, became=order_id
    )


def filled(name: str, side: Side, quantity: str, after_ms: int = 5, **terms: Any) -> PastOrder:
    """An order that filled whole, so long after ``NOW``."""
    order = a_resting_order(name, side, "0", quantity, **terms)
    return PastOrder(order=order, changed_ms=NOW_MS + after_ms, average_price=Decimal(90))


async def with_a_stop(desk: Desk) -> None:
    """Ann is long two, and has a stop for it; both came through the guard."""
    desk.watch.hear({"kind": "intent", "commands": [{"type": "PlaceOrder", "client_order_id": "ann/0"}]})
    for event in (a_fill("ann/0", BUY, "2"), an_algo_event("ann/9", algo_id="7", quantity=Decimal(2))):
        desk.watch.apply(event)
        desk.watch.saw(event, known=True)
    desk.watch.adopt((a_position("2"),), (STOP,))
    await desk.rest()
    assert (desk.quantities(), desk.records) == ({"ann": "2"}, [])


async def test_a_stop_that_fires_and_fills_while_the_stream_is_down_is_its_bots_and_nobodys_business(
    tmp_path: Path,
) -> None:
    """The venue gives the order a name of its own, and the word that says what it grew out of was lost."""
    async with running(tmp_path, OutsideAction.KILL) as desk:
        await with_a_stop(desk)
        desk.conditionals["7"] = became("900")
        desk.past = (filled("auto-900", SELL, "2", **FIRED),)
        desk.watch.adopt((), ())
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({}, [])
        assert desk.asked == ["7"]


@pytest.mark.parametrize("by", ["survey", "stream"])
async def test_so_is_one_that_rests_and_whose_fill_was_told_first(tmp_path: Path, by: str) -> None:
    born = []
    async with running(tmp_path) as desk:
        await with_a_stop(desk)
        desk.watch.born = born.append
        desk.conditionals["7"] = became("900")
        if by == "survey":
            desk.watch.adopt((a_position("2"),), (a_resting_order("auto-900", SELL, "2", **FIRED),))
        else:
            event = a_fill("auto-900", SELL, "2", **FIRED)
            desk.watch.apply(event)
            desk.watch.saw(event, known=False)
        await desk.rest()
        assert desk.records == []
        assert [(each.client_order_id, each.order_id) for each in born] == [("ann/9", "900")]
        assert desk.quantities() == ({"ann": "2"} if by == "survey" else {})


A_STOP = {"type": "PlaceOrder", "symbol": "BTCUSDT", "order_type": "STOP_MARKET", "client_order_id": "ann/9"}


@pytest.mark.parametrize("by", ["survey", "lookup", "stream"])
async def test_a_stop_that_only_a_gates_journal_knows_and_that_fired_unheard_is_its_bots(
    tmp_path: Path, by: str
) -> None:
    """Store and stream are away together; what it became has a name that the venue gave it."""
    decided(tmp_path, A_STOP, ago_s=20)
    async with running(tmp_path, OutsideAction.KILL) as desk:
        desk.watch.hear({"kind": "intent", "commands": [{"type": "PlaceOrder", "client_order_id": "ann/0"}]})
        desk.watch.apply(a_fill("ann/0", BUY, "2"))
        desk.watch.saw(a_fill("ann/0", BUY, "2"), known=True)
        desk.watch.adopt((a_position("2"),), ())
        desk.conditionals["7"] = became("900")
        if by == "survey":
            desk.watch.adopt((a_position("2"),), (a_resting_order("auto-900", SELL, "2", **FIRED),))
        elif by == "lookup":
            desk.past = (filled("auto-900", SELL, "2", **FIRED),)
            desk.watch.adopt((), ())
        else:
            event = a_fill("auto-900", SELL, "2", **FIRED)
            desk.watch.apply(event)
            desk.watch.saw(event, known=False)
        await desk.rest()
        assert (desk.records, desk.asked) == ([], ["ann/9"])
        assert desk.quantities() == ({"ann": "2"} if by == "survey" else {})


async def test_a_bot_that_moved_its_stop_all_the_time_is_asked_about_each_once_the_newest_first(tmp_path: Path) -> None:
    for number in range(30):
        stop = A_STOP | {"client_order_id": f"ann/{number}"}
        decided(tmp_path, stop, ago_s=60 - number, request_id=f"r{number}")
    async with running(tmp_path) as desk:
        desk.conditionals["7"] = became("900", replace(STOP, client_order_id="ann/1"))
        event = a_fill("auto-900", SELL, "2", **FIRED)
        desk.watch.apply(event)
        desk.watch.saw(event, known=False)
        await desk.rest()
        assert desk.records == []
        assert desk.asked == [f"ann/{number}" for number in reversed(range(30))]


@pytest.mark.parametrize(
    ("terms", "became_id"),
    [({"account": "another"}, "900"), ({"verdict": "DENY"}, "900"), ({"ago_s": 70.0}, "900"), ({}, "901")],
    ids=["account", "verdict", "age", "another order"],
)
async def test_no_other_stop_hides_a_strangers_order(tmp_path: Path, terms: dict[str, Any], became_id: str) -> None:
    decided(tmp_path, A_STOP, **terms)
    async with running(tmp_path) as desk:
        desk.conditionals["7"] = became(became_id)
        event = a_fill("auto-900", SELL, "2", **FIRED)
        desk.watch.apply(event)
        desk.watch.saw(event, known=False)
        await desk.until("reduce main")


async def test_a_strangers_stop_is_not_the_guards_for_the_name_of_one_in_a_journal_that_was_seen(
    tmp_path: Path,
) -> None:
    """The bot's own of that name is known; the thief names his like it, and it fires."""
    decided(tmp_path, A_STOP)
    async with running(tmp_path) as desk:
        desk.watch.hear({"kind": "intent", "id": "r0", "commands": [A_STOP]})
        desk.watch.saw(an_algo_event("ann/9", algo_id="6"), known=False)
        desk.conditionals["7"] = became("900")
        event = a_fill("auto-900", SELL, "2", **FIRED)
        desk.watch.apply(event)
        desk.watch.saw(event, known=False)
        await desk.until("reduce main")


async def test_a_liquidation_in_pieces_that_the_stream_did_not_tell_is_the_venues_own_doing(tmp_path: Path) -> None:
    async with running(tmp_path, OutsideAction.KILL) as desk:
        names = ("ann/0", "ann/1")
        desk.watch.hear(
            {"kind": "intent", "commands": [{"type": "PlaceOrder", "client_order_id": each} for each in names]}
        )
        desk.watch.apply(a_fill("ann/0", BUY, "10"))
        desk.watch.saw(a_fill("ann/0", BUY, "10"), known=True)
        desk.past = (
            filled("autoclose-1", SELL, "4", order_id="1"),
            filled("autoclose-2", SELL, "6", after_ms=6, order_id="2"),
            filled("ann/1", SELL, "5", after_ms=7),
        )
        desk.watch.adopt((a_position("-5"),), ())
        await desk.until("venue.forced")
        await desk.rest()
        assert (desk.done, desk.shares.quantity("ann", "BTCUSDT", PositionSide.BOTH)) == ([], -5)
        assert [each.finding.activity.value for each in desk.watch.found] == ["forced"] * 2


async def test_a_kills_order_that_a_survey_shows_before_its_event_is_no_strangers(tmp_path: Path) -> None:
    async with running(tmp_path) as desk:
        order = a_resting_order("pgk-1", SELL, "1", reduce_only=True)
        desk.killed = True
        desk.watch.adopt((), (order,))
        desk.watch.saw(an_order_event("pgk-1", SELL, "1", reduce_only=True), known=True)
        await desk.rest()
        assert desk.records == []
        desk.killed = False
        desk.watch.adopt((), (order, a_resting_order("pgk-2", SELL, "1")))
        await desk.until("outside.activity")
        assert [each.finding.client_order_id for each in desk.watch.found] == ["pgk-2"]


async def test_a_stop_that_was_placed_and_fired_while_the_stream_was_down_is_asked_for_by_its_name(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as desk:
        placed = {"type": "PlaceOrder", "symbol": "BTCUSDT", "order_type": "STOP_MARKET", "client_order_id": "ann/9"}
        desk.watch.hear({"kind": "intent", "commands": [placed]})
        desk.conditionals["7"] = became("900")
        desk.watch.adopt((), (a_resting_order("auto-900", SELL, "2", **FIRED),))
        await desk.rest()
        assert (desk.records, desk.asked) == ([], ["ann/9"])


async def test_a_strange_order_is_found_beside_a_stop_that_waits_and_does_not_make_the_venue_be_asked_for_ever(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as desk:
        await with_a_stop(desk)
        desk.conditionals["7"] = became("")
        for number in range(20):
            desk.watch.saw(an_order_event(f"x{number}", BUY, "1"), known=False)
            await asyncio.sleep(0.01)
        await desk.until("outside.activity")
        assert desk.asked == ["7"], "once a second"


RESTING = a_resting_order("ben/1", BUY, "1", price=Decimal(90))


def left_by_an_earlier_warden(**changes: Any) -> Account:
    """Ann long two with a stop, Ben with an order that rests: as it was published last, up to ``NOW``."""
    shares = Shares(lambda name: name.partition("/")[0])
    shares.apply(a_fill("ann/0", BUY, "2"))
    return a_survey(STOP, RESTING, shares=shares.all(), shares_ms=NOW_MS, **changes)


@asynccontextmanager
async def returning(data_dir: Path, *positions: Position, orders: tuple[OpenOrder, ...] = ()) -> AsyncIterator[Desk]:
    """A guard that was away, and finds this. What the venue tells of the past is to be set before the first look."""
    desk = Desk(data_dir, OutsideAction.REDUCE)
    desk.watch.restore(left_by_an_earlier_warden())
    desk.watch.adopt(positions, orders)
    async with looking(desk):
        yield desk


async def test_what_filled_while_the_guard_was_away_goes_to_its_bots_also_where_the_sum_is_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ann's stop for one of two filled, and so did Ben's order for one: the position is what it was."""
    async with returning(tmp_path, a_position("2")) as desk:
        desk.conditionals["7"] = became("900")
        desk.past = (filled("auto-900", SELL, "1", **FIRED), filled("ben/1", BUY, "1", after_ms=9_000))
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({"ann": "1", "ben": "1"}, [])
        assert desk.watch.shares_ms == NOW_MS + 9_000
    assert "the difference is nobody's" not in caplog.text


async def test_what_the_guard_counted_before_it_went_is_not_counted_again(tmp_path: Path) -> None:
    """The venue's list dates an order a little later than its event did."""
    async with returning(tmp_path, a_position("2"), orders=(STOP, RESTING)) as desk:
        desk.past = (filled("ann/0", BUY, "2", after_ms=1), filled("ann/-1", SELL, "1", after_ms=-1))
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({"ann": "2"}, [])


async def test_a_strange_order_that_filled_while_the_guard_was_away_is_found(tmp_path: Path) -> None:
    async with returning(tmp_path, a_position("5"), orders=(STOP, RESTING)) as desk:
        desk.past = (filled("x", BUY, "3"),)
        await desk.until("reduce main")
        assert [each.finding.detail for each in desk.watch.found] == ["BUY LIMIT, id x"]
        assert desk.quantities() == {"ann": "2", "": "3"}


async def test_a_position_of_meanwhile_that_no_order_explains_is_nobodys_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with returning(tmp_path, a_position("5"), orders=(STOP, RESTING)) as desk:
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({"ann": "2", "": "3"}, [])
    assert "position BTCUSDT BOTH is 5, the shares add up to 2: the difference is nobody's" in caplog.text


async def test_a_guard_that_left_nothing_behind_follows_what_comes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    desk.watch.restore(a_survey(shares_ms=NOW_MS))
    desk.watch.adopt((), ())
    assert desk.watch.unsettled == frozenset()
    desk.watch.apply(a_fill("ann/0", BUY, "2", at_ms=NOW_MS + 7))
    assert desk.watch.shares_ms == NOW_MS + 7


async def test_until_it_is_looked_up_whose_share_is_what_is_not_to_be_closed(tmp_path: Path) -> None:
    async with returning(tmp_path, a_position("2"), orders=(STOP, RESTING)) as desk:
        assert desk.watch.unsettled == {"BTCUSDT"}
        await desk.rest()
        assert desk.watch.unsettled == frozenset()


async def test_a_venue_that_does_not_answer_is_asked_again_before_anything_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "RETRY_S", 0.01)
    async with returning(tmp_path, orders=(RESTING,)) as desk:
        answers: list[Exception | tuple[PastOrder, ...]] = [VenueUnavailable("busy"), VenueUnavailable("busy")]

        async def past_orders(symbol: str) -> tuple[PastOrder, ...]:
            answer = answers.pop(0) if answers else (filled("auto-900", SELL, "2", **FIRED),)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(desk, "past_orders", past_orders)
        desk.conditionals["7"] = became("900")
        await desk.rest()
        await desk.rest()
        assert (desk.quantities(), desk.records) == ({}, [])


async def test_an_order_of_the_last_second_before_the_guard_went_is_found_in_the_gates_journal(tmp_path: Path) -> None:
    """However long ago that is: the store may have lost that second, its hold and its place in the document."""
    decided = {
        "kind": "decision",
        "id": "r3",
        "account": "main",
        "at": (NOW - timedelta(hours=5)).isoformat(),
        "commands": [{"type": "PlaceOrder", "client_order_id": "ann/3"}],
        "decisions": [{"verdict": "ALLOW"}],
    }
    journal = Journal(tmp_path)
    journal.append(decided, durable=False)
    journal.close()
    for since, expected in ((timedelta(hours=5), []), (timedelta(0), ["outside.activity"])):
        desk = Desk(tmp_path, OutsideAction.ALERT)
        desk.watch.restore(left_by_an_earlier_warden(as_of=NOW - since))
        desk.watch.adopt((a_position("2"),), (STOP, RESTING, a_resting_order("ann/3", BUY, "1")))
        task = asyncio.create_task(desk.watch.run())
        await desk.rest()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [each["what"] for each in desk.records] == expected


async def looked_up(desk: Desk) -> None:
    """Let the watch look until nothing is to be looked up, and a little longer."""
    task = asyncio.create_task(desk.watch.run())
    await until(lambda: not desk.watch.unsettled)
    await desk.rest()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_symbol_that_the_venue_does_not_list_any_more_keeps_no_other_from_being_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = Shares(lambda name: name.partition("/")[0])
    for event in (a_fill("ann/7", BUY, "1", symbol="AAAUSDT"), a_fill("ben/7", SELL, "1", symbol="AAAUSDT")):
        earlier.apply(event)
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    asked = []

    async def past_orders(symbol: str) -> tuple[PastOrder, ...]:
        asked.append(symbol)
        if symbol == "AAAUSDT":
            raise VenueRefused(-1121, "Invalid symbol.")
        return (filled("ben/1", BUY, "1"),)

    monkeypatch.setattr(desk, "past_orders", past_orders)
    desk.watch.restore(a_survey(RESTING, shares=earlier.all(), shares_ms=NOW_MS))
    desk.watch.adopt((a_position("1"),), ())
    await looked_up(desk)
    assert asked == ["AAAUSDT", "BTCUSDT"]
    assert (desk.shares.quantity("ben", "BTCUSDT", PositionSide.BOTH), desk.records) == (1, [])
    assert "orders of main cannot be looked up: refused (-1121): Invalid symbol." in caplog.text


async def test_a_symbol_that_was_looked_up_waits_for_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, OutsideAction.REDUCE)

    async def past_orders(symbol: str) -> tuple[PastOrder, ...]:
        if symbol == "AAAUSDT":
            raise VenueUnavailable("busy")
        return (filled("ben/1", BUY, "1"),)

    monkeypatch.setattr(desk, "past_orders", past_orders)
    desk.watch.restore(a_survey(RESTING, a_resting_order("ann/8", BUY, "1", symbol="AAAUSDT"), shares_ms=NOW_MS))
    desk.watch.adopt((a_position("1"),), ())
    assert desk.watch.unsettled == {"AAAUSDT", "BTCUSDT"}
    task = asyncio.create_task(desk.watch.run())
    await until(lambda: desk.watch.unsettled == {"AAAUSDT"})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert desk.quantities() == {"ben": "1"}


async def test_what_was_told_while_the_venue_could_not_be_asked_is_not_counted_again_by_the_next_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def banned(symbol: str) -> tuple[PastOrder, ...]:
        raise VenueThrottled(418, 120.0)

    first = Desk(tmp_path, OutsideAction.REDUCE)
    monkeypatch.setattr(first, "past_orders", banned)
    first.watch.restore(left_by_an_earlier_warden())
    first.watch.adopt((a_position("2"),), (STOP, RESTING))
    first.watch.apply(a_fill("ben/5", BUY, "1", at_ms=NOW_MS + 5_000))
    await looked_up(first)
    second = Desk(tmp_path, OutsideAction.REDUCE)
    second.past = (filled("ben/5", BUY, "1", after_ms=5_000),)
    second.watch.restore(a_survey(STOP, RESTING, shares=first.shares.all(), shares_ms=first.watch.shares_ms))
    second.watch.adopt((a_position("3"),), (STOP, RESTING))
    await looked_up(second)
    assert (second.quantities(), second.records) == ({"ann": "2", "ben": "1"}, [])


async def test_a_guard_on_which_nothing_happened_yet_leaves_behind_up_to_when_it_knows_all(tmp_path: Path) -> None:
    first = Desk(tmp_path, OutsideAction.REDUCE)
    first.venue_ms += 3_000
    before = replace(left_by_an_earlier_warden(), shares_ms=None)  # As a version that did not know wrote it.
    first.watch.restore(before)
    first.watch.adopt((a_position("2"),), (STOP, RESTING))
    assert first.watch.shares_ms == NOW_MS + 3_000
    second = Desk(tmp_path, OutsideAction.REDUCE)
    second.conditionals["7"] = became("900")
    second.past = (filled("auto-900", SELL, "2", after_ms=9_000, **FIRED), filled("ann/0", BUY, "2", after_ms=-5))
    second.watch.restore(a_survey(STOP, RESTING, shares=first.shares.all(), shares_ms=first.watch.shares_ms))
    second.watch.adopt((), (RESTING,))
    await looked_up(second)
    assert (second.quantities(), second.records) == ({}, [])
