"""Cleared commands and reads to the request that goes upstream. Nothing of the bot's bytes is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from proxy.venues.binance.route import Access, Kind, Route
from proxy.venues.binance.signing import RECV_WINDOW_DEFAULT_MS, sign
from proxy.venues.binance.spelling import Spelled, spell, spell_batch, spell_batch_cancel
from rules.decision import Cleared
from rules.model import Command

_IN_BODY: Final = ("POST", "PUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """What to send. ``host`` names the upstream base URL: ``fapi``, ``api``, ``sapi`` or ``dapi``.

    ``query`` and ``body`` are percent-encoded; the body is a form. The API key header is the sender's to add.
    """

    method: str
    host: str
    path: str
    query: str = field(repr=False)
    body: str = field(repr=False)
    signed: bool


def encode(route: Route, commands: Sequence[Cleared[Command]]) -> Spelled:
    """The parameters of ``route`` for what was judged and allowed: one command, or those of a batch that remain."""
    if route.kind in (Kind.BATCH_ORDER, Kind.BATCH_AMEND):
        return spell_batch([cleared.command for cleared in commands])
    if route.kind is Kind.BATCH_CANCEL:
        return spell_batch_cancel([cleared.command for cleared in commands])
    (cleared,) = commands
    return spell(cleared.command)


def build(
    route: Route,
    parameters: Spelled,
    *,
    secret: str,
    timestamp_ms: int,
    recv_window_ms: int = RECV_WINDOW_DEFAULT_MS,
) -> UpstreamRequest:
    """The request for ``encode``'s parameters, or for a read's own, signed where the route demands it.

    Host and path come from the table's constants, parameters go where Binance documents them: the query of a GET or
    DELETE, the form body of a POST or PUT.
    """
    payload = urlencode(parameters)
    signed = route.access is Access.SIGNED
    if signed:
        authenticated = (*parameters, ("recvWindow", str(recv_window_ms)), ("timestamp", str(timestamp_ms)))
        payload = urlencode(authenticated)
        payload = f"{payload}&signature={sign(payload, secret)}"
    in_body = route.method in _IN_BODY
    return UpstreamRequest(
        method=route.method,
        host=route.host,
        path=route.path,
        query="" if in_body else payload,
        body=payload if in_body else "",
        signed=signed,
    )
