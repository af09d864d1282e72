"""A silence lasts as long as the venue said, within bounds, whatever our clocks do meanwhile; processes share it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from proxy.budget.meter import Meter, Payer
from proxy.budget.silence import BAN_DEFAULT_S, BANNED, LONGEST_S, THROTTLED, Silence, Way
from rules.kill.budget import Spend

NOON = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
WAY = Way("fapi", "")
ORDER = Spend(orders=1)


@dataclass
class Clocks:
    """The venue's time, which may step, and one that never does. Five seconds into a minute."""

    at: datetime = NOON + timedelta(seconds=5)
    steady: float = 1_000.0

    def meter(self, machine: str = "one") -> Meter:
        return Meter(lambda: self.at, steady_s=lambda: self.steady, machine=machine)

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.steady += seconds


def test_it_lasts_as_long_as_the_venue_says_and_not_longer() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    assert meter.silence(WAY) is None
    assert meter.silenced(WAY, THROTTLED, 30)
    assert meter.silence(WAY) == Silence(429, 30)
    clocks.pass_s(29.5)
    assert meter.silence(WAY) == Silence(429, 1)
    clocks.pass_s(0.5)
    assert meter.silence(WAY) is None


def test_where_the_venue_does_not_say_it_is_its_minute_or_its_shortest_ban() -> None:
    meter = Clocks().meter()
    meter.silenced(WAY, THROTTLED, None)
    assert meter.silence(WAY) == Silence(429, 55)
    meter.silenced(WAY, BANNED, None)
    assert meter.silence(WAY) == Silence(418, BAN_DEFAULT_S)


@pytest.mark.parametrize("status", [THROTTLED, BANNED])
def test_no_answer_silences_for_ever_or_not_at_all(status: int) -> None:
    for said, lasts in ((0, 1), (999_999_999, LONGEST_S[status])):
        meter = Clocks().meter()
        meter.silenced(WAY, status, said)
        assert meter.silence(WAY) == Silence(status, lasts)


def test_it_is_news_once_and_again_when_it_becomes_a_ban() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    told = [meter.silenced(WAY, status, 30) for status in (429, 429, 418, 418, 429)]
    assert told == [True, False, True, False, False]
    assert meter.silence(WAY) == Silence(418, 30), "what was under way when the ban came does not make it less of one"
    clocks.pass_s(30)
    assert meter.silenced(WAY, THROTTLED, 30)


def test_the_later_end_stands() -> None:
    meter = Clocks().meter()
    meter.silenced(WAY, BANNED, 300)
    meter.silenced(WAY, BANNED, 120)
    assert meter.silence(WAY) == Silence(418, 300)


@pytest.mark.parametrize("ahead", [timedelta(days=-1), timedelta(minutes=30), timedelta(days=2)])
def test_whatever_clock_the_teller_or_the_hearer_goes_by_a_silence_is_as_long(ahead: timedelta) -> None:
    """A process that has not measured the venue's clock yet goes by its host's."""
    right, wrong = Clocks(), Clocks(at=NOON + ahead)
    for teller, hearer in ((right.meter(), wrong.meter()), (wrong.meter(), right.meter())):
        teller.silenced(WAY, THROTTLED, 30)
        hearer.told(teller.seen())
        assert teller.silence(WAY) == hearer.silence(WAY) == Silence(429, 30)


def test_a_clock_of_the_venue_that_steps_changes_no_silence() -> None:
    clocks = Clocks()
    gate = clocks.meter()
    gate.silenced(WAY, BANNED, 300)
    for step in (timedelta(days=-1), timedelta(days=2)):
        clocks.at += step
        assert gate.silence(WAY) == Silence(418, 300)


def test_each_address_and_each_host_is_silent_by_itself() -> None:
    meter = Clocks().meter()
    meter.silenced(WAY, BANNED, 300)
    assert meter.silence(Way("fapi", "127.0.0.2")) is None
    assert meter.silence(Way("sapi", "")) is None


