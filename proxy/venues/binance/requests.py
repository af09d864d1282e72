"""Parameters to commands, one reader a kind of route. What a reader does not name is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct

from proxy.venues.binance.client_words import of_a_cancel, of_a_read
from proxy.venues.binance.configuration import (
    read_dead_man,
    read_leverage,
    read_margin_type,
    read_multi_asset_mode,
    read_position_margin,
    read_position_mode,
)
from proxy.venues.binance.frame_echoes import without_echoes
from proxy.venues.binance.malformed import MalformedRequest, illegal, missing, not_wanted
from proxy.venues.binance.orders import (
    read_algo_order,
    read_plain_order,
    read_price,
    read_price_match,
    read_side,
)
from proxy.venues.binance.route import BUDGET_HOST, Kind, Route
from proxy.venues.binance.spelling import spell_plain_order
from proxy.venues.binance.strict_json import ReadEntry, read_objects, read_scalars
from proxy.venues.binance.table_trading import AMEND_PARAMETERS, ORDER_PARAMETERS
from proxy.venues.binance.values import (
    read_client_id,
    read_order_id,
    read_positive,
    read_symbol,
)
from proxy.venues.binance.wire import AUTHENTICATION, Parameters
from rules.kill.budget import Spend
from rules.model import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
)

BATCH_ORDERS_MAX: Final = 5
BATCH_CANCELS_MAX: Final = 10

_ORDER_NAMES: Final = frozenset(ORDER_PARAMETERS.split())
_AMEND_NAMES: Final = frozenset(AMEND_PARAMETERS.split())


Unreadable: TypeAlias = tuple[int, MalformedRequest]
"""The place of an entry in a batch, and what is wrong with it."""

_Batch: TypeAlias = tuple[tuple[Command, ...], tuple[Unreadable, ...]]
_Entry = TypeVar("_Entry")


class VenueRequest(Struct, frozen=True, kw_only=True):
    """What a bot asked: commands to judge, or a read with its parameters in canonical order.

    ``is_batch`` says that the venue answers with an array, one entry a command. Entries of it that cannot be read are
    ``unreadable``, by their place in the bot's array; ``commands`` has the others in their order. A test order has no
    effect on the venue: it is parsed as strictly as an order and then carried as the read it is, rebuilt from what was
    parsed.
    """

    route: Route
    commands: tuple[Command, ...] = ()
    is_batch: bool = False
    unreadable: tuple[Unreadable, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()

    @property
    def places(self) -> tuple[int, ...]:
        """Where each of ``commands`` stands in the bot's array."""
        taken = {place for place, _ in self.unreadable}
        return tuple(place for place in range(len(self.commands) + len(taken)) if place not in taken)

    @property
    def weight(self) -> int:
        """What the venue charges the address for this request."""
        names_symbol = any(name == "symbol" for name, _ in self.reads)
        return self.route.weight if names_symbol else self.route.weight_all

    def cost(self, orders: int = 0) -> Spend | None:
        """What it takes of the venue's budget, with so many ``orders`` of it sent; ``None`` at a host of another one.

        Only the futures host's budget is the kill's: spot and COIN-M count their own.
        """
        return Spend(weight=self.weight, orders=orders) if self.route.host == BUDGET_HOST else None


def read_request(route: Route, parameters: Parameters) -> VenueRequest:
    """The one meaning of ``parameters`` on ``route``. Raises ``MalformedRequest``.

    A DENY row has no reader: whoever forwards checks the kind first.
    Authentication is read by ``signing`` and set aside here; clients also sign public reads (python-binance does).
    """
    asked = parameters.without(AUTHENTICATION)
    where = f"{route.method} {route.path}"
    if route.kind is Kind.READ:
        asked = of_a_read(asked, route.parameters)
    if route.kind in (Kind.PUBLIC_READ, Kind.READ, Kind.STREAM_KEY):
        asked.expect_only(route.parameters, where)
        return VenueRequest(route=route, reads=tuple(sorted(asked.values.items())))
    if route.kind in (Kind.ORDER, Kind.ORDER_TEST):
        order = read_plain_order(asked, _ORDER_NAMES, where)
        if route.kind is Kind.ORDER_TEST:
            return VenueRequest(route=route, reads=spell_plain_order(order))
        return VenueRequest(route=route, commands=(order,))
    if route.kind is Kind.AMEND:
        # ccxt 4.5.90 puts ``clientOrderId`` on top of the ``origClientOrderId`` it made of it (captured).
        asked = without_echoes(asked)
    elif route.kind in (Kind.CANCEL, Kind.CANCEL_ALGO, Kind.BATCH_CANCEL):
        asked = of_a_cancel(asked, route.parameters)
    asked.expect_only(route.parameters, where)
    if route.kind in _BATCHES:
        commands, unreadable = _BATCHES[route.kind](asked)
        return VenueRequest(route=route, commands=commands, is_batch=True, unreadable=unreadable)
    return VenueRequest(route=route, commands=(_SINGLES[route.kind](asked),))


