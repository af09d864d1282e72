"""instrument_filters: the venue's own tick, step, size and notional filters, told before the venue has to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from rules.decision import Breach
from rules.instrument import Instrument
from rules.model import ENTRY, AmendOrder, Command, PlaceOrder
from rules.rule import Rule, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFilters(Rule):
    """Refuse what the venue's filters would refuse, before it costs a message of the venue's order budget.

    Source of the filters: the venue's instrument list (Binance: PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE, MIN_NOTIONAL).
    """

    rule_id: ClassVar[str] = "instrument_filters"
    codes: ClassVar[Mapping[str, str]] = {
        "PRICE_OFF_TICK": "price or trigger is no multiple of the tick",
        "PRICE_OUT_OF_RANGE": "price or trigger is outside the exchange's range",
        "QUANTITY_OFF_STEP": "quantity is no multiple of the step",
        "QUANTITY_TOO_SMALL": "below the exchange's minimum",
        "QUANTITY_TOO_LARGE": "above the exchange's maximum",
        "NOTIONAL_TOO_SMALL": "worth less than the exchange takes",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 7 art. 20",)
    example: ClassVar[str] = """
[desk.instrument_filters]
enforcement = "enforce"
"""

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse the first filter the order would fail."""
        if not isinstance(command, ENTRY):
            return None
        instrument = snapshot.instruments.get(command.symbol)
        if instrument is None:
            return None
        trigger = command.trigger_price if isinstance(command, PlaceOrder) else None
        for price in (command.price, trigger):
            if price is not None and (breach := self._price(price, instrument)) is not None:
                return breach
        if command.quantity is None:
            return None
        market = isinstance(command, PlaceOrder) and command.order_type.is_market
        return self._quantity(command, command.quantity, market, instrument, snapshot)

    def _price(self, price: Decimal, instrument: Instrument) -> Breach | None:
        if price % instrument.tick_size != 0:
            return self.breach(
                "PRICE_OFF_TICK",
                f"price {show_exact(price)} is not a multiple of the tick",
                observed=show_exact(price),
                limit=show_exact(instrument.tick_size),
            )
        low, high = instrument.price_min, instrument.price_max
        if (low is not None and price < low) or (high is not None and price > high):
            return self.breach(
                "PRICE_OUT_OF_RANGE",
                f"price {show_exact(price)} is outside the venue's range",
                observed=show_exact(price),
                limit=f"{show_exact(low or Decimal(0))} to {show_exact(high) if high is not None else 'any'}",
            )
        return None

    def _quantity(
        self,
        command: PlaceOrder | AmendOrder,
        quantity: Decimal,
        market: bool,
        instrument: Instrument,
        snapshot: Snapshot,
    ) -> Breach | None:
        low = instrument.market_quantity_min if market else instrument.quantity_min
        high = instrument.market_quantity_max if market else instrument.quantity_max
        step = instrument.market_step_size if market else instrument.step_size
        if quantity < low:
            return self.breach(
                "QUANTITY_TOO_SMALL",
                f"quantity {show_exact(quantity)} is below the venue's minimum",
                observed=show_exact(quantity),
                limit=show_exact(low),
                headroom=Decimal(0),
                advice=f"the smallest quantity is {show_exact(low)}",
            )
        if quantity > high:
            return self.breach(
                "QUANTITY_TOO_LARGE",
                f"quantity {show_exact(quantity)} is above the venue's maximum",
                observed=show_exact(quantity),
                limit=show_exact(high),
                headroom=instrument.floor_quantity(high, market=market),
            )
        if quantity % step != 0:
            floored = instrument.floor_quantity(quantity, market=market)
            return self.breach(
                "QUANTITY_OFF_STEP",
                f"quantity {show_exact(quantity)} is not a multiple of the step",
                observed=show_exact(quantity),
                limit=show_exact(step),
                headroom=floored if floored >= low else Decimal(0),
            )
        state = snapshot.markets.get(command.symbol)
        price = command.price or (state.mark_price if state is not None else None)
        if price is not None and quantity * price < instrument.notional_min:
            return self.breach(
                "NOTIONAL_TOO_SMALL",
                f"order is worth {show_exact(quantity * price)}, below the venue's minimum",
                observed=show_exact(quantity * price),
                limit=show_exact(instrument.notional_min),
                headroom=Decimal(0),
            )
        return None
