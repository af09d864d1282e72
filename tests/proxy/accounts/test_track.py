"""A past told reading by reading: what counts, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from proxy.accounts.track import (
    BUCKET,
    LOSSES_MAX,
    REPEATED_MAX,
    SET_BACK_MIN,
    WINDOW,
    Total,
    Track,
    begun,
    bucket_of,
    moved,
    performance,
    realised,
    told,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_track(capital: str = "1000", at: datetime = NOON) -> Track:
    return begun(Decimal(capital), at)


def after(track: Track, result: str, funding: str = "0", at: datetime = NOON, times: int = 2) -> Track:
    """Told by so many readings that it is confirmed, unless said otherwise."""
    for _ in range(times):
        track = told(track, Total(result=Decimal(result), funding=Decimal(funding)), at, (track.reading or 0) + 1)
    return track


def test_it_begins_with_nothing_made() -> None:
    found = performance(a_track())
    assert (found.day_pnl, found.rolling_pnl, found.day_peak) == (0, 0, 0)
    assert (found.equity, found.equity_peak) == (1000, 1000)


def test_one_odd_reading_is_neither_a_loss_nor_a_peak() -> None:
    for odd in ("-52", "900"):
        track = after(after(a_track(), "10"), odd, times=1)
        assert performance(track) == performance(after(a_track(), "10"))
        assert performance(after(track, "10")) == performance(after(a_track(), "10"))


def test_a_second_reading_confirms() -> None:
    track = after(after(a_track(), "-52", times=1), "-50", times=1)
    assert performance(track).day_pnl == -50


def test_of_three_readings_the_middle_one_is_believed() -> None:
    track = after(after(after(a_track(), "10", times=1), "30", times=1), "20", times=1)
    assert performance(track).day_pnl == 20


def test_a_reading_told_again_confirms_nothing() -> None:
    """Documents follow each other faster than surveys: an odd survey is in all of them."""
    track = after(a_track(), "10")
    for seconds in range(5):
        track = told(track, Total(result=Decimal(-52 - seconds)), NOON + timedelta(seconds=seconds), 7)
        assert performance(track) == performance(after(a_track(), "10", at=track.at))
    track = told(track, Total(result=Decimal(-55)), track.at, 8)
    assert performance(track).day_pnl == -55


def test_of_a_reading_told_again_its_last_word_counts() -> None:
    track = after(a_track(), "10")
    for result in (-52, -20):
        track = told(track, Total(result=Decimal(result)), NOON, 7)
    assert performance(told(track, Total(result=Decimal(-90)), NOON, 8)).day_pnl == -20


@pytest.mark.parametrize(("later", "day_pnl"), [(timedelta(seconds=59), 10), (REPEATED_MAX, -60)])
def test_without_a_survey_the_stream_s_word_counts_after_a_minute(later: timedelta, day_pnl: int) -> None:
    track = told(after(a_track(), "10"), Total(result=Decimal(-60)), NOON, 7)
    assert performance(told(track, Total(result=Decimal(-60)), NOON + later, 7)).day_pnl == day_pnl


def test_funding_stands_apart_and_is_in_the_equity() -> None:
    found = performance(after(a_track(), "-30", "-20"))
    assert (found.day_pnl, found.day_funding, found.equity) == (-10, -20, 970)
    assert (found.rolling_pnl, found.rolling_funding) == (-10, -20)


def test_the_day_s_peak_has_funding_in_it_and_only_rises() -> None:
    track = after(after(a_track(), "50", "20"), "10", "20")
    assert (performance(track).day_peak, performance(track).day_pnl) == (50, -10)
    assert performance(track).equity_peak == 1050


def test_a_new_utc_day_begins_with_nothing_and_the_rolling_day_goes_on() -> None:
    late = NOON.replace(hour=23, minute=59)
    track = after(after(a_track(), "40", "-5", at=late), "-60", "-5", at=late)
    found = performance(after(track, "-61", "-5", at=late + timedelta(minutes=2)))
    assert (found.day_pnl, found.day_funding, found.day_peak) == (-1, 0, 0)
    assert (found.rolling_pnl, found.rolling_funding) == (-56, -5)
    assert found.equity_peak == 1040


def test_the_day_is_that_of_utc_whatever_zone_tells() -> None:
    tokyo = datetime(2026, 11, 24, 23, 30, tzinfo=timezone(timedelta(hours=9)))
    track = after(a_track(at=tokyo), "-10", at=tokyo)
    assert performance(after(track, "-11", at=tokyo + HOUR)).day_pnl == -11


@pytest.mark.parametrize(
    ("later", "rolling"),
    [(WINDOW, -30), (WINDOW + BUCKET - timedelta(seconds=1), -30), (WINDOW + BUCKET, -20)],
    ids=["24 h", "not quite a bucket more", "a bucket more"],
)
def test_a_loss_rolls_out_after_24_hours_and_at_most_a_bucket(later: timedelta, rolling: int) -> None:
    track = after(a_track(), "-10")  # At the beginning of a bucket: over by its end.
    track = after(track, "-30", at=NOON + HOUR)
    assert performance(after(track, "-30", at=NOON + later)).rolling_pnl == rolling


def test_what_is_kept_is_bounded_however_long_it_runs() -> None:
    track = a_track()
    for minute in range(0, 3 * 24 * 60, 2):
        track = told(track, Total(result=Decimal(-minute)), NOON + timedelta(minutes=minute), minute)
    assert len(track.samples) <= WINDOW / BUCKET + 2
    # A loss of one a minute: 1,440 and at most a bucket's more, one reading late.
    assert 1440 <= -performance(track).rolling_pnl <= 1440 + 5


def test_a_late_reading_is_of_the_newest_time() -> None:
    track = after(a_track(), "-10", at=NOON + HOUR)
    track = after(track, "-20", at=NOON + HOUR - SET_BACK_MIN)
    assert (track.at, performance(track).day_pnl) == (NOON + HOUR, -20)


def test_a_late_reading_begins_no_day_anew() -> None:
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    track = after(after(a_track(), "-10"), "-10", at=midnight)
    track = after(track, "-30", at=midnight - SET_BACK_MIN)
    assert performance(after(track, "-30", at=midnight + HOUR)).day_pnl == -20


def test_a_clock_that_was_ahead_and_is_set_back_leaves_the_past_as_it_is() -> None:
    ahead = after(realised(after(a_track(), "-10"), Decimal(-1), NOON + 8 * HOUR), "-30", at=NOON + 8 * HOUR)
    track = after(ahead, "-30", at=NOON + HOUR)
    assert track.at == NOON + HOUR
    assert performance(track) == replace(performance(ahead), losses=(NOON + HOUR,))
    assert performance(after(track, "-30", at=NOON + HOUR + WINDOW)).rolling_pnl == -20, "what it lost while ahead"
    assert performance(after(track, "-30", at=NOON + HOUR + WINDOW + BUCKET)).rolling_pnl == 0


def test_a_clock_that_was_set_back_counts_readings_as_ever() -> None:
    track = told(after(a_track(), "10", at=NOON + 8 * HOUR), Total(result=Decimal(-60)), NOON + 8 * HOUR, 7)
    assert performance(told(track, Total(result=Decimal(-60)), NOON, 7)).day_pnl == 10, "the same reading"
    again = told(told(track, Total(result=Decimal(-60)), NOON, 7), Total(result=Decimal(-60)), NOON + REPEATED_MAX, 7)
    assert performance(again).day_pnl == -60
    assert performance(told(track, Total(result=Decimal(-60)), NOON, 8)).day_pnl == -60


def test_a_clock_that_was_ahead_over_midnight_gives_nothing_back_when_it_is_set_right() -> None:
    tomorrow = NOON + timedelta(hours=16)
    ahead = after(after(a_track(), "-10"), "-30", at=tomorrow)
    track = after(ahead, "-35", at=NOON + HOUR)
    assert (performance(track).day_pnl, performance(track).rolling_pnl) == (-25, -35), "the day that it began goes on"
    assert performance(after(track, "-35", at=tomorrow)).day_pnl == 0


@pytest.mark.parametrize(("amount", "equity", "peak"), [("900", 1800, 2000), ("-450", 450, 500)])
def test_a_transfer_is_no_loss_and_no_gain(amount: str, equity: int, peak: int) -> None:
    track = after(a_track(), "-100")
    found = performance(moved(track, Decimal(amount)))
    assert (found.day_pnl, found.rolling_pnl, found.equity, found.equity_peak) == (-100, -100, equity, peak)


@pytest.mark.parametrize(
    ("result", "amount", "peak"), [("-1000", "500", 1500), ("-1100", "50", 1050), ("-900", "-100", 900)]
)
def test_an_equity_that_is_gone_has_no_proportion(result: str, amount: str, peak: int) -> None:
    assert moved(after(a_track(), result), Decimal(amount)).equity_peak == peak


def test_losses_are_counted_until_a_gain() -> None:
    track = a_track()
    for gain, at in ((-1, NOON), (-2, NOON + HOUR), (0, NOON + 2 * HOUR)):
        track = realised(track, Decimal(gain), at)
    assert (track.losses, track.loss_streak) == ((NOON, NOON + HOUR), 2)
    track = realised(track, Decimal(1), NOON)
    assert (track.losses, track.loss_streak) == ((NOON, NOON + HOUR), 0)


def test_the_newest_losses_are_kept() -> None:
    track = a_track()
    for number in range(LOSSES_MAX + 1):
        track = realised(track, Decimal(-1), NOON + timedelta(seconds=number))
    assert len(track.losses) == LOSSES_MAX
    assert track.losses[0] == NOON + timedelta(seconds=1)
    assert track.loss_streak == LOSSES_MAX + 1


def test_buckets_begin_at_round_minutes() -> None:
    assert bucket_of(NOON + timedelta(minutes=7, seconds=3.5)) == NOON + timedelta(minutes=5)
    assert bucket_of(NOON) == NOON
