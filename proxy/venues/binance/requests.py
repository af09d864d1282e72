"""Parameters to commands, one reader a kind of route. What a reader does not name is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy.venues.binance.configuration import (
    read_dead_man,
    read_leverage,
    read_margin_type,
    read_multi_asset_mode,
    read_position_margin,
    read_position_mode,
)
from proxy.venues.binance.frame_echoes import without_echoes
from proxy.venues.binance.malformed import illegal, missing, not_wanted
from proxy.venues.binance.orders import (
    read_algo_order,
    read_plain_order,
    read_price,
    read_price_match,
    read_side,
)
from proxy.venues.binance.route import BUDGET_HOST, Kind, Route
from proxy.venues.binance.spelling import spell_plain_order
from proxy.venues.binance.strict_json import read_objects, read_scalars
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


class VenueRequest(Struct, frozen=True, kw_only=True):
    """What a bot asked: commands to judge, or a read with its parameters in canonical order.

    ``is_batch`` says that the venue answers with an array, one entry a command. A test order has no effect on the
    venue: it is parsed as strictly as an order and then carried as the read it is, rebuilt from what was parsed.
    """

    route: Route
    commands: tuple[Command, ...] = ()
    is_batch: bool = False
    reads: tuple[tuple[str, str], ...] = ()

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
    asked.expect_only(route.parameters, where)
    if route.kind in _BATCHES:
        return VenueRequest(route=route, commands=_BATCHES[route.kind](asked), is_batch=True)
    return VenueRequest(route=route, commands=(_SINGLES[route.kind](asked),))


def _batch_order(asked: Parameters) -> tuple[Command, ...]:
    entries = read_objects(asked.require("batchOrders"), "batchOrders", BATCH_ORDERS_MAX)
    return tuple(read_plain_order(entry, _ORDER_NAMES, "an order of batchOrders") for entry in entries)


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


def _batch_amend(asked: Parameters) -> tuple[Command, ...]:
    entries = read_objects(asked.require("batchOrders"), "batchOrders", BATCH_ORDERS_MAX)
    for entry in entries:
        entry.expect_only(_AMEND_NAMES, "an amend of batchOrders")
    return tuple(_amend(entry) for entry in entries)


def _cancel(asked: Parameters) -> CancelOrder:
    order_id, client_id = _ids(asked, "orderId", "origClientOrderId")
    return CancelOrder(symbol=_symbol(asked), order_id=order_id, client_order_id=client_id)


def _batch_cancel(asked: Parameters) -> tuple[Command, ...]:
    symbol = _symbol(asked)
    order_ids = _either_spelling(asked, "orderIdList", "orderidlist")
    client_ids = _either_spelling(asked, "origClientOrderIdList", "origclientorderidlist")
    if order_ids is not None and client_ids is not None:
        raise not_wanted("origClientOrderIdList", "orderIdList is sent")
    if order_ids is not None:
        ids = read_scalars(order_ids, "orderIdList", BATCH_CANCELS_MAX)
        return tuple(CancelOrder(symbol=symbol, order_id=read_order_id(each, "orderIdList")) for each in ids)
    if client_ids is None:
        raise missing("orderIdList")
    ids = read_scalars(client_ids, "origClientOrderIdList", BATCH_CANCELS_MAX)
    return tuple(
        CancelOrder(symbol=symbol, client_order_id=read_client_id(each, "origClientOrderIdList")) for each in ids
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

_BATCHES: Final[dict[Kind, Callable[[Parameters], tuple[Command, ...]]]] = {
    Kind.BATCH_ORDER: _batch_order,
    Kind.BATCH_AMEND: _batch_amend,
    Kind.BATCH_CANCEL: _batch_cancel,
}
