"""The automatic triggers: from what is seen of an account to nothing, reduce or kill. Pure, for ever the same.

What one look shows stands in ``rules.kill.signs``. Here it is counted: a condition rules when several readings in a row
have confirmed it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from rules.ages import seconds
from rules.kill.evidence import Evidence
from rules.kill.settings import Triggers
from rules.kill.signs import Action, Sign, Trigger, signs

__all__ = ["Action", "Count", "Ruling", "Tally", "Trigger", "judge"]

CALM: Final = timedelta(minutes=10)
"""So long a condition that has reduced an account must not be met before it can do so anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What to do now, and why. ``look``: read the account anew with the kill's hands, a hard limit may be reached."""

    action: Action = Action.NONE
    trigger: Trigger | None = None
    reason: str = ""
    confirmations: int = 0
    look: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often in a row a condition was seen met, each time on newer evidence than the last."""

    trigger: Trigger
    action: Action
    since: datetime
    stamp: datetime
    confirmations: int = 1
    ruled: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What is remembered from one look at an account to the next."""

    counts: tuple[Count, ...] = ()

    def of(self, trigger: Trigger, action: Action) -> Count | None:
        """The count of a condition, ``None`` when it was not met last time."""
        for each in self.counts:
            if each.trigger is trigger and each.action is action:
                return each
        return None


def judge(tally: Tally, evidence: Evidence, settings: Triggers) -> tuple[Tally, Ruling]:
    """One look: what to do, and the tally for the next. The same for the same three: the audit can replay it."""
    seen = tuple(signs(evidence, settings))
    counts = tuple(count for sign in seen if (count := _counted(tally, sign, evidence, settings)) is not None)
    look = any(sign.look for sign in seen)
    ruling = Ruling(look=look)
    for action in (Action.KILL, Action.REDUCE):
        for sign in seen:
            count = next((each for each in counts if (each.trigger, each.action) == (sign.trigger, action)), None)
            if sign.action is not action or count is None or not _is_due(sign, count, evidence):
                continue
            counts = tuple(replace(each, ruled=each.stamp) if each is count else each for each in counts)
            if ruling.action is Action.NONE:
                ruling = Ruling(
                    action=action,
                    trigger=sign.trigger,
                    reason=sign.reason,
                    confirmations=count.confirmations,
                    look=look,
                )
    return Tally(counts), ruling


def _counted(tally: Tally, sign: Sign, evidence: Evidence, settings: Triggers) -> Count | None:
    """The condition's count with this look in it; ``None`` when it is refuted, or was not seen for too long."""
    known = tally.of(sign.trigger, sign.action)
    if sign.met is None:
        waited = evidence.at - known.stamp if known is not None else timedelta(0)
        return known if waited <= seconds(settings.facts_age_max_s) else None
    if not sign.met:
        # A value that swings about its limit is one event; a reduction that was ruled is over after a while of calm.
        is_over = known is None or known.ruled is None or evidence.at - known.stamp > CALM
        return None if is_over or sign.action is Action.KILL else known
    if known is None:
        return Count(trigger=sign.trigger, action=sign.action, since=evidence.at, stamp=sign.stamp)
    if sign.stamp <= known.stamp:
        return known
    return replace(known, stamp=sign.stamp, confirmations=known.confirmations + 1)


def _is_due(sign: Sign, count: Count, evidence: Evidence) -> bool:
    """A kill is ruled anew with every newer evidence; a reduction once, until its condition has gone."""
    if not sign.met or count.confirmations < sign.needed or evidence.at - count.since < sign.lasting:
        return False
    return count.ruled is None or (sign.action is Action.KILL and count.stamp > count.ruled)
