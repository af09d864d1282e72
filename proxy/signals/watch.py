"""Feeds the anomaly scores from the audit stream: what the archive remembers is what the scores see."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.signals.anomaly import LATE_MAX_S, AnomalyScorer
from proxy.signals.evidence.event import OrderEvent
from proxy.signals.levels import account_score, level_scores
from proxy.signals.order_stream import OrderStream
from proxy.signals.published import published
from proxy.signals.usual_orders import usual_orders
from proxy.store.warden_store import WardenStore
from rules.facts import Score

log = logging.getLogger("perpguard.signals")

HALF_LIFE_S: Final = 120.0
"""A published score halves in two quiet minutes."""

SCORE_FLOOR: Final = 0.001
"""A score below this has decayed to nothing."""

SAVED_EVERY_S: Final = 10.0
"""How often at most a busy bot's state is written down; what a crash forgets is less than this."""

TOLD_EVERY_S: Final = 1.0
"""How soon a score that stayed as it is is published again: a busy desk's mostly do, some forty times a second."""

USUAL_EVERY_S: Final = 60.0
USUAL: Final = "as usual"


@dataclass(frozen=True, slots=True)
class Held:
    """A bot's published score as of ``at`` (seconds since 1970), and what drove it."""

    at: float = 0.0
    value: float = 0.0
    why: str = "no history yet"

    def aged(self, at: float) -> Held:
        """The score some time later. A clock that steps back lets no time pass."""
        if at < self.at - LATE_MAX_S:
            # So far back the clock ran ahead before and is put right: the score decays from now on, not from then.
            return Held(at, self.value, self.why)
        later = max(at, self.at)
        value = self.value * 0.5 ** ((later - self.at) / HALF_LIFE_S)
        return Held(later, 0.0, USUAL) if 0 < value <= SCORE_FLOOR else Held(later, value, self.why)

    def raised(self, value: float, reasons: Callable[[], list[str]]) -> Held:
        """The higher of what is left of this score and of a new one."""
        if value < self.value or self.value == value > 0:
            return self
        return Held(self.at, value, "; ".join(reasons()) if value > 0 else USUAL)


@dataclass(slots=True)
class _Watched:
    scorer: AnomalyScorer
    held: Held = Held()
    saved_at: float | None = None
    unsaved: bool = True
    told: tuple[float, frozenset[str]] | None = None
    heard_until: float | None = None
    """Up to when an earlier warden heard the bot's events, until the first that came later."""

    def hears(self, event: OrderEvent) -> bool:
        """Whether an event is new. After a restart the stream tells again what had not reached the archive before."""
        if self.heard_until is None or event.ts is None:
            return True
        if event.ts <= self.heard_until:
            return False
        self.heard_until = None
        return True


