"""Margin arithmetic: what tiers require, and how far the market may move before the venue liquidates.

Binance, "Leverage and Margin of USDⓈ-M Futures" and "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts"
(seen 2026-11): maintenance margin of a leg = notional * rate - amount of the tier the notional is in; liquidation is
where the balance behind the legs equals the sum of these. The venue's formula keeps the tier of today's notional;
here the tier of the notional *at* the liquidation price counts, which is never farther away.

What stands behind an isolated leg is its own margin, behind cross legs the rest of the account. Fees and slippage of
the way out, and funding still to come, are in neither; nor are they in the venue's own number.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from rules.book import Exposure, account_book
from rules.exposure import worst_case
from rules.instrument import MarginTier
from rules.model import MarginMode, Side
from rules.snapshot import Account, HeldOrder, Position, Snapshot

ZERO: Final = Decimal(0)
BUY: Final = Side.BUY
_CROSS: Final = MarginMode.CROSS
ONE: Final = Decimal(1)
_ANY: Final = Decimal("Infinity")
_SURELY: Final = Decimal("0.999999")


class MarginUnknown(Exception):
    """The guard does not know something that the arithmetic needs; the message names it."""


class Liquidation(NamedTuple):
    """How far a leg is from its end. ``distance`` is the fraction of the mark that the market must move against it.

    Zero or below: it would be liquidated at once. One or more on a long: never. ``price`` is the mark then (quote
    currency, zero when none is low enough); ``maintenance_margin`` what the venue requires before the move: of all
    cross legs together, or of the isolated leg.
    """

    distance: Decimal
    price: Decimal
    maintenance_margin: Decimal


class Moving(NamedTuple):
    """One symbol of a market that moves against the account. Notionals in quote currency at the mark, none negative.

    ``losing`` is what loses by the move, ``carried`` the legs whose maintenance margin must be kept all the while.
    ``growing``: the move makes their notional larger (a rising mark), else smaller.
    """

    losing: Decimal
    carried: tuple[Decimal, ...]
    growing: bool
    tiers: tuple[MarginTier, ...]


class _Carried(NamedTuple):
    """A leg whose maintenance margin is kept, in the tier that holds while its notional is within these bounds."""

    notional: Decimal
    growing: bool
    tiers: tuple[MarginTier, ...]
    floor: Decimal
    ceiling: Decimal
    required: Decimal
    slope: Decimal
    reach: Decimal

    @staticmethod
    def at(notional: Decimal, growing: bool, tiers: tuple[MarginTier, ...], moved_to: Decimal) -> _Carried:
        """The leg in the tier of the notional that it has ``moved_to``."""
        place = _tier_place(moved_to, tiers)
        tier = tiers[place]
        kept = notional * tier.maintenance_rate
        return _Carried(
            notional=notional,
            growing=growing,
            tiers=tiers,
            floor=tier.notional_floor if place else -_ANY,
            ceiling=tiers[place + 1].notional_floor if place + 1 < len(tiers) else _ANY,
            required=kept - tier.maintenance_amount,
            slope=kept if growing else -kept,
            reach=_reach(notional, growing, tiers, place) if notional else _ANY,
        )


def _reach(notional: Decimal, growing: bool, tiers: Sequence[MarginTier], place: int) -> Decimal:
    """A fraction by which a leg that is in the tier at ``place`` may move and surely stays in it."""
    if growing:
        return (tiers[place + 1].notional_floor / notional - ONE) * _SURELY if place + 1 < len(tiers) else _ANY
    floor = tiers[place].notional_floor
    return (ONE - floor / notional) * _SURELY if floor else _ANY


def _carried(each: Moving) -> tuple[_Carried, ...]:
    return tuple(_Carried.at(notional, each.growing, each.tiers, notional) for notional in each.carried)


def maintenance_margin(notional: Decimal, tiers: Sequence[MarginTier]) -> Decimal:
    """What the venue requires to keep a leg of this absolute notional, in quote currency.

    Raises ``MarginUnknown`` without tiers.
    """
    tier = _tier(notional, tiers)
    return max(ZERO, notional * tier.maintenance_rate - tier.maintenance_amount)


def account_maintenance(snapshot: Snapshot) -> Decimal:
    """Maintenance margin of all open legs at their marks, cross and isolated. Raises ``MarginUnknown``."""
    return snapshot.standing("maintenance_margin", _account_maintenance)


def _account_maintenance(snapshot: Snapshot) -> Decimal:
    account = _account(snapshot)
    return sum(
        (
            maintenance_margin(abs(leg.quantity) * _mark(leg.symbol, snapshot), _tiers(leg.symbol, snapshot))
            for leg in account.positions
        ),
        ZERO,
    )


def distance_to_liquidation(backing: Decimal, symbols: Sequence[Moving]) -> Decimal:
    """The fraction by which all ``symbols`` must move together until ``backing`` is no more than what is required.

    ``backing`` is the balance before the move. Something must be losing. Raises ``MarginUnknown`` without tiers.
    """
    legs = [leg for each in symbols for leg in _carried(each)]
    return _distance(backing, sum((each.losing for each in symbols), ZERO), legs)


def _distance(backing: Decimal, losing: Decimal, legs: list[_Carried]) -> Decimal:
    moved = ZERO
    # Balance less requirement falls ever more steeply. So the tiers of a nearer place lead too far, those of a place
    # too far never too near: every step comes back by a tier at least, until the tiers are those of the answer.
    for _ in range(1 + sum(len(leg.tiers) for leg in legs)):
        free, slope, risen, fallen = backing, losing, ONE + moved, ONE - moved
        for place, leg in enumerate(legs):
            if moved:
                moved_to = leg.notional * (risen if leg.growing else fallen)
                if not leg.floor <= moved_to < leg.ceiling:
                    leg = legs[place] = _Carried.at(leg.notional, leg.growing, leg.tiers, moved_to)
            free -= leg.required
            slope += leg.slope
        answer = free / slope
        if answer <= ZERO or answer == moved:
            return answer
        if not moved and all(answer < leg.reach for leg in legs):
            return answer  # The next step would find every leg in its tier, and the same answer.
        moved = answer
    return moved


def liquidation_after(order: HeldOrder, snapshot: Snapshot, fills_at: Decimal | None = None) -> Liquidation:
    """The distance of the leg that ``order`` grows, once it and everything under way has filled.

    Every symbol counts at its worst case; what the order loses at once by filling at ``fills_at``, the worst price it
    names, where that is worse than the mark, is gone before anything moves. Cross legs are
    moved against the account **all together**, by one fraction: a market falls as a whole, and a number that holds
    only while nothing else moves has liquidated many. So it is never more than what the venue shows for the leg.
    Legs of other directions are no credit. An isolated leg stands alone; its distance is the smallest of what it is
    now, with what is under way, and with the order, because any of these may be all that fills.

    Raises ``MarginUnknown``, naming what is missing.
    """
    account, mark = _account(snapshot), _mark(order.symbol, snapshot)
    paid = _paid_beyond_mark(order, fills_at, mark)
    if _mode(order.symbol, account) is MarginMode.ISOLATED:
        distance, required = _isolated(order, account, mark, paid, snapshot)
    else:
        distance, required = _cross(order, account, paid, snapshot)
    price = max(ZERO, mark * (ONE - order.side.sign * distance))
    return Liquidation(distance=distance, price=price, maintenance_margin=required)


def _cross(order: HeldOrder, account: Account, paid: Decimal, snapshot: Snapshot) -> tuple[Decimal, Decimal]:
    backing = account.margin_balance - paid
    for leg in account.found(_isolated_legs):
        backing -= max(ZERO, _isolated_backing(leg, snapshot))
    return _within_tiers(order, backing, account, snapshot) or _across_tiers(order, backing, account, snapshot)


class _Crossed(NamedTuple):
    """What a symbol of the cross balance, or several, bring into the sum, all legs in the tiers they are in.

    ``reach`` is the fraction by which they may move and surely stay in them; ``margin`` what the venue requires now.
    """

    losing: Decimal
    required: Decimal
    slope: Decimal
    margin: Decimal
    reach: Decimal


def _within_tiers(
    order: HeldOrder, backing: Decimal, account: Account, snapshot: Snapshot
) -> tuple[Decimal, Decimal] | None:
    """The distance when it is reached before any leg leaves its tier, so that sums are all it takes; else ``None``.

    The sums of the account as it stands are kept with it and corrected by the symbols in which it differs: that of
    the order, and those with something under way.
    """
    standing = snapshot.standing("crossed", _standing_crossed)
    if standing is None:
        return None
    by_symbol, (losing, required, slope, margin, reach) = standing
    book = account_book(snapshot)
    for symbol, exposure in {**book.pending, order.symbol: book.after(order)}.items():
        instrument = snapshot.instruments.get(symbol)
        if instrument is None or not instrument.tiers or _mode(symbol, account) is not _CROSS:
            return None
        side = order.side if symbol == order.symbol else None
        losing_now, required_now, slope_now, margin_now, reach_now = _crossed(exposure, side, instrument.tiers)
        losing_was, required_was, slope_was, margin_was, _ = by_symbol.get(symbol, _NOTHING)
        losing += losing_now - losing_was
        required += required_now - required_was
        slope += slope_now - slope_was
        margin += margin_now - margin_was
        if reach_now < reach:
            reach = reach_now
    slope += losing
    if slope <= ZERO:
        return None
    answer = (backing - required) / slope
    return (answer, margin) if answer <= ZERO or answer < reach else None


def _standing_crossed(snapshot: Snapshot) -> tuple[dict[str, _Crossed], _Crossed] | None:
    """By symbol and together; ``None`` when not all symbols are on the cross balance, or something is not known."""
    account = _account(snapshot)
    try:
        exposures = account_book(snapshot).standing.exposures
        if any(_mode(symbol, account) is not MarginMode.CROSS for symbol in exposures):
            return None
        found = {symbol: _crossed(each, None, _tiers(symbol, snapshot)) for symbol, each in exposures.items()}
    except MarginUnknown:
        return None  # Whoever asks on finds out what is missing, and names it.
    parts = found.values()
    together = _Crossed(
        losing=sum((each.losing for each in parts), ZERO),
        required=sum((each.required for each in parts), ZERO),
        slope=sum((each.slope for each in parts), ZERO),
        margin=sum((each.margin for each in parts), ZERO),
        reach=min((each.reach for each in parts), default=_ANY),
    )
    return found, together


def _crossed(exposure: Exposure, side: Side | None, tiers: tuple[MarginTier, ...]) -> _Crossed:
    losing, growing = _losing(exposure, side)
    if not exposure.hedged:
        return _leg(losing, losing, growing, tiers)
    together = _Crossed(losing, ZERO, ZERO, ZERO, _ANY)
    for notional in _carried_notionals(exposure, losing):
        _, required, slope, margin, reach = _leg(losing, notional, growing, tiers)
        together = _Crossed(
            losing,
            together.required + required,
            together.slope + slope,
            together.margin + margin,
            min(together.reach, reach),
        )
    return together


def _leg(losing: Decimal, notional: Decimal, growing: bool, tiers: tuple[MarginTier, ...]) -> _Crossed:
    """One leg whose margin is kept, in the tier of its present ``notional``."""
    place = _tier_place(notional, tiers)
    tier = tiers[place]
    kept = notional * tier.maintenance_rate
    required = kept - tier.maintenance_amount
    # A long in the first tier stays there however far it falls.
    reach = _reach(notional, growing, tiers, place) if notional and (growing or place) else _ANY
    return _Crossed(losing, required, kept if growing else -kept, required if required > ZERO else ZERO, reach)


_NOTHING: Final = _Crossed(ZERO, ZERO, ZERO, ZERO, _ANY)


def _across_tiers(order: HeldOrder, backing: Decimal, account: Account, snapshot: Snapshot) -> tuple[Decimal, Decimal]:
    """The distance, leg by leg and tier by tier."""
    losing, legs, required = ZERO, list[_Carried](), ZERO
    # Of the other symbols most are as the last order found them; they are kept with the account.
    carried: dict[str, tuple[Exposure, Moving, tuple[_Carried, ...]]] = snapshot.standing("carried", lambda _: {})
    for symbol, exposure in worst_case(snapshot, (order,)).items():
        known = carried.get(symbol)
        if known is not None and known[0] is exposure and symbol != order.symbol:
            _, moving, parts = known
        elif _mode(symbol, account) is MarginMode.ISOLATED:
            # Its margin leaves the cross balance when the order fills.
            backing -= _opening(exposure, account, snapshot) / _leverage(symbol, account)
            continue
        else:
            moving = _moving(exposure, order.side if symbol == order.symbol else None, _tiers(symbol, snapshot))
            parts = _carried(moving)
            if symbol != order.symbol:
                carried[symbol] = exposure, moving, parts
        losing += moving.losing
        legs += parts
        required += sum((max(ZERO, leg.required) for leg in parts), ZERO)
    return _distance(backing, losing, legs), required


def _isolated(
    order: HeldOrder, account: Account, mark: Decimal, paid: Decimal, snapshot: Snapshot
) -> tuple[Decimal, Decimal]:
    """The leg alone: its margin and profit, and for each order that grows it the margin the venue will set aside."""
    legs = [leg for leg in account.positions if leg.symbol == order.symbol and leg.quantity * order.side.sign > 0]
    tiers, leverage = _tiers(order.symbol, snapshot), _leverage(order.symbol, account)
    held = sum((abs(leg.quantity) * mark for leg in legs), ZERO)
    backing = sum((_isolated_backing(leg, snapshot) for leg in legs), ZERO)
    before = account_book(snapshot).before(order.symbol)
    after = account_book(snapshot).after(order)
    ordered = _side_notional(before, order.side) if before is not None else ZERO
    whole = _side_notional(after, order.side)
    cases = [
        (held, backing),
        (ordered, backing + (ordered - held) / leverage),
        (whole, backing + (whole - held) / leverage - paid),
    ]
    growing = order.side is Side.SELL
    distance = min(
        distance_to_liquidation(behind, [Moving(notional, (notional,), growing, tiers)])
        for notional, behind in cases
        if notional > ZERO
    )
    return distance, maintenance_margin(whole, tiers)


def _moving(exposure: Exposure, side: Side | None, tiers: tuple[MarginTier, ...]) -> Moving:
    """A cross symbol moving against the leg of ``side``, or (``None``) against whichever of its legs is larger."""
    losing, growing = _losing(exposure, side)
    return Moving(losing, _carried_notionals(exposure, losing), growing, tiers)


def _losing(exposure: Exposure, side: Side | None) -> tuple[Decimal, bool]:
    """What loses by the move, and whether the move makes it grow. A short among both legs of a hedge may grow, and
    counts as growing."""
    long, short = exposure.long_notional, exposure.short_notional
    if side is None:
        return (long if long >= short else short), short > ZERO
    if side is BUY:
        return long, exposure.hedged and short > ZERO
    return short, True


def _carried_notionals(exposure: Exposure, losing: Decimal) -> tuple[Decimal, ...]:
    """Both legs of a hedge need their margin, whichever loses."""
    if not exposure.hedged:
        return (losing,)
    return tuple(leg for leg in (exposure.long_notional, exposure.short_notional) if leg)


def _opening(exposure: Exposure, account: Account, snapshot: Snapshot) -> Decimal:
    """Notional of a symbol's orders that may open or grow a leg."""
    held = sum(
        (abs(leg.quantity) * _mark(leg.symbol, snapshot) for leg in account.positions if leg.symbol == exposure.symbol),
        ZERO,
    )
    return exposure.long_notional + exposure.short_notional - held


