"""What must hold before a scope trades again: one look each, over the pieces that know."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Set
from datetime import timedelta
from decimal import Decimal
from typing import Final

from proxy.accounts.feed_state import FeedStatus
from proxy.accounts.key_watch import SOUND, UNKNOWN, KeyWatch
from proxy.accounts.venue_clock import OFF_MS
from proxy.drill.rehearsed import rehearsed
from proxy.kill.desk import KillDesk
from proxy.kill.preconditions import Finding, Precondition
from proxy.store.fence import Scope
from proxy.warden.pieces.account import AccountPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.venue import VenuePieces
from proxy.watchdog.heart import Heart
from rules.account import Account, HoldStatus
from rules.kill.events import Phase
from rules.rule import show_exact

SURVEYS_MISSED_MAX: Final = 3
MARKETS_AGE_MAX_S: Final = 30.0
"""Whether prices come at all, with room for some readings that failed. It is no bound for trading: ``data_freshness``
judges every entry by the age of its own price, 10 s unless the policy says otherwise."""

AUDIT_FRESH_S: Final = 60.0
"""A chain is not hashed again for every look at a page."""


class Preconditions:
    """The guard's own preconditions. What concerns no account of the scope holds."""

    def __init__(
        self,
        ground: Ground,
        kill: KillDesk,
        accounts: Mapping[str, AccountPieces],
        venues: Mapping[str, VenuePieces],
        heart: Heart,
    ) -> None:
        self._ground = ground
        self._kill = kill
        self._accounts = accounts
        self._venues = venues
        self._heart = heart
        self._verification = ground.scribe.verification

    def all(self) -> tuple[Precondition, ...]:
        """In the order in which people read them."""
        return (
            Precondition("flat", self.flat),
            Precondition("nothing unknown", self.nothing_unknown),
            Precondition("feeds", self.feeds),
            Precondition("clock", self.clock),
            Precondition("exchange keys", self.exchange_keys),
            Precondition("audit", self.audit),
            Precondition("watchdog", self.watchdog),
            Precondition("drill", self.drill),
        )

    async def flat(self, scope: Scope) -> Finding:
        """No position and no order, by the newest survey, and every kill of it ended."""
        if came := await asyncio.to_thread(self._kill.unknown, scope):
            whose = f"the kill of {', '.join(came)} has not ended"
            return Finding(holds=False, said=f"{whose}; restart the guard: it does not know this account yet")
        if await asyncio.to_thread(self._kill.running, scope):
            return Finding(holds=False, said="its kill has not ended")
        unknown = [name for name, pieces in self._of(scope) if pieces.keeper.account is None]
        if unknown:
            return Finding(holds=False, said=f"not surveyed yet: {', '.join(unknown)}")
        left = [line for _, pieces in self._of(scope) for line in _left(pieces.keeper.account, scope.bot)]
        abandoned = await asyncio.to_thread(self._kill.abandoned, scope)
        left += [f"kill:{name} did not end, and no key of it is in the vault any more" for name in abandoned]
        shown = {(line.partition(" ")[0], line.rpartition(" ")[2]) for line in left}
        left += await asyncio.to_thread(self._reported, scope, shown, abandoned)
        if not left:
            return Finding(holds=True, said="no position, no order")
        return Finding(holds=False, said=f"left: {'; '.join(left)}", left=tuple(left))

    async def nothing_unknown(self, scope: Scope) -> Finding:
        """No order whose fate is open; of a bot's kill none of that bot's own."""
        open_ended = []
        for name, _ in self._of(scope):
            of_all = [aged.hold for aged in await self._ground.store.holds(name)]
            holds = [hold for hold in of_all if scope.bot is None or hold.bot == scope.bot]
            open_ended += [hold for hold in holds if hold.status in (HoldStatus.UNKNOWN, HoldStatus.PENDING)]
        if not open_ended:
            return Finding(holds=True, said="no order with an unknown outcome")
        return Finding(holds=False, said=f"{len(open_ended)} orders whose outcome is not known")

    async def feeds(self, scope: Scope) -> Finding:
        """Surveys, streams and prices are fresh."""
        stale = []
        for name, pieces in self._of(scope):
            account, bound_s = pieces.keeper.account, SURVEYS_MISSED_MAX * self._ground.settings.survey_every_s
            if account is None or self._ground.now() - account.as_of > timedelta(seconds=bound_s):
                stale.append(f"no survey of {name} within {bound_s:g} s")
            elif pieces.keeper.view.state == FeedStatus.STALE:
                stale.append(f"the stream of {name} is stale: {pieces.keeper.view.why}")
        for name, venue in self._of_venues(scope):
            newest = venue.market.priced_at
            if newest is None or self._ground.now() - newest > timedelta(seconds=MARKETS_AGE_MAX_S):
                stale.append(f"no prices of {name} within {MARKETS_AGE_MAX_S:g} s")
        return Finding(holds=not stale, said="; ".join(stale) or "surveys, streams and prices are fresh")

    async def clock(self, scope: Scope) -> Finding:
        """The venue's clock and ours agree."""
        offsets = {name: venue.clock.offset_ms for name, venue in self._of_venues(scope)}
        off = [name for name, offset in offsets.items() if offset is None or abs(offset) >= OFF_MS]
        words = {name: "not known" if offset is None else f"{offset} ms" for name, offset in offsets.items()}
        said = ", ".join(f"{name} {offset}" for name, offset in words.items())
        return Finding(holds=not off, said=f"{said}; within {OFF_MS} ms is sound" if said else "no venue")

    async def exchange_keys(self, scope: Scope) -> Finding:
        """Each key has the rights it needs and no other; a person may have decided to live with another."""
        keys = {name: pieces.key for name, pieces in self._of(scope) if pieces.key.verdict != SOUND}
        unasked = [name for name, key in keys.items() if key.verdict == UNKNOWN and not key.refusal]
        if unasked:
            return Finding(holds=False, said=f"their rights are not known yet: {', '.join(unasked)}")
        wrong = tuple(f"key:{name} {_wrong_with(key)}" for name, key in keys.items())
        return Finding(holds=not wrong, said="; ".join(wrong) or "their rights are as they should be", left=wrong)

    async def audit(self, scope: Scope) -> Finding:
        """Whether the archive is the one that was written: the newest verification, believed for a minute. A long
        archive may need several looks: it goes on between them."""
        report = await self._verification.report(timedelta(seconds=AUDIT_FRESH_S))
        if report.ok:
            return Finding(holds=True, said=f"{report.records} records verified")
        return Finding(holds=False, said=report.problem)

    async def watchdog(self, scope: Scope) -> Finding:
        """Every watchdog that is configured, or ever called, is heard."""
        states = self._heart.states()
        silent = [each.name or "the one configured" for each in states if each.lost or each.heard_age_s is None]
        if silent:
            return Finding(holds=False, said=f"not heard: {', '.join(silent)}")
        return Finding(holds=True, said=f"{len(states)} heard" if states else "none is configured")

    async def drill(self, scope: Scope) -> Finding:
        """The kill of every account was rehearsed lately, where the policy asks for that."""
        names = [name for name, _ in self._of(scope)]
        accounts = await asyncio.to_thread(rehearsed, self._ground.settings.data_dir, names)
        now, days = self._ground.now(), self._ground.policy().kill.drill.max_age_days
        said = f"the last one of {', '.join(each.said(now) for each in accounts)}" if accounts else "no account"
        if days is None:
            return Finding(holds=True, said=f"{said}; the policy asks for none")
        lacking = [each.account for each in accounts if not each.counts(now, timedelta(days=days))]
        asked = f"{said}; the policy asks for one of each account that passed within {days} days"
        if not lacking:
            return Finding(holds=True, said=asked)
        only = " ".join(f"--account {account}" for account in lacking)
        run = f"perpguard drill --by NAME {only}, or the same with --live --dry, can be run while all is stopped"
        return Finding(holds=False, said=f"{asked}; lacking: {', '.join(lacking)}; {run}")

    def _of(self, scope: Scope) -> list[tuple[str, AccountPieces]]:
        return [(name, self._accounts[name]) for name in self._kill.roster.accounts(scope) if name in self._accounts]

    def _of_venues(self, scope: Scope) -> list[tuple[str, VenuePieces]]:
        names = {pieces.keeper.venue for _, pieces in self._of(scope)}
        return [(name, self._venues[name]) for name in sorted(names)]

    def _reported(self, scope: Scope, shown: Set[tuple[str, str]], abandoned: Collection[str]) -> list[str]:
        """What the newest kill of each account said it left, where it did not end flat and still stands, but for what
        is ``shown`` already: symbols and their accounts."""
        if scope not in self._kill.engaged():
            return []
        return [
            f"{line} of {report.account}"
            for report in self._kill.reports()
            if report.scope == str(scope) and report.phase is not Phase.FLAT and report.account not in abandoned
            for line in (_by_its_name(line, report.account) for line in report.left)
            if (line.partition(" ")[0], report.account) not in shown
        ]


