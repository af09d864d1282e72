"""Orders nobody knows the fate of. The venue is asked by client id until it has answered.

"No such order" proves nothing for seconds after an error, so absence counts only after several misses over some time,
and only beside a survey that read the positions too, or a stream unbroken all that while that never told of the order.
Until then the hold stays and counts in full.

Of an order of a symbol that the venue does not know any more it says nothing at all, and of a hold that another version
of the guard wrote nobody knows what to ask. Both are over beside a survey of the whole account alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Protocol

from proxy.exchange.payloads import PlacedOrder
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.store.settling_again import UNTOLD_KEPT_S
from proxy.store.warden_store import AgedHold, WardenStore
from proxy.under_way import UNDER_WAY_MAX_S
from rules.account import Amendment, HeldOrder, HoldStatus

log = logging.getLogger("perpguard.accounts")

PENDING_AGE_MAX_S: Final = 30.0
"""Longer than any reply time-out: a hold still pending after this lost its gate, and counts as unknown."""

MISSES_MIN: Final = 5
MISSES_SPAN_US: Final = 10_000_000
CLOCKS_APART_MAX_MS: Final = 2_000
"""By how much an order may look older than its hold: the venue's clock is known by measuring it now and then."""

QUESTIONS_MAX: Final = 20
"""Holds asked about at one time, so that a storm of unknowns cannot eat the venue's budget."""

_NO_SUCH_SYMBOL: Final = -1121


class Asking(Protocol):
    """The venue's answers about single orders."""

    @property
    def venue_ms(self) -> int:
        """The venue's clock, in milliseconds."""
        ...

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        """One order by the client's id, in whatever state; ``None`` when the venue knows none."""

    async def order_by_id(self, symbol: str, order_id: str) -> PlacedOrder | None:
        """One plain order by the venue's id, in whatever state; ``None`` when the venue knows none."""


class _Fate(Enum):
    ARRIVED = "arrived"
    OVER = "over"  # An amend of an order that is over: nothing more can come of it.
    MISSING = "missing"
    DELISTED = "delisted"  # The venue knows no such symbol.
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Answer:
    """``resolved`` are holds whose every order was found, or proven not to exist; a survey begun after the answer may
    release them. ``absent`` are those of them of which the venue knows no order at all, or only an amend of one that is
    over, and since when it was asked (store's microseconds): what no stream has told of since then does not exist.
    ``by_whole`` are holds of which the venue says nothing, however often it is asked: their symbol is gone, or nobody
    can read them. Only a survey of the whole account, begun after the answer, may release them."""

    resolved: tuple[str, ...] = ()
    absent: tuple[tuple[str, int], ...] = ()
    by_whole: tuple[str, ...] = ()


@dataclass(slots=True)
class _Misses:
    first_us: int
    count: int = 0


