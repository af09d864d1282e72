"""The warden's eye on protective stops: which legs stand without one, and what follows when a leg loses its last.

Cancels always pass, also that of the last stop: so the warden sees to it. It looks at every account document that is
published, whoever or whatever moved the account.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from rules.account import Account, Position
from rules.decision import Enforcement
from rules.facts import Unprotected
from rules.model import LegKey
from rules.policy import Policy
from rules.position.protective_stop import ProtectiveStop
from rules.protection import stops_of, unprotected

log = logging.getLogger("perpguard.accounts")

TICK_S: Final = 0.25


class Response(Protocol):
    """What can be done about it: the kill desk."""

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        """Let nothing in that adds risk. False when it was stopped already. Raises what the store client raises."""
        ...

    def stopped(self, account: str) -> bool:
        """Whether a kill covers the whole account, running or done: then it cancels stops itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A leg whose last stop has gone ``at``; a new one may come until ``due`` (monotonic seconds)."""

    at: datetime
    due: float
    replace_s: int


class ProtectionWatch:
    """Watches one account under the rules in force, which are asked for anew with every document.

    What it waits for stands in the account's record (``unprotected``), so that the next warden waits for it too.
    """

    def __init__(
        self,
        *,
        account: str,
        rules: Callable[[], Sequence[ProtectiveStop]],
        response: Response,
        record: Record,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._rules = rules
        self._judged_by: tuple[ProtectiveStop, ...] = ()
        self._response = response
        self._record = record
        self._now = now
        self._monotonic = monotonic
        self._guarded: dict[LegKey, bool] = {}
        self._lost: dict[LegKey, Lost] = {}
        self._told: set[LegKey] = set()
        self._unanswered = ""
        self._lost_before: dict[LegKey, datetime] = {}
        self._bare: tuple[Unprotected, ...] = ()

    @property
    def unprotected(self) -> tuple[Unprotected, ...]:
        """The legs without full protection, since when, and when those lost their last stop that may get a new one."""
        lost = self._lost_before | {key: each.at for key, each in self._lost.items()}
        return tuple(replace(each, lost_at=lost.get((each.symbol, each.position_side))) for each in self._bare)

    def restore(self, account: Account | None, before: Sequence[Unprotected] = ()) -> None:
        """Take up what an earlier warden published last, so that neither a time nor a stop is forgotten.

        Whether a stop that it waited for has come, the first document of our own shows.
        """
        self._bare = tuple(before)
        if account is not None:
            self.saw(account)
        self._lost_before = {
            (each.symbol, each.position_side): each.lost_at for each in before if each.lost_at is not None
        }

    def saw(self, account: Account) -> None:
        """The account as it is published now. A leg that a new policy finds bare has not lost its stop."""
        before, rules = self._judged_by, tuple(self._rules())
        self._judged_by = rules
        bands = [(rule.symbol, rule.band) for rule in rules]
        self._bare = unprotected(self._bare, account, self._now(), bands)
        enforced = [rule for rule in rules if rule.enforcement is Enforcement.ENFORCE]
        guarded: dict[LegKey, bool] = {}
        for leg in account.positions:
            key = (leg.symbol, leg.position_side)
            # Until fills and venue agree a leg may be listed twice, once for either side; a stop is of one of them.
            guarded[key] = guarded.get(key, False) or _has_stop(leg, account, enforced)
        for key, has_stop in guarded.items():
            if has_stop:
                self._lost.pop(key, None)
            elif (self._guarded.get(key, False) and rules == before) or key in self._lost_before:
                self._lost.setdefault(key, self._gone(key, enforced))
        self._lost = {key: lost for key, lost in self._lost.items() if key in guarded}
        self._lost_before = {}
        self._told &= self._lost.keys()
        self._guarded = guarded

    def _gone(self, key: LegKey, enforced: Iterable[ProtectiveStop]) -> Lost:
        """The leg lost its last stop now, or when an earlier warden says so."""
        now = self._now()
        at = min(now, self._lost_before.get(key, now))
        replace_s = min(rule.replace_s for rule in enforced if rule.symbol in ("", key[0]))
        left_s = max(0.0, replace_s - (now - at).total_seconds())
        return Lost(at=at, due=self._monotonic() + left_s, replace_s=replace_s)

    async def run(self) -> None:
        """Look, for ever. What is found is acted on as soon as the store answers."""
        while True:
            await asyncio.sleep(TICK_S)
            await self._look()
            if self._unanswered:
                await self._answer(self._unanswered)

    async def _look(self) -> None:
        if self._lost and self._response.stopped(self._account):
            self._lost.clear()
            self._told.clear()
        at = self._monotonic()
        for key in [key for key, lost in self._lost.items() if lost.due <= at and key not in self._told]:
            self._told.add(key)
            lost, (symbol, position_side) = self._lost[key], key
            log.error("PROTECTION_LOST on %s: %s %s has no stop any more", self._account, symbol, position_side)
            self._unanswered = f"PROTECTION_LOST: {symbol} {position_side} has no protective stop any more"
            detail = {"account": self._account, "symbol": symbol, "position_side": position_side.value}
            await self._record("protection.lost", "warden", {**detail, "replace_s": lost.replace_s})

    async def _answer(self, reason: str) -> None:
        try:
            await self._response.reduce(self._account, "warden", reason)
        except STORE_TROUBLE as trouble:
            log.error("%s cannot be made reduce-only yet: %s", self._account, type(trouble).__name__)
            return
        self._unanswered = ""
        for key in self._told:
            self._lost.pop(key, None)
        self._told.clear()


def _has_stop(leg: Position, account: Account, enforced: Iterable[ProtectiveStop]) -> bool:
    """Whether the leg has a stop in the eyes of every rule that is enforced for it; true without such a rule."""
    asked = [rule.band for rule in enforced if rule.symbol in ("", leg.symbol)]
    return all(any(stops_of(leg, account.open_orders, band)) for band in asked)


def stop_rules(policy: Policy, account: str) -> tuple[ProtectiveStop, ...]:
    """The ``protective_stop`` rules that look at an account's legs: the desk's, its own, and those of symbols."""
    return tuple(
        rule
        for rule in policy.rules
        if isinstance(rule, ProtectiveStop)
        and rule.enforcement is not Enforcement.OFF
        and (rule.symbol or rule.level in ("desk", f"account:{account}"))
    )
