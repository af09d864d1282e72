"""What the warden sees to be wrong, and from when on: flickers are left out, and what was there before is no news."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.accounts.budget_keeper import Spent
from proxy.alerts.lifecycle import Seen, State, Ticked, evolve
from proxy.alerts.reports import CONFIGURED_WATCHDOG, condition
from proxy.drill.shelf import AccountDrill, DrillReport, drill_id, keep_drill
from proxy.severity import Severity
from proxy.store.fence import DESK
from proxy.store.gates import GateWord
from proxy.warden import sight as sight_module
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.sight import Sight
from rules.decision import Enforcement
from rules.facts import Score
from rules.flow.staged_response import StagedResponse

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass
class Guard:
    """A guard in which everything is well, until a test says otherwise."""

    data_dir: Path
    now: datetime = NOW
    stopped: set[Any] = field(default_factory=set)
    outsiders: set[str] = field(default_factory=set)
    feed: str = "LIVE"
    read_at: datetime = NOW
    priced_at: datetime = NOW
    offset_ms: int = 0
    spent: Spent = field(default_factory=lambda: Spent(0.1))
    verdict: str = "sound"
    trouble: str = ""
    opened: bool = True
    still: tuple[str, ...] = ()
    lost: bool = False
    watchdog: str = "far"
    score: float = 0.0
    store: Callable[[], dict[str, GateWord]] = lambda: {"a": GateWord(1, 0.1), "b": GateWord(1, 0.1)}
    rules: tuple[StagedResponse, ...] = ()

    def sight(self) -> Sight:
        async def gates() -> dict[str, GateWord]:
            return self.store()

        policy = SimpleNamespace(rules=self.rules, kill=SimpleNamespace(drill=SimpleNamespace(max_age_days=None)))
        ground = SimpleNamespace(
            settings=SimpleNamespace(data_dir=self.data_dir, gate_workers=2, survey_every_s=15.0, markets_every_s=2.0),
            now=lambda: self.now,
            scribe=SimpleNamespace(trouble=self.trouble, opened=self.opened),
            pulse=SimpleNamespace(still=self.still),
            store=SimpleNamespace(gates=gates),
            policy=lambda: policy,
            traders=lambda: [("bot", "main")],
        )
        view = SimpleNamespace(state=self.feed, why="the connection broke")
        keeper = SimpleNamespace(view=view, account=SimpleNamespace(), surveyed_at=self.read_at)
        self.keeper = keeper
        account = SimpleNamespace(keeper=keeper, key=SimpleNamespace(verdict=self.verdict))
        self.account = account
        venue = SimpleNamespace(
            market=SimpleNamespace(priced_at=self.priced_at),
            clock=SimpleNamespace(offset_ms=self.offset_ms),
            budget=SimpleNamespace(spent=lambda: self.spent),
        )
        self.venue = venue
        self.accounts = {"main": account}
        score = Score(value=self.score, why="message rate far above its habit")
        desk = SimpleNamespace(
            accounts=self.accounts,
            venues={"binanceusdm": venue},
            kill=SimpleNamespace(engaged=lambda: frozenset(self.stopped)),
            pursuit=SimpleNamespace(outsiders=frozenset(self.outsiders)),
            heart=SimpleNamespace(states=lambda: (SimpleNamespace(name=self.watchdog, lost=self.lost),)),
            watch=SimpleNamespace(levels=lambda: {"desk": score}, score=lambda bot: score),
        )
        return Sight(cast(Ground, ground), cast(DeskPieces, desk))


def seen(sight: Sight) -> dict[str, Severity]:
    return {report.key: report.severity for report in sight.reports()}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Winds the clock that durations are measured with."""
    began, wound = time.monotonic(), [0.0]
    # Its own clock alone: the event loop's must go on.
    monkeypatch.setattr(sight_module, "time", SimpleNamespace(monotonic=lambda: began + wound[0]))

    def wind(seconds: float) -> None:
        wound[0] += seconds

    return wind


def test_where_all_is_well_there_is_nothing(tmp_path: Path) -> None:
    assert seen(Guard(tmp_path).sight()) == {}


