"""Whether a policy lets anything at all through: the smallest possible orders, judged on an account that is in order.

Pure. What only a running guard knows (forecasts, records, the calendar of the moment apart) is taken as harmless, so
whatever is refused here is refused by the limits themselves, on the best of days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_UP, Decimal

from rules.account import Account
from rules.decision import Breach, Enforcement
from rules.engine import decide
from rules.instrument import Instrument
from rules.model import OrderType, PlaceOrder, PositionSide, Side, TimeInForce
from rules.policy import Policy
from rules.rule import FACTS_UNKNOWN
from rules.snapshot import Controls, Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The limits that refuse every smallest order of one bot; ``breaches`` are those of the last one tried.

    ``tried`` is 0, and there are no breaches, where no contract trades at all.
    """

    bot: str
    account: str
    tried: int
    breaches: tuple[Breach, ...]


def refuses_everything(
    policy: Policy,
    account: Account,
    bot: str,
    instruments: Mapping[str, Instrument],
    markets: Mapping[str, Market],
    now: datetime,
) -> Refusal | None:
    """The refusal when no smallest order in any of ``markets`` passes; ``None`` as soon as one does."""
    calm = replace(account, positions=(), open_orders=(), shares=(), as_of=now, feed_stale=False)
    tried, breaches = 0, tuple[Breach, ...]()
    for symbol in (name for name in markets if name in instruments and instruments[name].trading):
        picture = Snapshot(
            now=now,
            bot=bot,
            account=calm,
            controls=Controls(generation=1),
            instruments={symbol: instruments[symbol]},
            markets={symbol: replace(markets[symbol], as_of=now)},
        )
        for order in _smallest(instruments[symbol], markets[symbol], hedged=account.hedged):
            found = _limits_in_the_way(order, picture, policy)
            if not found:
                return None
            tried, breaches = tried + 1, found
    return Refusal(bot=bot, account=account.name, tried=tried, breaches=breaches)


def _limits_in_the_way(order: PlaceOrder, picture: Snapshot, policy: Policy) -> tuple[Breach, ...]:
    """The enforced breaches, those aside that only say that a fact is missing here."""
    breaches: Iterable[Breach] = decide(order, picture, policy).breaches
    enforced = (each for each in breaches if each.enforcement is Enforcement.ENFORCE)
    return tuple(each for each in enforced if each.code != FACTS_UNKNOWN)


def _smallest(instrument: Instrument, market: Market, *, hedged: bool) -> Iterator[PlaceOrder]:
    """The smallest orders the venue takes: at a price near the mark, and at the market, on both sides."""
    for side in Side:
        leg = (PositionSide.LONG if side is Side.BUY else PositionSide.SHORT) if hedged else PositionSide.BOTH
        price = _whole(market.mark_price, instrument.tick_size)
        order = PlaceOrder(
            symbol=instrument.symbol,
            side=side,
            order_type=OrderType.LIMIT,
            quantity=_least(instrument.step_size, instrument.quantity_min, instrument.notional_min, price),
            price=price,
            time_in_force=TimeInForce.GTC,
            position_side=leg,
            client_order_id="perpguard-doctor",
        )
        yield order
        least = _least(instrument.market_step_size, instrument.market_quantity_min, instrument.notional_min, price)
        yield replace(order, order_type=OrderType.MARKET, quantity=least, price=None, time_in_force=None)


def _least(step: Decimal, quantity_min: Decimal, notional_min: Decimal, price: Decimal) -> Decimal:
    """The least quantity in whole steps that reaches both of the venue's minima, with a step to spare."""
    return max(_whole(quantity_min, step), _whole(notional_min / price, step) + step)


def _whole(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_UP) * step
