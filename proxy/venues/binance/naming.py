"""A bot's request in the venue's names: every client order id in it, of a command or of a read, with the bot's tag.

The one place on the way in. What is judged, held and written down speaks the venue's ids; the way out is
``client_ids.restore``.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final, TypeVar

from proxy.venues.binance.client_ids import names_close, outward
from proxy.venues.binance.requests import VenueRequest, each_by_itself
from proxy.venues.binance.values import GUARD_ID_PREFIX
from rules.model import AmendOrder, CancelOrder, Command, PlaceOrder

N = TypeVar("N", bound=PlaceOrder | AmendOrder | CancelOrder)

_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind) if field.name != "client_order_id")
    for kind in (PlaceOrder, AmendOrder, CancelOrder)
}
_ID_PARAMETERS: Final = frozenset({"origClientOrderId", "newClientOrderId", "clientAlgoId"})


def outward_request(request: VenueRequest, tag: str) -> VenueRequest:
    """The same request with the ids the venue knows.

    Raises ``MalformedRequest`` for an id that is too long; in a batch that entry is unreadable, and the others go on.
    """
    if request.is_batch:
        return _outward_batch(request, tag)
    return VenueRequest(
        route=request.route,
        commands=tuple([outward_command(command, tag) for command in request.commands]),
        reads=tuple([(name, _outward_read(name, value, tag)) for name, value in request.reads]),
    )


def _outward_batch(request: VenueRequest, tag: str) -> VenueRequest:
    entries = zip(request.places, request.commands, strict=True)
    commands, unreadable = each_by_itself(entries, lambda each: outward_command(each, tag))
    return VenueRequest(
        route=request.route, commands=commands, is_batch=True, unreadable=(*request.unreadable, *unreadable)
    )


def outward_command(command: Command, tag: str) -> Command:
    """The same command with the id the venue knows; one that names no order by a client id is as it was."""
    if not isinstance(command, PlaceOrder | AmendOrder | CancelOrder) or command.client_order_id is None:
        return command
    return named(command, outward(command.client_order_id, tag))


def named(command: N, client_order_id: str) -> N:
    """The same order, or command about one, under another client id: ``replace``, in a third of the time."""
    kind = type(command)
    renamed = object.__new__(kind)
    for name in _FIELDS[kind]:
        object.__setattr__(renamed, name, getattr(command, name))
    object.__setattr__(renamed, "client_order_id", client_order_id)
    return renamed


def _outward_read(name: str, value: str, tag: str) -> str:
    # The kill switch's orders are in the account's book under their own names, those for the bot alone with its tag
    # before it; looking at one is no harm, and with another bot's tag it is a name like any other.
    if name not in _ID_PARAMETERS or value.lower().startswith(GUARD_ID_PREFIX) or names_close(value, tag):
        return value
    return outward(value, tag)
