"""The worst case: what an account's exposure becomes if everything that can fill does fill.

Positions, resting orders, conditional orders and everyone's holds count at once (RTS 6 art. 15(2): every order sent
counts toward limits immediately). Nothing pending or resting earns netting credit, and a position is no credit
against an order on the other side: it may be gone before that order fills. So a bigger order never looks smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rules.intent import find_original, is_guaranteed_exit, order_only_shrinks
from rules.model import AmendOrder, Command, PlaceOrder, PositionSide, Side
from rules.snapshot import Amendment, HeldOrder, OpenOrder, Snapshot

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Worst case of one symbol. Quantities in base units, notionals in quote currency, all at least zero.

    ``long_*`` is the largest long the account could end with, ``short_*`` the largest short. ``net_low`` and
    ``net_high`` bound the signed notional: equal when nothing is resting or under way.
    """

    symbol: str
    long_quantity: Decimal
    short_quantity: Decimal
    long_notional: Decimal
    short_notional: Decimal
    net_low: Decimal
    net_high: Decimal
    hedged: bool

    @property
    def gross_notional(self) -> Decimal:
        """Notional that margin must carry: both legs in hedge mode, the larger direction in one-way mode."""
        if self.hedged:
            return self.long_notional + self.short_notional
        return max(self.long_notional, self.short_notional)

    @property
    def quantity_max(self) -> Decimal:
        """The larger of the two directions, in base units."""
        return max(self.long_quantity, self.short_quantity)


def held_order(command: Command, snapshot: Snapshot) -> HeldOrder | None:
    """The worst case of ``command`` itself, or ``None`` when it cannot add exposure or its size is unknown."""
    match command:
        case PlaceOrder() if command.quantity is not None and not is_guaranteed_exit(command):
            return HeldOrder(
                symbol=command.symbol,
                side=command.side,
                position_side=command.position_side,
                quantity=command.quantity,
                price=_highest(command.price, command.trigger_price, command.activate_price),
                client_order_id=command.client_order_id or "",
                conditional=command.order_type.is_conditional,
            )
        case AmendOrder():
            return _held_amend(command, snapshot)
        case _:
            return None


def _held_amend(command: AmendOrder, snapshot: Snapshot) -> HeldOrder | None:
    """An amend is judged as the larger of the old and the new order: the old one may fill before the change."""
    original = find_original(command, snapshot)
    if original is not None and order_only_shrinks(original):
        return None
    leaves = command.quantity
    if original is not None:
        leaves = max(command.quantity - original.filled_quantity, original.leaves_quantity or ZERO)
    return HeldOrder(
        symbol=command.symbol,
        side=original.side if original is not None else command.side,
        position_side=original.position_side if original is not None else _only_leg(command, snapshot),
        quantity=leaves,
        price=_highest(command.price, original.price if original is not None else None),
        client_order_id="",  # An amend bears the name of the order it changes; it must not hide behind it.
        replaces=original.order_id if original is not None else None,
        amendment=Amendment(
            order_id=command.order_id,
            client_order_id=command.client_order_id,
            quantity=command.quantity,
            price=command.price,
        ),
    )


def _only_leg(command: AmendOrder, snapshot: Snapshot) -> PositionSide:
    """The leg an unknown order would open: an amend does not say, so the opening side of its direction counts."""
    if snapshot.account is not None and snapshot.account.hedged:
        return PositionSide.LONG if command.side is Side.BUY else PositionSide.SHORT
    return PositionSide.BOTH


def _highest(*prices: Decimal | None) -> Decimal | None:
    return max((price for price in prices if price is not None), default=None)


def order_value(order: HeldOrder, snapshot: Snapshot) -> Decimal:
    """Notional of an order in quote currency, at the highest price it could be worth: mark, limit or trigger.

    An order that leaves its price to the book may trade at either touch, where the guard knows it: a market order at
    the far one, one that joins the queue at the near one.
    """
    market = snapshot.markets.get(order.symbol)
    if market is None:
        return order.quantity * (order.price or ZERO)
    worth = max(market.mark_price, order.price or ZERO)
    if (order.price if order.amendment is None else order.amendment.price) is None:
        worth = max(worth, market.bid_price or ZERO, market.ask_price or ZERO)
    return order.quantity * worth


