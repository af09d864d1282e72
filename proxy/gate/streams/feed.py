"""One connection to a market endpoint of the venue: what is wanted of it is kept subscribed, through every reconnect.

It knows nothing of bots. Whatever goes wrong on it ends the connection, and the next one starts from what is wanted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from proxy.decoding import decoder

log = logging.getLogger("perpguard.gate")

STREAMS_MAX: Final = 200
MESSAGE_BYTES_MAX: Final = 1 << 20
"""``!ticker@arr``, the largest, is about 300 KiB for all symbols."""

CALL_EVERY_S: Final = 0.25
"""Binance closes a connection that sends more than ten messages a second, and bans addresses that do it often."""

NAMES_A_CALL: Final = 50
"""Frames of more than 4 KiB are refused on some of Binance's endpoints."""

ANSWER_TIMEOUT_S: Final = 5.0
OPEN_TIMEOUT_S: Final = 5.0
DOWN_MAX_S: Final = 10.0
"""So long a bot may take silence for a quiet market; after that it is told."""

IDLE_S: Final = 30.0
PAUSE_S: Final = 0.2
PAUSE_MAX_S: Final = 10.0


class VenueTrouble(Exception):
    """The venue did something on the stream that cannot be gone on from."""


class _Message(msgspec.Struct):
    """What the venue sends on a combined connection: an event, or the answer to a call."""

    stream: str = ""
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    id: int | None = None
    error: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


