"""The account as the private stream tells it, event by event. Pure: no clock, no socket; times are given.

Orders move by the cumulative quantity they have filled, so repeated and late events change nothing, and what an order
fills leaves it and enters its leg in one step. An order that is over is remembered, so that a late word cannot bring
it back; one that a survey alone did not list comes back when the venue shows it after all. What the stream may have
lost, ``merging`` puts right from a survey; until then too much is counted, never too little: an order goes only when
the stream says so, a hold only when its order is here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from proxy.accounts.legs import Leg
from proxy.accounts.lineage import BORN_MAX
from proxy.accounts.told_orders import amended_by, open_order, taken_by, waiting_order
from proxy.exchange.events import AccountEvent, AlgoEvent, ConfigEvent, Event, MarginCall, OrderEvent, StreamKeyExpired
from proxy.exchange.survey import OrderKey
from proxy.recent import Recent
from proxy.store.conversion import NOTHING, Conversion, Ended
from proxy.venues.binance.client_ids import is_guards
from rules.account import Account, OpenOrder, Position
from rules.instrument import MARGIN_ASSET, PAR_ASSETS, moves_balance
from rules.model import LegKey, MarginMode, PositionSide
from rules.snapshot import Market

ENDED_MAX: Final = 10_000
"""Orders that are over and still remembered."""

QUOTE_ASSETS: Final = frozenset(PAR_ASSETS)
"""Wallets whose changes count one to one; what another asset is worth, the next survey says."""

_ALGO_WAITS: Final = "NEW"
_ALGO_GONE: Final = frozenset({"CANCELED", "EXPIRED", "REJECTED"})
_ZERO: Final = Decimal(0)
_OPPOSITE: Final = {PositionSide.LONG: PositionSide.SHORT, PositionSide.SHORT: PositionSide.LONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What one event did: holds that it turns into orders, and what was known of its order before.

    ``known`` says that the order was in the book, or is the guard's own; an order at its first event is known only if
    a hold waits for it, which the store says. ``doubt`` names in words why the book may have missed something.
    """

    conversion: Conversion = NOTHING
    known: bool = True
    doubt: str = ""


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order that may still fill. ``taken`` says that its hold was told to go; ``amended`` is its last change."""

    order: OpenOrder
    at_ms: int
    touched: float
    taken: bool
    amended: tuple[int, Decimal, Decimal | None] | None = None


class Book:
    """One account. ``owner`` names the bot behind a client order id, "" for none."""

    def __init__(self, name: str, owner: Callable[[str], str] = lambda client_order_id: "") -> None:
        self.name = name
        self.orders: dict[OrderKey, Resting] = {}
        self.ended: OrderedDict[OrderKey, bool] = OrderedDict()
        self.missed: OrderedDict[OrderKey, Resting] = OrderedDict()
        self.becomes: dict[OrderKey, OrderKey] = {}
        self._born: Recent[OrderKey, str] = Recent(BORN_MAX)
        self.legs: dict[LegKey, Leg] = {}
        self.wallets: dict[str, Decimal] = {}
        self._wallets_told: dict[str, float] = {}
        self._wallets_surveyed: dict[str, Decimal] = {}
        self._unrealised_surveyed: Decimal | None = None
        self.surveyed: Account | None = None
        self.assets_told: tuple[bool, float] | None = None
        self.owner = owner

    def apply(self, event: Event, received: float) -> Effects:
        """Take one event in. ``received`` is the guard's monotonic time."""
        match event:
            case OrderEvent():
                return self._order(event, received)
            case AlgoEvent():
                return self._algo(event, received)
            case AccountEvent():
                return self._account(event, received)
            case ConfigEvent():
                return self._config(event, received)
            case MarginCall() | StreamKeyExpired():
                return Effects()

    def leg(self, symbol: str, position_side: PositionSide) -> Leg:
        """The leg, flat if it was never heard of."""
        key = (symbol, position_side)
        if key not in self.legs:
            self.legs[key] = Leg(symbol=symbol, position_side=position_side)
        return self.legs[key]

    def unsettled(self) -> tuple[Leg, ...]:
        """Legs whose fills and quantity disagree: an event is on its way, or was lost."""
        return tuple(leg for leg in self.legs.values() if not leg.settled)

    def end(self, key: OrderKey, *, taken: bool) -> None:
        """The order is over. ``taken`` says whether its hold was told to go."""
        self.orders.pop(key, None)
        self.missed.pop(key, None)
        self.ended[key] = taken
        while len(self.ended) > ENDED_MAX:
            self.ended.popitem(last=False)

    def miss(self, key: OrderKey) -> None:
        """A survey does not list the order, and nobody told of its end. One answer may be wrong: it is remembered."""
        self.missed[key] = self.orders.pop(key)
        while len(self.missed) > ENDED_MAX:
            self.missed.popitem(last=False)

    def restore(self, account: Account) -> None:
        """Take up whose orders are, as an earlier warden published it: what the venue named does not say it itself."""
        for order in account.open_orders:
            if order.bot and not order.order_type.is_conditional:
                self._born.put((order.symbol, order.order_id, False), order.bot)

    def born(self, symbol: str, order_id: str, conditional_name: str) -> None:
        """A conditional order of this name became this plain order, which may be here already, or may come."""
        key, bot = (symbol, order_id, False), self.owner(conditional_name)
        if not bot:
            return
        self._born.put(key, bot)
        resting = self.orders.get(key) or self.missed.get(key)
        if resting is not None:
            resting.order = self.named(resting.order, None)

    def named(self, order: OpenOrder, before: OpenOrder | None) -> OpenOrder:
        """The order with its bot: that of its name, else of what it was ``before``. A conditional order that triggers
        may be named by the venue."""
        return replace(order, bot=self._bot(order, before))

    def _bot(self, order: OpenOrder | OrderEvent, before: OpenOrder | None) -> str:
        bot = self.owner(order.client_order_id)
        bot = bot or self._born.get((order.symbol, order.order_id, order.order_type.is_conditional)) or ""
        return bot if bot or before is None else before.bot

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """Every order that may still fill."""
        return tuple(resting.order for resting in self.orders.values())

    def told(self, markets: Mapping[str, Market]) -> tuple[Position, ...]:
        """Each leg once, as the venue last told it."""
        return tuple(
            _position(leg, leg.told, markets, priced=self._is_priced(leg)) for leg in self.legs.values() if leg.told
        )

    def account(self, *, version: int, as_of: datetime, stale: bool, markets: Mapping[str, Market]) -> Account | None:
        """The whole account as it must be counted now; ``None`` before the first survey."""
        base = self.surveyed
        if base is None:
            return None
        return replace(
            base,
            version=version,
            as_of=as_of,
            margin_balance=self._margin_balance(base, markets),
            positions=tuple(self._positions(markets)),
            open_orders=self.open_orders(),
            feed_stale=stale,
        )

    def _order(self, event: OrderEvent, received: float) -> Effects:
        key = (event.symbol, event.order_id, False)
        ours = is_guards(event.client_order_id)
        if key in self.ended:
            taken = taken_by(event) if not self.ended[key] else ()
            self.ended[key] = True
            return Effects(conversion=Conversion(taken=taken))
        missed = self.missed.pop(key, None)
        if missed is not None and not event.is_open:
            self.end(key, taken=True)  # What it filled last is in the legs of the survey that did not list it.
            return Effects(conversion=Conversion(taken=() if missed.taken else taken_by(event)))
        known = self.orders.get(key, missed)
        trigger = self.becomes.pop(key, None)
        before = known.order if known is not None else None
        if trigger is not None and trigger in self.orders:
            # What the conditional order could still fill is from now on this order's to fill.
            before = self.orders[trigger].order
            self.end(trigger, taken=True)
        counted = known.order.filled_quantity if known is not None else _ZERO
        if event.filled_quantity > counted:
            signed = (event.filled_quantity - counted) * event.side.sign
            self.leg(event.symbol, event.position_side).fill(signed, event.at_ms, received)
        amends = event.execution == "AMENDMENT" and (known is None or known.amended != _change(event))
        conversion = Conversion(
            taken=taken_by(event) if trigger is None and (known is None or not known.taken) else (),
            amended=(amended_by(event),) if amends else (),
            ended=() if event.is_open else (Ended(symbol=event.symbol, order_id=event.order_id),),
        )
        if event.is_open:
            self.orders[key] = self._resting(event, known, before, received)
        else:
            self.end(key, taken=True)
        return Effects(conversion=conversion, known=known is not None or trigger is not None or ours)

    def _resting(self, event: OrderEvent, known: Resting | None, before: OpenOrder | None, received: float) -> Resting:
        """The order as it is now: what has filled stays filled, whatever is told late."""
        order = open_order(event, self._bot(event, before))
        amended = _change(event) if event.execution == "AMENDMENT" else None
        if known is None:
            return Resting(order=order, at_ms=event.at_ms, touched=received, taken=True, amended=amended)
        filled = max(event.filled_quantity, known.order.filled_quantity)
        total, price = event.quantity, event.price
        if event.at_ms < known.at_ms:
            total, price = known.order.filled_quantity + (known.order.leaves_quantity or _ZERO), known.order.price
        return Resting(
            order=replace(
                order, filled_quantity=filled, leaves_quantity=max(_ZERO, total - filled), price=price or None
            ),
            at_ms=max(event.at_ms, known.at_ms),
            touched=received,
            taken=True,
            amended=amended or known.amended,
        )

    def _algo(self, event: AlgoEvent, received: float) -> Effects:
        key = (event.symbol, event.algo_id, True)
        if event.actual_order_id is not None:
            self.born(event.symbol, event.actual_order_id, event.client_order_id)
        if key in self.ended:
            taken = taken_by(event) if not self.ended[key] else ()
            self.ended[key] = True
            return Effects(conversion=Conversion(taken=taken))
        missed = self.missed.pop(key, None)
        if missed is not None and event.status != _ALGO_WAITS:
            self.end(key, taken=True)
            return Effects(conversion=Conversion(taken=() if missed.taken else taken_by(event)))
        known = self.orders.get(key, missed)
        taken = () if known is not None and known.taken else taken_by(event)
        if known is None or event.at_ms >= known.at_ms:
            self.orders[key] = Resting(
                order=self.named(waiting_order(event), None), at_ms=event.at_ms, touched=received, taken=True
            )
        else:
            known.taken = True
            self.orders[key] = known
        became = None if event.actual_order_id is None else (event.symbol, event.actual_order_id, False)
        if event.status in _ALGO_GONE or (became is not None and (became in self.orders or became in self.ended)):
            self.end(key, taken=True)
        elif became is not None:
            # Counted until the order it became is here: between the two events nothing else stands for it.
            self.becomes[became] = key
        return Effects(conversion=Conversion(taken=taken), known=known is not None)

    def _account(self, event: AccountEvent, received: float) -> Effects:
        for balance in event.balances:
            self.wallets[balance.asset] = balance.wallet_balance
            self._wallets_told[balance.asset] = received
        hedged = self.surveyed is not None and self.surveyed.hedged
        doubt = ""
        for change in event.positions:
            leg = self.leg(change.symbol, change.position_side)
            leg.tell(change.quantity, event.at_ms, received, absolute=event.reason != "ORDER")
            leg.entry_price, leg.margin_mode = change.entry_price, change.margin_mode
            if change.isolated_margin is not None or change.margin_mode is MarginMode.CROSS or not change.quantity:
                leg.isolated_margin = change.isolated_margin
            if not change.quantity:
                leg.adl_quantile = None  # What is opened next has a rank of its own, which the next survey tells.
            if change.quantity and hedged is (change.position_side is PositionSide.BOTH):
                doubt = "the position mode was changed"
        return Effects(doubt=doubt)

    def _config(self, event: ConfigEvent, received: float) -> Effects:
        if event.multi_assets is not None:
            self.assets_told = (event.multi_assets, received)
            if self.surveyed is not None:
                self.surveyed = replace(self.surveyed, multi_assets=event.multi_assets)
        return Effects()

    def _margin_balance(self, base: Account, markets: Mapping[str, Market]) -> Decimal:
        """The survey's balance, moved by what quote wallets and unrealised PnL have moved since."""
        counted = {MARGIN_ASSET} if base.multi_assets is False else QUOTE_ASSETS
        wallet = sum(
            (self.wallets.get(asset, _ZERO) - self._wallets_surveyed.get(asset, _ZERO) for asset in counted), _ZERO
        )
        then = self._unrealised_surveyed
        if then is None:
            then = sum(
                (
                    each.quantity * (each.mark_price - each.entry_price)
                    for each in base.positions
                    if moves_balance(each.symbol, base.multi_assets)
                ),
                _ZERO,
            )
        now = sum(
            (
                leg.told * ((markets[leg.symbol].mark_price if leg.symbol in markets else _mark(leg)) - leg.entry_price)
                for leg in self.legs.values()
                if leg.told and moves_balance(leg.symbol, base.multi_assets)
            ),
            _ZERO,
        )
        return base.margin_balance + wallet + (now - then)

    def surveyed_balance(self, wallets: Mapping[str, Decimal], unrealised: Decimal | None, since: float) -> None:
        """What the balance that a survey brought is made of: wallets, and the unrealised PnL at the marks of that very
        answer, of symbols that were not read besides. A wallet of which the stream told at or after ``since`` stays as
        told, and has moved from what was read."""
        self._unrealised_surveyed = unrealised
        self._wallets_surveyed = {**self.wallets, **wallets}
        never = float("-inf")
        self.wallets |= {asset: each for asset, each in wallets.items() if self._wallets_told.get(asset, never) < since}

    def _positions(self, markets: Mapping[str, Market]) -> Iterable[Position]:
        for leg in self.legs.values():
            priced = self._is_priced(leg)
            for quantity in leg.quantities:
                yield _position(leg, quantity, markets, priced=priced)

    def _is_priced(self, leg: Leg) -> bool:
        """Whether the other leg leaves it the liquidation price that the survey found: both cross legs of a symbol bear
        the one at which their net ends, and once one has moved, neither has it."""
        side = _OPPOSITE.get(leg.position_side)
        other = self.legs.get((leg.symbol, side)) if side is not None else None
        return other is None or leg.margin_mode is MarginMode.ISOLATED or other.as_surveyed


def _change(event: OrderEvent) -> tuple[int, Decimal, Decimal | None]:
    """What tells one amendment of an order from another."""
    return event.at_ms, event.quantity, event.price


def _position(leg: Leg, quantity: Decimal, markets: Mapping[str, Market], *, priced: bool) -> Position:
    return Position(
        symbol=leg.symbol,
        position_side=leg.position_side,
        quantity=quantity,
        entry_price=leg.entry_price,
        mark_price=markets[leg.symbol].mark_price if leg.symbol in markets else _mark(leg),
        liquidation_price=leg.liquidation_price if priced and quantity == leg.liquidation_quantity else None,
        margin_mode=leg.margin_mode,
        isolated_margin=leg.isolated_margin,
        # A rank is of the side that was surveyed; what turned round since has one of its own.
        adl_quantile=leg.adl_quantile if quantity * leg.liquidation_quantity > 0 else None,
    )


def _mark(leg: Leg) -> Decimal:
    """The last mark a survey brought; before any, the entry price is the only price there is."""
    return leg.mark_price or leg.entry_price