class Unresolved:
    """Remembers how often the venue did not know an order."""

    def __init__(self, hands: Asking, store: WardenStore) -> None:
        self._hands = hands
        self._store = store
        self._misses: dict[str, _Misses] = {}
        self._rounds = 0
        self._anew = 0  # How often absence was counted anew.
        self._asked: dict[str, int] = {}  # In which round last.
        self._unreadable: dict[str, int] = {}  # Since when they are there, in the store's microseconds.
        # Orders that never were, by their hold: when that was proven, in the store's microseconds, and their names.
        self._absent: dict[str, tuple[int, frozenset[str]]] = {}

    def begin_anew(self) -> None:
        """The store's clock may be another than before: absence is counted anew."""
        self._anew += 1
        self._misses.clear()
        self._unreadable.clear()
        self._absent.clear()

    async def ask(self, account: str, now_us: int) -> Answer:
        """Ask once about every hold of unknown fate.

        Raises ``VenueThrottled``. A question that failed proves nothing and is asked again. Where there are more than
        can be asked about, those come first about which nobody was asked for longest. Where absence is counted anew
        meanwhile, ``now_us`` is of the clock of before: nothing is remembered by it, nor answered.
        """
        # Once, and before anything else is waited for: the venue's clock goes on while it is asked.
        ahead_ms = self._hands.venue_ms - now_us // 1000
        anew = self._anew
        held, unreadable = await self._store.all_holds(account)
        if self._anew != anew:
            return Answer()
        await self._forget_absent(account, now_us)
        if self._anew != anew:
            return Answer()
        self._unreadable = {hold_id: self._unreadable.get(hold_id, now_us) for hold_id in unreadable}
        asked = [aged for aged in held if is_unresolved(aged, now_us)]
        for aged in asked:
            if aged.hold.status is HoldStatus.PENDING:
                await self._store.lose(account, aged.hold, datetime.fromtimestamp(now_us / 1e6, UTC))
        ids = {aged.hold.hold_id for aged in asked}
        self._misses = {hold_id: misses for hold_id, misses in self._misses.items() if hold_id in ids}
        self._asked = {hold_id: at for hold_id, at in self._asked.items() if hold_id in ids}
        self._rounds += 1
        resolved, absent = [], []
        by_whole = [each for each, since in self._unreadable.items() if now_us - since >= UNDER_WAY_MAX_S * 1e6]
        for aged in sorted(asked, key=lambda aged: self._asked.get(aged.hold.hold_id, 0))[:QUESTIONS_MAX]:
            hold_id = aged.hold.hold_id
            self._asked[hold_id] = self._rounds
            fates = await self._fates(aged, aged.at_us // 1000 + ahead_ms if aged.at_us else None)
            if self._anew != anew:
                return Answer()
            if all(fate in (_Fate.ARRIVED, _Fate.OVER) for fate in fates):
                resolved.append(hold_id)
                if _Fate.ARRIVED not in fates and self._missed(hold_id, now_us):
                    absent.append((hold_id, self._misses[hold_id].first_us))
            elif _Fate.DELISTED in fates:
                if _Fate.UNSURE not in fates and self._missed(hold_id, now_us):
                    by_whole.append(hold_id)
            elif _Fate.UNSURE not in fates and self._missed(hold_id, now_us):
                resolved.append(hold_id)
                missing = [each for each, fate in zip(aged.hold.orders, fates, strict=True) if fate is _Fate.MISSING]
                names = frozenset(order.client_order_id for order in missing)
                first_us = self._misses[hold_id].first_us  # Who else surveys may forget it while the store is told.
                self._absent[hold_id] = now_us, names
                await self._store.forget_unreported(account, hold_id, names)
                if _Fate.ARRIVED not in fates:
                    absent.append((hold_id, first_us))
        return Answer(tuple(resolved), tuple(absent), tuple(by_whole))

    def forget(self, resolved: Sequence[str]) -> None:
        """The holds are gone."""
        for hold_id in resolved:
            self._misses.pop(hold_id, None)
            if self._unreadable.pop(hold_id, None) is None:
                log.info("hold %s resolved", hold_id)
            else:
                log.warning("hold %s could not be read and is let go: a survey has seen what became of it", hold_id)

    async def _forget_absent(self, account: str, now_us: int) -> None:
        """A gate that the store did not hear may say of an order that nobody knows, after it was proven not to be."""
        known = self._absent.items()
        self._absent = {hold_id: each for hold_id, each in known if now_us - each[0] <= UNTOLD_KEPT_S * 1e6}
        for hold_id, (_, names) in tuple(self._absent.items()):
            await self._store.forget_unreported(account, hold_id, names)

    def _missed(self, hold_id: str, now_us: int) -> bool:
        """One more miss; whether they prove that there is nothing."""
        misses = self._misses.setdefault(hold_id, _Misses(now_us))
        misses.count += 1
        return misses.count >= MISSES_MIN and now_us - misses.first_us >= MISSES_SPAN_US

    async def _fates(self, aged: AgedHold, held_ms: int | None) -> list[_Fate]:
        try:
            return [await self._fate(order, held_ms) for order in aged.hold.orders]
        except VenueThrottled:
            raise
        except VenueTrouble as trouble:
            log.warning("asking about hold %s failed: %s", aged.hold.hold_id, trouble)
            return [_Fate.UNSURE]

    async def _fate(self, order: HeldOrder, held_ms: int | None) -> _Fate:
        """``held_ms`` is when it was held, by the venue's clock; ``None`` when nobody knows."""
        try:
            return await self._fate_of_known(order, held_ms)
        except VenueRefused as refusal:
            if refusal.code == _NO_SUCH_SYMBOL:
                return _Fate.DELISTED
            raise

    async def _fate_of_known(self, order: HeldOrder, held_ms: int | None) -> _Fate:
        if order.amendment is not None:
            return await self._fate_of_amend(order, order.amendment)
        if order.replaces is not None or not order.client_order_id:
            # Held by an older version of the guard, which did not write down what an amend asks for.
            return _Fate.ARRIVED
        found = await self._hands.order_by_client_id(order.symbol, order.client_order_id, order.conditional)
        return _Fate.ARRIVED if found is not None and _is(found, order, held_ms) else _Fate.MISSING

    async def _fate_of_amend(self, order: HeldOrder, asked: Amendment) -> _Fate:
        """An amend has arrived when the order bears its numbers, or is over; until then it may still come."""
        order_id = order.replaces or asked.order_id
        if order_id is not None:
            found = await self._hands.order_by_id(order.symbol, order_id)
        else:
            found = await self._hands.order_by_client_id(order.symbol, asked.client_order_id or "", False)
        if found is None or not found.order.leaves_quantity:
            return _Fate.OVER if found is not None else _Fate.MISSING
        amended = found.quantity == asked.quantity and (asked.price is None or found.order.price == asked.price)
        return _Fate.ARRIVED if amended else _Fate.MISSING


def _is(found: PlacedOrder, held: HeldOrder, held_ms: int | None) -> bool:
    """Whether this is the order that was held: a name may be used again once its order is over, and the venue tells of
    the old one until the new one is there. Of an open order it takes no time to tell: its name is not free."""
    order = found.order
    same = (order.side, order.position_side, found.quantity) == (held.side, held.position_side, held.quantity)
    is_over = order.leaves_quantity is not None and not order.leaves_quantity
    return same and (not is_over or held_ms is None or found.placed_ms >= held_ms - CLOCKS_APART_MAX_MS)


def is_unresolved(aged: AgedHold, now_us: int) -> bool:
    """Whether nobody can say what became of the hold's orders. A hold of which nobody knows the time is an old one."""
    status = aged.hold.status
    return status is HoldStatus.UNKNOWN or (
        status is HoldStatus.PENDING and now_us - aged.at_us > PENDING_AGE_MAX_S * 1e6
    )
