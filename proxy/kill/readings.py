"""What a reading of an account, or its feed, shows to whoever asks after its kill has ended."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from proxy.kill.hands import Reading
from rules.account import Account
from rules.kill.flatten import LegMemory, plan_closes
from rules.kill.legs import OpenLeg, RestingOrder
from rules.kill.state import KillState
from rules.model import ZERO


@dataclass(frozen=True, slots=True)
class FeedShows:
    """What the feed of an account, or of a bot's part of it, knows of: its orders in words, and the signed quantity of
    each leg by its ``OpenLeg.key``."""

    orders: frozenset[str] = frozenset()
    legs: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def leg_words(self) -> frozenset[str]:
        """The legs in words that change when they do."""
        return frozenset(f"{key} {quantity}" for key, quantity in self.legs.items())


def shown_by_feed(account: Account, bot: str | None) -> FeedShows:
    """What an account as its feed knows it shows of a bot; ``None``: of everybody.

    Of a bot's share no more is told than the kill of the bot could close: at most the position, never against it.
    """
    orders = (order for order in account.open_orders if bot is None or order.bot == bot)
    legs = {f"{leg.symbol}/{leg.position_side.value}": leg.quantity for leg in account.positions}
    if bot is not None:
        whole, legs = legs, {}
        for share in account.shares:
            key = f"{share.symbol}/{share.position_side.value}"
            if share.bot == bot and share.quantity * whole.get(key, ZERO) > 0:
                legs[key] = min(abs(share.quantity), abs(whole[key])).copy_sign(share.quantity)
    return FeedShows(frozenset(f"{order.symbol} {order.order_id}" for order in orders), legs)


def has_to_go(reading: Reading, *, but: Container[RestingOrder] = ()) -> tuple[str, ...]:
    """What must not stay, in words. Dust may."""
    kinds = (
        ("order", reading.plain_orders),
        ("conditional order", reading.conditional_orders),
        ("algo order", reading.algo_orders),
    )
    return (
        *(f"{kind} {order.order_id} {order.symbol}" for kind, orders in kinds for order in orders if order not in but),
        *(f"position {leg.key} {leg.quantity}" for leg in reading.positions if leg.closable),
    )


def is_still_closed(reading: Reading, ended: KillState) -> bool:
    """Whether a job would end as the last one did, at what does not trade: that is what it left, and all there is.

    What hedges it is kept on purpose, so that it trades is no reason to begin again; that it changed is.
    """
    trades = any(leg.trading for leg in reading.positions if leg.symbol in ended.cause_symbols)
    return not trades and not has_other_sizes(reading, ended) and not has_more_to_do(reading, ended)


def has_more_to_do(reading: Reading, ended: KillState) -> bool:
    """Whether an order rests, or a close may be sent, beside what does not trade. Dust has been tried."""
    memory = {
        leg.key: LegMemory(halted=leg.symbol in ended.cause_symbols, rounded_up=True) for leg in reading.positions
    }
    at = ended.survey.at if ended.survey is not None else ended.deadline
    return bool(_orders(reading) or plan_closes(reading.positions, ended.flatten, now=at, memory=memory, most=1))


def is_new(reading: Reading, ended: KillState) -> bool:
    """Whether there is what the job that ended CLOSED did not see: an order, another size, or that what did not trade
    is listed as trading. What it saw and did not get rid of is not tried again at once."""
    left = ended.survey
    seen = {leg.key for leg in left.positions if leg.trading} if left is not None else set()
    trades = any(leg.trading and leg.key not in seen for leg in reading.positions if leg.symbol in ended.cause_symbols)
    known = {*left.plain_orders, *left.conditional_orders, *left.algo_orders} if left is not None else set()
    return trades or has_other_sizes(reading, ended) or not known.issuperset(_orders(reading))


def has_other_sizes(reading: Reading, ended: KillState) -> bool:
    """Whether the positions are not those that the job left."""
    left = ended.survey.positions if ended.survey is not None else ()
    return _sizes(reading.positions) != _sizes(left)


def _orders(reading: Reading) -> tuple[RestingOrder, ...]:
    return (*reading.plain_orders, *reading.conditional_orders, *reading.algo_orders)


def _sizes(legs: Iterable[OpenLeg]) -> dict[str, Decimal]:
    return {leg.key: leg.quantity for leg in legs}


def is_bare(reading: Reading) -> bool:
    """Whether it shows nothing at all."""
    return not reading.positions and not _orders(reading)


def lacks_a_leg(reading: Reading, feed: FeedShows) -> bool:
    """Whether the feed has a leg that the reading does not have, or has in another size."""
    sizes = _sizes(reading.positions)
    return any(sizes.get(key, ZERO) != quantity for key, quantity in feed.legs.items())


def are_positions_read(reading: Reading) -> bool:
    """Whether it says which positions there are."""
    return not any(each.startswith("positions: ") for each in reading.unread)
