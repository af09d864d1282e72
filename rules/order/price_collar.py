"""price_collar: how far through the mark an entry's price may reach (RTS 6 art. 15(1)(a))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.facts import PRICE_WINDOWS_S
from rules.fresh import is_fresh
from rules.intent import joins_queue, side_of
from rules.model import BUY, ENTRY, SELL, AmendOrder, Command, PlaceOrder, Side
from rules.prices import far_price, far_touch, is_through, near_touch, through
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_exact
from rules.snapshot import Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCollar(Rule):
    """Refuse prices that give away too much: against the mark at this moment and, where set, against the last minutes.

    A limit price may lie at most ``band`` through the mark on the costly side. A conditional order's limit is held
    against its own trigger price, which is where it will meet the market. An order the venue prices off its book
    (``priceMatch``) is held where it starts: QUEUE at the near touch, OPPONENT at the far one; how deep OPPONENT_5 to
    _20 reach, the guard does not see. Where the touch is not known it is refused.

    With ``window_s`` and ``window_band`` a buy may also not be priced more than ``window_band`` above the lowest mark
    of the window, a sell not as far below the highest: nothing is chased after a jump. A market order takes the price
    as it has run, so it is held at the worse of mark and far touch. A conditional order is held to the window only so
    far as the market has run by now; when it is set off there will be another. A window not yet seen refuses.
    """

    rule_id: ClassVar[str] = "price_collar"
    codes: ClassVar[Mapping[str, str]] = {
        "PRICE_OUTSIDE_COLLAR": "the price gives away more than `band`",
        "PRICE_OUTSIDE_WINDOW": "the price gives away more than `window_band` against the last `window_s`",
        "PRICE_NOT_KNOWN": "`priceMatch` takes its price from a book the guard does not see",
        FACTS_UNKNOWN: "how the mark has moved over the last `window_s` is not known, or too old",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(1)(a)",
        "RTS 6 art. 15(1)(a), over time",
        "RTS 7 art. 20",
        "15c3-5(c)(1)(ii)",
    )
    example: ClassVar[str] = """
[desk.price_collar]
enforcement = "enforce"
band = 0.03
window_s = 300
window_band = 0.05
"""

    band: Annotated[Decimal, Setting("fraction through the reference", Looser.HIGHER, zero_or_less=True)]
    window_s: Annotated[
        int | None, Setting(f"seconds, one of {', '.join(map(str, PRICE_WINDOWS_S))}; goes with `window_band`")
    ] = None
    window_band: Annotated[
        Decimal | None, Setting("fraction through the window's lowest or highest mark", Looser.HIGHER)
    ] = None
    facts_age_max_s: Annotated[int, Setting("seconds since the window's prices were received", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if self.band < 0:
            raise ValueError(f"{self.rule_id}: band must not be negative")
        if (self.window_s is None) is not (self.window_band is None):
            raise ValueError(f"{self.rule_id}: window_s and window_band go together")
        if self.window_s is not None and self.window_s not in PRICE_WINDOWS_S:
            raise ValueError(f"{self.rule_id}: window_s must be one of {', '.join(map(str, PRICE_WINDOWS_S))}")

    @property
    def serves(self) -> Sequence[str]:
        """Without a window the collar looks at one order at a time."""
        if self.window_s is not None:
            return self.clauses
        return tuple(clause for clause in self.clauses if not clause.endswith("over time"))

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a price outside ``band``, or outside the window's ``window_band``."""
        if not isinstance(command, ENTRY):
            return None
        market = snapshot.markets.get(command.symbol)
        if market is None:
            return None
        price, side = command.price, side_of(command, snapshot)
        if command.price_match is not None and not _is_conditional(command):
            price = _touch(side, command, market)
            if price is None:
                return self.breach(
                    "PRICE_NOT_KNOWN",
                    f"priceMatch={command.price_match} takes its price from a book the guard does not see",
                    advice="send a limit price",
                )
        breach = self._against_reference(command, side, price, market)
        return breach if breach is not None else self._against_window(command, side, price, market, snapshot)

    def _against_reference(
        self, command: PlaceOrder | AmendOrder, side: Side, price: Decimal | None, market: Market
    ) -> Breach | None:
        if price is None:
            return None
        trigger = command.trigger_price if isinstance(command, PlaceOrder) else None
        if trigger is None:
            reference, (highest, lowest) = market.mark_price, market.found(self._bounds)
            bound = highest if side is BUY else lowest
        else:
            reference, bound = trigger, through(side, trigger, self.band)
        if not is_through(side, price, bound):
            return None
        return self._outside(
            "PRICE_OUTSIDE_COLLAR",
            f"{side.value} price {show_exact(price)} is more than {show_exact(self.band * 100)} % through "
            f"{'the trigger' if trigger is not None else 'the mark'} {show_exact(reference)}",
            price,
            bound,
        )

    def _bounds(self, market: Market) -> tuple[Decimal, Decimal]:
        """How far through the mark a buy may reach, and a sell."""
        return through(BUY, market.mark_price, self.band), through(SELL, market.mark_price, self.band)

    def _against_window(
        self,
        command: PlaceOrder | AmendOrder,
        side: Side,
        price: Decimal | None,
        market: Market,
        snapshot: Snapshot,
    ) -> Breach | None:
        if self.window_s is None or self.window_band is None:
            return None
        known = snapshot.conditions.symbols.get(command.symbol) if snapshot.conditions is not None else None
        seen = known.range_of(self.window_s) if known is not None else None
        if seen is None or not is_fresh(seen.as_of, snapshot, self.facts_age_max_s):
            return self.unknown(f"how the mark of {command.symbol} has moved over the last {self.window_s} s")
        extreme, word = (seen.low, "lowest") if side is BUY else (seen.high, "highest")
        paid = _price_paid(command, side, price, market)
        bound = through(side, extreme, self.window_band)
        if not is_through(side, paid, bound):
            return None
        percent = show_exact(self.window_band * 100)
        return self._outside(
            "PRICE_OUTSIDE_WINDOW",
            f"{side.value} price {show_exact(paid)} is more than {percent} % through "
            f"{show_exact(extreme)}, the {word} mark of the last {self.window_s} s",
            paid,
            bound,
        )

    def _outside(self, code: str, message: str, price: Decimal, bound: Decimal) -> Breach:
        return self.breach(
            code,
            message,
            observed=show_exact(price),
            limit=show_exact(bound),
            advice=f"use a price of {show_exact(bound)} or better",
        )


def _is_conditional(command: PlaceOrder | AmendOrder) -> bool:
    return isinstance(command, PlaceOrder) and command.order_type.is_conditional


def _touch(side: Side, command: PlaceOrder | AmendOrder, market: Market) -> Decimal | None:
    """Where the venue begins to price: at the order's own side of the book to queue, at the other to take."""
    return near_touch(side, market) if joins_queue(command) else far_touch(side, market)


def _price_paid(command: PlaceOrder | AmendOrder, side: Side, price: Decimal | None, market: Market) -> Decimal:
    """The worst price the order can get now: its limit, or what the market has run to."""
    if price is not None and not _is_conditional(command):
        return price
    run_to = far_price(side, market)
    if not isinstance(command, PlaceOrder) or not _is_conditional(command):
        return run_to
    waits_at = price if price is not None else command.trigger_price
    if waits_at is None:
        return run_to
    return min(waits_at, run_to) if side is BUY else max(waits_at, run_to)