def _side_notional(exposure: Exposure, side: Side) -> Decimal:
    return exposure.long_notional if side is Side.BUY else exposure.short_notional


def _paid_beyond_mark(order: HeldOrder, fills_at: Decimal | None, mark: Decimal) -> Decimal:
    """What the order loses at once if it fills at that price; nothing for a price better than the mark."""
    if fills_at is None:
        return ZERO
    return max(ZERO, (fills_at - mark) * order.side.sign) * order.quantity


def _isolated_backing(leg: Position, snapshot: Snapshot) -> Decimal:
    if leg.isolated_margin is None:
        raise MarginUnknown(f"the margin of the isolated {leg.symbol} leg")
    return leg.isolated_margin + leg.quantity * (_mark(leg.symbol, snapshot) - leg.entry_price)


def _account(snapshot: Snapshot) -> Account:
    if snapshot.account is None:
        raise MarginUnknown("the account")
    return snapshot.account


def _mode(symbol: str, account: Account) -> MarginMode:
    """An open leg says in which mode it is; the venue does not change it under a position."""
    found = account.found(_modes).get(symbol)
    if found is not None:
        return found
    mode = account.margin_mode_of(symbol)
    if mode is None:
        raise MarginUnknown(f"the margin mode of {symbol}")
    return mode


