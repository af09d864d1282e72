"""What a reading of an account shows, to whoever asks after its kill has ended."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from proxy.kill.hands import Reading
from rules.kill.legs import OpenLeg
from rules.kill.state import KillState


def has_to_go(reading: Reading) -> tuple[str, ...]:
    """What must not stay, in words. Dust may."""
    return (
        *(f"order {order.order_id} {order.symbol}" for order in reading.plain_orders),
        *(f"conditional order {order.order_id} {order.symbol}" for order in reading.conditional_orders),
        *(f"algo order {order.order_id} {order.symbol}" for order in reading.algo_orders),
        *(f"position {leg.key} {leg.quantity}" for leg in reading.positions if leg.closable),
    )


def is_still_closed(reading: Reading, ended: KillState) -> bool:
    """Whether a job would end as the last one did, at what does not trade: that is what it left, and all there is.

    What hedges it is kept on purpose, so that it trades is no reason to begin again; that it changed is.
    """
    orders = (*reading.plain_orders, *reading.conditional_orders, *reading.algo_orders)
    left = ended.survey.positions if ended.survey is not None else ()
    trades = any(leg.trading for leg in reading.positions if leg.symbol in ended.cause_symbols)
    return not orders and not trades and _sizes(reading.positions) == _sizes(left)


def _sizes(legs: Iterable[OpenLeg]) -> dict[str, Decimal]:
    return {leg.key: leg.quantity for leg in legs}


def is_bare(reading: Reading) -> bool:
    """Whether it shows nothing at all."""
    orders = (*reading.plain_orders, *reading.conditional_orders, *reading.algo_orders)
    return not orders and not reading.positions
