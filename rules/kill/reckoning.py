"""What closing has cost, from the events of a kill alone."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rules.kill.cost import Cost, reckon
from rules.kill.events import CloseFailed, CloseRejected, CloseSent, Event, Fill, Surveyed, Tallied


def reckoned(events: Iterable[Event]) -> Cost | None:
    """The cost of all closes; ``None`` where none was sent. What the venue said last of a close is believed."""
    signs: dict[str, int] = {}
    fills: dict[str, Fill] = {}
    marks: dict[str, Decimal] = {}
    for event in events:
        match event:
            case Surveyed(positions=legs):
                for leg in legs:
                    if leg.mark_price is not None:
                        marks.setdefault(leg.symbol, leg.mark_price)
            case CloseSent() | CloseFailed() | CloseRejected():
                signs[event.client_order_id] = event.step.leg.sign
                if isinstance(event, CloseSent):
                    fills[event.client_order_id] = _fill(event)
            case Tallied():
                fills.update((fill.client_order_id, fill) for fill in event.fills)
            case _:
                pass
    if not signs:
        return None
    return reckon(((fill, signs[name]) for name, fill in fills.items() if name in signs), marks)


def _fill(sent: CloseSent) -> Fill:
    return Fill(
        symbol=sent.step.leg.symbol,
        client_order_id=sent.client_order_id,
        order_id=sent.order_id,
        quantity=sent.filled_quantity,
        average_price=sent.average_price,
    )