def test_a_throttle_of_rows_with_a_limit_of_their_own_is_of_them_alone_and_a_ban_of_all() -> None:
    meter, data = Clocks().meter(), Way("fapi", "", "futures-data")
    meter.silenced(data, THROTTLED, 60)
    assert meter.silence(WAY) is None
    assert meter.silence(Way("fapi", "", "funding")) is None
    assert meter.silence(data) == Silence(429, 60, "futures-data")
    meter.silenced(data, BANNED, 300)
    assert meter.silence(WAY) == meter.silence(data) == Silence(418, 300)


def test_the_usual_address_of_another_machine_is_another_address() -> None:
    clocks = Clocks()
    here, beside, elsewhere = clocks.meter("one"), clocks.meter("one"), clocks.meter("two")
    here.silenced(WAY, BANNED, 300)
    here.silenced(Way("fapi", "192.0.2.7"), BANNED, 300)
    beside.told(here.seen())
    elsewhere.told(here.seen())
    assert beside.silence(WAY) == Silence(418, 300)
    assert elsewhere.silence(WAY) is None
    assert [way.address for way, _ in elsewhere.silences()] == ["192.0.2.7"]


def test_an_answer_to_what_was_asked_after_it_was_heard_ends_it() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    under_way_s = clocks.steady
    clocks.pass_s(1)
    meter.silenced(WAY, BANNED, 300)
    assert not meter.answered(WAY, under_way_s), "it was begun before"
    assert not meter.answered(Way("fapi", "127.0.0.2"), clocks.steady), "it was another address"
    assert meter.silence(WAY) == Silence(418, 300)
    assert meter.answered(WAY, clocks.steady)
    assert meter.silence(WAY) is None
    assert not meter.answered(WAY, clocks.steady), "there is none"


def test_processes_tell_each_other_and_what_is_over_is_told_no_more() -> None:
    clocks = Clocks()
    gate, another = clocks.meter(), clocks.meter()
    home = Way("fapi", "2001:db8::1")
    gate.silenced(home, BANNED, 300)
    clocks.pass_s(100)
    another.told(gate.seen())
    assert another.silence(home) == Silence(418, 200)
    clocks.pass_s(200)
    assert gate.seen() == another.seen() == {}
    late = clocks.meter()
    late.told({"silence-sapi@one:": (2**62, 404, 0), "of-another-version:x": (2**62, 418), "silence-x": (9, 418, 0)})
    assert late.silences() == []


@pytest.mark.parametrize("status", [THROTTLED, BANNED])
def test_what_is_told_is_believed_no_longer_than_the_longest(status: int) -> None:
    meter = Clocks().meter()
    meter.told({WAY.field("one"): (2**52, status, 0)})
    assert meter.silence(WAY) == Silence(status, LONGEST_S[status])


def test_what_the_store_was_told_it_is_told_once_and_then_that_it_is_kept() -> None:
    meter, field = Clocks().meter(), WAY.field("one")
    meter.silenced(WAY, BANNED, 300)
    assert meter.seen() == meter.seen() == {field: (300_000, 418, 0)}, "until it has answered"
    meter.told({field: (300_000, 418, 0)})
    assert meter.seen() == {field: (0, 418, 0)}
    meter.told({field: (0, 0, 0)})
    assert meter.silence(WAY) is None, "the exchange has ended it"
    assert meter.seen() == {}


def test_what_was_heard_while_the_store_was_asked_is_not_overruled_by_its_answer() -> None:
    meter, field = Clocks().meter(), WAY.field("one")
    meter.seen()
    meter.silenced(WAY, BANNED, 300)
    meter.told({field: (0, 0, 0)})
    assert meter.silence(WAY) == Silence(418, 300)
    assert meter.seen() == {field: (300_000, 418, 0)}


