"""Every event of the guard is told or is known to need nobody; and no event, however odd, breaks the telling."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.alerts.alert import Severity
from proxy.alerts.conditions_table import CONDITIONS
from proxy.alerts.events_table import AUDIT_ONLY, EVENTS
from proxy.alerts.reports import condition, report_of

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
    assert going_on is not None and stopped is not None and reducing is not None
    assert set(going_on.ends) == {stopped.key, reducing.key}


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
