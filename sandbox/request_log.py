"""The list of every request that wanted to change something, so that a test can count what really arrived."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus

ENTRIES_KEPT = 10_000
_WS_PLACE = ("WS", "order.place")


@dataclass(slots=True)
class LogEntry:
    """One request. `status` is what it was answered or would have been; `fault` says what the sender saw instead."""

    sequence: int
    time_ns: int
    account: str | None
    method: str
    path: str
    params: dict[str, str]
    status: int
    fault: str


@dataclass(slots=True)
class RequestLog:
    """The last `ENTRIES_KEPT` entries. `total` counts all since the last clearing, `orders_taken` orders ever."""

    total: int = 0
    orders_taken: int = 0
    entries: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=ENTRIES_KEPT))

    def add(
        self,
        *,
        time_ns: int,
        account: str | None,
        method: str,
        path: str,
        params: dict[str, str],
        status: int,
        fault: str,
    ) -> LogEntry:
        """Write an entry down."""
        self.total += 1
        entry = LogEntry(
            sequence=self.total,
            time_ns=time_ns,
            account=account,
            method=method,
            path=path,
            params=params,
            status=status,
            fault=fault,
        )
        self.entries.append(entry)
        self._count(entry)
        return entry

    def executed_late(self, entry: LogEntry, status: int) -> None:
        """Write down how a request that was answered before has been executed."""
        entry.status = status
        self._count(entry)

    def clear(self) -> None:
        """Forget everything and count from one again."""
        self.total = 0
        self.entries.clear()

    def _count(self, entry: LogEntry) -> None:
        placed = entry.path.endswith("/order") if entry.method == "POST" else (entry.method, entry.path) == _WS_PLACE
        self.orders_taken += placed and entry.status == HTTPStatus.OK
