"""The nouns: how bad something is, what is said of it, the alert it becomes, and what goes out to the channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from proxy.severity import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What there is to say. ``key`` is what it is about: reports of one key are one alert.

    ``what`` is its row in the table. ``title`` says what happened, ``text`` what the guard did, ``advice`` what a
    person can do, ``page`` where in the console. ``news`` is told at once, however lately the alert was told.
    ``spare`` names the channel that need not be told, being what the report is about. ``ends`` are keys of events that
    it is the end of, ``renews`` of those that it begins anew: they have to be acknowledged again. ``retried`` comes
    each time that the guard has tried the same in vain: who acknowledged it hears of no further try. ``group`` is what
    it has in common with reports of other keys, of which not any number is told; empty for one that is always told.
    """

    key: str
    what: str
    severity: Severity
    title: str
    text: str = ""
    advice: str = ""
    page: str = "/alerts"
    news: bool = False
    spare: str = ""
    ends: tuple[str, ...] = ()
    renews: tuple[str, ...] = ()
    retried: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A report in the hands of people. ``lasting``: a condition that is seen for as long as it lasts.

    ``seen_at`` is when it last came, ``told_at`` when people last heard of it, ``count`` how often it came.
    ``absent_since``: the condition is not seen at the moment; it may come back. ``closed_at`` is the end.
    """

    id: str
    report: Report
    raised_at: datetime
    seen_at: datetime
    told_at: datetime
    lasting: bool = False
    count: int = 1
    repeats: int = 0
    reopened: int = 0
    absent_since: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def severity(self) -> Severity:
        """The report's."""
        return self.report.severity

    def told(self, at: datetime) -> Alert:
        """The same, heard of by people now."""
        return replace(self, told_at=at)

    def not_ahead(self, now: datetime) -> Alert:
        """The same, with what lies ahead of now moved to now."""
        moments = (self.seen_at, self.told_at, self.acknowledged_at, self.absent_since, self.closed_at)
        if all(moment is None or moment <= now for moment in moments):
            return self
        return replace(
            self,
            seen_at=min(self.seen_at, now),
            told_at=min(self.told_at, now),
            acknowledged_at=_at_latest(self.acknowledged_at, now),
            absent_since=_at_latest(self.absent_since, now),
            closed_at=_at_latest(self.closed_at, now),
        )


def _at_latest(moment: datetime | None, now: datetime) -> datetime | None:
    return None if moment is None else min(moment, now)


class Occasion(StrEnum):
    """Why people are told."""

    RAISED = "raised"
    AGAIN = "again"
    REPEATED = "repeated"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What came in quiet hours and waits for their end."""

    alert_id: str
    at: datetime
    occasion: Occasion
    severity: Severity
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell. ``quiet``: it came in quiet hours, so only channels without them take it now.

    A digest has ``held`` instead of an alert, and ``left_out`` says how many more there were; it is for the channels
    that have quiet hours.
    """

    occasion: Occasion
    severity: Severity
    at: datetime
    alert: Alert | None = None
    quiet: bool = False
    held: tuple[Held, ...] = ()
    left_out: int = 0
