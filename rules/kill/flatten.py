"""Which closes to send now: a pure plan, made anew from every reading.

**Hedged and correlated books.** A book is a set of legs of both signs. The whole account is one, by notional in quote
currency: in a crash everything correlated goes to one, so a long in one coin hedges a short in another, and counting
by symbol would call a neutral account naked twice over. (Quote currencies are taken at par: nearly all are dollars.)
A symbol with a LONG and a SHORT leg is one of its own besides. With net notional ``N`` and the policy's limit ``M``,
the closes under way of its long legs are worth at most ``N + M`` and those of its short legs at most ``M - N``, but
never less than nothing. So *whichever of them are filled, fully, partly or not at all*, the net stays between
``-max(M, -N)`` and ``max(M, N)``: it never leans further than the policy allows or than it leans already, and by
induction never further than at the press. Closes whose outcome nobody knows are among those under way. Within that
room the heavier side gives up its excess and the hedged rest shrinks in proportion, all legs by the same fraction.

A limit smaller than the smallest order would stop this for ever, so when nothing else may go, one smallest order does.
It does not where the other side cannot be closed at all (the symbol does not trade): a hedge whose other leg is stuck
is kept, and named as left, rather than opened.

**Everything else** is not held back. Legs go in the order of what they contribute to a liquidation: notional over the
distance to the liquidation price, an unknown distance counting as none.

**How a close is sent.** As a limit order that fills at once or not at all (IOC), no further through the mark than a
band; bands double whenever one did not fill in full. It takes no more than a share of what stands in the book within
the band, but always at least the smallest order, for a book may refill at any moment. Once a leg's time is up, or
where there is no mark or no listing to make a limit price of, a market order goes; where the venue refuses that for
the emptiness of the book, a limit order at the venue's own bound. A leg without a mark has no notional: it is in no
book and is not held back, because not knowing must trap nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from rules.ages import seconds
from rules.kill.legs import LotSize, OpenLeg
from rules.kill.settings import Flatten
from rules.model import PositionSide, Side

REFUSALS_MAX: Final = 8
"""A leg refused so often, without a fill between and for no reason that we can mend, is left to a person."""

_ONE: Final = Decimal(1)
_NONE: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegMemory:
    """What earlier closes of a leg have taught. ``since`` is when its first close was planned.

    ``halted``: the venue said that the symbol does not trade. ``market_refused``: it would not take a market order for
    want of a price. ``rounded_up``: its dust has been tried once with an order larger than it.
    """

    rung: int = 0
    since: datetime | None = None
    refusals: int = 0
    halted: bool = False
    market_refused: bool = False
    rounded_up: bool = False


FRESH: Final = LegMemory()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A close whose outcome nobody knows. It may still fill until ``until``; ``leg_size`` is what the leg was then."""

    leg: str
    quantity: Decimal
    leg_size: Decimal
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedClose:
    """One order. Without a ``price`` it is a market order, with one it is IOC."""

    leg: OpenLeg
    quantity: Decimal
    price: Decimal | None

    @property
    def side(self) -> Side:
        """The side that closes the leg."""
        return self.leg.side


def bands(settings: Flatten) -> tuple[Decimal, ...]:
    """The ladder: how far through the mark a close may fill, rung by rung."""
    rungs = [min(settings.band_first, settings.band_last)]
    while rungs[-1] < settings.band_last:
        rungs.append(min(rungs[-1] * 2, settings.band_last))
    return tuple(rungs)


def stuck(leg: OpenLeg, memory: LegMemory) -> bool:
    """Whether no order can close the leg: its symbol does not trade, or the venue has refused too often."""
    return halted(leg, memory) or memory.refusals >= REFUSALS_MAX


def halted(leg: OpenLeg, memory: LegMemory) -> bool:
    """Whether the venue takes no orders for the leg's symbol."""
    return not leg.trading or memory.halted


def still_under_way(under_way: Iterable[UnderWay], legs: Iterable[OpenLeg], now: datetime) -> tuple[UnderWay, ...]:
    """Those of the closes that may still fill: not past their time, and not seen to have filled in full."""
    sizes = {leg.key: leg.size for leg in legs}
    return tuple(
        each
        for each in under_way
        if now < each.until and sizes.get(each.leg, _NONE) > _NONE and sizes[each.leg] > each.leg_size - each.quantity
    )


