"""book_quality: a wide spread or a thin book is no place for an entry, least of all for a large one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import HeldOrder
from rules.decision import Breach, Measure
from rules.exposure import held_order, order_value
from rules.fresh import fresh_condition
from rules.intent import is_post_only
from rules.model import BUY, Command, Side
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show, show_percent
from rules.snapshot import Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class BookQuality(Rule):
    """Refuse entries while the spread is wide or the side of the book they take from is thin.

    The spread is a fraction of the middle between bid and ask. Depth is the quote value resting near the touch on the
    side the order takes from, as the guard last measured it: less than `depth_min` is no market, and an order worth
    more than `depth_share_max` of it would move the price by itself. Post-only orders take nothing, so depth does not
    concern them; an amend does not say that it is post-only and counts as taking. A conditional order is held against
    the book of now. At least one limit is set, and only what it needs must be known.
    """

    rule_id: ClassVar[str] = "book_quality"
    codes: ClassVar[Mapping[str, str]] = {
        "SPREAD_ABOVE_LIMIT": "bid and ask are further apart than `spread_max`",
        "DEPTH_BELOW_LIMIT": "less than `depth_min` rests on the side the order takes from",
        "ORDER_ABOVE_DEPTH_SHARE": "the order is worth more than `depth_share_max` of the depth it takes from",
        FACTS_UNKNOWN: "bid and ask are not known or crossed, the depth is not known or too old, or there is no mark",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.book_quality]
enforcement = "enforce"
spread_max = 0.002
depth_min = 100000
depth_share_max = 0.1
"""
    sized: ClassVar[bool] = True

    spread_max: Annotated[Decimal | None, Setting("fraction of the middle price", Looser.HIGHER)] = None
    depth_min: Annotated[Decimal | None, Setting("quote currency", Looser.LOWER)] = None
    depth_share_max: Annotated[Decimal | None, Setting("fraction of the depth", Looser.HIGHER)] = None
    facts_age_max_s: Annotated[int, Setting("seconds since the depth was measured", Looser.HIGHER)] = 300

    def __post_init__(self) -> None:
        if self.spread_max is None and self.depth_min is None and self.depth_share_max is None:
            raise ValueError("book_quality needs spread_max, depth_min or depth_share_max")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse on a wide spread, and what takes from the book also on too little depth for it."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if self.spread_max is not None:
            market = snapshot.markets.get(order.symbol)
            wide = self.unknown(f"the spread of {order.symbol}") if market is None else market.found(self._spread)
            if wide is not None:
                return wide
        return None if is_post_only(command) else self._depth(order, snapshot)

    def _spread(self, market: Market) -> Breach | None:
        bid, ask = market.bid_price, market.ask_price
        if self.spread_max is None:
            return None
        if bid is None or ask is None or bid > ask:
            return self.unknown(f"the spread of {market.symbol}")
        spread, middle = ask - bid, (ask + bid) / 2
        if spread <= self.spread_max * middle:
            return None
        return self.breach(
            "SPREAD_ABOVE_LIMIT",
            f"the spread of {market.symbol} is {show_percent(spread / middle)}",
            observed=show_percent(spread / middle),
            limit=show_percent(self.spread_max),
            advice="reduce-only orders and cancels pass",
        )

    def _depth(self, order: HeldOrder, snapshot: Snapshot) -> Breach | None:
        if self.depth_min is None and self.depth_share_max is None:
            return None
        depth = self._depth_taken(order, snapshot)
        if depth is None:
            return self.unknown(f"the depth of {order.symbol}")
        if self.depth_min is not None and depth < self.depth_min:
            return self.breach(
                "DEPTH_BELOW_LIMIT",
                f"only {show(depth)} rests on the {_side_taken(order)} side of {order.symbol}",
                observed=show(depth),
                limit=show(self.depth_min),
                advice="post-only and reduce-only orders pass",
            )
        if self.depth_share_max is None:
            return None
        if order.symbol not in snapshot.markets:
            return self.unknown(f"the mark price of {order.symbol}")
        value = order_value(order, snapshot)
        if value <= self.depth_share_max * depth:
            return None
        return self.breach(
            "ORDER_ABOVE_DEPTH_SHARE",
            f"the order is worth {show(value)}, with {show(depth)} on the {_side_taken(order)} side of {order.symbol}",
            observed=show(value),
            limit=show(self.depth_share_max * depth),
            advice="post-only and reduce-only orders pass",
        )

    def _depth_taken(self, order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
        condition = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        if condition is None:
            return None
        return condition.ask_depth if order.side is BUY else condition.bid_depth

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The depth the entry would take from, where it is known."""
        order = held_order(command, snapshot)
        depth = self._depth_taken(order, snapshot) if order is not None else None
        if depth is None:
            return ()
        return (self.measured("depth", show(depth), unit="quote currency"),)


def _side_taken(order: HeldOrder) -> str:
    return "ask" if order.side is Side.BUY else "bid"
