"""Every event of the guard is told or is known to need nobody; and no event, however odd, breaks the telling."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.alerts.alert import Report
from proxy.alerts.conditions_table import CONDITIONS
from proxy.alerts.events_table import AUDIT_ONLY, EVENTS
from proxy.alerts.reports import CONFIGURED_WATCHDOG, condition, report_of
from proxy.severity import Severity
from proxy.store.fence import Scope
from rules.kill.events import Phase
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk
from tests.proxy.kill.virtual_time import in_virtual_time

ROOT = Path(__file__).parent.parent.parent.parent
EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)?")
RECORDERS = {"event", "_record", "record"}
NOT_EVENTS = {"intent", "decision", "outcome"}
"""What gates write of requests, by a method of the same name."""


def recorded() -> Iterator[str]:
    """The name of every event in the code that is written as a plain text, or as one of two."""
    for path in (ROOT / "proxy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RECORDERS:
                first = node.args[0] if node.args else None
                either = (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)
                for name in either:
                    if isinstance(name, ast.Constant) and isinstance(name.value, str) and EVENT.fullmatch(name.value):
                        yield name.value


def test_every_event_has_a_row_or_is_known_to_need_nobody() -> None:
    names = set(recorded()) - NOT_EVENTS
    assert len(names) > 20, "the search finds what is written"
    missing = sorted(names - EVENTS.keys() - AUDIT_ONLY)
    assert missing == [], "add a row to proxy/alerts/events_table.py, or name it in AUDIT_ONLY"
    assert not EVENTS.keys() & AUDIT_ONLY


def test_a_kill_says_who_why_and_what_to_do() -> None:
    report = report_of("kill.engaged", "ann", {"scope": "account:main", "reason": "runaway bot"})
    assert report is not None
    assert (report.key, report.severity) == ("stop:account:main", Severity.KILL)
    assert "account:main" in report.title and "ann: runaway bot" in report.text and report.advice


@pytest.mark.parametrize("what", ["kill.flat", "kill.flat_except_dust", "kill.engaged"])
def test_the_end_of_a_kill_is_the_same_alert_as_its_begin(what: str) -> None:
    report = report_of(what, "ann", {"scope": "desk", "reason": "drill"})
    assert report is not None and report.key == condition("stopped", scope="desk").key


def test_a_kill_that_is_not_done_is_an_alert_of_its_own() -> None:
    report = report_of("kill.degraded", "ann", {"scope": "desk", "reason": "drill", "trouble": ""})
    assert (
        report is not None and report.key != condition("stopped", scope="desk").key and report.severity is Severity.KILL
    )


@pytest.mark.parametrize("what", ["kill.flat", "kill.flat_except_dust"])
def test_the_kill_of_one_bot_does_not_say_that_the_account_is_empty(what: str) -> None:
    of_bot, of_all = (report_of(what, "ann", {"scope": scope, "reason": "drill"}) for scope in ("bot:trend", "desk"))
    assert of_bot is not None and of_all is not None
    assert "of this bot" in of_bot.text and "What others hold on the account stays." in of_bot.text
    assert "The exchange shows no" not in of_bot.text
    assert "of this bot" not in of_all.text and "others" not in of_all.text
    part = report_of("kill.account_flat", "ann", {"scope": "bot:trend", "account": "main", "waiting": ["second"]})
    assert part is not None and part.title == "bot trend on main is flat, bot:trend is not yet"


@pytest.mark.parametrize("hand", ["survey", "cancel", "close", "verify"])
def test_a_kill_that_breaks_off_by_a_fault_of_the_guards_own_is_told_as_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hand: str
) -> None:
    async def one() -> None:
        events = list[Any]()
        venue = SimulatedVenue(3, fault_share=0)
        desk = a_desk(tmp_path, SimulatedStore(random.Random(1)), venue, events=events)
        name = "survey" if hand == "verify" else hand
        real = getattr(venue, name)

        async def broken(*args: Any, **more: Any) -> Any:
            if hand != "verify" or venue.flat:
                raise KeyError("a bug")
            return await real(*args, **more)

        monkeypatch.setattr(venue, name, broken)
        await desk.press(Scope("main"), "ann", "runaway")
        await desk.runs.join()
        (_, begun), (what, ended) = events
        assert report_of("kill.engaged", "ann", begun | {"scope": "account:main"}) != report_of(what, "ann", ended)
        report = report_of(what, "ann", ended)
        assert report is not None, what
        assert (report.severity, report.title) == (
            Severity.KILL,
            "KILL NOT DONE: the kill of account:main broke off",
        )
        assert "By ann: runaway." in report.text and str(ended["phase"]) in report.text and not report.news
        done = report_of("kill.flat", "ann", {"scope": "account:main"})
        assert done is not None and report.key in done.ends

    in_virtual_time(one())


def test_of_every_phase_a_kill_can_end_in_people_hear() -> None:
    for phase in Phase:
        report = report_of(f"kill.{phase.value.lower()}", "ann", {"scope": "desk", "phase": phase.value})
        assert report is not None and report.severity is Severity.KILL
        assert phase.final or "broke off" in report.title


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("lease.lapsed", {"step": "reduce"}), ("lease.lapsed", {"step": "flatten"})),
        (("protection.lost", {"position_side": "LONG"}), ("protection.lost", {"position_side": "SHORT"})),
        (("key.enabled", {"key": "…abcd"}), ("key.enabled", {"key": "…efgh"})),
    ],
    ids=["a lease's next step", "the other leg of a hedge", "another key of the bot"],
)
def test_what_is_not_the_same_is_another_alert(
    first: tuple[str, dict[str, str]], second: tuple[str, dict[str, str]]
) -> None:
    detail = {"account": "main", "bot": "grid", "symbol": "BTCUSDT"}
    one, other = (report_of(what, "ann", detail | more) for what, more in (first, second))
    assert one is not None and other is not None and one.key != other.key


def test_the_configured_watchdog_that_never_asked_is_one_alert_with_a_name() -> None:
    report = report_of("watchdog.lost", "warden", {"watchdog": ""})
    assert report is not None and report.key == condition("watchdog", watchdog=CONFIGURED_WATCHDOG).key
    assert CONFIGURED_WATCHDOG in report.title


def test_a_bot_that_is_called_like_an_account_shares_no_alert_with_its_exchange_key() -> None:
    report = report_of("key.enabled", "ann", {"bot": "main", "account": "main", "key": "…abcd"})
    assert report is not None and report.key != condition("key", account="main").key


@pytest.mark.parametrize("what", ["key.disabled", "key.enabled", "reducing", "bot.stopped", "policy.in_force"])
def test_what_has_an_opposite_is_told_however_lately_the_other_was(what: str) -> None:
    report = report_of(what, "ann", {})
    assert report is not None and report.news


def test_whoever_lets_something_go_on_ends_what_had_stopped_it() -> None:
    going_on = report_of("rearm", "ann", {"scope": "bot:grid", "reason": "looked at"})
    stopped = report_of("bot.stopped", "rule execution_throttle", {"scope": "bot:grid", "state": "HALTED"})
    reducing = report_of("reducing", "warden", {"scope": "bot:grid"})
    undone = report_of("kill.degraded", "ann", {"scope": "bot:grid"})
    assert going_on is not None and stopped is not None and reducing is not None and undone is not None
    assert set(going_on.ends) == {stopped.key, reducing.key, undone.key}


@pytest.mark.parametrize("what", ["kill.flat", "kill.flat_except_dust"])
def test_a_kill_that_is_done_in_the_end_is_not_undone_any_more(what: str) -> None:
    done, undone = (report_of(each, "ann", {"scope": "desk", "reason": "drill"}) for each in (what, "kill.degraded"))
    assert done is not None and undone is not None and done.ends == (undone.key,)


def test_an_account_that_is_flat_before_its_scope_is_not_told_in_the_scopes_words() -> None:
    detail = {"scope": "desk", "account": "main", "phase": "FLAT", "waiting": ["second", "third"]}
    report = report_of("kill.account_flat", "guard", detail)
    assert report is not None and report.key != condition("stopped", scope="desk").key and report.ends == ()
    assert "desk is not" in report.title and "second; third" in report.text


def a_finding(activity: str, subject: str = "", detail: str = "") -> dict[str, str]:
    return {"activity": activity, "subject": subject, "detail": detail}


def found(*findings: dict[str, str], what: str = "outside.activity") -> Report:
    report = report_of(what, "warden", {"account": "main", "action": "alert", "findings": list(findings)})
    assert report is not None
    return report


def test_another_kind_of_activity_or_another_symbol_is_another_alert_and_the_same_is_not() -> None:
    order = a_finding("order", "BTCUSDT", "BUY 0.1")
    first = found(order)
    assert found(order | {"detail": "SELL 3"}).key == first.key == found(order, order).key
    assert found(order | {"subject": "ETHUSDT"}).key != first.key != found(order | {"activity": "fill"}).key
    both = [order, a_finding("fill", "BTCUSDT")]
    assert found(*both).key == found(*reversed(both)).key != first.key
    one, other = (found(a_finding("forced", symbol), what="venue.forced") for symbol in ("BTCUSDT", "ETHUSDT"))
    assert one.key != other.key and one.group == other.group != first.group
    many = [a_finding("order", f"SYMBOL{number}USDT") for number in range(50)]
    assert found(*many[:49]).key != found(*many[1:]).key and len(found(*many).key) < 100


def test_a_withdrawal_is_said_first_is_told_each_time_and_counts_for_no_flood() -> None:
    orders = [a_finding("order", f"{name}USDT", "BUY 1") for name in ("BTC", "ETH", "SOL")]
    report = found(*orders, a_finding("withdrawal", detail="50000 USDT left the account"))
    assert "withdrawal 50000 USDT left the account; order BTCUSDT BUY 1" in report.title
    assert report.title.endswith("and 1 more") and "more" not in found(*orders).title
    assert report.news and not report.group and found(*orders).group and not found(*orders).news


def test_a_trigger_that_reduces_is_another_alert_than_one_that_kills() -> None:
    killing, reducing = (report_of(what, "warden", {"account": "main"}) for what in ("trigger.kill", "trigger.reduce"))
    assert killing is not None and reducing is not None and killing.key != reducing.key


def test_a_clock_that_is_right_again_is_no_alert() -> None:
    assert report_of("clock", "warden", {"venue": "x", "offset_ms": 3, "ok": True}) is None
    assert report_of("clock", "warden", {"venue": "x", "offset_ms": 3000, "ok": False}) is not None


def test_what_a_venue_wrote_is_spelled_out_and_bounded() -> None:
    report = report_of("reducing", "warden", {"scope": "account:main", "reason": "\x1b[2J\u202e" + "x" * 5_000})
    assert report is not None
    assert report.text.isprintable() and len(report.text) < 500


def test_a_text_cannot_reach_into_another() -> None:
    report = report_of("reducing", "warden", {"scope": "{by.__class__}", "reason": "{0}{scope!r}"})
    assert report is not None and "{by.__class__}" in report.title and "{0}{scope!r}" in report.text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["scope", "reason", "ruling", "findings", "account", "shown", "trouble", "policy", "loosened", "wrong", "ok"]
)


@given(st.sampled_from(sorted(EVENTS)), st.text(), st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_event_breaks_the_telling(what: str, by: str, detail: dict[str, object]) -> None:
    report = report_of(what, by, detail)
    assert report is None or (report.title and report.key)


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_a_condition_without_its_words_still_is_one(name: str) -> None:
    assert condition(name).title


@pytest.mark.parametrize("name", sorted(CONDITIONS | EVENTS))
def test_a_row_says_what_one_can_do_or_what_happened(name: str) -> None:
    row = (CONDITIONS | EVENTS)[name]
    assert row.text or row.advice
    assert row.page.startswith("/")