def plan_closes(
    legs: Sequence[OpenLeg],
    settings: Flatten,
    *,
    now: datetime,
    memory: Mapping[str, LegMemory] = {},
    under_way: Sequence[UnderWay] = (),
    most: int = 1_000,
) -> tuple[PlannedClose, ...]:
    """The closes to send now, at most one a leg and ``most`` in all, in the order they matter."""
    known = {leg.key: memory.get(leg.key, FRESH) for leg in legs}
    open_legs = sorted((leg for leg in legs if leg.closable), key=_danger, reverse=True)
    slices = [_slice(leg, known[leg.key], settings, now) for leg in open_legs if not stuck(leg, known[leg.key])]
    books = _books(open_legs, {leg.key for leg in open_legs if stuck(leg, known[leg.key])}, settings, under_way)
    planned = [close for each in _shared_out(slices, books) if (close := each.close()) is not None]
    if not planned and not under_way:
        planned = _smallest(slices, books)
    planned += [_rounded_up(leg) for leg in legs if _roundable(leg, known[leg.key])]
    return tuple(planned[:most])


@dataclass(slots=True, kw_only=True)
class _Slice:
    """What one leg would send if nothing held it back, and what it may."""

    leg: OpenLeg
    lot: LotSize
    wanted: Decimal
    price: Decimal | None
    quantity: Decimal = _NONE

    def fit(self, most: Decimal) -> Decimal:
        return self.lot.fit(min(most, self.wanted), self.leg.size)

    @property
    def smallest(self) -> Decimal:
        return self.lot.slice_min(self.leg.size)

    def close(self) -> PlannedClose | None:
        return PlannedClose(leg=self.leg, quantity=self.quantity, price=self.price) if self.quantity else None


@dataclass(slots=True, kw_only=True)
class _Book:
    """Legs of both signs. ``share`` is the fraction that all of them may close; ``left`` what a sign may still send."""

    keys: frozenset[str]
    share: Decimal
    net: Decimal
    has_stuck: bool
    left: dict[int, Decimal] = field(default_factory=dict)


def _books(
    legs: Sequence[OpenLeg], stuck_keys: set[str], settings: Flatten, under_way: Sequence[UnderWay]
) -> list[_Book]:
    symbols = {leg.symbol for leg in legs if leg.position_side is not PositionSide.BOTH}
    groups = [legs, *([leg for leg in legs if leg.symbol == symbol] for symbol in sorted(symbols))]
    found = (_book(group, stuck_keys, settings.naked_notional_max, under_way) for group in groups)
    return [book for book in found if book is not None]


def _book(
    legs: Sequence[OpenLeg], stuck_keys: set[str], naked_max: Decimal, under_way: Sequence[UnderWay]
) -> _Book | None:
    """The book of these legs; ``None`` where all of them lie to one side, so that every close makes it smaller."""
    worth, busy = {1: _NONE, -1: _NONE}, {1: _NONE, -1: _NONE}
    for leg in legs:
        if leg.mark_price is None:
            continue
        worth[leg.sign] += leg.size * leg.mark_price
        unknown = sum((each.quantity for each in under_way if each.leg == leg.key), _NONE)
        busy[leg.sign] += min(unknown, leg.size) * leg.mark_price
    if not (worth[1] and worth[-1]):
        return None
    net = worth[1] - worth[-1]
    room = {sign: max(naked_max + net * sign - busy[sign], _NONE) for sign in (1, -1)}
    share = min(_ONE, room[1] / worth[1], room[-1] / worth[-1])
    left = {sign: share * worth[sign] for sign in (1, -1)}
    heavier = 1 if net > 0 else -1
    left[heavier] = min(room[heavier], left[heavier] + abs(net) * (1 - share))
    keys = frozenset(leg.key for leg in legs if leg.mark_price is not None)
    return _Book(keys=keys, share=share, net=net, has_stuck=not keys.isdisjoint(stuck_keys), left=left)


