"""Whether the kill of an account was rehearsed: which report speaks for it, whether it counts, how it is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from proxy.drill.shelf import DrillReport, newest_drills


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """An account and the newest rehearsal that names it, passed or not; ``None`` where there is none."""

    account: str
    newest: DrillReport | None

    def counts(self, now: datetime, within: timedelta) -> bool:
        """Whether it passed and is young enough.

        Practice and dry count alike, and so does one of an account that held nothing: a desk that was stopped and made
        flat can have no other, and must be able to come back.
        """
        return self.newest is not None and self.newest.passed and now - self.newest.at <= within

    def said(self, now: datetime) -> str:
        """In words: of which kind it was, how long ago, and whether it passed."""
        if self.newest is None:
            return f"{self.account} never"
        passed = "passed" if self.newest.passed else "did not pass"
        return f"{self.account} {(now - self.newest.at).days} days ago ({self.newest.kind}, {passed})"


def worst_of(every: Iterable[Rehearsed]) -> Rehearsed | None:
    """The one that says most against the desk: one that did not pass, then none at all, then the oldest."""

    def harm(each: Rehearsed) -> tuple[bool, bool, float]:
        newest = each.newest
        if newest is None:
            return False, True, 0.0
        return not newest.passed, False, -newest.at.timestamp()

    return max(every, key=harm, default=None)


def rehearsed(data_dir: Path, accounts: Iterable[str]) -> tuple[Rehearsed, ...]:
    """Each of these accounts, in their order."""
    return tuple(
        Rehearsed(account=account, newest=newest) for account, newest in newest_drills(data_dir, accounts).items()
    )
