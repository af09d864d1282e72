"""Whose part of a position is whose: fills, forced closes and funding folded into one share per bot and leg. Pure.

The shares of a leg add up to its position to the last digit; what no bot brought about belongs to bot "". A bot that
sells more than it has turns its *own* share short (the venue nets it against the others'): nobody's share ever changes
by somebody else's order, except where the venue, or the guard's kill, closes the leg: all on that side bear it in
proportion.
Profit is counted by each bot's own average entry, so bots may show profits and losses that the venue, which sees one
position, only shows as a sum once they are closed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext
from typing import Final

from proxy.accounts.counted_orders import PRICE_STEP, CountedOrders, PlainOrderKey, key_of, price_of
from proxy.accounts.lineage import BORN_MAX, Lineage
from proxy.accounts.proportions import finest, signed_split, split, trimmed
from proxy.exchange.events import LIQUIDATION_PREFIXES, AlgoEvent, Event, OrderEvent
from proxy.recent import Recent
from proxy.store.owners import order_field, trade_field
from proxy.venues.binance.values import GUARD_ID_PREFIX
from rules.account import Account, OpenOrder, Position, Share
from rules.instrument import PAR_ASSETS
from rules.intent import closes_leg
from rules.model import LegKey, PositionSide

log = logging.getLogger("perpguard.accounts")

NOBODY: Final = ""
"""The bot of everything that no bot of this guard brought about."""

_EXACT: Final = Context(prec=60)
_MONEY_STEP: Final = Decimal("1e-12")
_LOT_DEFAULT: Final = Decimal("0.001")
# A fee in the quote currency counts as it is.
_QUOTE_ASSETS: Final = frozenset({"", *PAR_ASSETS})

Weights = Mapping[str, Mapping[str, Decimal]]
"""What every bot holds of every symbol, signed, both legs together: symbol to bot to quantity."""

_Key = tuple[str, str, PositionSide]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fill:
    """What an order filled since it was last seen. ``signed`` is negative for a sale; one that ``reduces`` can only
    shrink its leg. ``unpriced`` is the worth of what of it was traded at an unknown fee."""

    leg: LegKey
    signed: Decimal
    price: Decimal
    fee: Decimal
    unpriced: Decimal
    reduces: bool

    def then(self, more: _Fill) -> _Fill:
        """Both as one, at their average price."""
        signed = self.signed + more.signed
        price = ((self.price * self.signed + more.price * more.signed) / signed).quantize(PRICE_STEP)
        unpriced = self.unpriced + more.unpriced
        return replace(self, signed=signed, price=price, fee=self.fee + more.fee, unpriced=unpriced)


class Shares:
    """The shares of one account.

    ``owner`` names the bot behind a client order id, "" for none. ``step_of`` is the lot size of a symbol, in which a
    forced close is shared out, so that every share can still be closed. ``price_of`` is the price of a fee asset in
    the quote currency, and of what funding is paid in. Where either is ``None`` the finest lot in use is taken, or
    what was traded at that fee is ``Share.unpriced`` and the funding not counted, and that said.
    ``restored_at`` is up to when fills were in shares that were taken up, ``None`` where they began with what a survey
    showed, and where nobody says. ``began`` is when this counting begins; of shares that are taken up it is theirs.
    """

    def __init__(
        self,
        owner: Callable[[str], str],
        *,
        step_of: Callable[[str], Decimal | None] = lambda symbol: None,
        price_of: Callable[[str], Decimal | None] = lambda asset: None,
        began: datetime | None = None,
    ) -> None:
        self._owner = owner
        self._step_of = step_of
        self._price_of = price_of
        self.restored_at: datetime | None = None
        self.began = began
        self._shares: dict[_Key, Share] = {}
        self._counted = CountedOrders()
        self._lineage = Lineage()
        self._bots: dict[PlainOrderKey, str] = {}
        self._unowned: Recent[PlainOrderKey, _Fill] = Recent(BORN_MAX)

    def all(self) -> tuple[Share, ...]:
        """Every share that is open or has earned or paid anything, in a fixed order."""
        return tuple(self._shares[key] for key in sorted(self._shares))

    def quantity(self, bot: str, symbol: str, position_side: PositionSide) -> Decimal:
        """A bot's signed part of a leg."""
        share = self._shares.get((bot, symbol, position_side))
        return Decimal(0) if share is None else share.quantity

    def leg(self, symbol: str, position_side: PositionSide) -> Decimal:
        """The sum of a leg's shares: its position."""
        return sum((share.quantity for share in self._of_leg((symbol, position_side))), Decimal(0))

    def legs(self) -> set[LegKey]:
        """Every leg somebody has, or had, a share of."""
        return {(share.symbol, share.position_side) for share in self._shares.values()}

    def filled_by(self, symbol: str, order_id: str) -> Decimal:
        """How much of an order is counted in the shares."""
        return self._counted.of((symbol, order_id)).quantity

    def differs(self, positions: Iterable[Position]) -> frozenset[str]:
        """Symbols of which the shares do not add up to these positions, the account's all."""
        found = {(each.symbol, each.position_side): each.quantity for each in positions}
        return frozenset(leg[0] for leg in {*found, *self.legs()} if self.leg(*leg) != found.get(leg, 0))

    def restore(self, account: Account) -> None:
        """Take up an account document that an earlier warden published: its shares, how far its orders were, and whose
        they are: what the venue named does not say it itself."""
        self.restored_at = counted_until(account)
        self.began = account.shares_since or self.began
        self._shares = {(share.bot, share.symbol, share.position_side): share for share in account.shares}
        plain = [order for order in account.open_orders if not order.order_type.is_conditional]
        self._counted.restore(plain)
        self._bots = {key_of(order): order.bot for order in plain if order.bot}

    def weights(self) -> Weights:
        """By what funding that is booked at this moment is shared out."""
        weights: dict[str, dict[str, Decimal]] = {}
        for share in self._shares.values():
            if share.quantity:
                bots = weights.setdefault(share.symbol, {})
                bots[share.bot] = bots.get(share.bot, Decimal(0)) + share.quantity
        return weights

    def apply(self, event: Event) -> None:
        """Fold one event in; a repeated or late one changes nothing. Funding comes by rows, to ``funded``."""
        with localcontext(_EXACT):
            match event:
                case OrderEvent():
                    self._executed(event)
                case AlgoEvent() if event.actual_order_id is not None:
                    self.born(event.symbol, event.actual_order_id, event.client_order_id)

    def born(self, symbol: str, order_id: str, conditional_name: str) -> None:
        """A conditional order of this name became this plain order. What that filled before anybody knew, and was
        nobody's, is its bot's."""
        self._lineage.born(symbol, order_id, conditional_name)
        bot, fill = self._owner(conditional_name), self._unowned.get((symbol, order_id))
        if bot == NOBODY or fill is None:
            return
        self._unowned.drop((symbol, order_id))
        with localcontext(_EXACT):
            nobodys = _traded(self._share(NOBODY, fill.leg), -fill.signed, fill.price)
            unpriced = nobodys.unpriced - fill.unpriced
            self._keep(replace(nobodys, fees=nobodys.fees - fill.fee, unpriced=unpriced))
            self._give(fill, self._reduced(fill, bot) if fill.reduces else {bot: fill.signed})

    def filled(self, order: OpenOrder, price: Decimal) -> None:
        """What a survey, or the venue's answer about one order, shows it has filled beyond the events seen.

        ``price`` is what it filled at, as far as is known; its fee is not known, and so ``Share.unpriced``.
        """
        with localcontext(_EXACT):
            seen = self._counted.of(key_of(order))
            more = order.filled_quantity - seen.quantity
            counted = seen.then(more, price) if more > 0 else seen
            self._counted.remember(key_of(order), counted, still_open=bool(order.leaves_quantity))
            if more > 0:
                self._book(order, more, price, None, self._bot_of(order) or order.bot)

    def funded(
        self, symbol: str, amount: Decimal, *, asset: str = "", weights: Mapping[str, Decimal] | None = None
    ) -> None:
        """Share out funding received (negative when paid) for a symbol, in proportion to the shares.

        ``weights`` are those of the moment it was booked, by bot; without any it goes by the shares of now.
        """
        with localcontext(_EXACT):
            amount = self._in_quote(amount, asset) or Decimal(0)
            weights = weights or self.weights().get(symbol, {})
            # Bots on both sides of one position pay and receive: against the sign of the sum, parts are negative.
            total = sum(weights.values(), Decimal(0))
            if not total:
                self._add_funding(NOBODY, symbol, amount)
                return
            parts = signed_split(amount, weights)
            for bot, part in parts.items():
                self._add_funding(bot, symbol, part)

    def adopt(self, positions: Iterable[Position], open_orders: Iterable[OpenOrder]) -> None:
        """Make the shares add up to what the venue shows.

        What orders have filled unseen goes to their owners; whatever difference remains goes to nobody, with a line in
        the log: a share is never guessed. Orders that are gone are remembered as finished.
        """
        with localcontext(_EXACT):
            orders = {key_of(order): order for order in open_orders}
            found = {(each.symbol, each.position_side): each for each in positions}
            for order in orders.values():
                held = found.get((order.symbol, order.position_side))
                price = order.price or (held.entry_price if held is not None else None)
                if price is not None:
                    self.filled(order, price)
            self._counted.finish_all_but(orders.keys())
            for leg in sorted({*found, *self.legs()}):
                self._reconcile(leg, found.get(leg))

    def _executed(self, event: OrderEvent) -> None:
        key = (event.symbol, event.order_id)
        seen = self._counted.of(key)
        more = event.filled_quantity - seen.quantity
        price = price_of(event, seen, more) if more > 0 else None
        if price is None:
            # Nothing new; or the next survey finds that the leg differs, and the venue tells what it was filled at.
            self._counted.remember(key, seen, still_open=event.is_open)
            return
        self._counted.remember(key, seen.then(more, price), still_open=event.is_open)
        self._book(event, more, price, self._fee(event, more), self._bot_of(event))

    def _fee(self, event: OrderEvent, more: Decimal) -> Decimal | None:
        """What ``more`` cost, ``None`` where nobody knows: the end of an order tells no fee, only executions do.

        One without a commission cost nothing: the venue leaves it out where none is due. An execution that was missed
        is counted with the next one, at its price and its rate of fee.
        """
        paid = self._in_quote(event.fee, event.fee_asset)
        if paid is None or not event.last_quantity:
            return None
        return (paid * (more / event.last_quantity)).quantize(_MONEY_STEP)

    def _book(
        self, order: OrderEvent | OpenOrder, more: Decimal, price: Decimal, fee: Decimal | None, bot: str
    ) -> None:
        """Give what an order of the bot's filled to whom it is due. A ``fee`` of ``None`` is not known."""
        fill = _Fill(
            leg=(order.symbol, order.position_side),
            signed=order.side.sign * more,
            price=price,
            fee=fee if fee is not None else Decimal(0),
            unpriced=(more * price).quantize(_MONEY_STEP) if fee is None else Decimal(0),
            reduces=order.reduce_only or order.close_position or closes_leg(order.side, order.position_side),
        )
        if order.client_order_id.startswith((GUARD_ID_PREFIX, *LIQUIDATION_PREFIXES)):
            self._give(fill, self._closed(fill))
            return
        self._give(fill, self._reduced(fill, bot) if fill.reduces else {bot: fill.signed})
        if bot == NOBODY:
            before = self._unowned.get(key_of(order))
            self._unowned.put(key_of(order), fill if before is None else before.then(fill))

    def _bot_of(self, order: OrderEvent | OpenOrder) -> str:
        """Whose order it is: by its name, by that of the conditional one it grew out of, or as it was published."""
        return self._owner(self._lineage.name(order)) or self._bots.get(key_of(order), NOBODY)

    def owners_of(self, event: Event) -> dict[str, str]:
        """Whose order and trade an event tells of, by their fields in the store; nothing for nobody's."""
        if not isinstance(event, OrderEvent):
            return {}
        bot = self._bot_of(event)
        if bot == NOBODY:
            return {}
        fields = [order_field(event.symbol, event.order_id)]
        if event.trade_id:
            fields.append(trade_field(event.symbol, str(event.trade_id)))
        return dict.fromkeys(fields, bot)

    def _reduced(self, fill: _Fill, bot: str) -> dict[str, Decimal]:
        """An exit closes the bot's own share, then nobody's, which is open to every bot (``own_share``).

        What is left beyond both turns the bot's own share round, as everything a bot does too much.
        """
        parts: dict[str, Decimal] = {}
        left = fill.signed
        for whose in (bot, NOBODY):
            share = self._share(whose, fill.leg)
            if share.quantity and (share.quantity > 0) != (left > 0):
                taken = min(abs(left), abs(share.quantity)).copy_sign(left)
                parts[whose] = parts.get(whose, Decimal(0)) + taken
                left -= taken
        parts[bot] = parts.get(bot, Decimal(0)) + left
        return {each: part for each, part in parts.items() if part}

    def _closed(self, fill: _Fill) -> dict[str, Decimal]:
        """The venue, or the guard's kill, closes a leg: all on that side bear it in proportion, nobody the rest."""
        against = {
            share.bot: abs(share.quantity)
            for share in self._of_leg(fill.leg)
            if share.quantity and (share.quantity > 0) != (fill.signed > 0)
        }
        borne = min(abs(fill.signed), sum(against.values(), Decimal(0))).copy_sign(fill.signed)
        lot = self._step_of(fill.leg[0]) or _LOT_DEFAULT
        parts = split(borne, against, min(lot, finest(fill.signed, *against.values()))) if against else {}
        if rest := fill.signed - borne:
            parts[NOBODY] = parts.get(NOBODY, Decimal(0)) + rest
        return {bot: part for bot, part in parts.items() if part}

    def _give(self, fill: _Fill, parts: dict[str, Decimal]) -> None:
        weights = {bot: abs(part) for bot, part in parts.items()}
        fees = split(fill.fee, weights, finest(fill.fee, _MONEY_STEP))
        unpriced = split(fill.unpriced, weights, finest(fill.unpriced, _MONEY_STEP))
        for bot, part in parts.items():
            share = _traded(self._share(bot, fill.leg), part, fill.price)
            self._keep(replace(share, fees=share.fees + fees[bot], unpriced=share.unpriced + trimmed(unpriced[bot])))

    def _add_funding(self, bot: str, symbol: str, amount: Decimal) -> None:
        """To a leg the bot has of the symbol, an open one if it can be; the sum over a bot is what counts."""
        legs = [key for key in self._shares if key[:2] == (bot, symbol)]
        first = min(legs, key=lambda key: (not self._shares[key].quantity, key), default=None)
        share = self._shares[first] if first is not None else self._share(bot, (symbol, PositionSide.BOTH))
        self._keep(replace(share, funding=share.funding + amount))

    def _reconcile(self, leg: LegKey, held: Position | None) -> None:
        position = held.quantity if held is not None else Decimal(0)
        difference = position - self.leg(*leg)
        if not difference:
            return
        log.warning(
            "position %s %s is %s, the shares add up to %s: the difference is nobody's", *leg, position, self.leg(*leg)
        )
        share = self._share(NOBODY, leg)
        price = held.entry_price if held is not None else share.entry_price
        self._keep(_traded(share, difference, price))

    def _in_quote(self, amount: Decimal, asset: str) -> Decimal | None:
        """``None`` where the asset's price is not known, which is said."""
        if not amount or asset in _QUOTE_ASSETS:
            return amount
        price = self._price_of(asset)
        if price is None:
            log.warning("a payment in %s is not counted: its price is not known", asset)
            return None
        return amount * price

    def _of_leg(self, leg: LegKey) -> list[Share]:
        return [share for share in self._shares.values() if (share.symbol, share.position_side) == leg]

    def _share(self, bot: str, leg: LegKey) -> Share:
        symbol, position_side = leg
        fresh = Share(bot=bot, symbol=symbol, position_side=position_side, quantity=Decimal(0), entry_price=Decimal(0))
        return self._shares.get((bot, symbol, position_side), fresh)

    def _keep(self, share: Share) -> None:
        self._shares[share.bot, share.symbol, share.position_side] = share


def counted_until(account: Account) -> datetime | None:
    """Up to when fills are in an account's shares, by the venue's clock; ``None`` where that is not known."""
    return None if account.shares_ms is None else datetime.fromtimestamp(account.shares_ms / 1000, UTC)


def _traded(share: Share, signed: Decimal, price: Decimal) -> Share:
    """The share after buying (positive) or selling at ``price``: averaged when it grows, realised when it shrinks."""
    after = share.quantity + signed
    if not share.quantity or (share.quantity > 0) == (signed > 0):
        entry = ((share.entry_price * share.quantity + price * signed) / after).quantize(PRICE_STEP)
        return replace(share, quantity=after, entry_price=trimmed(entry))
    closed = min(abs(signed), abs(share.quantity)).copy_sign(share.quantity)
    realised = share.realised_pnl + ((price - share.entry_price) * closed).quantize(_MONEY_STEP)
    turned = after and (after > 0) != (share.quantity > 0)
    entry = Decimal(0) if not after else price if turned else share.entry_price
    return replace(share, quantity=after, entry_price=entry, realised_pnl=trimmed(realised))
