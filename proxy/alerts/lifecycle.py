"""The life of alerts as a state machine: raised, told once, repeated, acknowledged, over. Pure: reads no clock.

``evolve`` gives the next state and what to tell. What is told inside quiet hours is marked so, and kept for a digest;
what is of kill level is neither, ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from proxy.alerts.alert import Alert, Held, Notice, Occasion, Report
from proxy.alerts.reports import condition
from proxy.severity import Severity

AGAIN_AFTER: Final = {
    Severity.INFO: timedelta(hours=1),
    Severity.WARNING: timedelta(minutes=30),
    Severity.CRITICAL: timedelta(minutes=10),
    Severity.KILL: timedelta(minutes=1),
}
"""How long the same is counted and not told again, since people were last told, or acknowledged it."""

REPEAT_AFTER: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 15, 15, 15, 30, 30, 30, 60, 60))
"""When an alert of kill level is told again that nobody acknowledged, each since the last time; then no more."""

SETTLED_AFTER: Final = timedelta(seconds=30)
SETTLED_AFTER_MAX: Final = timedelta(minutes=15)
"""How long a condition must be away to be over. Doubled each time it came back within ``REMEMBERED``."""

REMEMBERED: Final = timedelta(hours=1)

GROUP_MAX: Final = 6
"""How many keys of one group may be told within ``REMEMBERED``. What comes beyond them is one alert, the group's."""

OPEN_MAX: Final = 200
"""Not counting ``crowd``, which tells of those that there is no room for, and so must have room itself."""

PAST_MAX: Final = 200
HELD_MAX: Final = 200

CROWD: Final = "crowd"
"""The condition that there are more conditions than may be open: its row in the table, and its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Alerts that are open, by key; those that are over, oldest first; what waits for the end of quiet hours."""

    open: Mapping[str, Alert] = field(default_factory=dict)
    past: tuple[Alert, ...] = ()
    held: tuple[Held, ...] = ()
    left_out: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Raised:
    """Something happened."""

    report: Report


@dataclass(frozen=True, slots=True)
class Seen:
    """Every condition that is so now; one that is not among them is not so any more.

    ``unsure`` are keys of which nobody can tell yet, as a warden that has just begun: they stay as they are.
    """

    reports: tuple[Report, ...]
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody has heard of it. Nothing happens for an alert that is not open, or was acknowledged already."""

    alert_id: str
    by: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


Event = Raised | Seen | Acknowledged | Ticked


def evolve(state: State, event: Event, now: datetime, *, quiet: bool) -> tuple[State, tuple[Notice, ...]]:
    """The next state, and what to tell. ``quiet``: it is in quiet hours now."""
    notices: list[Notice] = []
    state = _not_ahead(state, now)
    match event:
        case Raised():
            state = _end(state, event.report.ends, now)
            state = _renew(state, event.report.renews, now)
            state = _raise(state, _grouped(state, event.report, now), now, notices, lasting=False)
        case Seen():
            state = _see(state, event, now, notices)
        case Acknowledged():
            state = _acknowledge(state, event, now, notices)
        case Ticked():
            state = _repeat(state, now, notices)
            state = _forget(state, now)
        case _:
            assert_never(event)
    return _hush(state, notices, now, quiet=quiet)


def find(state: State, alert_id: str) -> Alert | None:
    """The alert of that id, open or over."""
    return next((each for each in (*state.open.values(), *reversed(state.past)) if each.id == alert_id), None)


def _not_ahead(state: State, now: datetime) -> State:
    """A clock that was set back leaves moments ahead of it: they are now, or nothing would be told until then."""
    return replace(
        state,
        open={key: alert.not_ahead(now) for key, alert in state.open.items()},
        past=tuple(alert.not_ahead(now) for alert in state.past),
    )


def _grouped(state: State, report: Report, now: datetime) -> Report:
    """The report, as the group's where enough other keys of it were told lately."""
    if not report.group:
        return report
    told = {
        alert.report.key
        for alert in (*state.open.values(), *state.past)
        if alert.report.group == report.group and now - alert.told_at < REMEMBERED
    }
    return report if report.key in told or len(told) < GROUP_MAX else replace(report, key=report.group, group="")


