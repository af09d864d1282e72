"""Keeps the shares equal to the positions where the stream did not tell all: while it was down, or the guard was.

What orders filled unheard is looked up in the venue's list and given to their owners. Only what no order explains is
nobody's: found, or, of the time in which there was no guard, said in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Final, Protocol

from proxy.accounts.births import Births
from proxy.accounts.outside import OutsideDetector
from proxy.accounts.shares import Shares
from proxy.accounts.unseen import DATED_LATER_MAX_MS, unseen
from proxy.exchange.events import Event, OrderEvent
from proxy.exchange.payloads import PastOrder
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from rules.account import Account, OpenOrder, Position
from rules.model import LegKey

log = logging.getLogger("perpguard.accounts")

RETURN_S: Final = 30.0
RETRY_S: Final = 1.0
"""For how long, and in what steps, it is asked what happened while the guard was away, until the venue answers."""


class Venue(Protocol):
    """The venue's clock and its list of orders."""

    @property
    def venue_ms(self) -> int:
        """The venue's clock as far as it is known, in milliseconds."""
        ...

    async def past_orders(self, symbol: str) -> tuple[PastOrder, ...]:
        """The newest orders of a symbol, in whatever state. Raises ``VenueTrouble``."""
        ...


class Settling:
    """One account's. ``stopped`` says whether a kill covers all of it, ``is_kills`` whether an order of this name is a
    kill's."""

    def __init__(
        self,
        *,
        account: str,
        shares: Shares,
        detector: OutsideDetector,
        births: Births,
        venue: Venue,
        stopped: Callable[[], bool],
        is_kills: Callable[[str], bool],
    ) -> None:
        self._account = account
        self._shares = shares
        self._detector = detector
        self._births = births
        self._venue = venue
        self._stopped = stopped
        self._is_kills = is_kills
        self._begun = False
        self._returns = False
        self._tries_until = float("inf")
        self._tries_at = float("-inf")
        self._told_ms = 0
        # As it was when the shares last added up: later events need not have told what a gap swallowed before them.
        self._settled_ms = 0
        self._seen_ms = 0
        self._shares_ms: int | None = None
        self._positions: tuple[Position, ...] = ()
        self._open_orders: tuple[OpenOrder, ...] = ()
        self._moved = False
        self._unsettled: frozenset[str] = frozenset()
        self._given_up: frozenset[str] = frozenset()

    @property
    def unsettled(self) -> frozenset[str]:
        """Symbols whose shares may lack what orders filled."""
        return self._unsettled

    @property
    def shares_ms(self) -> int | None:
        """The venue's time up to which all that orders filled is in the shares, ``None`` where that is not known."""
        return self._shares_ms

    def restore(self, account: Account) -> None:
        """Begin with the shares that an earlier warden published: what filled since then is to be looked up."""
        self._shares.restore(account)
        self._open_orders, self._shares_ms = account.open_orders, account.shares_ms
        self._returns = account.shares_ms is not None
        if self._returns:
            self._unsettled = self._traded(account.open_orders)

    def apply(self, event: Event) -> None:
        """An event of the private stream."""
        self._told_ms = max(self._told_ms, event.at_ms)
        if isinstance(event, OrderEvent) and not self._returns:
            self._counted_to(event.at_ms)
        self._moved = True
        self._shares.apply(event)

    def adopt(self, positions: Sequence[Position], open_orders: Sequence[OpenOrder]) -> None:
        """The account's whole book after a survey. The first one is taken as it is, but for what an earlier warden knew
        of the shares; later ones are compared."""
        self._positions, self._open_orders = tuple(positions), tuple(open_orders)
        if not self._begun:
            self._begun = True
            self._told_ms = max(self._told_ms, self._venue.venue_ms)
            self._tries_until = time.monotonic() + RETURN_S
            if not self._returns:
                self._shares.adopt(positions, open_orders)
                self._counted_to(self._told_ms)
        self._moved = False
        unsettled = self._shares.differs(positions)
        if self._returns:
            # Also where the sums agree: two bots' orders that filled meanwhile may make up for each other.
            self._unsettled |= unsettled | self._traded(open_orders)
            if self._unsettled:
                return
            self._returns = False
            self._counted_to(self._told_ms)
        if unsettled and (unsettled <= self._given_up or self._stopped()):
            # It was looked up and found, or a kill closes what it finds: the legs are as the venue says.
            self._shares.adopt(positions, open_orders)
            unsettled = frozenset()
        self._unsettled, self._given_up = unsettled, frozenset()
        if not unsettled:
            self._settled_ms = self._told_ms
            self._detector.compared(positions, time.monotonic())

    def give_up(self, symbols: Collection[str]) -> None:
        """What moved the legs of these symbols was found, or it was found that nobody knows: the next survey counts."""
        self._given_up |= frozenset(symbols)

    async def look(self) -> bool:
        """Look up what is to be; whether the shares may be other than before."""
        at = time.monotonic()
        if not self._begun or not self._unsettled or at < self._tries_at:
            return False
        pause = await self._look_up(sorted(self._unsettled), at)
        if pause is not None and self._returns and at + pause < self._tries_until:
            self._tries_at = at + pause
            return True
        self._unsettled = frozenset()
        if self._returns:
            self._return()
        elif not self._moved:  # Else the survey is older than the shares; the next one compares.
            self._detector.compared(self._positions, time.monotonic())
        self._counted_to(self._seen_ms)
        return True

    async def _look_up(self, symbols: Sequence[str], at: float) -> float | None:
        """Which orders moved the legs? What they explain goes to their owners. After how many seconds what the venue
        did not answer may be asked again, ``None`` when it answered all."""
        since_ms, slack_ms = self._settled_ms, 0
        if self._returns and self._shares_ms is not None:
            since_ms, slack_ms = self._shares_ms, DATED_LATER_MAX_MS
        pause = None
        await self._births.look(symbols, at)
        for symbol in symbols:
            try:
                listed = await self._listed(symbol)
            except VenueTrouble as trouble:
                log.warning("orders of %s cannot be looked up: %s", self._account, trouble)
                if isinstance(trouble, VenueThrottled):
                    return trouble.retry_after
                pause = RETRY_S
                continue
            past = unseen(listed, since_ms, slack_ms, self._shares.filled_by, self._missing)
            for each in past:
                self._detector.ending(each.order)
                price = each.average_price or each.order.price
                if each.order.filled_quantity and price is not None:
                    self._shares.filled(each.order, price)
                self._seen_ms = max(self._seen_ms, each.changed_ms)
            strange = [each.order for each in past if not self._is_kills(each.order.client_order_id)]
            self._detector.ended(strange, at)
            self._unsettled -= {symbol}
        return pause

    async def _listed(self, symbol: str) -> tuple[PastOrder, ...]:
        try:
            return await self._venue.past_orders(symbol)
        except VenueRefused as refusal:
            # A contract that the venue has delisted: it will say no more in half a minute, nor of any other.
            log.warning("orders of %s cannot be looked up: %s", self._account, refusal)
            return ()

    def _return(self) -> None:
        """What happened while the guard was away was looked up: how the account still differs, nobody can say why."""
        self._returns = False
        self._settled_ms = self._told_ms
        self._counted_to(self._told_ms)
        if self._moved:
            self.give_up(self._shares.differs(self._positions))
        else:
            self._shares.adopt(self._positions, self._open_orders)

    def _traded(self, open_orders: Iterable[OpenOrder]) -> frozenset[str]:
        shares = {share.symbol for share in self._shares.all() if share.quantity}
        return frozenset(shares | {order.symbol for order in open_orders})

    def _missing(self, leg: LegKey) -> Decimal:
        held = (each.quantity for each in self._positions if (each.symbol, each.position_side) == leg)
        return next(held, Decimal(0)) - self._shares.leg(*leg)

    def _counted_to(self, at_ms: int) -> None:
        self._shares_ms = max(self._shares_ms or 0, at_ms)