def _shared_out(slices: list[_Slice], books: list[_Book]) -> list[_Slice]:
    """Give every slice its share of what its books allow, then the rest to those that matter most."""
    for proportional in (True, False):
        for each in slices:
            leg, of = each.leg, [book for book in books if each.leg.key in book.keys]
            most = min((book.left[leg.sign] for book in of), default=None)
            if most is None or leg.mark_price is None:
                each.quantity = each.fit(each.wanted)
                continue
            allowed = each.quantity + most / leg.mark_price
            if proportional:
                allowed = min(allowed, leg.size * min(book.share for book in of))
            more = each.fit(allowed) - each.quantity
            if more > 0:
                each.quantity += more
                for book in of:
                    book.left[leg.sign] -= more * leg.mark_price
    return slices


def _smallest(slices: list[_Slice], books: list[_Book]) -> list[PlannedClose]:
    """The one order that goes where the room is smaller than any order: on the heavier side, if there is one."""
    for each in sorted(slices, key=lambda each: not _leans_with(each, books)):
        if not any(book.has_stuck for book in books if each.leg.key in book.keys):
            return [PlannedClose(leg=each.leg, quantity=each.smallest, price=each.price)]
    return []


def _leans_with(each: _Slice, books: list[_Book]) -> bool:
    return all(book.net * each.leg.sign > 0 for book in books if each.leg.key in book.keys)


def _danger(leg: OpenLeg) -> tuple[bool, Decimal]:
    """What a leg contributes to a liquidation: notional over the distance to it."""
    mark, liquidation, notional = leg.mark_price, leg.liquidation_price, leg.notional
    if mark is None or liquidation is None or notional is None or mark == liquidation:
        return True, notional or _NONE
    return False, notional / (abs(mark - liquidation) / mark)


def _slice(leg: OpenLeg, memory: LegMemory, settings: Flatten, now: datetime) -> _Slice:
    over = memory.since is not None and now - memory.since >= seconds(settings.ladder_s)
    price = _limit_price(leg, memory, settings, over=over)
    lot = (leg.market_lot if price is None else leg.limit_lot) or leg.assumed_lot
    most = leg.size
    if price is not None and leg.book is not None and not over:
        visible = sum((level.quantity for level in leg.book if _acceptable(leg, level.price, price)), _NONE)
        most = max(visible * settings.depth_share, lot.slice_min(leg.size))
    return _Slice(leg=leg, lot=lot, wanted=lot.fit(most, leg.size), price=price)


def _limit_price(leg: OpenLeg, memory: LegMemory, settings: Flatten, *, over: bool) -> Decimal | None:
    """Where an IOC order may fill, ``None`` for a market order."""
    mark, tick, lot = leg.mark_price, leg.tick_size, leg.limit_lot
    if mark is None or tick is None or lot is None or not lot.fit(leg.size, leg.size):
        return None
    if over and not memory.market_refused:
        return None
    ladder = bands(settings)
    bound = leg.price_floor if leg.side is Side.SELL else leg.price_cap
    price = mark * (1 - ladder[min(memory.rung, len(ladder) - 1)] * leg.sign)
    if over and bound is not None:
        price = bound
    if bound is not None:
        price = max(price, bound) if leg.side is Side.SELL else min(price, bound)
    rounding = ROUND_CEILING if leg.side is Side.SELL else ROUND_FLOOR
    price = (price / tick).to_integral_value(rounding) * tick
    return price if price > 0 else None


def _acceptable(leg: OpenLeg, price: Decimal, limit: Decimal) -> bool:
    return price >= limit if leg.side is Side.SELL else price <= limit


def _roundable(leg: OpenLeg, memory: LegMemory) -> bool:
    """Dust that a larger reduce-only order may take: the venue trims it, but not in hedge mode, where there is no flag.
    Nor to a part of a position: what is more than the part would be taken from the rest.

    Binance USD-M: "ReduceOnly" orders are reduced to the position in one-way mode; in hedge mode a close larger than
    its leg is refused (-2022), seen 2026-11.
    """
    trimmed = leg.whole and leg.position_side is PositionSide.BOTH and leg.market_lot is not None
    return trimmed and not leg.closable and not memory.rounded_up and not stuck(leg, memory)


def _rounded_up(leg: OpenLeg) -> PlannedClose:
    assert leg.market_lot is not None  # noqa: S101 - _roundable has looked
    return PlannedClose(leg=leg, quantity=leg.market_lot.smallest, price=None)
