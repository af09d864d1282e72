"""A notice as the text that goes out: what happened, what the guard did, what one can do, where, and how to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.alerts.alert import Alert, Held, Notice, Occasion, Report
from proxy.severity import Severity

DIGEST_LINES_MAX: Final = 30

_MARKS: Final = {
    Severity.INFO: "INFO",
    Severity.WARNING: "WARNING",
    Severity.CRITICAL: "CRITICAL",
    Severity.KILL: "KILL LEVEL",
}
_LEADS: Final = {
    Occasion.RAISED: "",
    Occasion.AGAIN: "Again: ",
    Occasion.REPEATED: "Not acknowledged: ",
    Occasion.ACKNOWLEDGED: "Acknowledged: ",
    Occasion.CLEARED: "Over: ",
    Occasion.DIGEST: "",
    Occasion.TEST: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one channel is given. Plain text; ``body`` has lines."""

    severity: Severity
    title: str
    body: str


def message(notice: Notice, *, desk: str, page: Callable[[str], str], answer: str = "") -> Message:
    """The text of a notice about an alert. ``page`` makes a link of a path, ``answer`` is the link to acknowledge."""
    alert = notice.alert
    assert alert is not None  # noqa: S101 - a digest is worded by digest
    report, lines = alert.report, list[str]()
    match notice.occasion:
        case Occasion.CLEARED:
            lines += [f"It lasted {_span(alert)}."]
        case Occasion.ACKNOWLEDGED:
            lines += [f"By {alert.acknowledged_by}. It is not told again."]
        case _:
            lines += [report.text, report.advice]
            if alert.count > 1 and not report.news:
                lines += [f"It came {alert.count} times since {alert.raised_at:%H:%M:%S} UTC."]
            if answer:
                lines += [f"Acknowledge: {answer}"]
    lines += [f"Look: {page(report.page)}", f"{desk}, {notice.at:%Y-%m-%d %H:%M:%S} UTC, alert {alert.id}"]
    return Message(
        severity=notice.severity,
        title=f"[{_MARKS[notice.severity]}] {_lead(notice.occasion, report)}{report.title}",
        body="\n".join(line for line in lines if line),
    )


def digest(notice: Notice, *, desk: str, page: Callable[[str], str], minimum: Severity) -> Message | None:
    """The text of what waited for the end of quiet hours, of ``minimum`` and worse; ``None`` when nothing is left."""
    held = [each for each in notice.held if each.severity.rank >= minimum.rank]
    if not held:
        return None
    worst = max((each.severity for each in held), key=lambda severity: severity.rank)
    shown = held[-DIGEST_LINES_MAX:]
    lines = [_line(each) for each in shown]
    unsaid = len(held) - len(shown) + notice.left_out
    if unsaid:
        lines.insert(0, f"{unsaid} more before these: see the page.")
    lines += [f"Look: {page('/alerts')}", f"{desk}, {notice.at:%Y-%m-%d %H:%M:%S} UTC"]
    return Message(
        severity=worst,
        title=f"[{_MARKS[worst]}] In quiet hours: {len(held) + notice.left_out} notices",
        body="\n".join(lines),
    )


def trial(*, desk: str, by: str, channel: str, at: str) -> Message:
    """The text of a test."""
    return Message(
        severity=Severity.INFO,
        title="[TEST] perpguard alerts arrive here",
        body=f"{by} tests the channel {channel}. Nothing has happened.\n{desk}, {at}",
    )


def _lead(occasion: Occasion, report: Report) -> str:
    return "" if occasion is Occasion.AGAIN and report.news else _LEADS[occasion]


def _line(held: Held) -> str:
    return f"{held.at:%H:%M:%S} {_MARKS[held.severity]} {_LEADS[held.occasion]}{held.title}"


def _span(alert: Alert) -> str:
    seconds = round(((alert.absent_since or alert.seen_at) - alert.raised_at).total_seconds())
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
