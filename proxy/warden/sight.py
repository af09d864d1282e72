"""What the warden sees to be wrong at this moment: everything from its own memory, so that nothing has to answer.

Only the store is asked, and whether it answers is itself one of the conditions. What flickers is left out: a condition
counts when it has lasted for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from proxy.accounts.feed_state import FeedStatus
from proxy.accounts.key_watch import SOUND, UNKNOWN
from proxy.accounts.venue_clock import FAR_OFF_MS, OFF_MS
from proxy.alerts.alert import Report
from proxy.alerts.lifecycle import SETTLED_AFTER
from proxy.alerts.reports import CONFIGURED_WATCHDOG, condition
from proxy.drill.rehearsed import rehearsed, worst_of
from proxy.severity import Severity
from proxy.store.client import STORE_TROUBLE
from proxy.warden.pieces.account import AccountPieces
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.venue import VenuePieces
from rules.decision import Enforcement
from rules.flow.staged_response import StagedResponse

log = logging.getLogger("perpguard.alerts")

STOP_UNTOLD_S: Final = 1.0
"""A stop that a press made is told by its event, with a name and a reason; other ways have none, or come late."""

FEED_S: Final = 2.0
FEED_CRITICAL_S: Final = 60.0
SURVEY_S: Final = 60.0
MARKET_S: Final = 10.0
"""The age from which ``data_freshness`` refuses entries, unless the policy says otherwise: people hear of it then."""

GATES_S: Final = 10.0
BUDGET_SHARE: Final = 0.8
"""Of what bots may spend. Each gate leaves room for what others have under way, so bots wait before all is used."""

DISK_SHARE: Final = 0.05
DISK_SHARE_CRITICAL: Final = 0.02
DRILL_DAYS: Final = 31
"""Where the policy has no ``[kill.drill] max_age_days``."""

SLOW_EVERY_S: Final = 30.0
STORE_EVERY_S: Final = 0.5
STORE_S: Final = 1.0
SILENT_MAX: Final = 2
"""Questions in a row that the store may leave unanswered: with these, it is gone within three seconds."""


class Sight:
    """One warden's. What it cannot see from memory, the two loops find out."""

    def __init__(self, ground: Ground, desk: DeskPieces) -> None:
        self._ground = ground
        self._desk = desk
        self._gone = False
        self._living_gates: int | None = None
        # What was stopped before this warden began is no news to it.
        self._since = {f"stop:{scope}": float("-inf") for scope in desk.kill.engaged()}
        self._began = time.monotonic()
        self._slow: tuple[Report, ...] = ()
        self._outsiders: frozenset[str] = frozenset()

    async def look_at_the_disk(self) -> None:
        """For ever: what is slow to find out, the room on the disk and the accounts' last drills."""
        while True:
            try:
                self._slow = await asyncio.to_thread(lambda: (*self._disk(), *self._drill()))
            except OSError as trouble:
                log.warning("the room on the disk is not known: %s", trouble.strerror)
            except RuntimeError as trouble:  # This host gives the guard no more threads.
                log.warning("the room on the disk is not known: %s", trouble)
            await asyncio.sleep(SLOW_EVERY_S)

    async def ask_the_store(self) -> None:
        """For ever: whether the store answers, and how many gates it has heard of lately."""
        silent = 0
        while True:
            try:
                async with asyncio.timeout(STORE_S):
                    words = await self._ground.store.gates()
                silent, self._gone = 0, False
                self._living_gates = sum(word.holds_lease for word in words.values())
            except STORE_TROUBLE:
                silent += 1
                self._gone = silent >= SILENT_MAX
            await asyncio.sleep(STORE_EVERY_S)

    def reports(self) -> tuple[Report, ...]:
        """Every condition that is so now."""
        found = [*self._guard(), *self._slow]
        for name, account in self._desk.accounts.items():
            found += self._account(name, account)
        for name, venue in self._desk.venues.items():
            found += self._venue(name, venue)
        return tuple(found)

    def unsure(self, key: str) -> bool:
        """Whether a condition that is not among the reports may be so all the same: this warden has begun and does not
        know yet. What it does not see then is not over."""
        if time.monotonic() - self._began < self._survey_s + SETTLED_AFTER.total_seconds():
            return True
        kind, _, name = key.partition(":")
        account, venue = self._desk.accounts.get(name), self._desk.venues.get(name)
        match kind:
            case "feed":
                return account is not None and account.keeper.account is None
            case "key":
                return account is not None and account.key.verdict == UNKNOWN
            case "clock":
                return venue is not None and venue.clock.offset_ms is None
            case "gates":
                return self._living_gates is None
            case "external":
                # The pursuit counts anew, and this warden has not found it so yet.
                return name not in self._outsiders and bool(self._desk.kill.engaged())
            case "watchdog":
                # The one that is configured, and has time left to ask for the first time.
                return name == CONFIGURED_WATCHDOG and any(
                    not each.name and not each.lost for each in self._desk.heart.states()
                )
            case _:
                return False

    @property
    def _survey_s(self) -> float:
        return max(SURVEY_S, 3 * self._ground.settings.survey_every_s)

    def _guard(self) -> Iterator[Report]:
        desk, ground = self._desk, self._ground
        stopped = desk.kill.engaged()
        for scope in stopped:
            if self._lasts(f"stop:{scope}", True, STOP_UNTOLD_S):
                yield condition("stopped", scope=scope)
        self._forget("stop:", {f"stop:{scope}" for scope in stopped})
        self._outsiders |= desk.pursuit.outsiders
        for account in desk.pursuit.outsiders:
            yield condition("external", account=account)
        if self._gone:
            yield condition("store")
        living, expected = self._living_gates, ground.settings.gate_workers
        few = not self._gone and living is not None and living < expected
        if self._lasts("gates", few, GATES_S):
            yield condition("gates", living=living, expected=expected)
        if ground.scribe.trouble:
            yield condition("archive" if ground.scribe.opened else "archive.closed", why=ground.scribe.trouble)
        for watchdog in desk.heart.states():
            if watchdog.lost:
                yield condition("watchdog", watchdog=watchdog.name or CONFIGURED_WATCHDOG)
        for loop in ground.pulse.still:
            yield condition("loop", loop=loop)
        yield from self._anomalies()

    def _account(self, name: str, pieces: AccountPieces) -> Iterator[Report]:
        keeper = pieces.keeper
        is_stale = keeper.account is not None and keeper.view.state == FeedStatus.STALE
        stale_s = self._lasted(f"feed:{name}", is_stale)
        if stale_s is not None and stale_s >= FEED_S:
            severity = Severity.CRITICAL if stale_s >= FEED_CRITICAL_S else None
            yield condition("feed", severity, account=name, why=keeper.view.why or "no survey since")
        age_s = self._age_s(keeper.surveyed_at)
        if age_s >= self._survey_s:
            yield condition("survey", account=name, age=round(age_s))
        if pieces.key.verdict not in (SOUND, UNKNOWN):
            yield condition("key", account=name, wrong=pieces.key.verdict)

    def _venue(self, name: str, pieces: VenuePieces) -> Iterator[Report]:
        priced_at = pieces.market.priced_at
        age_s = self._age_s(priced_at)
        old_s = max(MARKET_S, 3 * self._ground.settings.markets_every_s)
        if age_s >= (old_s if priced_at is not None else SURVEY_S):
            yield condition("market", venue=name, age=round(age_s))
        offset_ms = pieces.clock.offset_ms
        if offset_ms is not None and abs(offset_ms) > OFF_MS:
            severity = Severity.CRITICAL if abs(offset_ms) > FAR_OFF_MS else None
            yield condition("clock.off", severity, venue=name, offset_ms=f"{offset_ms:+d}")
        spent = pieces.budget.spent()
        if spent.share >= BUDGET_SHARE:
            by_kill = spent.by_kills > 0 and spent.share - spent.by_kills < 1
            share, kills = _percent(spent.share), _percent(spent.by_kills)
            yield condition("budget.kill" if by_kill else "budget", venue=name, share=share, kills=kills)

    def _anomalies(self) -> Iterator[Report]:
        """Above what the policy wants written down, where it has such a level."""
        rules = self._ground.policy().rules
        levels = [
            float(rule.alert_at)
            for rule in rules
            if isinstance(rule, StagedResponse)
            and rule.alert_at is not None
            and rule.enforcement is not Enforcement.OFF
        ]
        if not levels:
            return
        scores = dict(self._desk.watch.levels())
        scores |= {f"bot:{bot}": self._desk.watch.score(bot) for bot, _ in self._ground.traders()}
        for level, score in scores.items():
            if score.value >= min(levels):
                yield condition("anomaly", level=level, score=f"{score.value:.2f}", why=score.why or "no driver named")

    def _disk(self) -> Iterator[Report]:
        usage = shutil.disk_usage(self._ground.settings.data_dir)
        share = usage.free / usage.total
        if share < DISK_SHARE:
            severity = Severity.CRITICAL if share < DISK_SHARE_CRITICAL else None
            yield condition("disk", severity, free=f"{usage.free / 2**20:.0f} MiB ({share:.1%})")

    def _drill(self) -> Iterator[Report]:
        worst = worst_of(rehearsed(self._ground.settings.data_dir, self._desk.accounts))
        if worst is None:
            return
        if worst.newest is None:
            yield condition("drill.never", account=worst.account)
            return
        if not worst.newest.passed:
            yield condition("drill.failed", account=worst.account, drill=worst.newest.id)
            return
        days_max = self._ground.policy().kill.drill.max_age_days or DRILL_DAYS
        age = self._ground.now() - worst.newest.at
        if age > timedelta(days=days_max):
            yield condition("drill", account=worst.account, age=age.days)

    def _age_s(self, at: datetime | None) -> float:
        """How old something is; what was never seen is as old as this warden."""
        if at is None:
            return time.monotonic() - self._began
        return (self._ground.now() - at).total_seconds()

    def _lasts(self, key: str, is_so: bool, at_least_s: float) -> bool:
        lasted_s = self._lasted(key, is_so)
        return lasted_s is not None and lasted_s >= at_least_s

    def _lasted(self, key: str, is_so: bool) -> float | None:
        """How long it has been so, seconds; ``None`` when it is not."""
        if not is_so:
            self._since.pop(key, None)
            return None
        return time.monotonic() - self._since.setdefault(key, time.monotonic())

    def _forget(self, kind: str, kept: set[str]) -> None:
        for key in [each for each in self._since if each.startswith(kind) and each not in kept]:
            del self._since[key]


def _percent(share: float) -> str:
    return f"{min(share, 9.99):.0%}"
