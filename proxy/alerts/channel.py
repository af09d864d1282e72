"""One channel: a bounded queue, the worst first, handed over within seconds or given up; and how it is doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential

from proxy.alerts.sending import ChannelFailed
from proxy.alerts.wording import Message

log = logging.getLogger("perpguard.alerts")

QUEUE_MAX: Final = 50
ATTEMPTS: Final = 3
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


class Channel:
    """``done`` hears what became of every message. ``run`` must run for anything to be handed over."""

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
        self._sending: _Waiting | None = None
        self._news = asyncio.Event()
        self._trouble = ""

    def give(self, alert_id: str, occasion: str, message: Message) -> None:
        """Take a message on. Of more than may wait, the mildest that is oldest is given up."""
        now = asyncio.get_running_loop().time()
        self._waiting.append(_Waiting(alert_id, occasion, message, now))
        if len(self._waiting) > QUEUE_MAX:
            mildest = min(self._waiting, key=lambda each: (each.message.severity.rank, each.since))
            self._waiting.remove(mildest)
            self._end(mildest, f"more than {QUEUE_MAX} waited")
        self._news.set()

    @property
    def trouble(self) -> str:
        """Why messages do not arrive, empty while they do."""
        if self._trouble:
            return self._trouble
        oldest = min((each.since for each in (*self._waiting, *filter(None, (self._sending,)))), default=None)
        if oldest is not None and asyncio.get_running_loop().time() - oldest > LATE_S:
            return f"a message waits for more than {LATE_S:g} s"
        return ""

    @property
    def waiting(self) -> int:
        """Messages that are not handed over yet."""
        return len(self._waiting) + (self._sending is not None)

    async def run(self) -> None:
        """Hand over, for ever: the worst first, the oldest of them first."""
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            worst = min(self._waiting, key=lambda each: (-each.message.severity.rank, each.since))
            self._waiting.remove(worst)
            self._sending = worst
            trouble = await self._hand_over(worst.message)
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
        return ""

    async def _hand_over(self, message: Message) -> str:
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(ATTEMPTS),
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
        if trouble:
            self.failed += 1
            log.error("the alert channel %s did not take alert %s: %s", self.name, ended.alert_id, trouble)
        else:
            self.delivered += 1
            self.last_at = self._now()
        self._trouble = trouble
        self._done(
            Delivery(
                alert_id=ended.alert_id,
                occasion=ended.occasion,
                channel=self.name,
                took_s=round(took_s, 3),
                trouble=trouble,
            )
        )
