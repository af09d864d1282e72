"""Requests whose senders were told 503 "execution status unknown" and that are executed later, each at its own time."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.binance.dialect import Request
from sandbox.request_log import LogEntry

WAITING_MAX = 1_000


@dataclass(frozen=True, slots=True)
class LateRequest:
    """What is still to be executed, when (monotonic seconds), and where the log has it."""

    due_s: float
    request: Request
    entry: LogEntry


class LateRequests:
    """Those that wait, the first one due first; more than `WAITING_MAX` lose the one that is due last."""

    def __init__(self) -> None:
        self._waiting: list[LateRequest] = []

    def add(self, due_s: float, request: Request, entry: LogEntry) -> None:
        """Keep a request until it is due."""
        insort(self._waiting, LateRequest(due_s, request, entry), key=lambda late: late.due_s)
        del self._waiting[WAITING_MAX:]

    def due(self, now_s: float) -> Iterator[LateRequest]:
        """Take out what is due."""
        while self._waiting and self._waiting[0].due_s <= now_s:
            yield self._waiting.pop(0)

    def clear(self) -> None:
        """Forget them: they are never executed."""
        self._waiting.clear()
