"""What closing has cost, from the events of a kill alone."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rules.kill.cost import Cost, FilledClose, reckon
from rules.kill.events import CloseFailed, CloseRejected, CloseSent, Event, Fee, Fill, Surveyed, Tallied
from rules.kill.legs import OpenLeg


def reckoned(events: Iterable[Event]) -> Cost | None:
    """The cost of all closes; ``None`` where none was sent."""
    events = tuple(events)
    legs, fills = _closes(events)
    if not legs:
        return None
    marks: dict[str, Decimal] = {}
    for leg in (leg for event in events if isinstance(event, Surveyed) for leg in event.positions):
        if leg.mark_price is not None:
            marks.setdefault(leg.symbol, leg.mark_price)
    charged = {fee.order_id: fee for event in events if isinstance(event, Tallied) for fee in event.fees}
    return reckon(
        (
            _filled(fill, legs[name].sign, charged.get(fill.order_id or ""))
            for name, fill in fills.items()
            if name in legs
        ),
        marks,
    )


def filled_by_leg(events: Iterable[Event]) -> dict[str, Decimal]:
    """How much of each leg, by its key, our own closes have filled."""
    legs, fills = _closes(events)
    filled: dict[str, Decimal] = {}
    for name, leg in legs.items():
        if name in fills:
            filled[leg.key] = filled.get(leg.key, Decimal(0)) + fills[name].quantity
    return filled


def _closes(events: Iterable[Event]) -> tuple[dict[str, OpenLeg], dict[str, Fill]]:
    """The leg of every close sent, and what it came to, both by client order id: what the venue said last is so."""
    legs: dict[str, OpenLeg] = {}
    fills: dict[str, Fill] = {}
    for event in events:
        match event:
            case CloseSent() | CloseFailed() | CloseRejected():
                legs[event.client_order_id] = event.step.leg
                if isinstance(event, CloseSent):
                    fills[event.client_order_id] = _fill(event)
            case Tallied():
                fills.update((fill.client_order_id, fill) for fill in event.fills)
            case _:
                pass
    return legs, fills


def _filled(fill: Fill, sign: int, fee: Fee | None) -> FilledClose:
    return FilledClose(
        symbol=fill.symbol,
        sign=sign,
        quantity=fill.quantity,
        average_price=fill.average_price,
        fee=fee.amount if fee is not None else None,
        fee_asset=fee.asset if fee is not None else None,
    )


def _fill(sent: CloseSent) -> Fill:
    return Fill(
        symbol=sent.step.leg.symbol,
        client_order_id=sent.client_order_id,
        order_id=sent.order_id,
        quantity=sent.filled_quantity,
        average_price=sent.average_price,
    )