class AnomalyWatch:
    """Every bot's past, kept in memory; the scores of bots, accounts and desk are published to the store.

    ``traders`` says which bots trade which accounts now: pairs of both.
    """

    def __init__(self, store: WardenStore, traders: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._store = store
        self._traders = traders
        self._stream = OrderStream()
        self._publishing = asyncio.Lock()
        self._bots: dict[str, _Watched] = {}
        self._stands: dict[str, float] = {}
        """What was published of each level last. A bot of which it is not known whether the last arrived is unsaved."""
        self._told: dict[str, tuple[Score, float]] = {}
        """The score that the store has of a level for certain, and when it was told, by the monotonic clock."""

    async def load(self, at: float) -> None:
        """Take over what an earlier warden left. A past that cannot be read starts anew; the published score stands
        and decays, else a restart would let go a bot that is at it. ``decay`` then puts right what nobody has."""
        told = await self._store.scores()
        self._stands = {level: score.value for level, score in told.items()}
        for bot, fields in (await self._store.baselines()).items():
            try:
                watched = _restored(fields, at)
            except (AttributeError, KeyError, TypeError, ValueError) as trouble:
                log.warning("what is usual of %s is learnt anew: %s", bot, type(trouble).__name__)
                watched = _Watched(AnomalyScorer(bot), Held(at=at))
            score = told.get(f"bot:{bot}", Score())
            # The published one is rounded, and written down more often than what it came from.
            if score.value > watched.held.value + SCORE_FLOOR:
                watched.held, watched.unsaved = Held(watched.held.at, score.value, score.why), True
            self._bots[bot] = watched

    async def see(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Score the orders among ``records`` and publish the scores that moved."""
        moved: set[str] = set()
        for record in records:
            bot = str(record.get("bot"))
            for event in self._stream.read(record):
                watched = self._bots.get(bot)
                if watched is None:
                    watched = self._bots[bot] = _Watched(AnomalyScorer(bot))
                if not watched.hears(event):
                    continue
                value = published(watched.scorer.score(event))
                held = watched.held.aged(event.ts if event.ts is not None else watched.held.at)
                watched.held = held.raised(value, watched.scorer.explain)
                watched.unsaved = True
                moved.add(bot)
        if moved:
            await self._publish(moved, {bot for bot in moved if self._is_due(bot)})

    def score(self, bot: str) -> Score:
        """A bot's score as of its last order, and what drove it."""
        watched = self._bots.get(bot)
        held = watched.held if watched is not None else Held()
        return Score(value=held.value, why=held.why)

    def levels(self) -> dict[str, Score]:
        """The scores of every account (``account:NAME``) and of the ``desk``."""
        return level_scores({bot: self.score(bot) for bot in self._bots}, self._traders())

    def account(self, account: str) -> Score:
        """How unlike itself an account is, with its one bot or with several together."""
        return account_score(account, {bot: self.score(bot) for bot in self._bots}, self._traders())

    async def decay(self, at: float) -> None:
        """Publish the scores as time lets them fall, until the store has it: a quiet bot is forgiven without sending
        anything, and a level that nobody has any more is."""
        standing = {level for level, value in self._stands.items() if value > SCORE_FLOOR}
        moved = {bot for bot, held in self._bots.items() if held.held.value > SCORE_FLOOR or f"bot:{bot}" in standing}
        unsaved = {bot for bot, watched in self._bots.items() if watched.unsaved}
        for bot in moved:
            self._bots[bot].held = self._bots[bot].held.aged(at)
        if moved or unsaved or standing:
            await self._publish(moved | unsaved, unsaved)

    async def publish_all(self) -> None:
        """Publish every bot's score, what it came from and what is usual of it: the store may have lost them, and a
        bot's next order is judged by them. Raises what the store client raises."""
        self._told.clear()
        for watched in self._bots.values():
            watched.told = None
        every = set(self._bots)
        await self._publish(every, every)

    def _is_due(self, bot: str) -> bool:
        watched = self._bots[bot]
        # Absolute: after a clock that ran ahead is put right, what was told then lies in the future.
        return watched.saved_at is None or abs(watched.held.at - watched.saved_at) >= SAVED_EVERY_S

    async def _publish(self, bots: set[str], saved: set[str]) -> None:
        """Publish the scores of these bots and of the levels above them, and what some of them came from.

        One after another: of two at once the store might keep what the earlier one says.
        """
        async with self._publishing:
            levels = self.levels()
            nobodys = self._stands.keys() - levels.keys() - {f"bot:{bot}" for bot in self._bots}
            scores = dict.fromkeys(nobodys, Score()) | {f"bot:{bot}": self.score(bot) for bot in bots} | levels
            await self._tell(scores, {bot: _plain(self._bots[bot]) for bot in saved})
            self._stands |= {level: score.value for level, score in scores.items()}
            for level in nobodys:
                del self._stands[level]
                self._told.pop(level, None)  # ``publish_all`` may have taken it out meanwhile.
            for bot in saved:
                await self._publish_usual(bot, self._bots[bot])
                self._bots[bot].saved_at, self._bots[bot].unsaved = self._bots[bot].held.at, False

    async def _tell(self, scores: Mapping[str, Score], baselines: Mapping[str, Mapping[str, Any]]) -> None:
        """Publish what the store has otherwise, or was told a while ago. What it has once this failed is not known."""
        now = time.monotonic()
        due = {level: score for level, score in scores.items() if not self._is_told(level, score, now)}
        if not due and not baselines:
            return
        for level in due:
            self._told.pop(level, None)
        await self._store.publish_scores(due, baselines)
        self._told |= {level: (score, now) for level, score in due.items()}

    def _is_told(self, level: str, score: Score, now: float) -> bool:
        told = self._told.get(level)
        return told is not None and told[0] == score and now - told[1] < TOLD_EVERY_S

    async def _publish_usual(self, bot: str, watched: _Watched) -> None:
        """Publish what orders of the bot are usual: at most once a minute, or when it has a symbol more or less."""
        at, symbols = watched.held.at, frozenset(watched.scorer.symbols())
        if watched.told is not None and abs(at - watched.told[0]) < USUAL_EVERY_S and symbols == watched.told[1]:
            return
        await self._store.publish_usual(usual_orders(bot, watched.scorer, at))
        watched.told = at, symbols


def _plain(watched: _Watched) -> dict[str, Any]:
    held = watched.held
    return {"at": held.at, "value": held.value, "why": held.why, "scorer": watched.scorer.state()}


def _restored(fields: Mapping[str, Any], at: float) -> _Watched:
    """What was saved. What lies ahead of ``at`` is of a clock that ran ahead, and is no word of what was heard."""
    held = Held(at=float(fields["at"]), value=float(fields["value"]), why=str(fields["why"]))
    scorer = AnomalyScorer.from_state(fields["scorer"])
    return _Watched(scorer, held, held.at, unsaved=False, heard_until=min(held.at, at))
