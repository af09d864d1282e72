"""One channel: a bounded queue, the worst first, handed over within seconds or given up; and how it is doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential

from proxy.alerts.sending import ChannelFailed
from proxy.alerts.wording import Message
from proxy.severity import Severity

log = logging.getLogger("perpguard.alerts")

QUEUE_MAX: Final = 50
ATTEMPTS: Final = 3
LOST_AGAIN_S: Final = 30.0
"""How often a channel in trouble tries the worst of what it had given up."""

DIGEST_ID: Final = "digest"
"""Stands for the alert of a message that is about none: what waited for the end of quiet hours."""

LATE_S: Final = 5.0
"""RTS 6 art. 16(5): alerts within five seconds of the event."""


class Taker(Protocol):
    """What takes the messages."""

    async def send(self, message: Message) -> None:
        """Hand it over. Raises ``ChannelFailed``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one message: how long it took from when it was given to the channel; ``trouble`` if it failed."""

    alert_id: str
    occasion: str
    channel: str
    took_s: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    alert_id: str
    occasion: str
    message: Message
    since: float
    lost: bool = False
    """It was given up before, and is tried again."""


class Channel:
    """``done`` hears what became of every message. ``run`` must run for anything to be handed over.

    What is critical or worse and was given up is tried again for as long as its alert is open and nobody has heard of
    it: ``done`` hears of it once more when it was taken.
    """

    def __init__(
        self,
        name: str,
        scheme: str,
        taker: Taker,
        *,
        done: Callable[[Delivery], None],
        now: Callable[[], datetime],
        first_pause_s: float = 0.5,
    ) -> None:
        self.name = name
        self.scheme = scheme
        self.delivered = 0
        self.failed = 0
        self.last_at: datetime | None = None
        self._taker = taker
        self._done = done
        self._now = now
        self._first_pause_s = first_pause_s
        self._waiting: list[_Waiting] = []
        self._lost: dict[str, _Waiting] = {}
        self._sending: _Waiting | None = None
        self._news = asyncio.Event()
        self._trouble = ""

    def give(self, alert_id: str, occasion: str, message: Message) -> None:
        """Take a message on. Of more than may wait, the mildest that is oldest is given up."""
        now = asyncio.get_running_loop().time()
        # What is newer says all that what was lost had to say.
        self._lost.pop(alert_id, None)
        self._waiting = [each for each in self._waiting if not (each.lost and each.alert_id == alert_id)]
        self._waiting.append(_Waiting(alert_id, occasion, message, now))
        if len(self._waiting) > QUEUE_MAX:
            mildest = _mildest(self._waiting)
            self._waiting.remove(mildest)
            self._end(mildest, f"more than {QUEUE_MAX} waited")
        self._news.set()

    def unheard(self, alert_ids: Set[str]) -> None:
        """The alerts that are open and of which nobody has heard: what was lost of others is not tried again."""
        for alert_id in self._lost.keys() - alert_ids - {DIGEST_ID}:
            del self._lost[alert_id]

    @property
    def trouble(self) -> str:
        """Why messages do not arrive, empty while they do."""
        if self._trouble:
            return self._trouble
        under_way = (*self._waiting, *filter(None, (self._sending,)))
        oldest = min((each.since for each in under_way if not each.lost), default=None)
        if oldest is not None and asyncio.get_running_loop().time() - oldest > LATE_S:
            return f"a message waits for more than {LATE_S:g} s"
        return ""

    @property
    def untried(self) -> bool:
        """Whether nothing was taken or given up yet."""
        return self.last_at is None and not self.failed

    @property
    def waiting(self) -> int:
        """Messages that are not handed over yet."""
        return len(self._waiting) + (self._sending is not None)

    async def run(self) -> None:
        """Hand over, for ever: the worst first, the oldest of them first."""
        while True:
            if not self._waiting and not await self._news_came() and self._lost:
                self._retry_worst()
            if not self._waiting:
                continue
            worst = _worst(self._waiting)
            self._waiting.remove(worst)
            self._sending = worst
            trouble = await self._hand_over(worst.message, 1 if worst.lost else ATTEMPTS)
            self._sending = None
            self._end(worst, trouble)

    async def try_now(self, message: Message) -> str:
        """One attempt, past the queue: why it failed, empty when it was taken."""
        try:
            await self._taker.send(message)
        except ChannelFailed as trouble:
            self._trouble = str(trouble)
            return self._trouble
        self._trouble, self.last_at = "", self._now()
        self._take_up()
        return ""

    async def _news_came(self) -> bool:
        """Wait for a message; ``False`` when it is time to try one that was lost."""
        self._news.clear()
        try:
            async with asyncio.timeout(LOST_AGAIN_S if self._lost else None):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _take_up(self) -> None:
        """It takes messages again: those that were lost wait again, for which there is room."""
        while self._lost and len(self._waiting) < QUEUE_MAX:
            self._retry_worst()
            self._news.set()

    def _retry_worst(self) -> None:
        """The worst of what was lost waits again."""
        self._waiting.append(self._lost.pop(_worst(self._lost.values()).alert_id))

    def _lose(self, ended: _Waiting) -> None:
        if ended.message.severity.rank < Severity.CRITICAL.rank:
            return
        if any(each.alert_id == ended.alert_id for each in self._waiting):
            return  # What is newer waits.
        self._lost[ended.alert_id] = replace(ended, lost=True)
        if len(self._lost) > QUEUE_MAX:
            del self._lost[_mildest(self._lost.values()).alert_id]

    async def _hand_over(self, message: Message, attempts: int) -> str:
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(attempts),
                wait=wait_exponential(multiplier=self._first_pause_s, max=2.0),
                retry=retry_if_exception_type(ChannelFailed),
            ):
                with attempt:
                    await self._taker.send(message)
        except RetryError as trouble:
            return str(trouble.last_attempt.exception())
        return ""

    def _end(self, ended: _Waiting, trouble: str) -> None:
        took_s = asyncio.get_running_loop().time() - ended.since
        self._trouble = trouble
        if trouble:
            self._lose(ended)
            if ended.lost:
                return  # That it was given up is said already.
            self.failed += 1
            log.error("the alert channel %s did not take alert %s: %s", self.name, ended.alert_id, trouble)
        else:
            self.delivered += 1
            self.last_at = self._now()
            self._take_up()
        self._done(
            Delivery(
                alert_id=ended.alert_id,
                occasion=ended.occasion,
                channel=self.name,
                took_s=round(took_s, 3),
                trouble=trouble,
            )
        )


def _worst(messages: Iterable[_Waiting]) -> _Waiting:
    return min(messages, key=lambda each: (-each.message.severity.rank, each.since))


def _mildest(messages: Iterable[_Waiting]) -> _Waiting:
    return min(messages, key=lambda each: (each.message.severity.rank, each.since))
