"""The load generator, a process of its own: raw sockets, one order at a time on each, and as little Python as possible.

It reads one job a line on standard input, opens its connections, says that it is ready and, told to go, begins; the
result is a line again. Every bot has kept-alive connections of its own and they take turns. Closed loop: an order is
sent when the answer to another is in, so that always as many are under way. Open loop: orders are due at a fixed rate
whatever became of those before, and their time counts from when they were due, so that a proxy which stalls is charged
for all that waited meanwhile.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import ssl
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from time import perf_counter
from typing import Any, Final

from bench.path.orders import Key, Terms, signed_orders

GO: Final = "go"

_TIMEOUT_S: Final = 15.0
_LET_IN_S: Final = 0.2
"""For the other side to have done with connections that are open: the kernel opens them before it takes them."""

_READ_BYTES: Final = 65_536
_REASON_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``orders`` orders at most, ``at_once`` of them under way, for ``seconds``; without a ``rate``, a closed loop.

    ``authority`` is the file of the certificate authority to trust, for TLS.
    """

    address: tuple[str, int]
    host: str
    prefix: str
    authority: str | None
    keys: list[tuple[str, str]]
    symbol: str
    top: str
    tick: str
    lot: str
    at_once: int
    orders: int
    seconds: float
    rate: float | None


@dataclass(slots=True)
class Result:
    """Microseconds of each accepted order, and what was said to the others."""

    micros: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def orders(self) -> int:
        """How many were answered."""
        return len(self.micros) + sum(self.refused.values())


class BadAnswer(Exception):
    """The other side closed, fell silent, or sent what is not one framed HTTP/1.1 answer."""


def main() -> None:
    """Jobs, until standard input ends."""
    for line in sys.stdin:
        raw = json.loads(line)
        raw["address"], raw["keys"] = tuple(raw["address"]), [tuple(pair) for pair in raw["keys"]]
        try:
            run(Job(**raw), _ready, _say)
        except (OSError, BadAnswer) as trouble:
            _say({"failed": f"{type(trouble).__name__}: {trouble}"})


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _ready() -> None:
    _say({})
    sys.stdin.readline()


def run(job: Job, ready: Callable[[], None], told: Callable[[Mapping[str, Any]], None]) -> None:
    """One job: ``ready`` returns when it may begin, ``told`` hears the result before the connections are closed.

    Raises ``BadAnswer`` or ``OSError``.
    """
    terms = Terms(job.symbol, Decimal(job.top), Decimal(job.tick), Decimal(job.lot))
    with ExitStack() as stack:
        keys = [Key(*pair) for pair in job.keys]
        requests = signed_orders(terms, keys, job.host, job.prefix, job.orders)
        sockets = [stack.enter_context(_connected(job)) for _ in range(max(job.at_once, len(keys)))]
        time.sleep(_LET_IN_S)
        ready()
        # As the order path of anybody in earnest: no collection while the clock runs.
        gc.collect()
        gc.disable()
        try:
            load = _Load(sockets, requests, len(keys))
            if job.rate is None:
                load.closed(job.at_once, job.seconds)
            else:
                load.open(job.rate)
        finally:
            gc.enable()
        told(asdict(load.result()))


