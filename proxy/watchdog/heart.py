"""The guard's side of the dead man's switch: proves that it lives, notices when no watchdog asks any more, and makes a
stop of what a watchdog did meanwhile on a host, and with a data directory, of its own."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.vault.keys import Secret
from proxy.watchdog.beat import Answer, Beat, Call, Duty, SealBroken, Terms, seal, unseal
from proxy.watchdog.pulse import Pulse
from rules.kill.settings import KillSettings

log = logging.getLogger("perpguard.watchdog")

BEAT_EVERY_S: Final = 1.0
WATCHDOGS_MAX: Final = 8
"""Watchdogs remembered at once; the one not heard for longest makes room."""

ACTS_MAX: Final = 32
"""Acts of watchdogs remembered as obeyed, so that one that is told again, because an answer was lost, is no new one."""

GOODBYE_MAX_S: Final = 3.0
"""How long a guard that is stopped waits for its watchdogs to hear of it. They ask every second."""


class Post(Protocol):
    """Where beats are left for watchdogs that cannot reach the control port."""

    async def publish(self, sealed: str) -> None:
        """Leave a beat. Raises what the store client raises."""
        ...


@dataclass(slots=True)
class _Caller:
    """A watchdog. ``challenge`` is what its next call must repeat to count."""

    challenge: str
    heard_at: float | None = None
    host: str = ""
    duty: Duty = Duty.WAITING
    lost: bool = False
    told_goodbye: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it called, or a guard before this one had noticed its silence."""
        return self.heard_at is not None or self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogState:
    """One watchdog for people. ``heard_age_s`` is ``None`` for one that did not call since the start."""

    name: str
    duty: str
    heard_age_s: float | None
    lost: bool