@pytest.mark.parametrize(
    ("wrong", "key", "severity"),
    [
        ({"outsiders": {"main"}}, "external:main", Severity.KILL),
        ({"read_at": NOW - timedelta(seconds=61)}, "survey:main", Severity.CRITICAL),
        ({"priced_at": NOW - timedelta(seconds=11)}, "market:binanceusdm", Severity.CRITICAL),
        ({"offset_ms": -1_500}, "clock:binanceusdm", Severity.WARNING),
        ({"offset_ms": 6_000}, "clock:binanceusdm", Severity.CRITICAL),
        ({"spent": Spent(0.85)}, "budget:binanceusdm", Severity.WARNING),
        ({"verdict": "withdrawals"}, "key:main", Severity.CRITICAL),
        ({"trouble": "the disk is full"}, "archive", Severity.CRITICAL),
        ({"still": ("the kill's mirror",)}, "loop:the kill's mirror", Severity.CRITICAL),
        ({"lost": True}, "watchdog:far", Severity.CRITICAL),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_seen(tmp_path: Path, wrong: dict[str, Any], key: str, severity: Severity) -> None:
    assert seen(Guard(tmp_path, **wrong).sight()) == {key: severity}


@pytest.mark.parametrize(
    ("spent", "names_the_kill"),
    [
        (Spent(1.13), False),
        (Spent(1.13, by_kills=0.27), True),
        (Spent(1.4, by_kills=0.27), False),
        (Spent(0.1, by_kills=0.1), None),
    ],
    ids=["bots", "it is the kill's", "too much without it", "little"],
)
def test_of_a_budget_that_a_kill_has_used_up_bots_are_not_blamed(
    tmp_path: Path, spent: Spent, names_the_kill: bool | None
) -> None:
    reports = list(Guard(tmp_path, spent=spent).sight().reports())
    if names_the_kill is None:
        assert reports == []
        return
    (report,) = reports
    assert report.key == "budget:binanceusdm"
    assert ("27% by the guard's kill" in report.title) is names_the_kill
    assert ("bots to send less" in report.advice) is not names_the_kill


def test_a_score_counts_from_what_the_policy_wants_written_down(tmp_path: Path) -> None:
    rule = StagedResponse(alert_at=Decimal("0.4"))
    assert seen(Guard(tmp_path, score=0.9).sight()) == {}, "no rule looks at it"
    assert seen(Guard(tmp_path, score=0.9, rules=(replace(rule, enforcement=Enforcement.OFF),)).sight()) == {}
    assert seen(Guard(tmp_path, score=0.3, rules=(rule,)).sight()) == {}
    assert seen(Guard(tmp_path, score=0.5, rules=(rule,)).sight()) == {
        "anomaly:desk": Severity.WARNING,
        "anomaly:bot:bot": Severity.WARNING,
    }


def test_a_stream_that_flickers_is_no_alert_and_one_that_stays_down_gets_worse(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    guard = Guard(tmp_path, feed="STALE")
    sight = guard.sight()
    assert seen(sight) == {}
    guard.keeper.view.state = "LIVE"
    later(1.5)
    assert seen(sight) == {}
    guard.keeper.view.state = "STALE"
    assert seen(sight) == {}
    later(2.5)
    assert seen(sight) == {"feed:main": Severity.WARNING}
    later(60)
    assert seen(sight) == {"feed:main": Severity.CRITICAL}


def test_a_stop_by_whatever_way_is_seen_after_a_moment(tmp_path: Path, later: Callable[[float], None]) -> None:
    guard = Guard(tmp_path)
    sight = guard.sight()
    guard.stopped.add(DESK)
    assert seen(sight) == {}, "its event has a name and a reason, and comes first"
    later(1.5)
    assert seen(sight) == {"stop:desk": Severity.KILL}


def test_a_stop_of_before_is_there_from_the_first_look(tmp_path: Path) -> None:
    assert seen(Guard(tmp_path, stopped={DESK}).sight()) == {"stop:desk": Severity.KILL}


async def test_a_store_that_is_silent_is_gone_and_one_gate_of_two_is_too_few(
    tmp_path: Path, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight_module, "STORE_EVERY_S", 0.001)
    guard = Guard(tmp_path)
    sight = guard.sight()

    def silent() -> dict[str, GateWord]:
        raise TimeoutError

    task = asyncio.create_task(sight.ask_the_store())
    guard.store = silent
    await asyncio.sleep(0.05)
    assert seen(sight) == {"store": Severity.CRITICAL}
    guard.store = lambda: {"a": GateWord(1, 0.1), "b": GateWord(1, 30.0)}
    await asyncio.sleep(0.05)
    assert seen(sight) == {}
    later(11)
    assert seen(sight) == {"gates": Severity.CRITICAL}
    task.cancel()


async def test_a_full_disk_and_a_drill_that_never_was_are_looked_for_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=10 * 2**20, total=1000 * 2**20)
    monkeypatch.setattr(sight_module.shutil, "disk_usage", lambda path: usage)
    sight = Guard(tmp_path).sight()
    task = asyncio.create_task(sight.look_at_the_disk())
    async with asyncio.timeout(5):
        while not seen(sight):
            await asyncio.sleep(0.01)
    assert seen(sight) == {"disk": Severity.CRITICAL, "drill": Severity.INFO}
    task.cancel()


@pytest.mark.parametrize(
    ("opened", "said"),
    [
        (False, "the seal is gone. Entries are refused until it opens."),
        (True, "the seal is gone. Records wait in the store; when they are too many entries are refused."),
    ],
)
def test_an_archive_that_never_opened_refuses_entries_now(tmp_path: Path, opened: bool, said: str) -> None:
    (report,) = Guard(tmp_path, trouble="the seal is gone", opened=opened).sight().reports()
    assert (report.key, report.text) == ("archive", said)


def told_in(guard: Guard, sight: Sight, state: State, seconds: int, later: Callable[[float], None]) -> list[str]:
    """What the alert desk tells while it looks twice a second."""
    told = []
    for _ in range(2 * seconds):
        unsure = frozenset(key for key in state.open if sight.unsure(key))
        for event in (Seen(sight.reports(), unsure), Ticked()):
            state, notices = evolve(state, event, guard.now, quiet=False)
            told += [f"{each.occasion.value} {each.alert.report.key}" for each in notices if each.alert is not None]
        guard.now += timedelta(seconds=0.5)
        later(0.5)
    return told


def test_a_warden_that_starts_anew_while_the_exchange_is_away_says_nothing_is_over_and_nothing_twice(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    reports = (
        condition("survey", account="main", age=400),
        condition("market", venue="binanceusdm", age=400),
        condition("feed", Severity.CRITICAL, account="main", why="the connection broke"),
        condition("key", account="main", wrong="withdrawals"),
        condition("clock.off", venue="binanceusdm", offset_ms="+1500"),
        condition("external", account="main"),
        condition("gates", living=1, expected=2),
        condition("watchdog", watchdog="far"),
        condition("store"),
    )
    state, _ = evolve(State(), Seen(reports), NOW - timedelta(seconds=400), quiet=False)
    guard = Guard(tmp_path, verdict="unknown", stopped={DESK}, lost=True)
    sight = guard.sight()
    guard.keeper.account = guard.keeper.surveyed_at = None
    guard.venue.market.priced_at = guard.venue.clock.offset_ms = None
    told = told_in(guard, sight, state, 400, later)
    assert [each for each in told if not each.startswith("repeated")] == ["raised stop:desk", "cleared store"], (
        "the store alone is known to be well"
    )


def test_what_got_well_over_a_restart_is_over_once_it_is_known(tmp_path: Path, later: Callable[[float], None]) -> None:
    reports = (condition("survey", account="main", age=400), condition("feed", account="main", why="it broke"))
    state, _ = evolve(State(), Seen(reports), NOW - timedelta(seconds=400), quiet=False)
    guard = Guard(tmp_path)
    sight = guard.sight()
    guard.keeper.surveyed_at = guard.venue.market.priced_at = NOW + timedelta(days=1)
    assert told_in(guard, sight, state, 89, later) == []
    assert told_in(guard, sight, state, 40, later) == ["cleared survey:main", "cleared feed:main"]


def test_a_configured_watchdog_has_its_time_to_ask_before_its_alarm_of_before_is_over(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    guard = Guard(tmp_path, watchdog="")
    sight = guard.sight()
    later(600)
    assert sight.unsure(f"watchdog:{CONFIGURED_WATCHDOG}") and not sight.unsure("watchdog:far")
    guard.watchdog = "far"
    assert not sight.unsure(f"watchdog:{CONFIGURED_WATCHDOG}")


def a_drill(at: datetime, *accounts: str, passed: bool = True) -> DrillReport:
    drilled = tuple(
        AccountDrill(
            account=account,
            phase="FLAT",
            positions=0,
            orders=0,
            blocked_ms=None,
            cancelled_ms=None,
            flat_ms=None,
            verified_ms=None,
            cost_estimate="",
            estimate_in_book="",
            cost="",
        )
        for account in accounts
    )
    return DrillReport(
        id=drill_id(at), kind="dry", at=at, by="ann", phase="FLAT", passed=passed, blocked_ms=1.0, accounts=drilled
    )


def test_the_account_whose_kill_was_rehearsed_the_worst_is_named(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    sight = guard.sight()
    guard.accounts["second"] = guard.account
    keep_drill(tmp_path, a_drill(NOW - timedelta(days=2), "main"))
    assert [each.title for each in sight._drill()] == ["The kill of second was never rehearsed"]
    keep_drill(tmp_path, a_drill(NOW - timedelta(days=40), "second"))
    (old,) = sight._drill()
    assert (old.title, old.severity) == ("The last drill of second is 40 days old", Severity.WARNING)
    keep_drill(tmp_path, a_drill(NOW - timedelta(days=1), "second", passed=False))
    (failed,) = sight._drill()
    assert (failed.key, failed.title) == ("drill", "The last drill of second did not pass")
    keep_drill(tmp_path, a_drill(NOW, "second"))
    assert list(sight._drill()) == []


async def test_no_thread_to_be_had_ends_no_look_at_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sight_module, "SLOW_EVERY_S", 0.01)
    sight = Guard(tmp_path).sight()
    full = [True]
    real = asyncio.to_thread

    async def to_thread(*work: Any) -> Any:
        if full[0]:
            raise RuntimeError("can't start new thread")
        return await real(*work)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    task = asyncio.create_task(sight.look_at_the_disk())
    await asyncio.sleep(0.05)
    full[0] = False
    async with asyncio.timeout(5):
        while not seen(sight):
            await asyncio.sleep(0.01)
    task.cancel()
    assert "the room on the disk is not known: can't start new thread" in caplog.text