@contextmanager
def _connected(job: Job) -> Iterator[socket.socket]:
    plain = socket.create_connection(job.address, _TIMEOUT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection: socket.socket = plain
    if job.authority is not None:
        context = ssl.create_default_context(cafile=job.authority)
        connection = context.wrap_socket(plain, server_hostname=job.host.partition(":")[0])
    connection.setblocking(False)
    with connection:
        yield connection


class _Load:
    """Orders over sockets, of which each carries one at a time."""

    def __init__(self, sockets: list[socket.socket], requests: list[bytes], keys: int) -> None:
        """Of ``requests`` the keys take turns, and so do they of the sockets."""
        self._sockets = {each.fileno(): each for each in sockets}
        own = [deque(requests[key::keys]) for key in range(keys)]
        self._requests = {each.fileno(): own[place % keys] for place, each in enumerate(sockets)}
        self._number = len(requests)
        self._free = deque(self._sockets)
        self._buffers = dict.fromkeys(self._sockets, b"")
        self._began = dict.fromkeys(self._sockets, 0.0)
        self._sent = 0
        self._micros: list[float] = []
        self._refused: Counter[str] = Counter()
        self._elapsed_s = 0.0

    def result(self) -> Result:
        """What was measured."""
        return Result(self._micros, self._elapsed_s, dict(self._refused))

    def closed(self, at_once: int, seconds: float) -> None:
        """So many under way, until time or a bot's orders are up and the last answer is in."""
        poll = select.epoll()
        for number in self._sockets:
            poll.register(number, select.EPOLLIN)
        began = perf_counter()
        until = began + seconds
        for _ in range(at_once):
            self._send(self._free.popleft(), perf_counter())
        waiting = at_once
        while waiting:
            ready = poll.poll(_TIMEOUT_S)
            if not ready:
                raise BadAnswer(f"no answer within {_TIMEOUT_S:g} s")
            for number, _ in ready:
                if not self._answered(number):
                    continue
                self._free.append(number)
                now = perf_counter()
                if now < until and self._requests[self._free[0]]:
                    self._send(self._free.popleft(), now)
                else:
                    waiting -= 1
        self._elapsed_s = perf_counter() - began
        poll.close()

    def open(self, rate: float) -> None:
        """An order every 1/``rate`` s, on the connection that has been free longest; all requests, all answers."""
        free, busy = self._free, set[int]()
        began = perf_counter()
        while (more := self._sent < self._number) or busy:
            now = perf_counter()
            due = began + self._sent / rate
            # A connection's bot may have sent all it has: then another's is taken, or the next that becomes free.
            number = next((each for each in free if self._requests[each]), None) if more else None
            if number is not None and due <= now:
                free.remove(number)
                busy.add(number)
                self._send(number, due)
                continue
            # select takes a fraction of a millisecond for a timeout; epoll and the event loops round it up to one.
            wait_s = due - now if number is not None else _TIMEOUT_S
            ready, _, _ = select.select(busy, (), (), wait_s)
            if not ready and wait_s == _TIMEOUT_S:
                raise BadAnswer(f"no answer within {_TIMEOUT_S:g} s")
            for answered in ready:
                if self._answered(answered):
                    busy.remove(answered)
                    free.append(answered)
        self._elapsed_s = perf_counter() - began

    def _send(self, number: int, began: float) -> None:
        self._began[number] = began
        request = self._requests[number].popleft()
        self._sent += 1
        # Its last answer is in, so there is room for one request in the socket's buffer.
        if self._sockets[number].send(request) != len(request):
            raise BadAnswer("a request did not fit the socket's buffer")

    def _answered(self, number: int) -> bool:
        """Whether the whole answer is in; then its time is taken."""
        try:
            part = self._sockets[number].recv(_READ_BYTES)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False  # A TLS record that carries nothing for us.
        if not part:
            raise BadAnswer("the connection was closed")
        answer = self._buffers[number] + part
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            self._buffers[number] = answer
            return False
        at = answer[:end].lower().find(b"\r\ncontent-length:")
        if at < 0:
            raise BadAnswer("an answer without Content-Length")
        length = int(answer[at + 17 : end].partition(b"\r\n")[0])
        if len(answer) < end + 4 + length:
            self._buffers[number] = answer
            return False
        self._buffers[number] = b""
        if answer.startswith(b"HTTP/1.1 200"):
            self._micros.append((perf_counter() - self._began[number]) * 1e6)
        else:
            reason = answer[end + 4 :][:_REASON_BYTES] or answer[:_REASON_BYTES]
            self._refused[f"{answer[9:12].decode()} {reason.decode(errors='replace')}"] += 1
        return True


if __name__ == "__main__":
    main()
