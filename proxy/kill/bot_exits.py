"""What the guard's own bots leave at the exchange after a kill has ended flat: stops that a bot keeps in place.

The gates let exits through of what is stopped, so such an order is no stranger's. It can open nothing, and where
nothing is open it can close nothing either: it only has to be gone before the scope trades again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.kill.bot_hands import BotHands
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.readings import FeedShows, has_to_go, is_bare, lacks_a_leg
from proxy.venues.binance.client_ids import owner
from rules.kill.events import CancelStep
from rules.kill.legs import OrderKind, RestingOrder

log = logging.getLogger("perpguard.kill")


@dataclass(slots=True)
class Cancelled:
    """What became of exits that were to be cancelled, each with its bot: ``gone``, and ``refused`` by the exchange.
    ``troubles`` are all that came between."""

    gone: dict[RestingOrder, str] = field(default_factory=dict)
    refused: dict[RestingOrder, str] = field(default_factory=dict)
    troubles: list[VenueTrouble] = field(default_factory=list)


def exits_of_bots(reading: Reading, tags: Mapping[str, str]) -> dict[RestingOrder, str]:
    """The orders of a reading that can open nothing and bear the tag of a bot of the account, with its name."""
    shown = (*reading.plain_orders, *reading.conditional_orders)
    named = ((order, owner(order.client_order_id, tags)) for order in shown if order in reading.exits)
    return {order: bot for order, bot in named if bot}


def exit_cancels(
    reading: Reading, wanted: Container[RestingOrder], *, by_order: bool
) -> dict[CancelStep, tuple[RestingOrder, ...]]:
    """The steps that cancel these orders of a reading that shows no others, and what each takes away: ``by_order`` one,
    else all of one kind of a symbol."""
    found: dict[tuple[str, OrderKind, str], tuple[RestingOrder, ...]] = {}
    for kind, orders in (
        (OrderKind.PLAIN, reading.plain_orders),
        (OrderKind.CONDITIONAL, reading.conditional_orders),
    ):
        for order in orders:
            if order in wanted:
                together = (order.symbol, kind, order.order_id if by_order else "")
                found[together] = (*found.get(together, ()), order)
    return {
        CancelStep(symbol=symbol, kind=kind, order_ids=tuple(order.order_id for order in orders)): orders
        for (symbol, kind, _), orders in found.items()
    }


def is_contradicted(reading: Reading, exits: Container[RestingOrder], feed: FeedShows) -> bool:
    """Whether a reading that shows nothing to be made flat, beside these exits, is not what the feed of the same part
    shows: a leg that it lacks or has in another size, which the exits may protect, or orders where it has none."""
    if has_to_go(reading, but=exits):
        return False
    return lacks_a_leg(reading, feed) or (is_bare(reading) and bool(feed.orders))


async def cancel_exits(
    hand: AccountHands, reading: Reading, exits: Mapping[RestingOrder, str], is_stopped: Callable[[], bool]
) -> Cancelled:
    """Cancel exits of a reading that shows nothing else, as long as their scope is stopped: once it is not, what a bot
    has sent may protect something. What stands in the way of one cancel stops no other, but a demand of silence does.
    """
    done = Cancelled()
    # What is cancelled order by order is told order by order: of several the exchange may take some and refuse others.
    for step, orders in exit_cancels(reading, exits, by_order=isinstance(hand, BotHands)).items():
        if not is_stopped():
            break
        whose = {order: exits[order] for order in orders}
        try:
            await hand.cancel(step)
        except VenueTrouble as trouble:
            log.warning("exits on %s cannot be cancelled after its kill: %s: %s", hand.name, step.symbol, trouble)
            done.troubles.append(trouble)
            if isinstance(trouble, VenueThrottled):
                break
            if isinstance(trouble, VenueRefused):
                done.refused |= whose
        else:
            done.gone |= whose
    return done
