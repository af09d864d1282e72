"""The forecasts that wait: for their outcome, and to be written to the log. All in memory, bounded, safe to share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from proxy.signals.scoreboard.log import LogUnavailable
from proxy.signals.scoreboard.stated import Identity, Stated, Subject, check_outcome

log = logging.getLogger("perpguard.signals")

WAITING_MAX: Final = 100_000
"""Forecasts that wait for an outcome or for the disk; with that many no further one is heard."""

LOST_AFTER_S: Final = 2 * 86_400
"""An outcome that nobody knows this long after it was due is waited for no more."""

AHEAD_S: Final = 3_600
"""How far a forecast's time may lie in the future: clocks differ, but not by more."""


@dataclass(slots=True)
class Batch:
    """What is to be written."""

    stated: list[Stated] = field(default_factory=list)
    outcomes: list[tuple[Stated, float]] = field(default_factory=list)


class Waiting:
    """Every method is quick."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[Identity, Stated] = {}
        self._closed: dict[Identity, int] = {}
        self._newest: dict[Subject, dict[str, Stated]] = {}
        self._batch = Batch()
        self._is_full = False
        self.newest_as_of = 0

    def take_over(self, found: Iterable[tuple[Stated, float | None]]) -> None:
        """Forecasts of an earlier process, oldest first, with those outcomes that are known."""
        with self._guard:
            for stated, outcome in found:
                if outcome is None:
                    self._open.setdefault(stated.identity, stated)
                else:
                    self._open.pop(stated.identity, None)
                    self._closed[stated.identity] = stated.until
                self._show(stated)

    def state(self, stated: Iterable[Stated], now: int) -> None:
        """Hear forecasts, each once, before their outcome can be known."""
        with self._guard:
            for each in stated:
                if each.until <= now or each.as_of > now + AHEAD_S:
                    continue
                if each.identity in self._open or each.identity in self._closed:
                    continue
                if self._has_no_room():
                    return
                self._open[each.identity] = each
                self._batch.stated.append(each)
                self._show(each)

    def due(self, now: int) -> list[Stated]:
        """Whose time is up, oldest first."""
        with self._guard:
            found = [each for each in self._open.values() if each.until <= now]
        return sorted(found, key=lambda each: each.until)

    def symbols(self, signals: Sequence[str]) -> list[str]:
        """Of which forecasts of these signals wait: those of the first signal first, what is due soonest before."""
        with self._guard:
            found = [
                (signals.index(each.signal), each.until, each.symbol)
                for each in self._open.values()
                if each.signal in signals
            ]
        return list(dict.fromkeys(symbol for _, _, symbol in sorted(found)))

    def resolve(self, stated: Stated, outcome: float) -> None:
        """Hear an outcome; of a forecast that is not waited for it says nothing. Raises ``ValueError``."""
        check_outcome(stated, outcome)
        with self._guard:
            known = self._open.pop(stated.identity, None)
            if known is not None:
                self._closed[stated.identity] = known.until
                self._batch.outcomes.append((known, float(outcome)))

    def newest(self, now: int) -> list[Stated]:
        """The newest forecasts of every subject whose time is not up."""
        with self._guard:
            found = [each for keys in self._newest.values() for each in keys.values()]
        shown = [each for each in found if each.until > now]
        return sorted(shown, key=lambda each: (each.subject, each.kind, each.key))

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """What is to be written; it comes back, before what was heard since, when writing it fails."""
        with self._guard:
            taken, self._batch = self._batch, Batch()
        try:
            yield taken
        except LogUnavailable:
            with self._guard:
                self._batch.stated[:0] = taken.stated
                self._batch.outcomes[:0] = taken.outcomes
            raise

    def forget(self, until: int) -> None:
        """Forget what was due before that, known or not."""
        with self._guard:
            self._open = {identity: each for identity, each in self._open.items() if each.until >= until}
            self._closed = {identity: due for identity, due in self._closed.items() if due >= until}
            self._newest = {
                subject: keys
                for subject, keys in self._newest.items()
                if any(each.until >= until for each in keys.values())
            }

    def _show(self, stated: Stated) -> None:
        """Forecasts of one subject that were made together are shown together."""
        keys = self._newest.setdefault(stated.subject, {})
        if keys and next(iter(keys.values())).as_of != stated.as_of:
            keys.clear()
        keys[stated.key] = stated
        self.newest_as_of = max(self.newest_as_of, stated.as_of)

    def _has_no_room(self) -> bool:
        was_full = self._is_full
        self._is_full = len(self._open) >= WAITING_MAX or len(self._batch.stated) >= WAITING_MAX
        if self._is_full and not was_full:
            log.error("forecasts are not kept: %d wait for their outcome or the disk", WAITING_MAX)
        return self._is_full
