"""Money that is listed late, counted as if it had been known: for every past, and every place in it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proxy.accounts.recount import KEPT, READINGS_MAX, Recount, counted, put, read
from proxy.accounts.track import Total, Track, begun, moved, realised, told
from tests.properties.strategies import examples
from tests.rules.builders import NOW

MINUTE = timedelta(minutes=1)
_results = st.lists(st.integers(-50, 50), min_size=1, max_size=12)
"""What was made between one reading and the next; a transfer is far larger."""


class Account:
    """A past and its last readings, told alike."""

    def __init__(self) -> None:
        self.track = begun(Decimal(1000), NOW)
        self.recount = Recount(earlier=self.track, began=NOW)
        self.balance = Decimal(1000)
        self.readings = 0

    def reads(self, change: int, after: timedelta = MINUTE, *, again: bool = False) -> None:
        """The next reading, or the last one told again."""
        self.readings += not again
        self.balance += change
        at = self.track.at + after
        total = Total(result=self.balance - self.track.capital)
        self.track = told(self.track, total, at, self.readings)
        self.recount = read(self.recount, self.balance, total.funding, at, self.readings)

    def moves(self, amount: int) -> None:
        """Money that is known of at once."""
        placed = put(self.recount, Decimal(amount), None)
        assert placed is not None
        self.recount, self.track = placed.recount, moved(self.track, Decimal(amount))

    def lists(self, amount: int, ago: timedelta) -> Track:
        """The past with money that moved so long before the last reading."""
        placed = put(self.recount, Decimal(amount), self.track.at - ago)
        assert placed is not None and placed.shown
        return counted(placed.recount, self.track)


def told_of(results: list[int]) -> Account:
    account = Account()
    for result in results:
        account.reads(result)
    return account


@given(st.lists(st.integers(-50, 50), max_size=60))
@examples(100)
def test_without_such_money_counting_again_changes_nothing(results: list[int]) -> None:
    account = told_of(results)
    assert counted(account.recount, account.track) == account.track


@given(_results, _results, st.sampled_from([-900, 400, 5000]))
@examples(200)
def test_listed_late_is_as_known_at_once(before: list[int], after: list[int], amount: int) -> None:
    known = told_of(before)
    known.moves(amount)
    late = told_of(before)
    for number, result in enumerate(after):
        known.reads(result + (amount if number == 0 else 0))
        late.reads(result + (amount if number == 0 else 0))
    assert late.lists(amount, ago=len(after) * MINUTE - MINUTE / 2) == known.track


def test_a_peak_within_a_reading_is_not_lost() -> None:
    account = told_of([0, 0, 80])
    account.reads(-10, timedelta(seconds=5))
    account.reads(9, timedelta(seconds=5), again=True)
    account.reads(-60, timedelta(seconds=5), again=True)
    assert account.track.equity_peak == 1079
    assert counted(account.recount, account.track).equity_peak == 1079


def test_reductions_at_a_loss_are_not_counted_again() -> None:
    account = told_of([0, -900, 0])
    account.track = realised(account.track, Decimal(-1), account.track.at)
    again = account.lists(-900, ago=MINUTE + MINUTE / 2)
    assert (again.losses, again.loss_streak) == (account.track.losses, 1)


def test_what_moved_twice_is_put_in_its_place_twice() -> None:
    account = told_of([0, -300, 0, -300, 0])
    for ago in (1.5, 3.5):
        placed = put(account.recount, Decimal(-300), account.track.at - ago * MINUTE)
        assert placed is not None
        account.recount, account.track = placed.recount, counted(placed.recount, account.track)
    assert (account.track.equity, account.track.equity_peak, account.track.total.result) == (400, 400, 0)


def test_readings_are_bounded_in_time_and_number() -> None:
    account = told_of([1] * 40)
    assert account.track.at - account.recount.readings[0].at == KEPT
    many = Account()
    for _ in range(READINGS_MAX + 5):
        many.reads(1, timedelta(milliseconds=1))
    assert len(many.recount.readings) == READINGS_MAX
    assert counted(many.recount, many.track) == many.track
