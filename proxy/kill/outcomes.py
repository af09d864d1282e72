"""What people are told of how the kill of a scope ended: flat when all of it is, and each account by itself before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy.kill.asked import asked_of
from proxy.kill.in_flight import InFlight
from proxy.kill.report import AccountReport, KillReport, worst
from proxy.kill.roster import Roster
from proxy.kill.runs import WhosePart
from proxy.kill.sentinels import UNDER_WAY_S
from proxy.kill.standing import FLAT, newest_reports, standing
from proxy.kill.truths import Truths
from proxy.record import Record
from proxy.store.codec import plain
from proxy.store.fence import Scope
from rules.kill.events import Phase

log = logging.getLogger("perpguard.kill")


class Outcomes:
    """Tells of the scopes of one data directory. ``working`` answers which accounts this process is at, or follows, in
    the kill of the whole, or of one bot's part."""

    def __init__(
        self,
        data_dir: Path,
        roster: Roster,
        truths: Truths,
        record: Record,
        working: Callable[[str | None], frozenset[str]],
    ) -> None:
        self._data_dir = data_dir
        self._roster = roster
        self._truths = truths
        self._record = record
        self._working = working
        self._owed: set[Scope] = set()  # Told as not flat, and not as flat since.

    def begin(self, newest: Mapping[WhosePart, AccountReport]) -> None:
        """A process begins, and these are the newest jobs: which scopes are told flat yet when they are."""
        self._owed |= {scope for scope in self._truths.scopes() if self._is_open(scope, newest)}

    def rearmed(self, scope: Scope) -> None:
        """A scope trades again."""
        self._owed.discard(scope)

    async def found(self, scope: Scope, running: bool) -> None:
        """Tell of a stop, or of its end, that did not come through this process."""
        since = (self._truths.fence.stopped_at(scope) or 0.0) - UNDER_WAY_S  # Its job begins as the file is put.
        covered = [
            report
            for report in newest_reports(self._data_dir).values()
            if self._roster.covers(scope, report.account) and report.started_at.timestamp() >= since
        ]
        newest = max(covered, key=lambda report: report.started_at, default=None)
        asked = asked_of(self._data_dir, scope)
        by = newest.by if newest is not None else asked.by if asked is not None else "unknown"
        phase = worst(tuple((await self._phases(scope, self._roster.accounts(scope))).values()))
        self._note_owed(scope, phase)
        what = "kill.engaged" if running or newest is None or not phase.final else f"kill.{phase.value.lower()}"
        await self._record(what, by, {"scope": str(scope), "accounts": plain(covered)})

    async def ended(self, scope: Scope, by: str, report: KillReport, followed: InFlight | None) -> None:
        """Tell that a run has ended, and of each other scope that is flat with it."""
        detail = plain(report) | ({"in_flight": plain(followed)} if followed is not None else {})
        done = [each.account for each in report.accounts]
        others = await self._phases(scope, [each for each in self._roster.accounts(scope) if each not in done])
        waiting = sorted(account for account, phase in others.items() if phase not in FLAT)
        if report.phase in FLAT and waiting:
            # What was taken up, or begun again, is one account; that it is flat says nothing of the scope.
            named = ", ".join(done)
            self._note_owed(scope, Phase.ENGAGED)
            await self._record("kill.account_flat", by, detail | {"account": named, "waiting": waiting})
            log.warning("kill of %s ended: %s", f"{named} ({scope})", report.phase.value)
        else:
            phase = worst((report.phase, *others.values())) if report.phase in FLAT else report.phase
            self._note_owed(scope, phase)
            await self._record(f"kill.{phase.value.lower()}", by, detail | _whole(phase, others))
            log.warning("kill of %s ended: %s", scope, phase.value)
        await self._tell_owed(scope.bot, by, report)

    def _note_owed(self, scope: Scope, phase: Phase) -> None:
        if phase in FLAT:
            self._owed.discard(scope)
        elif phase is Phase.DEGRADED or not phase.final:
            self._owed.add(scope)

    async def _tell_owed(self, bot: str | None, by: str, report: KillReport) -> None:
        """Tell the other scopes flat that were told they are not, and that became so with what has just ended."""
        done = {each.account for each in report.accounts}
        for scope in sorted(self._owed & self._truths.scopes(), key=str):
            accounts = self._roster.accounts(scope)
            if scope.bot != bot or done.isdisjoint(accounts):
                continue
            phases = await self._phases(scope, accounts)
            if scope not in self._owed or any(phase not in FLAT for phase in phases.values()):
                continue
            phase = worst(tuple(phases.values()))
            self._note_owed(scope, phase)
            detail = {"scope": str(scope), "reason": report.reason} | _whole(phase, phases)
            await self._record(f"kill.{phase.value.lower()}", by, detail)
            log.warning("kill of %s ended: %s", scope, phase.value)

    def _is_open(self, scope: Scope, newest: Mapping[WhosePart, AccountReport]) -> bool:
        """Whether the newest kill of any of a scope's accounts did not end flat."""
        reports = [newest.get((account, scope.bot)) for account in self._roster.accounts(scope)]
        return any(report is not None and report.phase not in FLAT for report in reports)

    async def _phases(self, scope: Scope, accounts: Sequence[str]) -> dict[str, Phase]:
        """How the kill of each of a scope's accounts ended since that was stopped; ENGAGED for one whose kill did not,
        or that this process is at. Those are left out that nobody has ever killed and that were not pressed for."""
        if not accounts:
            return {}
        stopped_at = self._truths.fence.stopped_at(scope) or 0.0
        covered = self._roster.accounts(scope)
        found = await asyncio.to_thread(standing, self._data_dir, scope, covered, stopped_at)
        under_way = self._working(scope.bot)
        return {
            account: Phase.ENGAGED if account in under_way else found.phase(account)
            for account in accounts
            if account in found.accounts or account in under_way
        }


def _whole(phase: Phase, accounts: Mapping[str, Phase]) -> dict[str, Any]:
    """What is said of a whole scope, for the event that ends its kill."""
    return {"phase": phase.value, "flat": phase is Phase.FLAT, "others": plain(accounts)}
