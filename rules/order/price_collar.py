"""price_collar: how far through the mark an entry's price may reach (RTS 6 art. 15(1)(a))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.model import AmendOrder, Command, PlaceOrder, Side
from rules.rule import Looser, Rule, Setting, show_exact
from rules.snapshot import Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCollar(Rule):
    """Refuse limit prices more than ``band`` (a fraction) through the mark on the costly side.

    A conditional order's limit is held against its own trigger price, which is where it will meet the market. An
    order the venue prices off its book (``priceMatch``) is held against the far touch when it takes from it.
    """

    rule_id: ClassVar[str] = "price_collar"
    codes: ClassVar[Mapping[str, str]] = {
        "PRICE_OUTSIDE_COLLAR": "the price gives away more than `band`",
        "PRICE_NOT_KNOWN": "`priceMatch` takes its price from a book the guard does not see",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(1)(a)",
        "RTS 7 art. 20",
        "15c3-5(c)(1)(ii)",
    )
    example: ClassVar[str] = """
[desk.price_collar]
enforcement = "enforce"
band = 0.03
"""

    band: Annotated[Decimal, Setting("fraction through the reference", Looser.HIGHER)]

    def __post_init__(self) -> None:
        if self.band < 0:
            raise ValueError(f"{self.rule_id}: band must not be negative")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a price that gives away more than ``band`` against the mark or the trigger."""
        if not isinstance(command, PlaceOrder | AmendOrder):
            return None
        market = snapshot.markets.get(command.symbol)
        if market is None:
            return None
        trigger = command.trigger_price if isinstance(command, PlaceOrder) else None
        reference = trigger if trigger is not None else market.mark_price
        price = command.price
        if command.price_match is not None:
            if command.price_match.startswith("QUEUE"):
                return None
            price = _far_touch(command.side, market)
            if price is None:
                return self.breach(
                    "PRICE_NOT_KNOWN",
                    f"priceMatch={command.price_match} takes its price from a book the guard does not see",
                    advice="send a limit price",
                )
        if price is None:
            return None
        bound = collar_bound(command.side, reference, self.band)
        if _inside(command.side, price, bound):
            return None
        return self.breach(
            "PRICE_OUTSIDE_COLLAR",
            f"{command.side.value} price {show_exact(price)} is more than {show_exact(self.band * 100)} % through "
            f"{'the trigger' if trigger is not None else 'the mark'} {show_exact(reference)}",
            observed=show_exact(price),
            limit=show_exact(bound),
            advice=f"use a price of {show_exact(bound)} or better",
        )


def collar_bound(side: Side, reference: Decimal, band: Decimal) -> Decimal:
    """The worst price allowed: above the reference for buys, below it for sells."""
    return reference * (1 + band * side.sign)


def _inside(side: Side, price: Decimal, bound: Decimal) -> bool:
    return price <= bound if side is Side.BUY else price >= bound


def _far_touch(side: Side, market: Market) -> Decimal | None:
    return market.ask_price if side is Side.BUY else market.bid_price
