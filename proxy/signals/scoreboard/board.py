"""The scoreboard: it hears every forecast and every outcome, and says how far each signal may be relied on.

What callers ask and tell is a matter of memory and takes microseconds, so the warden's loop may. Writing to the disk
and scoring happen in ``flush``, in short transactions; ``run`` calls it in a thread every second, and a forecast is in
the log, and an outcome in its card, that much later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from proxy.signals.scoreboard.card import DAY_S, Card, card_of
from proxy.signals.scoreboard.log import (
    KEPT,
    ForecastLog,
    LogDamaged,
    LogUnavailable,
    Window,
    log_path,
    set_aside,
)
from proxy.signals.scoreboard.stated import Stated, Subject
from proxy.signals.scoreboard.verdict import judged
from proxy.signals.scoreboard.waiting import LOST_AFTER_S, Waiting

log = logging.getLogger("perpguard.signals")

FLUSH_EVERY_S: Final = 1.0
TROUBLE_PAUSE_S: Final = 60.0

RESCORE_EVERY_S: Final = 600
"""A card with new outcomes is scored anew at most this often."""

FORGET_EVERY_S: Final = 3600
CARD_ROWS_MAX: Final = 50_000
"""Of a signal that states more within the window its newest forecasts are scored: a month of every minute."""


class Scoreboard:
    """Implements what the signals need. All but ``flush`` and ``close`` may be called from an event loop."""

    def __init__(self, data_dir: Path, now: Callable[[], datetime]) -> None:
        self._path = log_path(data_dir)
        self._now = now
        self._waiting = Waiting()
        self._log: ForecastLog | None = None
        self._cards: dict[Subject, Card] = {}
        self._marks: dict[Subject, int] = {}
        self._stale: set[Subject] = set()
        self._scored_at: dict[Subject, int] = {}
        self._day = -1
        self._forgot_at = 0
        self._working = threading.Lock()
        try:
            self._begin()
        except LogUnavailable as trouble:
            log.error("forecasts are not kept: %s", trouble)

    def state(self, stated: Iterable[Stated]) -> None:
        """Hear forecasts. The first statement of one stands; one whose outcome could be known already is not heard."""
        self._waiting.state(stated, self._seconds())

    def due(self, now: int) -> list[Stated]:
        """The forecasts whose time is up and whose outcome is not known, oldest first. After two days none is."""
        return self._waiting.due(now)

    def awaited(self, signals: Sequence[str]) -> list[str]:
        """The symbols of which forecasts of these signals wait for their outcome: those of the first signal first."""
        return self._waiting.symbols(signals)

    def resolve(self, stated: Stated, outcome: float) -> None:
        """Hear an outcome: 0 or 1 for a probability, the realised value for a quantile; the first one stands.

        Raises ``ValueError`` for an outcome that this forecast cannot have.
        """
        self._waiting.resolve(stated, outcome)

    def card(self, signal: str, symbol: str, horizon_h: float) -> Card:
        """The track record of one subject; a cold one for a subject nothing is known of."""
        subject = Subject(signal, symbol, horizon_h)
        found = self._cards.get(subject)
        return found if found is not None else Card(**subject._asdict())

    def cards(self) -> list[Card]:
        """Every card, by signal, symbol and horizon."""
        return [card for _, card in sorted(self._cards.copy().items(), key=lambda each: each[0])]

    def newest(self) -> list[Stated]:
        """What is stated now: the newest forecasts of every subject, as long as their time is not up."""
        return self._waiting.newest(self._seconds())

    async def run(self) -> None:
        """Write and score for ever. While the disk is away forecasts wait, within bounds; cards stay as they are."""
        while True:
            pause = FLUSH_EVERY_S
            try:
                await asyncio.to_thread(self.flush)
            except LogUnavailable as trouble:
                log.error("forecasts are not kept: %s", trouble)
                pause = TROUBLE_PAUSE_S
            await asyncio.sleep(pause)

    def flush(self) -> None:
        """Write what was heard, and score the cards it changes. Blocks. Raises ``LogUnavailable``."""
        with self._working:
            try:
                self._flush(self._log if self._log is not None else self._begin())
            except LogDamaged as damage:
                self._begin_anew(damage)

    def close(self) -> None:
        """Write what was heard and give the file back. Blocks. Raises ``LogUnavailable``."""
        try:
            self.flush()
        finally:
            if self._log is not None:
                self._log.close()
                self._log = None

    def _begin(self) -> ForecastLog:
        """Open the log and take over what an earlier process left in it. Raises ``LogUnavailable``."""
        try:
            return self._take_over()
        except LogDamaged as damage:
            return self._begin_anew(damage)

    def _begin_anew(self, damage: LogDamaged) -> ForecastLog:
        """Set the damaged log aside; every card is cold. Raises ``LogUnavailable``."""
        if self._log is not None:
            self._log.close()
            self._log = None
        kept = set_aside(self._path)
        log.error("the forecast log is damaged (%s); it is kept as %s, and every card begins anew", damage, kept.name)
        self._waiting = Waiting()
        for known in (self._cards, self._marks, self._scored_at, self._stale):
            known.clear()
        return self._take_over()

    def _take_over(self) -> ForecastLog:
        opened = ForecastLog.open(self._path)
        try:
            self._waiting.take_over(opened.since(self._seconds() - LOST_AFTER_S))
            self._marks = opened.marks()
            self._stale |= set(opened.subjects())
        except LogUnavailable:
            opened.close()
            raise
        self._log = opened
        return opened

    def _flush(self, opened: ForecastLog) -> None:
        now = self._seconds()
        with self._waiting.batch() as batch:
            if batch.stated or batch.outcomes:
                opened.write(batch.stated, batch.outcomes)
        self._stale |= {stated.subject for stated, _ in batch.outcomes}
        if now // DAY_S != self._day:
            # The window has moved: every card is another one.
            self._stale |= set(opened.subjects())
            self._day = now // DAY_S
        for subject in sorted(self._stale):
            if abs(now - self._scored_at.get(subject, -RESCORE_EVERY_S)) >= RESCORE_EVERY_S:
                self._score(opened, subject, now)
        if abs(now - self._forgot_at) >= FORGET_EVERY_S:
            self._forget(opened, now)

    def _score(self, opened: ForecastLog, subject: Subject, now: int) -> None:
        begin = (now // DAY_S + 1) * DAY_S - int(KEPT.total_seconds())
        found = opened.scored(subject, Window(begin, now + 1, now - LOST_AFTER_S), CARD_ROWS_MAX)
        card = card_of(subject, found.rows, unknown=found.unknown, method=found.method)
        card = judged(card, self._marks.get(subject), now)
        if card.since != self._marks.get(subject):
            opened.mark(subject, card.since)
            self._tell(card)
        if card.since is None:
            self._marks.pop(subject, None)
        else:
            self._marks[subject] = card.since
        self._cards[subject] = card
        self._scored_at[subject] = now
        self._stale.discard(subject)

    def _tell(self, card: Card) -> None:
        named = f"{card.signal} of {card.symbol or 'the account'} over {card.horizon_h:g} h"
        if card.since is None:
            log.warning("the forecast %s may be relied on again", named)
        else:
            log.warning("the forecast %s is unreliable: %s", named, card.why)

    def _forget(self, opened: ForecastLog, now: int) -> None:
        """Counted back from the newest forecast if the clock has run ahead of it: a wrong clock must not erase."""
        until = min(now, self._waiting.newest_as_of)
        self._waiting.forget(until - LOST_AFTER_S)
        opened.forget(until - int(KEPT.total_seconds()))
        left = set(opened.subjects())
        for subject in set(self._cards) - left:
            del self._cards[subject]
            self._marks.pop(subject, None)
            self._scored_at.pop(subject, None)
            self._stale.discard(subject)
        self._forgot_at = now

    def _seconds(self) -> int:
        return int(self._now().timestamp())
