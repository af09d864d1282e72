"""The distance of a leg on the cross balance: all cross legs of the account move against it together."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from rules.account import Account, HeldOrder, Position
from rules.book import Exposure, account_book
from rules.instrument import MarginTier, moves_balance
from rules.margin.isolated import isolated_backing, set_aside
from rules.margin.known import MarginUnknown, account_of, mode_of, tiers_of
from rules.margin.maintenance import tier_place
from rules.margin.moves import ANY, Carried, Moving, carried_legs, distance_of, reach_of
from rules.model import BUY, ZERO, MarginMode, Side
from rules.snapshot import Snapshot

_CROSS: Final = MarginMode.CROSS


def cross_distance(order: HeldOrder, account: Account, paid: Decimal, snapshot: Snapshot) -> tuple[Decimal, Decimal]:
    """The fraction all cross legs may move together, and the maintenance margin of them all.

    Behind them stands the balance less what isolated legs have of it and less ``paid``, what the order loses at once.
    What another asset margins (single-asset mode) is left out: it takes nothing from this balance. Raises
    ``MarginUnknown``, also where another balance than the one that is known stands behind the order.
    """
    _know_the_balance(order.symbol, account, snapshot)
    backing = account.margin_balance - paid
    for leg in account.found(_isolated_legs):
        backing -= max(ZERO, isolated_backing(leg, snapshot))
    return _within_tiers(order, backing, account, snapshot) or _across_tiers(order, backing, account, snapshot)


def _know_the_balance(symbol: str, account: Account, snapshot: Snapshot) -> None:
    """In single-asset mode each contract is margined by the wallet of its own quote currency."""
    if not moves_balance(symbol, account.multi_assets):
        instrument = snapshot.instruments.get(symbol)
        asset = f"{instrument.quote_asset} " if instrument is not None and instrument.quote_asset else ""
        raise MarginUnknown(f"the {asset}balance behind {symbol}")


def _isolated_legs(account: Account) -> list[Position]:
    legs = (leg for leg in account.positions if moves_balance(leg.symbol, account.multi_assets))
    return [leg for leg in legs if leg.margin_mode is MarginMode.ISOLATED]


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
        if not moves_balance(symbol, account.multi_assets):
            continue
        instrument = snapshot.instruments.get(symbol)
        if instrument is None or not instrument.tiers or mode_of(symbol, account) is not _CROSS:
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
    """By symbol and together, of those that the balance margins; ``None`` when not all of these are on cross, or
    something is not known."""
    account = account_of(snapshot)
    try:
        every = account_book(snapshot).standing.exposures
        exposures = {symbol: each for symbol, each in every.items() if moves_balance(symbol, account.multi_assets)}
        if any(mode_of(symbol, account) is not MarginMode.CROSS for symbol in exposures):
            return None
        found = {symbol: _crossed(each, None, tiers_of(symbol, snapshot)) for symbol, each in exposures.items()}
    except MarginUnknown:
        return None  # Whoever asks on finds out what is missing, and names it.
    parts = found.values()
    together = _Crossed(
        losing=sum((each.losing for each in parts), ZERO),
        required=sum((each.required for each in parts), ZERO),
        slope=sum((each.slope for each in parts), ZERO),
        margin=sum((each.margin for each in parts), ZERO),
        reach=min((each.reach for each in parts), default=ANY),
    )
    return found, together


def _crossed(exposure: Exposure, side: Side | None, tiers: tuple[MarginTier, ...]) -> _Crossed:
    losing, growing = _losing(exposure, side)
    if not exposure.hedged:
        return _leg(losing, losing, growing, tiers)
    together = _Crossed(losing, ZERO, ZERO, ZERO, ANY)
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
    place = tier_place(notional, tiers)
    tier = tiers[place]
    kept = notional * tier.maintenance_rate
    required = kept - tier.maintenance_amount
    # A long in the first tier stays there however far it falls.
    reach = reach_of(notional, growing, tiers, place) if notional and (growing or place) else ANY
    return _Crossed(losing, required, kept if growing else -kept, required if required > ZERO else ZERO, reach)


_NOTHING: Final = _Crossed(ZERO, ZERO, ZERO, ZERO, ANY)


def _across_tiers(order: HeldOrder, backing: Decimal, account: Account, snapshot: Snapshot) -> tuple[Decimal, Decimal]:
    """The distance, leg by leg and tier by tier."""
    losing, legs, required = ZERO, list[Carried](), ZERO
    # Of the other symbols most are as the last order found them; they are kept with the account.
    carried: dict[str, tuple[Exposure, Moving, tuple[Carried, ...]]] = snapshot.standing("carried", lambda _: {})
    for symbol, exposure in account_book(snapshot).every_after(order).items():
        if not moves_balance(symbol, account.multi_assets):
            continue
        known = carried.get(symbol)
        if known is not None and known[0] is exposure and symbol != order.symbol:
            _, moving, parts = known
        elif mode_of(symbol, account) is MarginMode.ISOLATED:
            # Its margin leaves the cross balance when the order fills.
            backing -= set_aside(exposure, account, snapshot)
            continue
        else:
            moving = _moving(exposure, order.side if symbol == order.symbol else None, tiers_of(symbol, snapshot))
            parts = carried_legs(moving)
            if symbol != order.symbol:
                carried[symbol] = exposure, moving, parts
        losing += moving.losing
        legs += parts
        required += sum((max(ZERO, leg.required) for leg in parts), ZERO)
    return distance_of(backing, losing, legs), required


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
