"""What was on its way to the exchange when somebody pressed, followed to its end.

An entry that had left, or whose answer was lost, before the gates stopped may still arrive. Its hold says so: PENDING
while a gate waits for the exchange, UNKNOWN when no answer came. It is over when the hold is gone or ACCEPTED (then it
is an order or a position, which the kill reads and closes), or when no exchange could execute it any more.

A hold that a failover or a restart of the store lost is gone as well, and its request is under way still. So only the
word of the server that was asked at the press counts, and only while it has lost nothing; then the clock does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from proxy.store.client import STORE_TROUBLE
from proxy.store.gates import LEASE_S
from proxy.store.warden_store import WardenStore
from proxy.under_way import LATE_S, REPLY_TIMEOUT_S
from rules.account import HoldStatus

log = logging.getLogger("perpguard.kill")

OVER_AFTER_S: Final = LEASE_S + REPLY_TIMEOUT_S + LATE_S
"""From the press: a gate that was cut off from the store at it lets nothing out any more, and what any gate had sent by
then was answered, lost, or is executed by now."""

IN_FLIGHT_OVER: Final = "what was in flight is over"
"""Why an account is killed once more that had been read as flat before all had arrived."""

_READ_S: Final = 0.1
_LOOK_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request under way at the press. ``became`` is empty until it is known."""

    account: str
    bot: str
    hold_id: str
    status: str
    became: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """What was under way; ``known`` is false when the store could not be asked, or may have lost what it knew.

    ``server`` names the store's server that told; empty where none did.
    """

    known: bool
    sent: tuple[Sent, ...] = ()
    server: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing can arrive any more, as far as is known."""
        return self.known and all(each.became for each in self.sent)

    @property
    def accounts(self) -> frozenset[str]:
        """Those that had something under way."""
        return frozenset(each.account for each in self.sent)

    @property
    def waiting(self) -> frozenset[str]:
        """Those of which something may arrive still."""
        return frozenset(each.account for each in self.sent if not each.became)


async def in_flight(store: WardenStore, accounts: Sequence[str], bot: str | None = None) -> InFlight:
    """What is under way now on these accounts, of everybody or of one bot. Never raises."""
    if not accounts:
        return InFlight(known=True)
    try:
        async with asyncio.timeout(_READ_S):
            told = await store.told_holds(accounts)
    except STORE_TROUBLE:
        return InFlight(known=False)
    except Exception as trouble:  # The edge: no press may be lost over what the store holds.
        log.warning("what was on the wire cannot be followed: %s", type(trouble).__name__)
        return InFlight(known=False)
    if not told.whole:
        return InFlight(known=False)
    sent = (
        Sent(account=account, bot=hold.bot, hold_id=hold.hold_id, status=hold.status.value)
        for account, hold in told.holds
        if hold.status is not HoldStatus.ACCEPTED and bot in (None, hold.bot)
    )
    return InFlight(known=True, sent=tuple(sent), server=told.server)


async def followed(
    store: WardenStore, found: InFlight, pressed: float, over: Callable[[str], None] = lambda account: None
) -> InFlight:
    """``found`` with what became of each. Returns when all is over: at the latest ``OVER_AFTER_S`` after the press.

    ``over`` hears of each account of which nothing is on the wire any more, at every look.
    """
    loop = asyncio.get_running_loop()
    over_at = pressed + OVER_AFTER_S
    while not found.over and loop.time() < over_at:
        found = await _looked(store, found)
        for account in found.accounts - found.waiting:
            over(account)
        if not found.over:
            await asyncio.sleep(min(_LOOK_EVERY_S, max(0.0, over_at - loop.time())))
    return replace(found, sent=tuple(replace(each, became=each.became or "its time has passed") for each in found.sent))


async def _looked(store: WardenStore, found: InFlight) -> InFlight:
    """What became of those that were under way. What nobody could list, or another server tells, only ends with its
    time."""
    if not found.known:
        return found
    now = await in_flight(store, sorted(found.waiting))
    if not now.known or now.server != found.server:
        return found
    still = {each.hold_id for each in now.sent}
    return replace(
        found,
        sent=tuple(
            each if each.became or each.hold_id in still else replace(each, became="known at the exchange, or refused")
            for each in found.sent
        ),
    )
