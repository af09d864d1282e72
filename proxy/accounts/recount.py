"""The account's last readings, kept so that money which is listed late is put where it belongs. Pure.

The venue may list a transfer minutes after it moved the balance, and until then it looks like a gain or a loss. When
its row comes, the last minutes are counted again with the money in its place: the peak moves in proportion to the
equity of that moment, a day that began since begins without it, and nothing was made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.accounts.track import Total, Track, is_repeated, moved, set_back, told

KEPT: Final = timedelta(minutes=25)
"""How long readings are kept one by one: longer than a row may be late and the list unread, together."""

READINGS_MAX: Final = 1_200
"""At most so many: in ``KEPT`` there are 100 surveys of a whole account, and 1,000 of symbols at the most."""

SKEW: Final = timedelta(seconds=10)
"""How far a row's time and a reading's may lie the wrong way round: a survey takes its time, and clocks differ."""

JUMP: Final = Decimal("0.02")
"""Of the balance: what changes it by more from one reading to the next may be money that nobody told of."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of the balance, first told at ``since`` and last at ``at``; ``high`` is the most it said.

    ``moved`` is the money that came in between the reading before and this one.
    """

    reading: int
    since: datetime
    at: datetime
    balance: Decimal
    high: Decimal
    funding: Decimal
    moved: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """``earlier`` is the past before the ``readings``; ``moved`` is the money that came in since the last of them.

    What was moved before ``began`` is in the capital that counting began with.
    """

    earlier: Track
    began: datetime
    readings: tuple[Reading, ...] = ()
    moved: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Money in its place. ``shown`` says that a reading shows it already; ``believed_at`` is when a second one did."""

    recount: Recount
    shown: bool = False
    believed_at: datetime | None = None


def read(recount: Recount, balance: Decimal, funding: Decimal, at: datetime, reading: int) -> Recount:
    """The next balance; one of the same reading takes the place of the last. A reading from after ``at``, which is the
    track's time, is of a clock that was set back since."""
    if recount.readings and recount.readings[-1].at > at:
        recount = _set_back(recount, at)
    before, last = recount.readings, recount.readings[-1] if recount.readings else None
    new = Reading(reading=reading, since=at, at=at, balance=balance, high=balance, funding=funding, moved=recount.moved)
    if last is not None and is_repeated(last.reading, last.since, reading, at):
        before = before[:-1]
        high = max(last.high + recount.moved, balance)
        new = replace(new, since=last.since, at=max(last.at, at), high=high, moved=last.moved + recount.moved)
    earlier, readings = recount.earlier, [*before, new]
    while len(readings) > READINGS_MAX or readings[0].at < at - KEPT:
        earlier = _counted(earlier, readings.pop(0))
    return replace(recount, earlier=earlier, readings=tuple(readings), moved=_ZERO)


def _set_back(recount: Recount, at: datetime) -> Recount:
    readings = (replace(each, since=min(each.since, at), at=min(each.at, at)) for each in recount.readings)
    earlier, began = set_back(recount.earlier, at), min(recount.began, at)
    return replace(recount, earlier=earlier, began=began, readings=tuple(readings))


def put(recount: Recount, amount: Decimal, at: datetime | None) -> Placed | None:
    """Money that moved at ``at`` (``None``: just now) put before the reading that shows it, or after all of them.

    ``None`` when it was moved before counting began.
    """
    readings = recount.readings
    place = _showing(recount, amount, at)
    if place is None:
        if at is not None and at < recount.began:
            return None
        place = len(readings) if at is None else sum(each.at < at for each in readings)
    if place == len(readings):
        return Placed(recount=replace(recount, moved=recount.moved + amount))
    first, later = replace(readings[place], moved=readings[place].moved + amount), readings[place + 1 :]
    return Placed(
        recount=replace(recount, readings=(*readings[:place], first, *later)),
        shown=True,
        believed_at=later[0].since if later else None,
    )


def jumped(recount: Recount) -> bool:
    """Whether the last reading differs so much from the one before that the venue's list is worth a look."""
    last = len(recount.readings) - 1
    return last >= 0 and abs(_change(recount, last)) > JUMP * abs(recount.readings[last].balance)


def counted(recount: Recount, now: Track) -> Track:
    """The past counted again; what it does not tell anew, reductions at a loss, is that of ``now``."""
    track = recount.earlier
    for each in recount.readings:
        track = _counted(track, each)
    return replace(moved(track, recount.moved), losses=now.losses, loss_streak=now.loss_streak)


def _counted(track: Track, reading: Reading) -> Track:
    track = moved(track, reading.moved)
    for at, balance in ((reading.since, reading.high), (reading.at, reading.balance)):
        total = Total(result=balance - track.capital, funding=reading.funding)
        track = told(track, total, at, reading.reading)
    return track


def _showing(recount: Recount, amount: Decimal, at: datetime | None) -> int | None:
    """The reading, of those that the clocks admit, whose balance changed by this amount, if there is one.

    A change explains the amount when it is nearer to it than half of it: results change the balance too.
    """
    ends = [each.at for each in recount.readings]
    begins = [recount.earlier.at, *ends]
    moment = at if at is not None else begins[-1]
    change = {
        place: _change(recount, place) for place, end in enumerate(ends) if begins[place] - SKEW <= moment <= end + SKEW
    }
    shown = [place for place, found in change.items() if 2 * abs(found - amount) < abs(amount)]
    return min(shown, key=lambda place: abs(change[place] - amount), default=None)


def _change(recount: Recount, place: int) -> Decimal:
    """What this reading's balance differs from the one before by, beside the money known of."""
    earlier, reading = recount.earlier, recount.readings[place]
    last = earlier.capital + (earlier.latest or earlier.total).result
    before = recount.readings[place - 1].balance if place else last
    return reading.balance - before - reading.moved