class Heart:
    """Answers watchdogs, leaves beats, and alarms. ``expected``: a watchdog is configured, so its silence is one.

    ``lost`` are watchdogs whose silence a guard before this one had noticed, ``""`` for the one that is configured:
    they are lost from the start, without another word, until they ask.

    ``obey`` takes note of what the watchdog of this name did so many seconds ago, while it did not hear the guard.
    """

    def __init__(
        self,
        *,
        secret: Callable[[], Secret | None],
        pulse: Pulse,
        policy: Callable[[], KillSettings],
        post: Post,
        record: Record,
        expected: bool,
        boot_us: int,
        host: str,
        obey: Callable[[str, float], Awaitable[None]],
        lost: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._pulse = pulse
        self._policy = policy
        self._post = post
        self._record = record
        self._expected = expected
        self._boot_us = boot_us
        self._host = host
        self._obey = obey
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._number = 0
        self._leaving = False
        known = sorted(set(lost))
        self._none_came = expected and "" in known
        self._callers = {name: _Caller(challenge=_challenge(), lost=True) for name in known[:WATCHDOGS_MAX] if name}
        self._acts: dict[str, tuple[str, float]] = {}
        self._obeyed: deque[str] = deque(maxlen=ACTS_MAX)
        self._told = asyncio.Event()

    def answer(self, sealed: str) -> str:
        """The sealed answer to a sealed call. Raises ``SealBroken``."""
        secret = self._secret()
        if secret is None:
            raise SealBroken
        call = unseal(secret, Call, sealed)
        caller = self._caller(call.name)
        if secrets.compare_digest(call.challenge.encode(), caller.challenge.encode()):
            # Only who has read our last answer knows it: this call was made just now, and is no recording.
            caller.challenge = _challenge()
            caller.heard_at, caller.told_goodbye = self._monotonic(), self._leaving
            caller.host, caller.duty = call.host, call.duty
            if call.acted and call.acted not in self._obeyed and len(self._acts) < ACTS_MAX:
                self._acts.setdefault(call.acted, (call.name, self._monotonic() - max(call.acted_ago_s, 0.0)))
                self._told.set()
        obeyed = call.acted if call.acted in self._obeyed else ""
        return seal(secret, Answer(nonce=call.nonce, challenge=caller.challenge, beat=self._beat(), obeyed=obeyed))

    def watched_from_elsewhere(self) -> bool:
        """Whether a watchdog is on watch that does not die with this host, and would flatten then."""
        return any(caller.duty is Duty.WATCHING and caller.host not in ("", self._host) for caller in self._living())

    def states(self) -> tuple[WatchdogState, ...]:
        """Every watchdog that called or was lost before; one without a name where one is expected and there is none."""
        now = self._monotonic()
        found = tuple(
            WatchdogState(
                name=name,
                duty=caller.duty.value,
                heard_age_s=None if caller.heard_at is None else now - caller.heard_at,
                lost=caller.lost,
            )
            for name, caller in sorted(self._callers.items())
            if caller.is_known
        )
        if found or not self._expected:
            return found
        return (WatchdogState(name="", duty=Duty.WAITING.value, heard_age_s=None, lost=self._none_came),)

    async def run(self) -> None:
        """For ever: leave a beat, look for watchdogs that are lost, and obey those that acted."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._obey_watchdogs())
            while True:
                await self._leave_beat()
                await self._look()
                await asyncio.sleep(BEAT_EVERY_S)

    async def _obey_watchdogs(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            for act, (name, at) in list(self._acts.items()):
                await self._obey(name, self._monotonic() - at)
                self._obeyed.append(act)
                del self._acts[act]

    async def say_goodbye(self) -> None:
        """The guard is being stopped on purpose: wait until every living watchdog has heard so, but not for long."""
        self._leaving = True
        until = self._monotonic() + GOODBYE_MAX_S
        living = self._living()
        await self._leave_beat()
        # Told inside an answer at the door, of which nothing is sent to here.
        while not all(caller.told_goodbye for caller in living) and self._monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def _beat(self) -> Beat:
        self._number += 1
        return Beat(
            boot_us=self._boot_us,
            number=self._number,
            terms=Terms.of(self._policy()),
            still=self._pulse.still,
            leaving=self._leaving,
        )

    async def _leave_beat(self) -> None:
        secret = self._secret()
        if secret is None:
            return
        try:
            await self._post.publish(seal(secret, self._beat()))
        except STORE_TROUBLE as trouble:
            log.warning("the guard's beat cannot be left in the store: %s", type(trouble).__name__)

    def _caller(self, name: str) -> _Caller:
        if name not in self._callers:
            if len(self._callers) >= WATCHDOGS_MAX:
                silent = min(self._callers, key=lambda each: self._callers[each].heard_at or float("-inf"))
                del self._callers[silent]
            self._callers[name] = _Caller(challenge=_challenge())
        return self._callers[name]

    def _living(self) -> list[_Caller]:
        since = self._monotonic() - self._policy().watchdog.lost_after_s
        return [caller for caller in self._callers.values() if caller.heard_at is not None and caller.heard_at >= since]

    async def _look(self) -> None:
        living = self._living()
        for name, caller in list(self._callers.items()):
            if caller.heard_at is None:
                continue
            if caller not in living and not caller.lost:
                caller.lost = True
                log.error("WATCHDOG_LOST: %s does not ask any more whether the guard lives", name)
                await self._record("watchdog.lost", "warden", {"watchdog": name})
            elif caller in living and caller.lost:
                caller.lost = False
                log.warning("the watchdog %s asks again", name)
                await self._record("watchdog.found", "warden", {"watchdog": name})
        waited = self._monotonic() - self._began_at >= self._policy().watchdog.lost_after_s
        known = any(each.is_known for each in self._callers.values())
        none_came = self._expected and (waited or self._none_came) and not known
        if none_came and not self._none_came:
            log.error("WATCHDOG_LOST: a watchdog is configured, and none asks whether the guard lives")
            await self._record("watchdog.lost", "warden", {"watchdog": ""})
        self._none_came = none_came


def _challenge() -> str:
    return secrets.token_hex(16)
