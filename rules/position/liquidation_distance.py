"""liquidation_distance: how far the market must move against a leg before the venue liquidates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, ClassVar, Final

from rules.account import HeldOrder
from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.fresh import fresh_condition
from rules.margin.known import MarginUnknown
from rules.margin.liquidation import Liquidation, liquidation_after
from rules.margin.maintenance import account_maintenance
from rules.margin.settings import after_setting, standing_sides
from rules.model import BUY, ONE, AdjustIsolatedMargin, Command, SetLeverage
from rules.prices import worst_named
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show, show_exact
from rules.snapshot import Snapshot

_FRACTION: Final = Decimal("0.0001")
_PRICE: Final = Decimal("0.00000001")
_SETTINGS: Final = (SetLeverage, AdjustIsolatedMargin)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationDistance(Rule):
    """Keep every leg an order grows at least `distance_min` away from liquidation: size down, or add margin first.

    The distance is the fraction by which the mark must move against the leg, after this order and everything under
    way has filled. Cross margin: all the account's legs move against it together, because a market falls as a whole;
    so the distance is never more than what the exchange shows. Isolated margin: the leg alone, by its own margin and
    the leverage set. With `multiple_of_volatility` the distance must also be that many times the standard deviation
    of one hour's return, so that the same account carries less in a wild market; of a long never more than 1, because
    a mark cannot fall by more than all.

    A setting that brings an isolated leg nearer, with all that rests and is under way, is held against the same
    distance: a higher leverage, and margin taken away. Lowering the one and adding the other pass.

    In single-asset mode the guard knows the USDT balance alone, so entries on cross margin in a contract of another
    currency (USDC) are refused with `FACTS_UNKNOWN`: trade it on isolated margin or in multi-assets mode, or set this
    rule by symbol instead of for the desk. What is open or resting in such a contract, which has a wallet of its own
    behind it, is left out of the distance of all others.

    Distance, liquidation price and maintenance margin, before and after, are recorded with every entry. Of an order
    against a position (one-way mode, not reduce-only) those after are of the leg that it would open if the position
    were gone by then: what may be gone is neither stake nor credit, and its margin is not in them. The margin before
    is of all legs that the known balance stands behind, isolated ones too; that after of the cross legs together, or of
    the isolated leg alone. Fees and funding on the way are not in the distance, and a position that is too near already
    is not touched: the exits are open.
    """

    rule_id: ClassVar[str] = "liquidation_distance"
    codes: ClassVar[Mapping[str, str]] = {
        "LIQUIDATION_TOO_NEAR": "after the order, or the setting, the leg could be liquidated by too small a move",
        FACTS_UNKNOWN: "margin tiers, margin mode, leverage, an isolated leg's margin, the balance behind a contract,"
        " a mark price, or the volatility asked for, is not known or too old",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)", "RTS 6 art. 15(5)")
    example: ClassVar[str] = """
[desk.liquidation_distance]
enforcement = "enforce"
distance_min = 0.15
multiple_of_volatility = 8
"""
    sized: ClassVar[bool] = True

    distance_min: Annotated[Decimal, Setting("fraction of the mark, below one", Looser.LOWER)]
    multiple_of_volatility: Annotated[
        Decimal | None, Setting("times the standard deviation of one hour's return", Looser.LOWER)
    ] = None
    facts_age_max_s: Annotated[int, Setting("seconds; age of the volatility", Looser.HIGHER)] = 120

    def __post_init__(self) -> None:
        if self.distance_min >= 1:
            raise ValueError("liquidation_distance needs a distance_min below 1: a mark cannot fall by more than all")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what would bring a leg nearer to liquidation than allowed, or to a distance that is not known."""
        order = held_order(command, snapshot)
        if order is None:
            return self._check_setting(command, snapshot) if isinstance(command, _SETTINGS) else None
        required = self._required(order, snapshot)
        if required is None:
            return self.unknown(f"the volatility of {order.symbol}")
        try:
            found = snapshot.last(_liquidation, command)
        except MarginUnknown as missing:
            return self.unknown(str(missing))
        if found.distance >= required:
            return None
        return self._too_near(
            order, found, required, "size down: a smaller order leaves more distance; so does more margin"
        )

    def _check_setting(self, command: SetLeverage | AdjustIsolatedMargin, snapshot: Snapshot) -> Breach | None:
        """What stands of the symbol, as the setting would leave it; what is no nearer by it is not its business."""
        try:
            sides = standing_sides(command.symbol, snapshot) if snapshot.account is not None else []
            after = after_setting(command, snapshot) if sides else None
            if after is None:
                return None
            for side in sides:
                required = self._required(side, snapshot)
                if required is None:
                    return self.unknown(f"the volatility of {side.symbol}")
                found = liquidation_after(side, after)
                if found.distance < min(required, liquidation_after(side, snapshot).distance):
                    return self._too_near(side, found, required, "a smaller change, or a smaller leg, leaves more")
        except MarginUnknown as missing:
            return self.unknown(str(missing))
        return None

    def _too_near(self, order: HeldOrder, found: Liquidation, required: Decimal, advice: str) -> Breach:
        return self.breach(
            "LIQUIDATION_TOO_NEAR",
            f"{order.symbol} could be liquidated by a move of {_fraction(found.distance)} against it,"
            f" at {_price(found.price)}",
            observed=_fraction(found.distance),
            limit=_fraction(required),
            advice=advice,
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """Distance, price and maintenance margin of the leg after the entry; nothing when they are not known."""
        order = held_order(command, snapshot)
        if order is None:
            return ()
        try:
            found, before = (
                snapshot.last(_liquidation, command),
                snapshot.standing("maintenance measured", self._before),
            )
        except MarginUnknown:
            return ()
        return (
            self.measured("distance", _fraction(found.distance), "fraction"),
            self.measured("liquidation_price", _price(found.price), "quote"),
            self.measured("maintenance_margin", show(found.maintenance_margin), "quote"),
            before,
        )

    def _before(self, snapshot: Snapshot) -> Measure:
        return self.measured("maintenance_margin_before", show(account_maintenance(snapshot)), "quote")

    def _required(self, order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
        """The distance asked for now; ``None`` when it hangs on a volatility that is not known."""
        if self.multiple_of_volatility is None:
            return self.distance_min
        known = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        if known is None or known.volatility is None:
            return None
        required = max(self.distance_min, self.multiple_of_volatility * known.volatility)
        return min(required, ONE) if order.side is BUY else required


def _liquidation(command: Command, snapshot: Snapshot) -> Liquidation:
    order = held_order(command, snapshot)
    if order is None:
        raise MarginUnknown("what the order adds")
    return liquidation_after(order, snapshot, worst_named(command, snapshot))


def _fraction(value: Decimal) -> str:
    return show_exact(value.quantize(_FRACTION, ROUND_HALF_EVEN))


def _price(value: Decimal) -> str:
    return show_exact(value.quantize(_PRICE, ROUND_HALF_EVEN))
