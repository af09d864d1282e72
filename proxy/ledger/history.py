"""Marks as a series, for many questions about the same days: read an hour at a time, and the last hours remembered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from proxy.ledger.counterfactual import Mark, between
from proxy.ledger.marks import Funding, MarkReader

_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)

_HOURS_KEPT: Final = 1_000
"""Of one symbol each; sixty marks an hour are some ten megabytes in all."""

Hour = Callable[[str, str, int], tuple[Mark, ...]]


class MarkHistory:
    """Asks a ``MarkReader``; what it has read it does not ask again. It raises ``MarksUnavailable``."""

    def __init__(self, reader: MarkReader) -> None:
        self._reader = reader
        self._hour: Hour = lru_cache(_HOURS_KEPT)(self._read_hour)

    def marks(self, venue: str, symbol: str, begin: datetime, end: datetime) -> list[Mark]:
        """The marks kept from ``begin`` to ``end``, both included, oldest first."""
        hours = range((begin - _EPOCH) // _HOUR, (end - _EPOCH) // _HOUR + 1)
        return list(between([mark for hour in hours for mark in self._hour(venue, symbol, hour)], begin, end))

    def fundings(self, venue: str, symbol: str, begin: datetime, end: datetime) -> tuple[Funding, ...]:
        """The fundings charged after ``begin`` and up to ``end``, oldest first."""
        return self._reader.funding_between(venue, symbol, begin, end)

    def _read_hour(self, venue: str, symbol: str, hour: int) -> tuple[Mark, ...]:
        begin = _EPOCH + hour * _HOUR
        # Marks are kept by whole seconds, so the next hour's first is one second further.
        kept = self._reader.marks_between(venue, symbol, begin, begin + _HOUR - timedelta(seconds=1))
        return tuple(Mark(at, price) for at, price in kept)
