"""What a gate heard of a kill elsewhere, and when it says that it obeys."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Mapping

import pytest

from proxy.gate.latch import Latch
from proxy.store.gates import LEASE_S
from proxy.store.trouble import StoreUnavailable
from tests.support.worlds import until_async


class Store:
    """Says what it was told to say; remembers which generation the gate said it obeys."""

    def __init__(self) -> None:
        self.controls: dict[str, str] = {}
        self.obeyed: list[int] = []
        self.away = False

    def hear(self, gate: str, generation: int) -> Mapping[str, str]:
        if self.away:
            raise StoreUnavailable("ConnectionError")
        self.obeyed.append(generation)
        return dict(self.controls)

    def leave(self, gate: str) -> None:
        """Nobody waits for it."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def stops(latch: Latch) -> bool:
    return latch.stops("main", "binanceusdm", "ada")


@pytest.mark.parametrize(
    "level", ["desk", "venue:binanceusdm", "account:main", "bot:ada", "killed:bot:ada"], ids=lambda level: level
)
def test_what_is_halted_at_any_level_stops(level: str) -> None:
    latch = Latch(Store())
    latch.heard({"generation": "1", level: "HALTED", "account:other": "REDUCING"}, 0)
    assert stops(latch)
    assert latch.stops("other", "okx", "bob") == (level == "desk")


def test_a_desk_is_taken_when_another_guard_has_it_and_ours_again_when_it_has_not() -> None:
    ours, anybodys = Latch(Store(), guard="ours"), Latch(Store())
    for owner, taken in ({}, False), ({"guard": "ours"}, False), ({"guard": "theirs"}, True), ({}, False):
        for latch in (ours, anybodys):
            latch.heard({"generation": "1", **owner}, 0)
        assert ours.taken == taken
        assert not anybodys.taken, "a gate of another machine works for whoever has the desk"


def test_a_smaller_generation_lets_nothing_go() -> None:
    latch = Latch(Store())
    latch.heard({"generation": "7", "desk": "HALTED"}, 0)
    latch.heard({"generation": "3"}, 0)
    assert stops(latch)
    latch.heard({"generation": "8"}, 0)
    assert not stops(latch)


def test_the_numbers_and_stops_of_another_guard_are_none_of_ours() -> None:
    latch = Latch(Store(), guard="ours", clock=lambda: 0.0)
    latch.heard({"guard": "theirs", "generation": "40", "desk": "HALTED"}, 0.0)
    assert (latch.obeys_more(), latch.obeyed, latch.lapsed) == (False, 0, False)
    latch.heard({"guard": "ours", "generation": "2", "desk": "HALTED"}, 0.0)
    assert stops(latch)
    assert (latch.obeys_more(), latch.obeyed) == (True, 2)
    latch.heard({"guard": "ours", "generation": "3", "desk": "ACTIVE"}, 0.0)
    assert not stops(latch)


@pytest.mark.parametrize("between", [{}, {"guard": "theirs", "generation": "40"}], ids=["wiped", "another's"])
def test_its_own_guards_smaller_number_lets_nothing_go_whatever_was_between(between: dict[str, str]) -> None:
    latch = Latch(Store(), guard="ours")
    latch.heard({"guard": "ours", "generation": "7", "desk": "HALTED"}, 0)
    latch.heard(between, 0)
    latch.heard({"guard": "ours", "generation": "3"}, 0)
    assert stops(latch)
    latch.heard({"guard": "ours", "generation": "8"}, 0)
    assert not stops(latch)


def test_a_gate_without_an_id_begins_anew_when_the_desk_changes_hands() -> None:
    latch = Latch(Store())
    out = latch.enter()
    latch.heard({"guard": "one", "generation": "40", "account:main": "HALTED"}, 0)
    out()
    assert (latch.obeys_more(), latch.obeyed) == (True, 40)
    latch.heard({}, 0)
    assert stops(latch), "a store that was wiped names nobody, and is still that guard's"
    under_way = latch.enter()
    latch.heard({"guard": "two", "generation": "2", "account:other": "HALTED"}, 0)
    assert not stops(latch)
    assert latch.stops("other", "okx", "bob")
    assert (latch.obeys_more(), latch.obeyed) == (False, 0), "it obeys no number of the new one yet"
    under_way()
    assert (latch.obeys_more(), latch.obeyed) == (True, 2)
    latch.heard({"guard": "two", "generation": "1"}, 0)
    assert latch.stops("other", "okx", "bob"), "and of the new one no smaller number lets go"