def _raise(state: State, report: Report, now: datetime, notices: list[Notice], *, lasting: bool) -> State:
    known = state.open.get(report.key)
    if known is None:
        before = next((each for each in reversed(state.past) if each.report.key == report.key), None)
        if before is not None and _is_same(before, report, now) and not lasting:
            return _with_past(state, replace(before, seen_at=now, count=before.count + 1))
        fresh = _new(state.number + 1, report, before, now, lasting=lasting)
        notices.append(_notice(Occasion.RAISED, fresh, now))
        return _opened(replace(state, number=state.number + 1), fresh, now)
    # A kill after what was stopped had come back is another kill, however soon; so is what is news. One that is tried
    # again and again is the same, unless something else is to be said of it.
    news = known.report.title != report.title if report.retried else report.news
    another = report.severity is Severity.KILL and (news or known.absent_since is not None)
    anew = another or report.severity.rank > known.severity.rank
    heard = report.retried and known.acknowledged_by
    told = anew or (not heard and (report.news or now - known.told_at >= AGAIN_AFTER[report.severity]))
    came = replace(
        known,
        report=report if report.severity.rank >= known.severity.rank else known.report,
        seen_at=now,
        count=known.count + 1,
        lasting=known.lasting or lasting,
        absent_since=None,
    )
    if anew:
        came = _unheard(came)
    if told:
        came = came.told(now)
        notices.append(_notice(Occasion.AGAIN, came, now))
    return _with_open(state, came)


def _end(state: State, keys: Iterable[str], now: datetime) -> State:
    """What an event is the end of is over with it. A condition is over when it is not seen any more."""
    for key in keys:
        alert = state.open.get(key)
        if alert is not None and not alert.lasting:
            state = _closed(state, replace(alert, closed_at=now))
    return state


def _renew(state: State, keys: Iterable[str], now: datetime) -> State:
    """What an event begins anew has to be acknowledged anew, and is repeated from now on until it is over."""
    for key in keys:
        alert = state.open.get(key)
        if alert is not None and not alert.lasting:
            state = _with_open(state, _unheard(alert).told(now))
    return state


def _unheard(alert: Alert) -> Alert:
    return replace(alert, acknowledged_by="", acknowledged_at=None, repeats=0)


def _see(state: State, event: Seen, now: datetime, notices: list[Notice]) -> State:
    seen = {report.key: report for report in event.reports}
    left_out: list[Report] = []
    # The worst first: what makes room for them is counted in this very look, and what finds none leaves none.
    for report in sorted(seen.values(), key=lambda each: each.severity.rank, reverse=True):
        if report.key in state.open or (not left_out and _has_room(state, report)):
            state = _see_one(state, report, now, notices)
        else:
            left_out.append(report)
    if left_out:
        crowd = _crowd(left_out)
        seen[crowd.key] = crowd
        state = _see_one(state, crowd, now, notices)
    for key, alert in state.open.items():
        if not alert.lasting or key in seen or key in event.unsure:
            continue
        if alert.absent_since is None:
            state = _with_open(state, replace(alert, absent_since=now))
        elif now - alert.absent_since >= min(SETTLED_AFTER * 2 ** min(alert.reopened, 10), SETTLED_AFTER_MAX):
            over = replace(alert, closed_at=now)
            notices.append(_notice(Occasion.CLEARED, over, now))
            state = _closed(state, over)
    return state


def _has_room(state: State, report: Report) -> bool:
    """Whether a condition that is not open may be. One that pushed out another as urgent would be pushed out by that
    one in the next look, and both be told for ever."""
    listed = _listed(state)
    return len(listed) < OPEN_MAX or min(each.severity.rank for each in listed) < report.severity.rank


def _crowd(left_out: Sequence[Report]) -> Report:
    """What is said of conditions that there is no room for; the worst is the first."""
    return condition(CROWD, left_out[0].severity, count=len(left_out), first=left_out[0].title)


def _see_one(state: State, report: Report, now: datetime, notices: list[Notice]) -> State:
    known = state.open.get(report.key)
    returned = known is not None and known.absent_since is not None and report.severity is Severity.KILL
    if known is None or returned or report.severity.rank > known.severity.rank:
        return _raise(state, report, now, notices, lasting=True)
    if not known.lasting or known.absent_since is not None:
        came_back = int(known.lasting)
        back = replace(known, lasting=True, absent_since=None, seen_at=now, reopened=known.reopened + came_back)
        return _with_open(state, back)
    # The words follow, the severity does not: what rose again would be told, and have to be acknowledged, each time.
    followed = replace(report, severity=known.severity)
    if known.report.what == report.what and known.report != followed:
        return _with_open(state, replace(known, report=followed))
    return state


def _acknowledge(state: State, event: Acknowledged, now: datetime, notices: list[Notice]) -> State:
    known = next((each for each in state.open.values() if each.id == event.alert_id), None)
    if known is None or known.acknowledged_by:
        return state
    heard = replace(known, acknowledged_by=event.by, acknowledged_at=now)
    if known.severity is Severity.KILL:
        # Whoever else was woken by it need not get up.
        notices.append(_notice(Occasion.ACKNOWLEDGED, heard, now))
    stays = heard.lasting or heard.report.retried
    return _with_open(state, heard) if stays else _closed(state, replace(heard, closed_at=now))