def _wrong_with(key: KeyWatch) -> str:
    if not key.refusal:
        return key.verdict
    return f"the exchange {'refuses it' if key.refused else 'does not say its rights'} ({key.refusal})"


def _by_its_name(line: str, account: str) -> str:
    """A line of a kill's report with what it is called first, as an acknowledgement has to name it: the symbol; of
    what was not read its kind, and the account where nothing was."""
    kind, _, what = line.partition(": ")
    if kind == "unknown":
        unread, _, why = what.partition(": ")
        return f"{unread} not read: {why}" if why else f"{account} not known: {what}"
    *words, symbol, last = line.split(" ")
    if words == ["position"]:
        return f"{symbol.replace('/', ' ')} {last}"
    return f"{last} {' '.join((*words, symbol))}"


def _left(account: Account | None, bot: str | None) -> list[str]:
    """Positions and orders of an account; of a bot's kill its orders and shares."""
    if account is None:
        return []
    orders: dict[str, int] = {}
    for order in account.open_orders:
        if bot is None or order.bot == bot:
            orders[order.symbol] = orders.get(order.symbol, 0) + 1
    legs: list[tuple[str, str, Decimal]] = [
        (share.symbol, share.position_side.value, share.quantity) for share in account.shares if share.bot == bot
    ]
    if bot is None:
        legs = [(each.symbol, each.position_side.value, each.quantity) for each in account.positions]
    return [
        *(f"{symbol} {side} {show_exact(quantity)} of {account.name}" for symbol, side, quantity in legs if quantity),
        *(f"{symbol} {count} orders of {account.name}" for symbol, count in orders.items()),
    ]
