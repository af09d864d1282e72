"""One symbol's market: its prices, its book (synthetic quotes and accounts' resting orders), its tape and candles."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from sandbox.engine.book_record import BookRecord
from sandbox.engine.candles import CandleSeries
from sandbox.engine.depth import SyntheticDepth
from sandbox.engine.instrument import Instrument, InstrumentStatus
from sandbox.engine.model import ZERO, Order, Side
from sandbox.engine.playback import RecordedFunding

TAPE_KEPT = 1_000
FUNDING_KEPT = 1_000
# The mark closes a fifth of its distance to the index every step: smooth for a second or two, never far behind.
_MARK_SMOOTHING = Decimal("0.2")
_EIGHT_PLACES = Decimal("1e-8")


class PublicTrade(NamedTuple):
    """One line of the tape."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ms: int
    buyer_is_maker: bool


class FundingFixing(NamedTuple):
    """A funding rate that was charged, as a fraction of notional, and the mark price it was charged on."""

    time_ms: int
    rate: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True)
class BookLevel:
    """Everything standing at one price."""

    price: Decimal
    quantity: Decimal


class Market:
    """The state of one symbol's market."""

    def __init__(self, instrument: Instrument, now_ms: int) -> None:
        self.instrument = instrument
        self.index_price = instrument.start_price
        self.mark_price = instrument.start_price
        self.last_price = instrument.start_price
        self.status = instrument.status
        # When the symbol is (or was) taken down, and from when only closing orders are taken; None while nobody says.
        self.delivery_ms = None if self.trading else now_ms
        self.closing_only_ms = self.delivery_ms
        self.depth = SyntheticDepth(instrument)
        self.depth.closed = not self.trading
        self.resting: dict[Side, list[Order]] = {side: [] for side in Side}
        self.record = BookRecord()
        self.tape: deque[PublicTrade] = deque(maxlen=TAPE_KEPT)
        self.fixings: deque[FundingFixing] = deque(maxlen=FUNDING_KEPT)
        # What a record that is played back will charge, oldest first; without one the clock and the formula decide.
        self.recorded_fundings: deque[RecordedFunding] = deque()
        # Base units that other people traded and that are not a whole lot yet.
        self.unprinted = ZERO
        self.candles = CandleSeries()
        self.mark_candles = CandleSeries()
        self.index_candles = CandleSeries()
        self.open_interest_base = instrument.depth_quantity * 10_000
        self.touch(now_ms)

    @property
    def trading(self) -> bool:
        """True while the symbol accepts orders."""
        return self.status is InstrumentStatus.TRADING

    def set_index(self, price: Decimal, premium: Decimal = ZERO, depth_share: Decimal = Decimal(1)) -> None:
        """Move the index and let the mark follow it smoothly, `premium` (a fraction) above it.

        The move wears on the book beside `depth_share`, the share of the usual quotes that the scenario leaves.
        """
        self.depth.feel((price - self.index_price) / self.index_price, depth_share)
        self.index_price = price
        gap = price * (1 + premium) - self.mark_price
        self.mark_price = (self.mark_price + gap * _MARK_SMOOTHING).quantize(_EIGHT_PLACES) if gap else self.mark_price

    def jump(self, price: Decimal, mark_price: Decimal | None) -> None:
        """Put index, last and mark price somewhere at once (a test's or a demo's hand)."""
        self.index_price = price
        self.last_price = price
        self.mark_price = price if mark_price is None else mark_price

    def touch(self, now_ms: int) -> None:
        """Write the current prices into the candles."""
        self.candles.touch(now_ms, self.last_price)
        self.mark_candles.touch(now_ms, self.mark_price)
        self.index_candles.touch(now_ms, self.index_price)

    def print_trade(self, trade: PublicTrade) -> None:
        """Put a trade on the tape; it becomes the last price."""
        self.last_price = trade.price
        self.tape.append(trade)
        self.candles.add_trade(trade.time_ms, trade.price, trade.quantity, not trade.buyer_is_maker)

    def rest(self, order: Order) -> None:
        """Put an accepted limit order into the queue: best price first, then earliest."""
        insort(self.resting[order.side], order, key=_queue_key)

    def unrest(self, order: Order) -> None:
        """Take an order out of the queue; does nothing when it is not there."""
        queue = self.resting[order.side]
        for place, resting in enumerate(queue):
            if resting is order:
                del queue[place]
                return

    def best_price(self, side: Side) -> Decimal | None:
        """The best price standing on `side` (BUY = bids), from anyone."""
        quote = self.depth.best(side, self.index_price)
        prices = [order.price for order in self.resting[side][:1]] + ([quote.price] if quote is not None else [])
        return (max if side is Side.BUY else min)(prices, default=None)

    def levels(self, side: Side) -> Iterator[BookLevel]:
        """The whole visible book on `side`, best first, one entry per price."""
        totals: dict[Decimal, Decimal] = {}
        for quote in self.depth.quotes(side, self.index_price):
            totals[quote.price] = totals.get(quote.price, Decimal(0)) + quote.quantity
        for order in self.resting[side]:
            totals[order.price] = totals.get(order.price, Decimal(0)) + order.leaves_quantity
        for price in sorted(totals, reverse=side is Side.BUY):
            yield BookLevel(price, totals[price])


def _queue_key(order: Order) -> tuple[Decimal, int]:
    return (-order.price if order.side is Side.BUY else order.price, order.priority)
