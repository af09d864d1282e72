"""The button as the control door sees it: a press, the smaller stop beside it, and how far the newest kill is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.kill.desk import KillDesk
from proxy.kill.press_plane import Kill, Pressed, Reduced, account_kill
from proxy.kill.report import AccountReport
from proxy.refused import Refused
from proxy.store.client import STORE_SILENCE, STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import Scope
from proxy.store.ownership import DeskTaken


class Button:
    """The kill desk, asked in words."""

    def __init__(self, desk: KillDesk) -> None:
        self._desk = desk

    async def kill(self, *, scope: str, by: str, reason: str) -> Pressed:
        """Press the button; returns when trading is blocked."""
        parsed = self._desk.roster.parsed(scope)
        blocked = await self._desk.press(parsed, by, reason)
        return Pressed(
            scope=str(parsed),
            blocked_ms=blocked.blocked_ms,
            generation=blocked.generation,
            latched=blocked.latched,
            gates=blocked.gates,
            in_flight=blocked.in_flight,
            trouble=blocked.trouble,
        )

    async def reduce(self, *, scope: str, by: str, reason: str) -> Reduced:
        """Make every account of a scope reduce-only, also where trouble with one of them is to be told. A store that is
        silent is not asked for one account after another: whoever waits is to hear of it."""
        parsed = self._desk.roster.parsed(scope)
        reduced, so_before, troubles = list[str](), list[str](), dict[str, Exception]()
        silence: Exception | None = None
        for account in self._desk.roster.accounts(parsed):
            if silence is not None:
                troubles[account] = silence
                continue
            try:
                changed = await self._desk.reduce(account, by, reason)
            except STORE_TROUBLE as trouble:
                troubles[account] = trouble
                silence = trouble if isinstance(trouble, STORE_SILENCE) else None
            else:
                (reduced if changed else so_before).append(account)
        if troubles:
            raise Refused(_not_reduced(scope, reduced, so_before, troubles))
        return Reduced(scope=str(parsed), reduced=reduced)

    async def progress(self) -> Kill | None:
        """The newest job of every account the last press covered, from the moment that it was pressed until what was
        on the wire is over: what ended flat before that may be begun once more.

        Besides: what earlier presses left open, and accounts whose newest journal cannot be read.
        """
        reports, unreadable = await self._desk.progress(), await self._desk.unreadable()
        if not reports:
            return Kill(unreadable=unreadable) if unreadable else None
        newest = max(report.started_at for report in reports)
        under_way = [report for report in reports if not report.phase.final or self._is_followed(report)]
        current = [report for report in reports if report in under_way or report.started_at == newest]
        earlier = [report for report in reports if report not in current]
        flat_times = [report.flat_ms for report in current if report.flat_ms is not None]
        return Kill(
            running=bool(under_way),
            scope=current[0].scope,
            by=current[0].by,
            reason=current[0].reason,
            started_at=plain(current[0].started_at),
            blocked_ms=current[0].blocked_ms,
            flat=not under_way and all(report.flat for report in current),
            flat_ms=max(flat_times) if not under_way and len(flat_times) == len(current) else None,
            accounts=[account_kill(report, self._desk.key_outcome(report)) for report in current],
            left_open=sorted(_left_open(earlier, reports)),
            unreadable=unreadable,
        )

    def _is_followed(self, report: AccountReport) -> bool:
        return report.account in self._desk.working(Scope.parse(report.scope).bot)


def _not_reduced(
    scope: str, reduced: Sequence[str], so_before: Sequence[str], troubles: Mapping[str, Exception]
) -> str:
    """Which accounts of a scope go on as they were, and why; and which are reduce-only all the same."""
    why = {
        account: trouble.said if isinstance(trouble, DeskTaken) else "the store did not answer"
        for account, trouble in troubles.items()
    }
    if not reduced and not so_before:
        return f"{scope} goes on as it was: {'; '.join(dict.fromkeys(why.values()))}"
    parts = [f"{account} goes on as it was ({said})" for account, said in why.items()]
    if reduced:
        parts.append(f"reduce-only now: {', '.join(reduced)}")
    if so_before:
        parts.append(f"reduce-only or stopped before: {', '.join(so_before)}")
    return "; ".join(parts)


def _left_open(earlier: Sequence[AccountReport], reports: Sequence[AccountReport]) -> set[str]:
    """The scopes, account or bot, whose last kill did not end flat; not a bot's part of an account killed since."""
    whole = {report.account: report.started_at for report in reports if Scope.parse(report.scope).bot is None}
    found = set()
    for report in earlier:
        bot = Scope.parse(report.scope).bot
        killed_since = bot is not None and whole.get(report.account, report.started_at) > report.started_at
        if report.left_open and not killed_since:
            found.add(f"bot:{bot}" if bot is not None else f"account:{report.account}")
    return found
