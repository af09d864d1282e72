"""What each part of the warden knows becomes the numbers it should."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.accounts.budget_keeper import Standing
from proxy.console.desk_views import (
    AccountView,
    BotView,
    DeskView,
    FeedView,
    LastDrill,
    LeaseView,
    PositionView,
    WatchdogView,
)
from proxy.drill.rehearsed import Rehearsed
from proxy.drill.shelf import DrillReport
from proxy.kill.journal import Journal
from proxy.kill.report import AccountReport, account_report
from proxy.metrics.from_budget import put_budget
from proxy.metrics.from_desk import put_desk
from proxy.metrics.from_drills import put_drills
from proxy.metrics.from_gates import put_gates
from proxy.metrics.from_kills import put_kills
from proxy.metrics.from_process import put_build
from proxy.metrics.from_signals import put_signals
from proxy.metrics.from_store import put_store
from proxy.metrics.sheet import Sheet
from proxy.process_facts import process_facts
from proxy.signals.plane import SignalsView, TemperatureView, ToldView
from proxy.store.gate_report import Count, GateReport, StageTimes
from proxy.store.gates import GateWord
from proxy.store.health import HoldState, StoreHealth
from tests.support.certificates import NOW, a_degraded_kill, a_flat_kill, after, the_beginning, write_job
from tests.support.metrics import value, values

LIVE = FeedView(state="LIVE", why="", age_s=0.5, adopted={}, gaps_healed=2)
ACCOUNT = AccountView(
    name="main",
    venue="binanceusdm",
    state="REDUCING",
    kill_running=True,
    fence_engaged=False,
    known_age_s=0.5,
    survey_age_s=3.5,
    margin_balance="1000.50",
    leverage="2.5",
    positions=[
        PositionView(
            symbol="BTCUSDT",
            position_side="BOTH",
            quantity="-0.5",
            entry_price="90000",
            mark_price="91000",
            notional="45500",
            unrealised_pnl="-500",
            liquidation_price=None,
        )
    ],
    open_orders=2,
    conditional_orders=1,
    holds=0,
    unknown_holds=0,
    feed=LIVE,
    exchange_key="may withdraw",
    clock_offset_ms=-250,
    timers=("BTCUSDT",),
    anomaly=0.25,
)
DESK = DeskView(
    desk="d",
    at="",
    state="ACTIVE",
    policy_name="p",
    policy_owner="o",
    policy_version="v1",
    generation=4,
    markets_age_s=0.2,
    store_ok=True,
    accounts=[ACCOUNT],
    bots=[BotView(name="b", account="main", key_hint="", key_state="ACTIVE", anomaly=0.5, why="", state="HALTED")],
    drill=LastDrill(id="1", kind="dry", at="", age_s=60.0, passed=True, phase="FLAT"),
    watchdogs=[WatchdogView(name="w", duty="watching", heard_age_s=1.5, lost=False)],
    leases=[LeaseView(bot="b", account="main", ttl_s=30, left_s=-2.0, step="reduce")],
)


def a_report(**changes: Any) -> GateReport:
    base = GateReport(
        gate="host:1",
        bounds_s=[0.1, 1.0],
        stages=[StageTimes(kind="entry", stage="hold", buckets=[1, 0, 1], sum_s=3.0)],
        decisions=[Count(labels=["deny", "max_leverage", "LEVERAGE_ABOVE_LIMIT"], count=5)],
        orders=[Count(labels=["main", "b", "entry", "unknown"], count=2)],
        refused=[Count(labels=["malformed"], count=1)],
        sockets=3,
        under_way=1,
        process=process_facts(),
    )
    return replace(base, **changes)


def health(**changes: Any) -> StoreHealth:
    base = StoreHealth(
        answer_s=0.001,
        info={"used_memory": 100, "aof_enabled": 1, "aof_last_write_status": "ok", "evicted_keys": 0},
        generation=4,
        gates={"host:1": GateWord(4, 0.02), "host:2": GateWord(3, 0.02), "host:3": GateWord(4, 30.0)},
        reports={"host/gate-0": a_report()},
        holds=[HoldState(account="main", state="UNKNOWN", count=2, age_s_max=12.0)],
        waiting=10,
        lag_s=4.0,
    )
    return replace(base, **changes)


def test_the_desk_as_numbers() -> None:
    sheet = Sheet()
    put_desk(sheet, DESK)
    state = values(sheet, "trading_state")
    assert {(labels["level"], labels["name"]): number for labels, number in state} == {
        ("desk", "d"): 0,
        ("account", "main"): 1,
        ("bot", "b"): 2,
    }
    assert value(sheet, "kill_running", account="main") == 1
    assert value(sheet, "clock_offset_seconds", venue="binanceusdm") == -0.25
    assert value(sheet, "exchange_key_sound", account="main") == 0
    assert value(sheet, "feed_up", account="main") == 1
    assert value(sheet, "feed_gaps_healed_total", account="main") == 2
    assert value(sheet, "lease_left_seconds", account="main", bot="b") == -2
    assert value(sheet, "drill_passed") == 1
    assert value(sheet, "watchdog_heard_age_seconds", watchdog="w") == 1.5
    assert value(sheet, "policy_info", name="p", owner="o", version="v1") == 1


def test_a_short_position_is_negative() -> None:
    sheet = Sheet()
    put_desk(sheet, DESK)
    assert value(sheet, "position_notional", account="main", symbol="BTCUSDT", position_side="BOTH") == -45500


def test_without_the_store_nothing_is_said_to_trade() -> None:
    sheet = Sheet()
    put_desk(sheet, replace(DESK, store_ok=False))
    assert [(labels["level"], number) for labels, number in values(sheet, "trading_state")] == [("bot", 2)]


def test_a_stream_that_is_switched_off_is_not_a_stream_that_is_down() -> None:
    sheet = Sheet()
    put_desk(sheet, replace(DESK, accounts=[replace(ACCOUNT, feed=replace(LIVE, state="OFF"))]))
    assert values(sheet, "feed_up") == []
    put_desk(sheet, replace(DESK, accounts=[replace(ACCOUNT, feed=replace(LIVE, state="STALE"))]))
    assert value(sheet, "feed_up", account="main") == 0


def test_gates_are_told_apart_by_their_place() -> None:
    sheet = Sheet()
    put_gates(sheet, health())
    assert (value(sheet, "gates_alive"), value(sheet, "gates_behind")) == (2, 1)
    assert value(sheet, "gate_up", gate="host/gate-0") == 1
    assert value(sheet, "gate_sockets", gate="host/gate-0") == 3
    assert value(sheet, "requests_refused_total", gate="host/gate-0", reason="malformed") == 1
    denied = {"gate": "host/gate-0", "verdict": "deny", "rule": "max_leverage", "code": "LEVERAGE_ABOVE_LIMIT"}
    assert value(sheet, "decisions_total", **denied) == 5
    assert value(sheet, "request_stage_seconds_count", gate="host/gate-0", kind="entry", stage="hold") == 2


def test_a_gate_that_lost_its_lease_is_down_and_one_that_is_gone_is_absent() -> None:
    sheet = Sheet()
    reports = {"host/gate-0": a_report(gate="host:3"), "host/gate-1": a_report(gate="gone:9"), "host/gate-2": None}
    put_gates(sheet, health(reports=reports))
    assert values(sheet, "gate_up") == [({"gate": "host/gate-0"}, 0)]


def test_the_store_as_numbers() -> None:
    sheet = Sheet()
    put_store(sheet, health(), ["main", "other"])
    assert value(sheet, "store_up") == 1
    assert value(sheet, "audit_lag_seconds") == 4
    assert value(sheet, "holds", account="main", state="UNKNOWN") == 2
    assert value(sheet, "holds", account="other", state="UNKNOWN") == 0
    assert value(sheet, "hold_age_seconds_max", account="main", state="UNKNOWN") == 12


@pytest.mark.parametrize(
    ("info", "sound"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "ok"}, 1),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, 0),
        ({"aof_enabled": 0, "aof_last_write_status": "ok"}, 0),
    ],
    ids=["kept", "not-written", "none"],
)
def test_a_store_that_would_forget_says_so(info: dict[str, Any], sound: int) -> None:
    sheet = Sheet()
    put_store(sheet, health(info=info), [])
    assert value(sheet, "store_append_only_sound") == sound


def test_only_forecasts_that_have_held_are_told() -> None:
    told = ToldView(
        account="main", name="liquidation", symbol="", horizon_s=3600, probability=0.02, age_s=1.0, reliable=True
    )
    sheet = Sheet()
    temperature = TemperatureView(symbol="BTCUSDT", value=40.0, age_s=1.0)
    signals = SignalsView(at="", told=[told, replace(told, symbol="X", reliable=False)], temperatures=[temperature])
    put_signals(sheet, signals)
    assert len(values(sheet, "forecast_probability")) == 1
    place = {"account": "main", "forecast": "liquidation", "symbol": "", "horizon_s": "3600"}
    assert value(sheet, "forecast_probability", **place) == 0.02
    assert value(sheet, "leverage_temperature", symbol="BTCUSDT") == 40


def test_of_forecasts_of_one_place_the_highest_is_told_and_funding_is_one_place() -> None:
    leg = ToldView(
        account="main", name="liquidation", symbol="X", horizon_s=86_400, probability=0.41, age_s=1.0, reliable=True
    )
    costs = replace(leg, name="slippage", horizon_s=60)
    told = [
        leg,
        replace(leg, probability=0.000001),
        replace(leg, horizon_s=28_799, probability=0.2),
        replace(leg, horizon_s=12_345, probability=0.1),
        *(replace(costs, quantity="2", probability=each) for each in (0.05, 0.9, 0.001)),
    ]
    sheet = Sheet()
    put_signals(sheet, SignalsView(at="", told=told))
    found = {(at["forecast"], at["horizon_s"]): number for at, number in values(sheet, "forecast_probability")}
    assert found == {("liquidation", "86400"): 0.41, ("liquidation", "funding"): 0.2, ("slippage", "60"): 0.9}


def test_the_budget_as_numbers() -> None:
    sheet = Sheet()
    put_budget(sheet, "v", [Standing(limit="weight-1m", whose="", used=100, granted=2400, reserve=480)], {"": 40})
    place = {"venue": "v", "limit": "weight-1m", "whose": ""}
    got = [value(sheet, f"venue_budget_{name}", **place) for name in ("used", "limit", "reserve")]
    assert got == [100, 2400, 480]
    assert value(sheet, "venue_silence_seconds", venue="v", whose="") == 40


def test_the_last_kill_as_numbers() -> None:
    class Report:
        account = "main"
        scope = "desk"
        started_at = datetime(2026, 11, 27, tzinfo=UTC)
        blocked_ms = 52.0
        flat_ms = None
        flat = False

    sheet = Sheet()
    put_kills(sheet, [Report()])  # type: ignore[list-item]
    assert value(sheet, "last_kill_blocked_seconds", account="main") == 0.052
    assert value(sheet, "last_kill_flat", account="main") == 0
    assert values(sheet, "last_kill_flat_seconds") == []


def test_a_bots_kill_does_not_speak_for_its_account(tmp_path: Path) -> None:
    whole = a_report_of(write_job(tmp_path, a_degraded_kill()))
    for days in (-1, 1):
        part = a_report_of(
            write_job(tmp_path, a_flat_kill(), job_id=f"{days}", started_at=after(days * 86_400), scope="bot:grid")
        )
        for order in ([whole, part], [part, whole]):
            sheet = Sheet()
            put_kills(sheet, order)
            assert values(sheet, "last_kill_flat") == [({"account": "main"}, 0)]
            assert value(sheet, "last_kill_time_seconds", account="main") == whole.started_at.timestamp()


def test_a_bots_kill_has_numbers_of_its_own_until_the_whole_account_is_killed(tmp_path: Path) -> None:
    job_id = "20261123T093000000000-0a1b2c3d"
    part = a_report_of(
        write_job(tmp_path, a_degraded_kill(), job_id=job_id, started_at=after(-86_400), scope="bot:grid")
    )
    grid, sheet = {"account": "main", "bot": "grid"}, Sheet()
    put_kills(sheet, [part])
    assert values(sheet, "last_bot_kill_flat") == [(grid, 0)]
    assert value(sheet, "last_bot_kill_time_seconds", **grid) == part.started_at.timestamp()
    assert values(sheet, "last_kill_flat") == values(sheet, "last_bot_kill_flat_seconds") == []
    sheet = Sheet()
    put_kills(sheet, [part, a_report_of(write_job(tmp_path, a_flat_kill()))])
    assert values(sheet, "last_bot_kill_flat") == values(sheet, "last_bot_kill_time_seconds") == []


def test_a_bots_kill_that_is_under_way_is_not_said_to_have_ended(tmp_path: Path) -> None:
    sheet = Sheet()
    put_kills(sheet, [a_report_of(write_job(tmp_path, the_beginning(), scope="bot:grid"))])
    assert values(sheet, "last_bot_kill_flat") == []
    assert value(sheet, "last_bot_kill_time_seconds", account="main", bot="grid") == NOW.timestamp()


def a_report_of(journal: Journal) -> AccountReport:
    return account_report(journal.job, journal.events)


def test_each_account_has_its_own_last_drill() -> None:
    report = DrillReport(id="1", kind="dry", at=NOW, by="ann", phase="FLAT", passed=True, blocked_ms=1.0, accounts=())
    sheet = Sheet()
    put_drills(sheet, [Rehearsed(account="main", newest=report), Rehearsed(account="new", newest=None)], after(60))
    assert values(sheet, "account_drill_age_seconds") == [({"account": "main"}, 60)]
    assert values(sheet, "account_drill_passed") == [({"account": "main"}, 1), ({"account": "new"}, 0)]


def test_the_build_says_which_version_runs() -> None:
    sheet = Sheet()
    put_build(sheet)
    ((labels, one),) = values(sheet, "build_info")
    assert one == 1 and labels["version"]


def test_this_process_has_memory_and_open_files() -> None:
    facts = process_facts()
    assert facts.resident_bytes > 10_000_000
    assert 0 < facts.open_files < facts.open_files_max
    assert facts.cpu_s > 0
