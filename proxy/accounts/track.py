"""What one account, or one bot on it, has made over time: totals told one after another, kept for a day. Pure.

A total counts once a second reading has confirmed it: of the last three the middle one is believed. So a single odd
reading is neither a loss nor a peak, and a real fall counts one reading later. Surveys read the balance; between two of
them it is told again and again, moved by what events moved. That is the same reading, and confirms nothing; only after
``REPEATED_MAX`` without a survey it has to do for one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from rules.facts import Performance

WINDOW: Final = timedelta(hours=24)
BUCKET: Final = timedelta(minutes=5)
"""How fine the past is kept: the rolling day is 24 hours and at most this much more. 290 samples cover it."""

REPEATED_MAX: Final = timedelta(seconds=60)
"""Without a survey for this long, what the stream tells counts as read anew: no loss waits for ever to be confirmed."""

SET_BACK_MIN: Final = timedelta(seconds=30)
"""A total told this much earlier than the last is of a clock that was set back. What is less is late: a stream that has
been silent vouches for an earlier moment than the survey before it, by fifteen seconds at most."""

LOSSES_MAX: Final = 100
"""The newest reductions at a loss that are remembered."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Made since counting began. ``result`` is everything, ``funding`` the part of it that was funding."""

    result: Decimal = _ZERO
    funding: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The last total within ``BUCKET`` from ``since`` on. Totals that did not change have no sample."""

    since: datetime
    total: Total


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One past. ``capital`` is the equity at the beginning, and all transfers since.

    ``latest`` is the last reading's total, ``told`` those of the two readings before. ``reading`` names the last one,
    which was first told at ``read_at``; ``None`` before the first.
    """

    capital: Decimal
    at: datetime
    equity_peak: Decimal
    total: Total = Total()
    told: tuple[Total, Total] = (Total(), Total())
    latest: Total | None = None
    reading: int | None = None
    read_at: datetime | None = None
    day_start: Total = Total()
    day_peak: Decimal = _ZERO
    samples: tuple[Sample, ...] = ()
    losses: tuple[datetime, ...] = ()
    loss_streak: int = 0

    @property
    def equity(self) -> Decimal:
        """Capital and everything made on it."""
        return self.capital + self.total.result


def begun(capital: Decimal, at: datetime) -> Track:
    """A past that begins now, at ``capital``."""
    return Track(capital=capital, at=at, equity_peak=capital)


def told(track: Track, total: Total, at: datetime, reading: int) -> Track:
    """The next total, of the ``reading`` that is so named. A new UTC day begins with what was known last; a total that
    is late is of the newest time, unless the clock was set back."""
    if track.at - at > SET_BACK_MIN:
        track = set_back(track, at)
    at = max(at, track.at)
    if at.astimezone(UTC).date() > track.at.astimezone(UTC).date():
        track = replace(track, day_start=track.total, day_peak=_ZERO)
    if not is_repeated(track.reading, track.read_at, reading, at):
        before = track.told if track.latest is None else (track.told[1], track.latest)
        track = replace(track, told=before, reading=reading, read_at=at)
    believed = Total(
        result=_middle(each.result for each in (*track.told, total)),
        funding=_middle(each.funding for each in (*track.told, total)),
    )
    return replace(
        track,
        at=at,
        total=believed,
        latest=total,
        day_peak=max(track.day_peak, believed.result - track.day_start.result),
        equity_peak=max(track.equity_peak, track.capital + believed.result),
        samples=_sampled(track.samples, believed, at),
    )


def set_back(track: Track, at: datetime) -> Track:
    """The same past for a clock that shows ``at``. What was later is of this moment, so no loss is over sooner than
    it would have been, and the day that has begun goes on."""
    later = [sample for sample in track.samples if sample.since > at]
    samples = tuple(sample for sample in track.samples if sample.since <= at)
    return replace(
        track,
        at=min(track.at, at),
        read_at=None if track.read_at is None else min(track.read_at, at),
        samples=_sampled(samples, later[-1].total, at) if later else samples,
        losses=tuple(min(each, at) for each in track.losses),
    )


def is_repeated(last: int | None, last_at: datetime | None, reading: int, at: datetime) -> bool:
    """Whether what ``reading`` tells at ``at`` is the ``last`` reading once more, first told at ``last_at``."""
    return reading == last and last_at is not None and at - last_at < REPEATED_MAX


def moved(track: Track, amount: Decimal) -> Track:
    """Money came in (or went, negative): neither a gain nor a loss. The peak moves in proportion, as one unit's would.

    An equity that is gone has no proportion; then the peak moves by the amount.
    """
    if not amount:
        return track
    after = track.equity + amount
    peak = track.equity_peak + amount
    if track.equity > 0 and after > 0:
        peak = track.equity_peak * after / track.equity
    return replace(track, capital=track.capital + amount, equity_peak=peak)


def realised(track: Track, gain: Decimal, at: datetime) -> Track:
    """A position was reduced, and made this much; exactly nothing is neither a gain nor a loss."""
    if gain > 0:
        return replace(track, loss_streak=0)
    if not gain:
        return track
    return replace(track, losses=(*track.losses, at)[-LOSSES_MAX:], loss_streak=track.loss_streak + 1)


def performance(track: Track) -> Performance:
    """The past as rules judge it, as of the last reading."""
    before = _total_at(track.samples, track.at - WINDOW)
    day_funding = track.total.funding - track.day_start.funding
    rolling_funding = track.total.funding - before.funding
    return Performance(
        day_pnl=track.total.result - track.day_start.result - day_funding,
        day_funding=day_funding,
        rolling_pnl=track.total.result - before.result - rolling_funding,
        rolling_funding=rolling_funding,
        day_peak=track.day_peak,
        equity=track.equity,
        equity_peak=track.equity_peak,
        losses=track.losses,
        loss_streak=track.loss_streak,
    )


def _middle(three: Iterable[Decimal]) -> Decimal:
    _, middle, _ = sorted(three)
    return middle


def _sampled(samples: tuple[Sample, ...], total: Total, at: datetime) -> tuple[Sample, ...]:
    """With this total; without what lies before the window, but for the newest of it, where the window begins."""
    since = bucket_of(at)
    if not samples or samples[-1].total != total:
        kept = samples[:-1] if samples and samples[-1].since == since else samples
        samples = (*kept, Sample(since=since, total=total))
    before = bisect_right(samples, at - WINDOW - BUCKET, key=lambda sample: sample.since)
    return samples[before - 1 :] if before else samples


def _total_at(samples: tuple[Sample, ...], moment: datetime) -> Total:
    """What had been made by ``moment``; nothing before counting began."""
    return next((sample.total for sample in reversed(samples) if _is_over(sample, moment)), Total())


def _is_over(sample: Sample, moment: datetime) -> bool:
    return sample.since + BUCKET <= moment


def bucket_of(at: datetime) -> datetime:
    """The beginning of the bucket ``at`` lies in."""
    return at - timedelta(seconds=at.timestamp() % BUCKET.total_seconds())
