"""self_trade: an account does not trade with itself, whichever of its bots, or hands, placed the other order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from rules.account import Account, HeldOrder
from rules.decision import Breach
from rules.exposure import held_order
from rules.intent import joins_queue
from rules.model import BUY, ENTRY, SELL, AmendOrder, Command, PlaceOrder, Side
from rules.prices import far_price, near_touch, through
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_exact
from rules.snapshot import Market, Snapshot


class Across(StrEnum):
    """BOTS looks at the orders of others alone, ALL at the bot's own too."""

    BOTS = "bots"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTrade(Rule):
    """Refuse an entry that could execute against an order of the same account on the other side.

    Orders that rest, exits among them, and entries under way count: those of every bot and those placed by hand, on
    either leg of a hedged account. A limit order executes at its price or better, so two of them meet when their
    prices do. A market order, and one priced off the far side of the book (``priceMatch=OPPONENT``), is taken to
    execute as far as ``reach`` through the mark or the far touch, a conditional one without a limit as far through its
    trigger, a trailing stop anywhere. ``priceMatch=QUEUE`` prices at the near touch. Post-only orders are no
    exception: the exchange would refuse those that cross.

    It does not see what waits for a trigger: such an order is in no book, and what rests when it is set off nobody
    knows. Nor exits under way, which reserve nothing. For these there is the exchange's own self-trade prevention.
    """

    rule_id: ClassVar[str] = "self_trade"
    codes: ClassVar[Mapping[str, str]] = {
        "SELF_TRADE": "the order could execute against another order of the same account",
        FACTS_UNKNOWN: "which orders of the account rest is not known",
    }
    clauses: ClassVar[Sequence[str]] = ("FIA 2024 self-match prevention",)
    example: ClassVar[str] = """
[desk.self_trade]
enforcement = "enforce"
across = "all"
reach = 0.05
"""

    across: Annotated[
        Across, Setting('`"all"`: every order of the account; `"bots"`: all but the bot\'s own', Looser.LOWER)
    ] = Across.ALL
    # Binance lists the bound of each symbol as marketTakeBound: how far from the mark a market order may execute.
    # 0.30 is the value its documentation shows; most large symbols have less.
    reach: Annotated[
        Decimal,
        Setting(
            "fraction through the mark that an order without a limit may reach; Binance's own bound is the symbol's "
            "`marketTakeBound`",
            Looser.LOWER,
        ),
    ] = Decimal("0.30")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an entry whose worst price meets the worst price of an order on the other side."""
        order = held_order(command, snapshot)
        if order is None or not isinstance(command, ENTRY):
            return None
        if snapshot.account is None:
            return self.unknown("which orders of the account rest")
        other = SELL if order.side is BUY else BUY
        against = self._worst_prices(snapshot.account, order.symbol, other, snapshot)
        if not against:
            return None
        market = snapshot.markets.get(order.symbol)
        ours, theirs = self._worst_price(command, order.side, market), _furthest(other, against)
        if ours is not None and theirs is not None and (ours - theirs) * order.side.sign < 0:
            return None
        reached = "any price" if theirs is None else show_exact(theirs)
        return self.breach(
            "SELF_TRADE",
            f"{order.side} could execute against the account's own {other} order at {reached}",
            observed="any price" if ours is None else show_exact(ours),
            limit=reached,
            advice=f"cancel the {other} order first, or use a limit price that does not meet it",
        )

    def _worst_prices(self, account: Account, symbol: str, side: Side, snapshot: Snapshot) -> list[Decimal | None]:
        """How far each order of ``side`` that is in the book, or may come into it, may execute. ``None``: anywhere."""
        limits = [
            order.price
            for order in account.orders(symbol)
            if order.side is side and self._counts(order.bot, snapshot) and not order.order_type.is_conditional
        ]
        limits += [
            _limit(held)
            for hold in snapshot.holds
            for held in hold.orders
            if held.symbol == symbol and held.side is side and self._counts(hold.bot, snapshot) and not held.conditional
        ]
        if None not in limits:
            return limits
        market = snapshot.markets.get(symbol)
        return [self._taken(side, market) if limit is None else limit for limit in limits]

    def _counts(self, bot: str, snapshot: Snapshot) -> bool:
        return self.across is Across.ALL or bot != snapshot.bot

    def _worst_price(self, command: PlaceOrder | AmendOrder, side: Side, market: Market | None) -> Decimal | None:
        """The worst price ``command`` may execute at. ``None``: any."""
        if command.price is not None:
            return command.price
        if isinstance(command, PlaceOrder) and command.order_type.is_conditional:
            trigger = command.trigger_price
            return None if trigger is None else through(side, trigger, self.reach)
        if joins_queue(command):
            return None if market is None else near_touch(side, market)
        return self._taken(side, market)

    def _taken(self, side: Side, market: Market | None) -> Decimal | None:
        """The worst price of an order that takes what it gets. ``None``: any, when there is no mark."""
        return None if market is None else through(side, far_price(side, market), self.reach)


def _furthest(side: Side, prices: Sequence[Decimal | None]) -> Decimal | None:
    """The highest of buys, the lowest of sells: what the other side meets first. ``None``: one meets every price."""
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    return max(known) if side is BUY else min(known)


def _limit(order: HeldOrder) -> Decimal | None:
    """The limit of a held order; a held amend bears the higher of two prices and names its own beside it."""
    return order.price if order.amendment is None else order.amendment.price