_MESSAGE: Final = decoder(_Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedListener:
    """Who is told what happens. None of them may wait."""

    event: Callable[[str, bytes, bytes], None]
    """A stream's name, the whole message as it came, and the bytes of its ``data`` as they came."""

    lost: Callable[[Iterable[str]], None]
    """The connection ended: of these streams, messages are missing from now on."""

    down: Callable[[Iterable[str]], None]
    """These streams have been silent for ``DOWN_MAX_S``."""

    refused: Callable[[str], None]
    """The venue does not serve this stream."""


class Feed:
    """A connection to ``url``, which ends in ``/stream``. ``run`` is its life; the rest only says what is wanted."""

    def __init__(self, url: str, listener: FeedListener) -> None:
        self._url = url
        self._listener = listener
        self._wanted: dict[str, asyncio.Event] = {}
        self._silent_since: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._ids = count(1)
        self._pause_s = PAUSE_S
        self._down: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """Whether another connection is needed for another stream."""
        return len(self._wanted) >= STREAMS_MAX

    def add(self, name: str) -> asyncio.Event:
        """Want a stream. The event is set while the venue says that it is subscribed."""
        confirmed = self._wanted[name] = asyncio.Event()
        self._silent_since[name] = time.monotonic()
        self._arm()
        self._changed.set()
        return confirmed

    def remove(self, name: str) -> None:
        """Want a stream no more."""
        del self._wanted[name]
        self._silent_since.pop(name, None)
        self._changed.set()

    async def run(self) -> None:
        """Connect whenever something is wanted, and stay connected while it is. Ends by being cancelled only."""
        try:
            while True:
                while not self._wanted:
                    self._changed.clear()
                    await self._changed.wait()
                await self._connect()
                self._interrupted()
                await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))
                self._pause_s = min(PAUSE_MAX_S, self._pause_s * 2)
        finally:
            self._disarm()

    async def _connect(self) -> None:
        """One connection, from first to last byte; returns when it is over."""
        try:
            async with (
                _Connect(
                    self._url,
                    compression=None,
                    proxy=None,
                    user_agent_header="perpguard",
                    open_timeout=OPEN_TIMEOUT_S,
                    close_timeout=1,
                    max_size=MESSAGE_BYTES_MAX,
                ) as connection,
                asyncio.TaskGroup() as group,
            ):
                group.create_task(self._keep_in_step(connection))
                group.create_task(self._read(connection))
        except* (OSError, WebSocketException, TimeoutError, VenueTrouble) as troubles:
            if self._wanted:
                log.warning("the market streams of the venue failed: %s", type(troubles.exceptions[0]).__name__)

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            raw = await connection.recv(decode=False)
            try:
                message = _MESSAGE.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise VenueTrouble("not a message of a combined stream") from error
            if message.stream:
                data = bytes(message.data)
                if not data:
                    raise VenueTrouble("an event without data")
                self._listener.event(message.stream, raw, data)
            elif message.id is not None and (answer := self._answers.pop(message.id, None)) is not None:
                _answer(answer, bytes(message.error) in (b"", b"null"))

    async def _keep_in_step(self, connection: ClientConnection) -> None:
        """Subscribe what is wanted and is not, and the other way round, until nothing is wanted for a while."""
        subscribed: set[str] = set()
        while True:
            self._changed.clear()
            self._confirm(subscribed)
            missing = [name for name in self._wanted if name not in subscribed][:NAMES_A_CALL]
            surplus = [name for name in subscribed if name not in self._wanted][:NAMES_A_CALL]
            if missing:
                subscribed |= await self._subscribe(connection, missing)
            elif surplus:
                await self._call(connection, "UNSUBSCRIBE", surplus)
                subscribed -= set(surplus)
            elif not await self._changes():
                await connection.close()
                return
            else:
                continue
            self._confirm(subscribed)
            await asyncio.sleep(CALL_EVERY_S)

    async def _changes(self) -> bool:
        """Wait for a change; False when nothing is wanted and nothing changed for ``IDLE_S``."""
        try:
            async with asyncio.timeout(None if self._wanted else IDLE_S):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _confirm(self, subscribed: set[str]) -> None:
        for name in subscribed & self._wanted.keys():
            self._wanted[name].set()
            self._silent_since.pop(name, None)
        if self._wanted.keys() <= subscribed:
            self._pause_s = PAUSE_S

    async def _subscribe(self, connection: ClientConnection, names: list[str]) -> set[str]:
        """What of ``names`` the venue took. A list it refuses is asked for again one by one, to spare the rest."""
        if await self._call(connection, "SUBSCRIBE", names):
            return set(names)
        if len(names) == 1:
            log.warning("the venue refuses a market stream: %s", names[0])
            if names[0] in self._wanted:
                self._listener.refused(names[0])
            return set()
        taken: set[str] = set()
        for name in names:
            await asyncio.sleep(CALL_EVERY_S)
            if name in self._wanted:
                taken |= await self._subscribe(connection, [name])
        return taken

    async def _call(self, connection: ClientConnection, method: str, names: list[str]) -> bool:
        """Whether the venue said yes. Raises ``TimeoutError``."""
        call_id = next(self._ids)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers[call_id] = answer
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await connection.send(json.dumps({"method": method, "params": names, "id": call_id}))
                return await answer
        finally:
            self._answers.pop(call_id, None)

    def _interrupted(self) -> None:
        now = time.monotonic()
        for name, confirmed in self._wanted.items():
            confirmed.clear()
            self._silent_since.setdefault(name, now)
        self._listener.lost(tuple(self._wanted))
        self._arm()

    def _arm(self) -> None:
        """See to it that the longest silent is looked at when it has been silent for too long."""
        if self._down is None and self._silent_since:
            first = min(self._silent_since.values()) + DOWN_MAX_S - time.monotonic()
            self._down = asyncio.get_running_loop().call_later(max(0.0, first), self._look)

    def _disarm(self) -> None:
        if self._down is not None:
            self._down.cancel()
            self._down = None

    def _look(self) -> None:
        """Tell of each stream that has been silent for too long, and again when it still is after as long."""
        self._down = None
        now = time.monotonic()
        silent = [name for name, since in self._silent_since.items() if now - since >= DOWN_MAX_S]
        self._silent_since |= dict.fromkeys(silent, now)
        self._listener.down(silent)
        self._arm()


class _Connect(connect):
    """Follows no redirect: streams come from the host that was configured, or not at all."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Never."""
        return exc


def _answer(answer: asyncio.Future[bool], said: bool) -> None:
    """Hand over what the venue said, unless it came in the very turn in which the wait for it was given up."""
    if not answer.done():
        answer.set_result(said)