def worst_case(snapshot: Snapshot, extra: Sequence[HeldOrder] = ()) -> dict[str, Exposure]:
    """Worst-case exposure by symbol, with ``extra`` on top of everything the snapshot knows.

    Raises ``ValueError`` when the account is unknown: nobody may judge exposure then.
    """
    account = snapshot.account
    if account is None:
        raise ValueError("exposure of an unknown account")
    visible = {_name(order) for order in account.open_orders if not order_only_shrinks(order)}
    held = [order for hold in snapshot.holds for order in hold.orders if _held_name(order) not in visible]
    held.extend(extra)
    resting = _still_resting(account.open_orders, held)
    totals: dict[str, _Total] = {}
    for position in account.positions:
        totals.setdefault(position.symbol, _Total()).add_position(
            position.quantity, _mark(position.symbol, position.mark_price, snapshot)
        )
    for order in (*resting, *held):
        totals.setdefault(order.symbol, _Total()).add_order(order, order_value(order, snapshot))
    return {symbol: total.exposure(symbol, account.hedged) for symbol, total in totals.items()}


def _name(order: OpenOrder) -> tuple[str, Side, bool, str]:
    return order.symbol, order.side, order.order_type.is_conditional, order.client_order_id


def _held_name(order: HeldOrder) -> tuple[str, Side, bool, str] | None:
    """What a held order will be seen as. Once the survey shows it, the survey counts it: what rests as an order, what
    filled as a position. No name is given twice while it may still be in use (``client_order_id`` gate)."""
    if order.replaces is not None or not order.client_order_id:
        return None
    return order.symbol, order.side, order.conditional, order.client_order_id


def _mark(symbol: str, surveyed: Decimal, snapshot: Snapshot) -> Decimal:
    market = snapshot.markets.get(symbol)
    return market.mark_price if market is not None else surveyed


def _still_resting(orders: Sequence[OpenOrder], held: Sequence[HeldOrder]) -> list[HeldOrder]:
    """What resting orders may still fill, beyond the amends that are held for them.

    An amend counts instead of the order it replaces, but never for less than that order: the hold may have been made
    on an older picture. Order ids are counted per symbol.
    """
    amended: dict[tuple[str, str | None], Decimal] = {}
    for each in held:
        if each.replaces is not None:
            key = (each.symbol, each.replaces)
            amended[key] = max(amended.get(key, ZERO), each.quantity)
    resting = []
    for order in orders:
        leaves = (order.leaves_quantity or ZERO) - amended.get((order.symbol, order.order_id), ZERO)
        # Conditional orders cannot be amended; an equal id of theirs is a coincidence.
        if order.order_type.is_conditional:
            leaves = order.leaves_quantity or ZERO
        if leaves > 0 and not order_only_shrinks(order):
            resting.append(
                HeldOrder(
                    symbol=order.symbol,
                    side=order.side,
                    position_side=order.position_side,
                    quantity=leaves,
                    price=_highest(order.price, order.trigger_price),
                    client_order_id=order.client_order_id,
                )
            )
    return resting


class _Total:
    """Sums of one symbol while they are gathered."""

    __slots__ = ("buy_notional", "buys", "long", "long_notional", "sell_notional", "sells", "short", "short_notional")

    def __init__(self) -> None:
        self.long = self.short = self.long_notional = self.short_notional = ZERO
        self.buys = self.sells = self.buy_notional = self.sell_notional = ZERO

    def add_position(self, quantity: Decimal, mark: Decimal) -> None:
        if quantity > 0:
            self.long += quantity
            self.long_notional += quantity * mark
        else:
            self.short -= quantity
            self.short_notional -= quantity * mark

    def add_order(self, order: HeldOrder, value: Decimal) -> None:
        if order.side is Side.BUY:
            self.buys += order.quantity
            self.buy_notional += value
        else:
            self.sells += order.quantity
            self.sell_notional += value

    def exposure(self, symbol: str, hedged: bool) -> Exposure:
        long_notional = self.long_notional + self.buy_notional
        short_notional = self.short_notional + self.sell_notional
        # A lone position is a known signed amount; as soon as the other side could fill, it may be gone.
        low = self.long_notional if short_notional == 0 else -short_notional
        high = -self.short_notional if long_notional == 0 else long_notional
        return Exposure(
            symbol=symbol,
            long_quantity=self.long + self.buys,
            short_quantity=self.short + self.sells,
            long_notional=long_notional,
            short_notional=short_notional,
            net_low=low,
            net_high=high,
            hedged=hedged,
        )
