"""F17, the guard's half: it notices a watchdog that is gone, and takes no recording for a living one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.vault.keys import Secret
from proxy.watchdog.beat import Answer, Beat, Call, Duty, SealBroken, seal, unseal
from proxy.watchdog.heart import GOODBYE_MAX_S, WATCHDOGS_MAX, Heart
from proxy.watchdog.pulse import Pulse
from rules.kill.settings import KillSettings, OnGoodbye, Watchdog

SECRET = Secret("a" * 64)
POLICY = KillSettings(watchdog=Watchdog(silent_s=10, on_goodbye=OnGoodbye.FLATTEN, lost_after_s=30))


@dataclass
class Guard:
    """A heart, its clock, and all it said."""

    expected: bool = True
    lost: tuple[str, ...] = ()
    secret: Secret | None = field(default_factory=lambda: SECRET)
    at: float = 100.0
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    stopped_by: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pulse = Pulse(lambda: self.at)
        self.heart = Heart(
            secret=lambda: self.secret,
            pulse=self.pulse,
            policy=lambda: POLICY,
            post=self,
            record=self._record,
            expected=self.expected,
            boot_us=7,
            host="here",
            obey=self._obey,
            lost=self.lost,
            monotonic=lambda: self.at,
        )

    async def publish(self, sealed: str) -> None:
        self.posted.append(sealed)

    async def _obey(self, watchdog: str, ago_s: float) -> None:
        self.stopped_by.append((watchdog, ago_s))

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.events.append((what, detail))

    async def look(self) -> None:
        """One turn of the loop that looks for lost watchdogs."""
        loop = asyncio.create_task(self.heart.run())
        for _ in range(4):
            await asyncio.sleep(0)
        loop.cancel()
        await asyncio.wait({loop})


class Dog:
    """A watchdog that calls by hand."""

    def __init__(self, guard: Guard, name: str = "remote", host: str = "there") -> None:
        self.guard, self.name, self.host = guard, name, host
        self.challenge = self.acted = ""
        self.nonces: Iterator[int] = iter(range(1_000))

    def sealed(self, duty: Duty = Duty.WATCHING) -> str:
        nonce = str(next(self.nonces))
        call = Call(
            name=self.name,
            host=self.host,
            nonce=nonce,
            challenge=self.challenge,
            duty=duty,
            acted=self.acted,
            acted_ago_s=40.0 if self.acted else 0.0,
        )
        return seal(SECRET, call)

    def call(self, duty: Duty = Duty.WATCHING) -> Answer:
        answer = unseal(SECRET, Answer, self.guard.heart.answer(self.sealed(duty)))
        self.challenge = answer.challenge
        return answer


def heard(guard: Guard) -> float | None:
    (state,) = guard.heart.states()
    return state.heard_age_s


def test_an_answer_repeats_the_nonce_and_tells_the_terms() -> None:
    answer = Dog(Guard()).call()
    assert answer.nonce == "0"
    assert answer.beat.terms.on_goodbye is OnGoodbye.FLATTEN
    assert (answer.beat.boot_us, answer.beat.still, answer.beat.leaving) == (7, (), False)


def test_the_first_call_proves_nothing_and_the_second_does() -> None:
    guard = Guard()
    dog = Dog(guard)
    dog.call()
    assert heard(guard) is None
    dog.call()
    assert heard(guard) == 0


def test_f17_a_recorded_call_is_no_living_watchdog() -> None:
    guard = Guard()
    dog = Dog(guard)
    dog.call()
    recorded = dog.sealed()
    guard.heart.answer(recorded)
    assert heard(guard) == 0
    guard.at += 20
    guard.heart.answer(recorded)
    assert heard(guard) == 20


@pytest.mark.parametrize("secret", [None, Secret("b" * 64)])
def test_without_the_secret_nobody_is_answered(secret: Secret | None) -> None:
    guard = Guard(secret=secret)
    with pytest.raises(SealBroken):
        Dog(guard).call()


def test_a_loop_that_does_not_turn_is_named() -> None:
    guard = Guard()
    guard.pulse.turned("the kill's mirror", 15)
    guard.pulse.turned("the keeper of main", 300)
    guard.at += 16
    assert Dog(guard).call().beat.still == ("the kill's mirror",)
    guard.pulse.turned("the kill's mirror", 15)
    assert Dog(guard).call().beat.still == ()


async def test_f17_the_guard_alarms_once_when_a_watchdog_is_lost_and_says_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = Guard()
    dog = Dog(guard)
    dog.call()
    dog.call()
    guard.at += 30
    await guard.look()
    assert guard.events == []
    guard.at += 1
    await guard.look()
    await guard.look()
    assert guard.events == [("watchdog.lost", {"watchdog": "remote"})]
    assert "WATCHDOG_LOST: remote" in caplog.text
    (state,) = guard.heart.states()
    assert state.lost and state.heard_age_s == 31
    dog.call()
    await guard.look()
    assert guard.events[1:] == [("watchdog.found", {"watchdog": "remote"})]


@pytest.mark.parametrize("expected", [True, False])
async def test_f17_one_that_is_configured_and_never_came_is_lost_too(expected: bool) -> None:
    guard = Guard(expected=expected)
    guard.at += 31
    await guard.look()
    assert guard.events == [("watchdog.lost", {"watchdog": ""})] * expected
    assert [state.lost for state in guard.heart.states()] == [True] * expected


@pytest.mark.parametrize(
    ("host", "duty", "watched"),
    [
        ("there", Duty.WATCHING, True),
        ("here", Duty.WATCHING, False),
        ("", Duty.WATCHING, False),
        ("there", Duty.WAITING, False),
        ("there", Duty.STANDING_DOWN, False),
    ],
)
def test_only_one_on_watch_on_another_host_outlives_this_one(host: str, duty: Duty, watched: bool) -> None:
    guard = Guard()
    dog = Dog(guard, host=host)
    dog.call()
    dog.call(duty)
    assert guard.heart.watched_from_elsewhere() is watched
    guard.at += 31
    assert not guard.heart.watched_from_elsewhere()


def test_watchdogs_are_bounded() -> None:
    guard = Guard()
    for number in range(WATCHDOGS_MAX + 1):
        guard.at += 1
        dog = Dog(guard, name=str(number))
        dog.call()
        dog.call()
    assert [state.name for state in guard.heart.states()] == [str(each) for each in range(1, WATCHDOGS_MAX + 1)]


async def test_a_goodbye_waits_until_the_living_have_heard_it() -> None:
    guard = Guard()
    dog = Dog(guard)
    dog.call()
    dog.call()
    leaving = asyncio.create_task(guard.heart.say_goodbye())
    await asyncio.sleep(0.1)
    assert not leaving.done()
    assert dog.call().beat.leaving
    await asyncio.wait_for(leaving, 5)
    assert unseal(SECRET, Beat, guard.posted[-1]).leaving, "and it lies in the store"


async def test_a_goodbye_ends_though_nobody_hears_it() -> None:
    guard = Guard()
    await asyncio.wait_for(guard.heart.say_goodbye(), 1)  # There is no watchdog.
    dog = Dog(guard)
    dog.call()
    dog.call()
    leaving = asyncio.create_task(guard.heart.say_goodbye())
    await asyncio.sleep(0.1)
    guard.at += GOODBYE_MAX_S
    await asyncio.wait_for(leaving, 5)


async def test_what_a_watchdog_did_elsewhere_becomes_a_stop_once_and_no_recording_makes_one() -> None:
    guard = Guard()
    dog = Dog(guard)
    dog.acted = "a1"
    assert dog.call().obeyed == "", "the first call may be a recording"
    await guard.look()
    assert guard.stopped_by == []
    assert dog.call().obeyed == "", "nothing is obeyed before it is done"
    guard.at += 5
    dog.call()
    await guard.look()
    assert guard.stopped_by == [("remote", 45)], "counted from when it was told first"
    for _ in range(2):
        assert dog.call().obeyed == "a1"
        await guard.look()
    assert len(guard.stopped_by) == 1
    dog.acted = "a2"
    dog.call()
    await guard.look()
    assert guard.stopped_by == [("remote", 45), ("remote", 40)]


async def test_f17_what_a_guard_before_this_one_had_said_of_a_watchdog_is_so_until_it_asks_and_is_not_said_again() -> (
    None
):
    guard = Guard(expected=False, lost=("remote",))
    guard.at += 31
    await guard.look()
    assert [(state.name, state.lost, state.heard_age_s) for state in guard.heart.states()] == [("remote", True, None)]
    assert guard.events == []
    dog = Dog(guard)
    dog.call()
    dog.call()
    await guard.look()
    assert guard.events == [("watchdog.found", {"watchdog": "remote"})]
    assert [state.lost for state in guard.heart.states()] == [False]


@pytest.mark.parametrize("lost", [("",), ("remote",)], ids=["the one that is configured", "one by its name"])
async def test_f17_a_configured_watchdog_that_was_lost_before_is_alarmed_of_once_over_a_restart(
    lost: tuple[str, ...],
) -> None:
    guard = Guard(lost=lost)
    await guard.look()
    assert [(state.name, state.lost) for state in guard.heart.states()] == [(lost[0], True)]
    guard.at += 31
    await guard.look()
    assert guard.events == [], "people know"
    dog = Dog(guard)
    dog.call()
    dog.call()
    await guard.look()
    assert [state.lost for state in guard.heart.states()] == [False]
