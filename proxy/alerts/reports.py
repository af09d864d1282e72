"""Turns an event, or what the warden sees, into a report: the row of the table with its words filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from proxy.alerts.alert import Report, Severity
from proxy.alerts.conditions_table import CONDITIONS
from proxy.alerts.events_table import EVENTS
from proxy.alerts.row import Detail, Row
from proxy.audit.words import safe

_TEXT_MAX: Final = 200
_KEY_MAX: Final = 120


def report_of(what: str, by: str, detail: Detail) -> Report | None:
    """The report of an event, ``None`` where nobody needs to hear of it. Never raises, whatever the detail is."""
    row = EVENTS.get(what)
    if row is None or not row.when(detail):
        return None
    return _filled(what, row, _words(detail) | {"by": safe(by)[:_TEXT_MAX]})


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
        ends=tuple(key.format_map(words)[:_KEY_MAX] for key in row.ends),
    )


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
    findings = detail.get("findings")
    if isinstance(findings, list):
        words["findings"] = _text([_finding(each) for each in findings[:3] if isinstance(each, Mapping)])
    words["policy_short"] = _text(detail.get("policy", ""))[:12]
    loosened = detail.get("loosened")
    words["loosened_words"] = f"It loosens: {_text(loosened)}" if loosened else "It loosens nothing."
    words["trouble"] = _text(detail.get("trouble") or "see the kill's page")
    return words


def _finding(finding: Detail) -> str:
    return " ".join(str(finding.get(name, "")) for name in ("activity", "subject", "detail")).strip()


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return safe("; ".join(str(each) for each in value))[:_TEXT_MAX]
    return safe(value)[:_TEXT_MAX]