@pytest.mark.parametrize("answer", [{}, {WAY.field("one"): (0, 0, 5_000)}], ids=["forgotten", "an older proof"])
def test_what_the_store_has_forgotten_it_is_told_again_with_when_it_was_heard(
    answer: dict[str, tuple[int, ...]],
) -> None:
    clocks = Clocks()
    meter, field = clocks.meter(), WAY.field("one")
    meter.silenced(WAY, BANNED, 300)
    meter.told({field: (300_000, 418, 0)})
    clocks.pass_s(4)
    meter.seen()
    meter.told(answer)
    assert meter.seen() == {field: (296_000, 418, 4_000)}
    meter.told({field: (296_000, 418, 4_000)})
    assert meter.seen() == {field: (0, 418, 0)}
    meter.told({field: (0, 0, 3_000)})
    assert meter.seen() == {}, "what was begun after it was heard ends it"


@pytest.mark.parametrize(
    ("said", "waits_s"),
    [(5, 5), (4, 5), (6, 55), (55, 55), (999, 55), (None, 5)],
    ids=["ten seconds", "less", "more", "the minute", "nonsense", "nothing"],
)
def test_too_many_orders_fill_the_window_that_the_venue_means_for_that_account(said: int | None, waits_s: int) -> None:
    meter = Clocks().meter()
    meter.orders_used_up("main", said)
    kept = meter.kept(Payer("main"), ORDER)
    assert kept is not None and kept.retry_after_s == waits_s
    assert meter.kept(Payer("other"), ORDER) is None
    assert meter.kept(Payer("main"), Spend(weight=40)) is None, "it reads"
    assert meter.silence(WAY) is None


@pytest.mark.parametrize(("sent_ago_s", "silent_s"), [(0.01, 59), (0.4, 1), (61.0, 1)])
def test_a_throttle_of_a_minute_that_is_over_is_not_kept_for_the_next(sent_ago_s: float, silent_s: int) -> None:
    clocks = Clocks(at=NOON + timedelta(seconds=60.3 + (sent_ago_s == 0.01)))
    meter = clocks.meter()
    meter.silenced(WAY, THROTTLED, None, clocks.steady - sent_ago_s)
    assert meter.silence(WAY) == Silence(429, silent_s)


@pytest.mark.parametrize("said", [None, 1, 5, 10])
def test_too_many_orders_in_a_window_that_is_over_fill_none_of_the_next(said: int | None) -> None:
    clocks = Clocks(at=NOON + timedelta(seconds=10, milliseconds=50))
    meter = clocks.meter()
    meter.orders_used_up("main", said, clocks.steady - 0.1)
    assert meter.kept(Payer("main"), ORDER) is None


def test_too_many_orders_in_a_window_of_seconds_that_is_over_may_be_the_minutes() -> None:
    clocks = Clocks(at=NOON + timedelta(seconds=10, milliseconds=50))
    meter = clocks.meter()
    meter.orders_used_up("main", 50, clocks.steady - 0.1)
    kept = meter.kept(Payer("main"), ORDER)
    assert kept is not None and kept.retry_after_s == 50


def test_a_wait_far_shorter_than_the_window_is_of_the_one_before() -> None:
    """Sent in this window by our clock, which is a little fast."""
    clocks = Clocks(at=NOON + timedelta(seconds=10, milliseconds=400))
    meter = clocks.meter()
    meter.orders_used_up("main", 1, clocks.steady - 0.05)
    assert meter.kept(Payer("main"), ORDER) is None


def test_too_many_orders_are_told_to_other_processes_and_end_with_their_window() -> None:
    clocks = Clocks()
    gate, another = clocks.meter(), clocks.meter()
    gate.orders_used_up("main", None)
    another.told(gate.seen())
    assert another.kept(Payer("main"), ORDER) is not None
    clocks.pass_s(5)
    assert another.kept(Payer("main"), ORDER) is None
