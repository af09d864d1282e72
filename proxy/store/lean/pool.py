"""The few connections that carry all calls: opened ahead, reopened in the background, at a bounded pace."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from proxy.store.lean.address import Address
from proxy.store.lean.attention import Since
from proxy.store.lean.connection import CALLS_MAX, Connection
from proxy.store.lean.trouble import CallFailed

CONNECTIONS: Final = 2
"""One would carry everything; the second stands by when it is lost."""

OPENING_S: Final = 1.0
PAUSE_MIN_S: Final = 0.05
PAUSE_MAX_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call that is sent when a connection opens. It came when so many tries had begun: the next one is its own."""

    command: bytes
    answer: asyncio.Future[Any]
    since: Since
    tries: int


class Pool:
    """Connections that are open, and calls that wait for one."""

    def __init__(self, address: Address, heard: Callable[[], None]) -> None:
        self._address = address
        self._heard = heard
        self._open: list[Connection] = []
        self._waiting: deque[_Waiting] = deque()
        self._tries = 0
        self._mending: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._closed = False

    def ask(self, command: bytes, since: Since) -> asyncio.Future[Any]:
        """Send, or wait for the connection that is being opened. The future's value is as ``Connection.send`` says."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connection = self._first_ready()
        if connection is not None:
            connection.send(command, answer, since)
        elif self._closed:
            answer.set_result(CallFailed("Closed", asked=False))
        elif self._open or len(self._waiting) >= CALLS_MAX:
            answer.set_result(CallFailed("Busy", asked=False))
        else:
            self._waiting.append(_Waiting(command, answer, since, self._tries))
            self.mend()
            self._wanted.set()
        return answer

    def _first_ready(self) -> Connection | None:
        """The same for all, as long as it can: the store then does what is asked in the order in which it is asked."""
        return next((connection for connection in self._open if connection.ready), None)

    def give_up(self, spent: Callable[[Since], bool]) -> bool:
        """End the calls whose patience is spent; whether others are left.

        A connection on which one was not answered is dropped: what else was asked there may have been done, or not.
        """
        while self._waiting and (self._waiting[0].answer.done() or spent(self._waiting[0].since)):
            _tell(self._waiting.popleft().answer, CallFailed("TimeoutError", asked=False))
        for connection in tuple(self._open):
            if (oldest := connection.oldest) is not None and spent(oldest):
                connection.drop("TimeoutError")
        return bool(self._waiting) or any(connection.in_flight for connection in self._open)

    def mend(self) -> asyncio.Task[None]:
        """Open what is missing, in the background. The task ends when nothing is."""
        if self._mending is None or self._mending.done():
            self._mending = asyncio.get_running_loop().create_task(self._mend())
        return self._mending

    async def _mend(self) -> None:
        pause_s = PAUSE_MIN_S
        while not self._closed and len(self._open) < CONNECTIONS:
            self._wanted.clear()
            self._tries += 1
            try:
                self._opened(await self._connect())
                pause_s = PAUSE_MIN_S
            except (CallFailed, OSError, TimeoutError) as trouble:
                # Whoever waited for this try is told. Nobody else needs to know: the next call will find out.
                self._refuse_waiting(trouble.reason if isinstance(trouble, CallFailed) else type(trouble).__name__)
                await self._pause(pause_s)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def _pause(self, pause_s: float) -> None:
        """As long as nobody asks."""
        try:
            async with asyncio.timeout(pause_s):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _connect(self) -> Connection:
        async with asyncio.timeout(OPENING_S):
            connection = await self._address.connect(lambda: Connection(self._heard, self._missed))
            try:
                loop = asyncio.get_running_loop()
                answers = [loop.create_future() for _ in self._address.greeting]
                for command, answer in zip(self._address.greeting, answers, strict=True):
                    connection.send(command, answer, (0.0, 0.0))
                self._address.check(await asyncio.gather(*answers))
                if connection.dropped:  # After its last answer, before our turn.
                    raise CallFailed("ConnectionError", asked=False)
            except BaseException:
                connection.drop("Unfit")
                raise
            return connection

    def _opened(self, connection: Connection) -> None:
        self._open.append(connection)
        while self._waiting and connection.ready:
            call = self._waiting.popleft()
            if not call.answer.done():
                connection.send(call.command, call.answer, call.since)

    def _missed(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            if not self._closed:
                self.mend()

    def _refuse_waiting(self, reason: str) -> None:
        while self._waiting and self._waiting[0].tries < self._tries:
            _tell(self._waiting.popleft().answer, CallFailed(reason, asked=False))

    async def aclose(self) -> None:
        """Close all. Calls in flight fail, and may have been done."""
        self._closed = True
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        while self._waiting:
            _tell(self._waiting.popleft().answer, CallFailed("Closed", asked=False))
        for connection in tuple(self._open):
            connection.drop("Closed")
        await asyncio.sleep(0)  # The transports' last words.


def _tell(answer: asyncio.Future[Any], trouble: CallFailed) -> None:
    if not answer.done():
        answer.set_result(trouble)
