"""Turns an event, or what the warden sees, into a report: the row of the table with its words filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from proxy.alerts.alert import Report
from proxy.alerts.conditions_table import CONDITIONS
from proxy.alerts.events_table import BROKE_OFF, EVENTS
from proxy.alerts.row import Detail, Row
from proxy.severity import Severity
from proxy.store.scope import bot_in, part_in_words
from proxy.terminal import safe

CONFIGURED_WATCHDOG: Final = "that is configured"
"""What the watchdog is called that the settings want and that never asked, so that its event and its condition are one
alert."""

_OTHERS_STAY: Final = "What others hold on the account stays"
_OF_ALL: Final = {
    "nothing_open": "The exchange shows no order and no position",
    "dust_open": "What is left is below the exchange's minimum size",
}
_OF_A_BOT: Final = {
    "nothing_open": f"Nothing of this bot is open. {_OTHERS_STAY}",
    "dust_open": f"What is left of this bot is below the exchange's minimum size. {_OTHERS_STAY}",
}

_TEXT_MAX: Final = 200
_KEY_MAX: Final = 120
_FOUND_MAX: Final = 60
_FINDINGS_SHOWN: Final = 3
_WITHDRAWAL: Final = "withdrawal"


def report_of(what: str, by: str, detail: Detail) -> Report | None:
    """The report of an event, ``None`` where nobody needs to hear of it. Never raises, whatever the detail is."""
    # A press says how it began; what has a phase has ended, and in that one it had done nothing yet.
    row = BROKE_OFF if what == "kill.engaged" and "phase" in detail else EVENTS.get(what)
    if row is None or not row.when(detail):
        return None
    report = _filled(what, row, _words(detail) | {"by": safe(by)[:_TEXT_MAX]})
    if any(each.get("activity") == _WITHDRAWAL for each in _findings(detail)):
        # Each is money that is gone, and one must not pass for another, nor go unheard for a flood of orders.
        return replace(report, news=True, group="")
    return report


def condition(name: str, severity: Severity | None = None, spare: str = "", **words: object) -> Report:
    """The report of a condition. ``severity`` instead of the row's; ``spare`` is the channel it is about."""
    report = _filled(name, CONDITIONS[name], {word: _text(value) for word, value in words.items()})
    return replace(report, severity=severity or report.severity, spare=spare)


def _filled(what: str, row: Row, known: Mapping[str, str]) -> Report:
    words = _Words(known)
    return Report(
        key=row.about.format_map(words)[:_KEY_MAX],
        what=what,
        severity=row.severity,
        title=row.title.format_map(words),
        text=row.text.format_map(words),
        advice=row.advice,
        page=row.page,
        news=row.news,
        ends=_keys(row.ends, words),
        renews=_keys(row.renews, words),
        retried=row.retried,
        group=row.group.format_map(words)[:_KEY_MAX],
    )


def _keys(templates: Sequence[str], words: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(key.format_map(words)[:_KEY_MAX] for key in templates)


class _Words(dict[str, str]):
    """What an event does not say reads as a question mark: better an alert with a hole than none."""

    def __missing__(self, key: str) -> str:
        return "?"


def _words(detail: Detail) -> dict[str, str]:
    """The detail's values as bounded texts; what a venue or a bot wrote is spelled out."""
    words = {name: _text(value) for name, value in detail.items()}
    ruling = detail.get("ruling")
    if isinstance(ruling, Mapping):
        words |= {f"ruling_{name}": _text(value) for name, value in ruling.items()}
    findings = _findings(detail)
    if findings:
        more = len(findings) - _FINDINGS_SHOWN
        shown = _text([_finding(each) for each in findings[:_FINDINGS_SHOWN]])
        words["findings"] = f"{shown} and {more} more" if more > 0 else shown
        words["found"] = _found(findings)
    words["policy_short"] = _text(detail.get("policy", ""))[:12]
    loosened = detail.get("loosened")
    words["loosened_words"] = f"It loosens: {_text(loosened)}" if loosened else "It loosens nothing."
    if detail.get("watchdog") == "":
        words["watchdog"] = CONFIGURED_WATCHDOG
    scope = _text(detail.get("scope", ""))
    words["part"] = part_in_words(scope, words.get("account", "?"))
    words |= _OF_A_BOT if bot_in(scope) else _OF_ALL
    words["trouble"] = _text(detail.get("trouble") or "see the kill's page")
    return words


def _findings(detail: Detail) -> list[Detail]:
    """What was found on an account, withdrawals first."""
    findings = detail.get("findings")
    if not isinstance(findings, list):
        return []
    return sorted(
        (each for each in findings if isinstance(each, Mapping)), key=lambda each: each.get("activity") != _WITHDRAWAL
    )


def _finding(finding: Detail) -> str:
    return _joined(finding, "activity", "subject", "detail")


def _found(findings: Sequence[Detail]) -> str:
    """The same for the same kinds of things on the same symbols, however many: what makes it another alert."""
    found = ", ".join(sorted({safe(_joined(each, "activity", "subject")) for each in findings}))
    return found if len(found) <= _FOUND_MAX else hashlib.sha256(found.encode()).hexdigest()[:16]


def _joined(finding: Detail, *names: str) -> str:
    return " ".join(filter(None, (str(finding.get(name, "")) for name in names)))


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return safe("; ".join(str(each) for each in value))[:_TEXT_MAX]
    return safe(value)[:_TEXT_MAX]
