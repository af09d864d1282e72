"""A kill without a warden: what was on the wire at the press is followed here, and the accounts are read once more.

A store that does not say what was on the wire, or is not there, says nothing against it: then the time passes within
which an exchange could still execute it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from proxy.kill import in_flight as wire
from proxy.kill.bot_hands import BotHands
from proxy.kill.continued import renewed
from proxy.kill.direct import PublishedShare
from proxy.kill.hands import AccountHands
from proxy.kill.in_flight import IN_FLIGHT_OVER, InFlight
from proxy.kill.job import Latch
from proxy.kill.press import Press
from proxy.kill.report import KillReport
from proxy.kill.runner import Clock
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from rules.kill.events import Phase

Kill = Callable[[Press, Sequence[AccountHands], Latch], Awaitable[KillReport]]
"""Makes accounts flat for a press, once, and answers what became of them."""


class CalledOff(asyncio.CancelledError):
    """What was on the wire is waited for no longer. ``report`` is what the accounts were read as before that."""

    def __init__(self, report: KillReport) -> None:
        super().__init__()
        self.report = report


async def kill_followed(
    kill: Kill,
    press: Press,
    hands: Sequence[AccountHands],
    *,
    latch: Latch,
    store: WardenStore | None,
    say: Callable[[str], None],
) -> KillReport:
    """Kill, and kill once more each account whose last reading may be older than the end of what it had sent, or could
    not show it.

    Nothing is waited for while an account is not flat: whoever pressed has to know of it, and to press again. Of the
    kill of one bot what others have on the wire is not waited for. ``say`` hears what is waited for. Raises what
    ``kill`` raises, and ``CalledOff`` where the waiting is cancelled.
    """
    bot, pressed = press.scope.bot, asyncio.get_running_loop().time()
    names = [each.name for each in hands]
    wires: list[_Wire] = []

    async def latched(scope: Scope, generation: int | None) -> None:
        await latch(scope, generation)
        # Not before: a gate elsewhere may send until it has heard.
        wires.append(_Wire(store, names, bot, pressed))

    report = await kill(press, hands, latched)
    found = wires[0] if wires else _Wire(None, names, bot, pressed)
    try:
        ended = {each.account for each in report.accounts if each.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST)}
        sent, over = found.sent, found.following.done()
        doubted = {each.name for each in hands if _distrusted(each, sent)}
        report = replace(report, in_flight=sent)
        again = ended & sent.accounts if sent.known else ended
        if again and not over and report.phase is Phase.DEGRADED:
            say(f"{', '.join(sorted(again))} read as flat and not all is, so there is no waiting for {_what(sent)}")
            return report
        if again and not over:
            say(_waits_for(sent, again, pressed))
        if again or over:
            report = replace(report, in_flight=await found.following)
    except asyncio.CancelledError:
        if doubted:
            raise  # What they were read as says nothing.
        raise CalledOff(report) from None
    finally:
        await found.aclose()
    seen = {each.account for each in report.accounts if each.read_after(found.over_at.get(each.account))}
    late = [each for each in hands if each.name in again and (each.name in doubted or each.name not in seen)]
    if not late:
        return report
    for each in late:
        part = "; what of it is the bot's nobody knows now" if each.name in doubted else ""
        say(f"{each.name} is made flat once more: {IN_FLIGHT_OVER}{part}")
    once_more = replace(press.going_on(report.accounts), reason=IN_FLIGHT_OVER)
    return renewed(report, await kill(once_more, late, latch))


class _Wire:
    """What was under way at a press, looked at from now on. ``sent`` is what is known of it, ``over_at`` since when
    nothing of an account is on the wire."""

    def __init__(self, store: WardenStore | None, accounts: Sequence[str], bot: str | None, pressed: float) -> None:
        self.sent = InFlight(known=False)
        self.over_at: dict[str, datetime] = {}
        self.following = asyncio.create_task(self._follow(store, accounts, bot, pressed))

    async def aclose(self) -> None:
        """Look no longer."""
        self.following.cancel()
        await asyncio.gather(self.following, return_exceptions=True)

    async def _follow(
        self, store: WardenStore | None, accounts: Sequence[str], bot: str | None, pressed: float
    ) -> InFlight:
        clock = Clock()
        left_s = pressed + wire.OVER_AFTER_S - asyncio.get_running_loop().time()
        over_at = clock.now() + timedelta(seconds=left_s)

        def over(account: str) -> None:
            self.over_at.setdefault(account, min(over_at, clock.now()))

        if store is not None:
            self.sent = await wire.in_flight(store, accounts, bot)
        if store is not None and self.sent.known:
            found = await wire.followed(store, self.sent, pressed, over)
        else:
            await asyncio.sleep(left_s)
            found = self.sent
        for account in accounts:
            over(account)
        return found


def _waits_for(sent: InFlight, accounts: set[str], pressed: float) -> str:
    most_s = max(0.0, pressed + wire.OVER_AFTER_S - asyncio.get_running_loop().time())
    names = ", ".join(sorted(accounts))
    return f"{names} read as flat; waiting at most {most_s:.0f} s more for {_what(sent)}; then it is read once more"


def _what(sent: InFlight) -> str:
    if not sent.known:
        return "whatever was on the wire at the press, for the store does not say"
    return "; ".join(f"a request of {each.bot} on {each.account}, {each.status} at the press" for each in sent.sent)


def _distrusted(hands: AccountHands, sent: InFlight) -> bool:
    """Whether a bot's share that nobody reads again may lack what was on the wire. It is believed no longer then.

    Not before its kill: what it was known to have is closed by that, and what arrives only adds to it.
    """
    share = hands.share if isinstance(hands, BotHands) else None
    if not isinstance(share, PublishedShare):
        return False
    if sent.known and (hands.name, share.bot) not in {(each.account, each.bot) for each in sent.sent}:
        return False
    share.distrust()
    return True