def test_an_entry_between_its_check_and_its_last_byte_is_waited_for() -> None:
    latch = Latch(Store())
    out, gave_up = latch.enter(), latch.enter()
    latch.heard({"generation": "7", "account:other": "HALTED"}, 0)
    assert latch.stops("other", "okx", "bob"), "it is obeyed at once"
    later = latch.enter()
    for leave in (gave_up, out):
        assert (latch.obeys_more(), latch.obeyed) == (False, 0)
        leave()
    assert (latch.obeys_more(), latch.obeyed) == (True, 7)
    later()
    assert not latch.obeys_more()


def test_it_asks_in_a_thread_until_it_is_ended() -> None:
    store = Store()
    latch = Latch(store)

    async def for_a_moment() -> None:
        following = asyncio.create_task(latch.follow())
        store.away = True
        await asyncio.sleep(0)
        store.away = False
        store.controls = {"generation": "7", "desk": "HALTED"}
        await until_async(lambda: store.obeyed[-1:] == [7], "it says that it obeys")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(for_a_moment())
    assert store.obeyed[0] == 0
    assert not [each for each in threading.enumerate() if each.name.startswith("asyncio_")], "the thread is left behind"


def test_without_the_store_it_lapses() -> None:
    clock = Clock()
    latch = Latch(Store(), clock=clock)
    assert latch.lapsed, "nothing was heard yet"
    latch.heard({}, clock.now)
    clock.now += LEASE_S
    assert not latch.lapsed
    clock.now += 0.1
    assert latch.lapsed


async def test_who_leaves_takes_its_word_back_when_it_asks_no_more() -> None:
    class Leaving(Store):
        words: list[str]

        def hear(self, gate: str, generation: int) -> Mapping[str, str]:
            self.words = [gate]
            return super().hear(gate, generation)

        def leave(self, gate: str) -> None:
            self.words.remove(gate)

    store = Leaving()
    latch = Latch(store)
    following = asyncio.create_task(latch.follow())
    await latch.heard_once(5)
    assert store.words == [latch.gate]
    following.cancel()
    await latch.leave()
    asked = len(store.obeyed)
    await asyncio.sleep(0.1)
    assert (store.words, len(store.obeyed)) == ([], asked)


async def test_a_store_that_is_away_is_not_waited_for_longer_than_was_said() -> None:
    latch = Latch(Store())
    async with asyncio.timeout(5):
        await latch.heard_once(0.05)
    assert latch.lapsed


async def test_a_store_that_cannot_be_heard_is_said_once_the_latch_has_lapsed(caplog: pytest.LogCaptureFixture) -> None:
    """Every entry is refused, and nothing else in the log of the gate would say why."""
    store, later_s = Store(), [0.0]
    latch = Latch(store, clock=lambda: time.monotonic() + later_s[0])
    following = asyncio.create_task(latch.follow())
    try:
        await latch.heard_once(5)
        with caplog.at_level(logging.WARNING):
            store.away = True
            await asyncio.sleep(0.1)
            assert not caplog.messages
            later_s[0] = LEASE_S
            await until_async(lambda: bool(caplog.messages), "it is said")
    finally:
        await latch.leave()
        await following
    assert set(caplog.messages) == {"what is stopped cannot be heard, so entries are refused: ConnectionError"}


async def test_it_hears_again_after_an_answer_that_it_could_not_read() -> None:
    """Somebody wrote to the store by hand, and put it right: a latch that gave up would refuse entries for ever."""
    store = Store()
    store.controls = {"generation": "seven"}
    latch = Latch(store)
    following = asyncio.create_task(latch.follow())
    try:
        await until_async(lambda: len(store.obeyed) > 2 or following.done(), "it asked")
        assert (latch.lapsed, latch.obeyed) == (True, 0), "that was no word of the store's"
        store.controls = {"generation": "7", "desk": "HALTED"}
        await until_async(lambda: latch.obeyed == 7, "it hears", 2)
        assert stops(latch)
    finally:
        await latch.leave()
        await asyncio.gather(following, return_exceptions=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the steady clock stands still with the host")
def test_a_host_that_was_suspended_wakes_with_its_lease_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A press has not waited for its word, and an entry must not leave on what was heard before."""
    suspended_s, read = [0.0], time.clock_gettime
    monkeypatch.setattr(
        time, "clock_gettime", lambda which: read(which) + (suspended_s[0] if which == time.CLOCK_BOOTTIME else 0.0)
    )
    latch = Latch(Store())
    latch.heard({}, latch._clock())
    assert not latch.lapsed
    suspended_s[0] = 60
    assert latch.lapsed
