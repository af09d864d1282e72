"""A kill without a warden: what was on the wire at the press is followed here, and the accounts are read once more.

A store that does not say what was on the wire, or is not there, says nothing against it: then the time passes within
which an exchange could still execute it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from proxy.accounts.troubles import VenueTrouble
from proxy.kill import in_flight as wire
from proxy.kill.hands import AccountHands
from proxy.kill.in_flight import IN_FLIGHT_OVER, InFlight
from proxy.kill.job import Latch
from proxy.kill.report import KillReport, updated
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from rules.kill.events import Phase

log = logging.getLogger("perpguard.kill")


class Kill(Protocol):
    """Makes accounts flat, once; ``anew`` where somebody has pressed for it."""

    async def __call__(self, hands: Sequence[AccountHands], reason: str, latch: Latch, *, anew: bool) -> KillReport:
        """What became of them."""
        ...


class CalledOff(asyncio.CancelledError):
    """What was on the wire is waited for no longer. ``report`` is what the accounts were read as before that."""

    def __init__(self, report: KillReport) -> None:
        super().__init__()
        self.report = report


async def kill_followed(
    kill: Kill,
    hands: Sequence[AccountHands],
    reason: str,
    *,
    latch: Latch,
    store: WardenStore | None,
    say: Callable[[str], None],
) -> KillReport:
    """Kill, and kill once more each account that shows something when all that was on the wire is over.

    Nothing is waited for while an account is not flat: whoever pressed has to know of it, and to press again.
    ``say`` hears what is waited for. Raises what ``kill`` raises, and ``CalledOff`` where the waiting is cancelled.
    """
    pressed = asyncio.get_running_loop().time()
    wires: list[_Wire] = []

    async def latched(scope: Scope, generation: int | None) -> None:
        await latch(scope, generation)
        # Not before: a gate elsewhere may send until it has heard.
        wires.append(_Wire(store, [each.name for each in hands], pressed))

    report = await kill(hands, reason, latched, anew=True)
    found = wires[0] if wires else _Wire(None, (), pressed)
    try:
        ended = {each.account for each in report.accounts if each.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST)}
        sent, over = found.sent, found.following.done()
        report = replace(report, in_flight=sent)
        again = ended & sent.accounts if sent.known else ended
        if again and not over and report.phase is Phase.DEGRADED:
            say(f"{', '.join(sorted(again))} read as flat and not all is, so there is no waiting for {_what(sent)}")
            return report
        if again and not over:
            say(_waits_for(sent, again, pressed))
        if again or over:
            report = replace(report, in_flight=await found.following)
        showing = [each for each in hands if each.name in again and await _shows(each)]
    except asyncio.CancelledError:
        raise CalledOff(report) from None
    finally:
        await found.aclose()
    if not showing:
        return report
    say(f"{', '.join(each.name for each in showing)} is made flat once more: {IN_FLIGHT_OVER}")
    return updated(report, await kill(showing, IN_FLIGHT_OVER, latch, anew=False))


class _Wire:
    """What was under way at a press, looked at from now on. ``sent`` is what is known of it."""

    def __init__(self, store: WardenStore | None, accounts: Sequence[str], pressed: float) -> None:
        self.sent = InFlight(known=False)
        self.following = asyncio.create_task(self._follow(store, accounts, pressed))

    async def aclose(self) -> None:
        """Look no longer."""
        self.following.cancel()
        await asyncio.gather(self.following, return_exceptions=True)

    async def _follow(self, store: WardenStore | None, accounts: Sequence[str], pressed: float) -> InFlight:
        try:
            if store is not None:
                self.sent = await wire.in_flight(store, accounts)
            if store is not None and self.sent.known:
                return await wire.followed(store, self.sent, pressed)
        except (
            Exception
        ) as trouble:  # The edge: whatever ails the store, the answer to a press must not be lost over it.
            log.warning("what was on the wire cannot be followed: %s", type(trouble).__name__)
            self.sent = InFlight(known=False)
        await asyncio.sleep(pressed + wire.OVER_AFTER_S - asyncio.get_running_loop().time())
        return self.sent


def _waits_for(sent: InFlight, accounts: set[str], pressed: float) -> str:
    most_s = max(0.0, pressed + wire.OVER_AFTER_S - asyncio.get_running_loop().time())
    names = ", ".join(sorted(accounts))
    return f"{names} read as flat; waiting at most {most_s:.0f} s more for {_what(sent)}; then it is read once more"


def _what(sent: InFlight) -> str:
    if not sent.known:
        return "whatever was on the wire at the press, for the store does not say"
    return "; ".join(f"a request of {each.bot} on {each.account}, {each.status} at the press" for each in sent.sent)


async def _shows(hands: AccountHands) -> bool:
    """Whether an account shows anything that has to go, or does not say."""
    try:
        reading = await hands.survey()
    except VenueTrouble:
        return True
    orders = (*reading.plain_orders, *reading.conditional_orders, *reading.algo_orders)
    return bool(orders or reading.unread or any(leg.closable for leg in reading.positions))
