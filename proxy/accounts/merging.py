"""A survey put into the book: the judge of truth, except about what it cannot have seen. Pure.

While a survey is read, events keep arriving. What was heard of an order or a leg since shortly before it began, the
survey may have missed; that keeps the stream's state. Everything else becomes the survey's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from proxy.accounts.book import Book, Resting
from proxy.accounts.legs import Leg
from proxy.exchange.survey import OrderKey, Survey
from proxy.store.conversion import Conversion, Taken
from rules.account import OpenOrder, Position
from rules.intent import order_only_shrinks

NEWS_MAX_MS: Final = 1_000
"""How long an event may be on its way: what changed longer ago than this and the stream has not told was not heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a survey changed. ``taken`` are the orders that its conversion takes, in that order; ``healed`` says in
    words what the stream had told otherwise, or not at all."""

    conversion: Conversion
    taken: tuple[OrderKey, ...]
    healed: tuple[str, ...]


def merge_survey(book: Book, survey: Survey, since: float) -> Merged:
    """Make the survey the book's state. What was received at or after ``since`` (monotonic) it may not have seen."""
    first = book.surveyed is None
    healed = [*_merge_orders(book, survey, since), *_merge_legs(book, survey, since)]
    told = book.assets_told
    if told is not None and told[1] >= since:
        book.surveyed = replace(survey.account, multi_assets=told[0])
    else:
        book.surveyed = survey.account
    book.surveyed_balance(survey.wallets, survey.unrealised, since)
    taken = _taken(book, survey)
    return Merged(
        conversion=Conversion(taken=tuple(taken.values())), taken=tuple(taken), healed=() if first else tuple(healed)
    )


def _taken(book: Book, survey: Survey) -> dict[OrderKey, Taken]:
    """Orders whose holds nobody has told to go yet. Only of those that stand in the book: a name that an order left
    behind may already be held for another. An exit has no hold; one of its name is another order's."""
    found = {}
    for order in survey.account.open_orders:
        resting = book.orders.get(key_of(order))
        if resting is None or resting.taken or not survey.covers(order.symbol):
            continue
        resting.taken = True
        if not order_only_shrinks(order):
            found[key_of(order)] = Taken(
                symbol=order.symbol,
                side=order.side,
                conditional=order.order_type.is_conditional,
                client_order_id=order.client_order_id,
            )
    return found


def key_of(order: OpenOrder) -> OrderKey:
    """What an order is known by."""
    return order.symbol, order.order_id, order.order_type.is_conditional


def _merge_orders(book: Book, survey: Survey, since: float) -> list[str]:
    healed = []
    now_ms = survey.account.as_of.timestamp() * 1000
    found = {key_of(order): order for order in survey.account.open_orders if survey.covers(order.symbol)}
    for key, resting in list(book.orders.items()):
        if survey.covers(key[0]) and key not in found and resting.touched < since:
            book.miss(key)
            healed.append(f"order {key[1]} of {key[0]} is gone")
    for key, order in found.items():
        known = book.orders.get(key)
        if key in book.ended:
            continue
        if known is None and (missed := book.missed.pop(key, None)) is not None:
            missed.order = book.named(order, missed.order)
            book.orders[key] = missed
            healed.append(f"order {key[1]} of {key[0]} is there after all")
        elif known is None:
            book.orders[key] = Resting(order=book.named(order, None), at_ms=0, touched=float("-inf"), taken=False)
            if now_ms - survey.order_ms.get(key, now_ms) > NEWS_MAX_MS:
                healed.append(f"order {key[1]} of {key[0]} was not known")
        elif known.touched < since:
            if replace(order, bot=known.order.bot) != known.order:
                healed.append(f"order {key[1]} of {key[0]} was otherwise")
            known.order = book.named(order, known.order)
        elif order.filled_quantity > known.order.filled_quantity:
            # Its event is still on the way. The legs, read after the orders, have this fill.
            more = order.filled_quantity - known.order.filled_quantity
            known.order = replace(
                known.order,
                filled_quantity=order.filled_quantity,
                leaves_quantity=max(Decimal(0), (known.order.leaves_quantity or Decimal(0)) - more),
            )
    for became, trigger in list(book.becomes.items()):
        if trigger not in book.orders:
            del book.becomes[became]
    return healed


def _merge_legs(book: Book, survey: Survey, since: float) -> list[str]:
    healed = []
    now_ms = survey.account.as_of.timestamp() * 1000
    found = {(each.symbol, each.position_side): each for each in survey.account.positions}
    covered = {key for key in book.legs if survey.covers(key[0])} | {key for key in found if survey.covers(key[0])}
    for key in covered:
        leg, position = book.leg(*key), found.get(key)
        before = (leg.told, leg.maybe)
        leg.survey(position.quantity if position is not None else Decimal(0), survey.leg_ms.get(key), since)
        on_its_way = position is not None and now_ms - survey.leg_ms.get(key, 0) <= NEWS_MAX_MS
        if (leg.told, leg.maybe) != before and not on_its_way:
            healed.append(f"{key[0]} {key[1].value} was {_words(before[1])}, is {_words(leg.maybe)}")
        if position is not None:
            _take_prices(leg, position, settled=leg.touched < since)
        elif leg.settled and not leg.told:
            leg.liquidation_price = leg.adl_quantile = None
            leg.liquidation_quantity = Decimal(0)
    return healed


def _take_prices(leg: Leg, position: Position, *, settled: bool) -> None:
    leg.mark_price = position.mark_price
    leg.liquidation_price, leg.liquidation_quantity = position.liquidation_price, position.quantity
    leg.adl_quantile = position.adl_quantile
    if settled or not leg.entry_price:
        leg.entry_price, leg.margin_mode = position.entry_price, position.margin_mode
        leg.isolated_margin = position.isolated_margin


def _words(quantities: frozenset[Decimal]) -> str:
    return " or ".join(f"{each:f}" for each in sorted(quantities))