def _isolated_legs(account: Account) -> list[Position]:
    return [leg for leg in account.positions if leg.margin_mode is MarginMode.ISOLATED]


def _modes(account: Account) -> dict[str, MarginMode]:
    return {leg.symbol: leg.margin_mode for leg in reversed(account.positions)}


def _leverage(symbol: str, account: Account) -> Decimal:
    settings = account.settings_of(symbol)
    if settings is None:
        raise MarginUnknown(f"the leverage set for {symbol}")
    return settings.leverage


def _mark(symbol: str, snapshot: Snapshot) -> Decimal:
    market = snapshot.markets.get(symbol)
    if market is None:
        raise MarginUnknown(f"the mark price of {symbol}")
    return market.mark_price


def _tiers(symbol: str, snapshot: Snapshot) -> tuple[MarginTier, ...]:
    instrument = snapshot.instruments.get(symbol)
    if instrument is None or not instrument.tiers:
        raise MarginUnknown(f"the margin tiers of {symbol}")
    return instrument.tiers


def _tier(notional: Decimal, tiers: Sequence[MarginTier]) -> MarginTier:
    """The tier of a notional; above the last cap the last one, below the first floor the first."""
    return tiers[_tier_place(notional, tiers)]


def _tier_place(notional: Decimal, tiers: Sequence[MarginTier]) -> int:
    if not tiers:
        raise MarginUnknown("the margin tiers")
    place, last = 0, len(tiers) - 1
    while place < last and tiers[place + 1].notional_floor <= notional:
        place += 1
    return place