def _repeat(state: State, now: datetime, notices: list[Notice]) -> State:
    for alert in state.open.values():
        due = (
            alert.severity is Severity.KILL
            and not alert.acknowledged_by
            and alert.absent_since is None
            and alert.repeats < len(REPEAT_AFTER)
            and now - alert.told_at >= REPEAT_AFTER[alert.repeats]
        )
        if due:
            repeated = replace(alert, repeats=alert.repeats + 1).told(now)
            notices.append(_notice(Occasion.REPEATED, repeated, now))
            state = _with_open(state, repeated)
    return state


def _forget(state: State, now: datetime) -> State:
    """What was only to be known, and has not come again, is over without anybody's word."""
    for alert in state.open.values():
        minor = not alert.lasting and alert.severity.rank < Severity.CRITICAL.rank
        if minor and now - alert.seen_at >= AGAIN_AFTER[alert.severity]:
            state = _closed(state, replace(alert, closed_at=now))
    return state


def _hush(state: State, notices: list[Notice], now: datetime, *, quiet: bool) -> tuple[State, tuple[Notice, ...]]:
    if not quiet:
        if state.held:
            worst = max((each.severity for each in state.held), key=lambda severity: severity.rank)
            digest = Notice(occasion=Occasion.DIGEST, severity=worst, at=now, held=state.held, left_out=state.left_out)
            notices = [digest, *notices]
            state = replace(state, held=(), left_out=0)
        return state, tuple(notices)
    hushed = [each if each.severity is Severity.KILL else replace(each, quiet=True) for each in notices]
    held = [*state.held, *(_held(each) for each in hushed if each.quiet)]
    left_out = max(len(held) - HELD_MAX, 0)
    return replace(state, held=tuple(held[left_out:]), left_out=state.left_out + left_out), tuple(hushed)


def _held(notice: Notice) -> Held:
    assert notice.alert is not None  # noqa: S101 - only digests have none, and none is made in quiet hours
    return Held(
        alert_id=notice.alert.id,
        at=notice.at,
        occasion=notice.occasion,
        severity=notice.severity,
        title=notice.alert.report.title,
    )


def _is_same(before: Alert, report: Report, now: datetime) -> bool:
    """Whether what is over, acknowledged or forgotten, is what comes now: nobody wants to hear it twice in a row.

    Counted from when people heard of it: what comes without a pause would never be told again if each time it came
    began the time anew.
    """
    heard_at = max(before.told_at, before.acknowledged_at or before.told_at)
    return (
        not before.lasting
        and report.severity.rank <= before.severity.rank
        and not report.news
        and now - heard_at < AGAIN_AFTER[report.severity]
    )


def _new(number: int, report: Report, before: Alert | None, now: datetime, *, lasting: bool) -> Alert:
    again = before is not None and before.closed_at is not None and now - before.closed_at < REMEMBERED
    return Alert(
        id=f"{now:%Y%m%d%H%M%S}-{number}",
        report=report,
        raised_at=now,
        seen_at=now,
        told_at=now,
        lasting=lasting,
        reopened=before.reopened + 1 if again and before is not None else 0,
    )


def _notice(occasion: Occasion, alert: Alert, now: datetime) -> Notice:
    return Notice(occasion=occasion, severity=alert.severity, at=now, alert=alert)


def _opened(state: State, alert: Alert, now: datetime) -> State:
    """One more is open. Of more than there may be one of the mildest goes: an event before a condition, which is so
    still, and the one not seen for longest first."""
    state = _with_open(state, alert)
    listed = _listed(state)
    if len(listed) <= OPEN_MAX:
        return state
    mildest = min(listed, key=lambda each: (each.severity.rank, each is alert, each.lasting, each.seen_at))
    return _closed(state, replace(mildest, closed_at=now))


def _listed(state: State) -> list[Alert]:
    """What counts towards ``OPEN_MAX``."""
    return [alert for key, alert in state.open.items() if key != CROWD]


def _with_open(state: State, alert: Alert) -> State:
    return replace(state, open={**state.open, alert.report.key: alert})


def _closed(state: State, alert: Alert) -> State:
    left = {key: each for key, each in state.open.items() if key != alert.report.key}
    return replace(state, open=left, past=(*state.past, alert)[-PAST_MAX:])


def _with_past(state: State, alert: Alert) -> State:
    return replace(state, past=tuple(alert if each.id == alert.id else each for each in state.past))