def each_by_itself(entries: Iterable[tuple[int, _Entry]], read: Callable[[_Entry], Command]) -> _Batch:
    """What ``read`` makes of the entries of a batch, and the places of those that it cannot read.

    What is wrong with an entry keeps no exit and no cancel beside it. Raises ``MalformedRequest``, that of the first,
    when nothing is left to carry.
    """
    commands: list[Command] = []
    unreadable: list[Unreadable] = []
    for place, entry in entries:
        try:
            commands.append(read(entry))
        except MalformedRequest as error:
            # Without the frames that it came through, which hold it in turn, and the whole request.
            unreadable.append((place, error.with_traceback(None)))
    if not commands:
        raise unreadable[0][1]
    return tuple(commands), tuple(unreadable)


def _batch_order(asked: Parameters) -> _Batch:
    entries = read_objects(asked.require("batchOrders"), "batchOrders", BATCH_ORDERS_MAX)
    return each_by_itself(
        enumerate(entries), lambda entry: read_plain_order(entry(), _ORDER_NAMES, "an order of batchOrders")
    )


def _amend(asked: Parameters) -> AmendOrder:
    order_id, client_id = _ids(asked, "orderId", "origClientOrderId")
    return AmendOrder(
        symbol=_symbol(asked),
        side=read_side(asked),
        quantity=read_positive(asked.require("quantity"), "quantity"),
        price=read_price(asked),
        price_match=read_price_match(asked),
        order_id=order_id,
        client_order_id=client_id,
    )


def _batch_amend(asked: Parameters) -> _Batch:
    def read(entry: ReadEntry[Parameters]) -> AmendOrder:
        asked = entry()
        asked.expect_only(_AMEND_NAMES, "an amend of batchOrders")
        return _amend(asked)

    return each_by_itself(enumerate(read_objects(asked.require("batchOrders"), "batchOrders", BATCH_ORDERS_MAX)), read)


def _cancel(asked: Parameters) -> CancelOrder:
    order_id, client_id = _ids(asked, "orderId", "origClientOrderId")
    return CancelOrder(symbol=_symbol(asked), order_id=order_id, client_order_id=client_id)


def _batch_cancel(asked: Parameters) -> _Batch:
    symbol = _symbol(asked)
    order_ids = _either_spelling(asked, "orderIdList", "orderidlist")
    client_ids = _either_spelling(asked, "origClientOrderIdList", "origclientorderidlist")
    if order_ids is not None and client_ids is not None:
        raise not_wanted("origClientOrderIdList", "orderIdList is sent")
    if order_ids is not None:
        return each_by_itself(
            enumerate(read_scalars(order_ids, "orderIdList", BATCH_CANCELS_MAX)),
            lambda each: CancelOrder(symbol=symbol, order_id=read_order_id(each(), "orderIdList")),
        )
    if client_ids is None:
        raise missing("orderIdList")
    return each_by_itself(
        enumerate(read_scalars(client_ids, "origClientOrderIdList", BATCH_CANCELS_MAX)),
        lambda each: CancelOrder(symbol=symbol, client_order_id=read_client_id(each(), "origClientOrderIdList")),
    )


def _cancel_algo(asked: Parameters) -> CancelOrder:
    symbol = None if asked.get("symbol") is None else _symbol(asked)
    order_id, client_id = _ids(asked, "algoId", "clientAlgoId")
    return CancelOrder(symbol=symbol, order_id=order_id, client_order_id=client_id, conditional=True)


def _cancel_all(asked: Parameters) -> CancelAll:
    return CancelAll(symbol=_symbol(asked))


def _cancel_all_algo(asked: Parameters) -> CancelAll:
    return CancelAll(symbol=_symbol(asked), conditional=True)


def _symbol(asked: Parameters) -> str:
    return read_symbol(asked.require("symbol"))


def _ids(asked: Parameters, order_name: str, client_name: str) -> tuple[str | None, str | None]:
    """Which order is meant. "The orderId will prevail if both are sent" (Modify Order): then only it is kept."""
    order_id, client_id = asked.get(order_name), asked.get(client_name)
    checked = None if client_id is None else read_client_id(client_id, client_name)
    if order_id is not None:
        return read_order_id(order_id, order_name), None
    if checked is None:
        raise missing(order_name)
    return None, checked


def _either_spelling(asked: Parameters, documented: str, sent: str) -> str | None:
    if asked.get(documented) is not None and asked.get(sent) is not None:
        raise illegal(f"'{documented}' is sent in two spellings")
    return asked.get(documented) or asked.get(sent)


_SINGLES: Final[dict[Kind, Callable[[Parameters], Command]]] = {
    Kind.ALGO_ORDER: read_algo_order,
    Kind.AMEND: _amend,
    Kind.CANCEL: _cancel,
    Kind.CANCEL_ALGO: _cancel_algo,
    Kind.CANCEL_ALL: _cancel_all,
    Kind.CANCEL_ALL_ALGO: _cancel_all_algo,
    Kind.LEVERAGE: read_leverage,
    Kind.MARGIN_TYPE: read_margin_type,
    Kind.POSITION_MODE: read_position_mode,
    Kind.MULTI_ASSET_MODE: read_multi_asset_mode,
    Kind.POSITION_MARGIN: read_position_margin,
    Kind.DEAD_MAN: read_dead_man,
}

_BATCHES: Final[dict[Kind, Callable[[Parameters], _Batch]]] = {
    Kind.BATCH_ORDER: _batch_order,
    Kind.BATCH_AMEND: _batch_amend,
    Kind.BATCH_CANCEL: _batch_cancel,
}
