"""Cleared commands and reads to the request that goes upstream. Nothing of the bot's bytes is in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from proxy.venues.binance.route import Access, Kind, Route
from proxy.venues.binance.signing import RECV_WINDOW_DEFAULT_MS, sign
from proxy.venues.binance.spelling import Spelled, spell, spell_batch, spell_batch_cancel
from rules.decision import Cleared
from rules.model import Command

_IN_BODY: Final = ("POST", "PUT")
# RFC 3986, section 2.3: what ``urlencode`` leaves as it is.
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """What to send. ``host`` names the upstream base URL: ``fapi``, ``api``, ``sapi`` or ``dapi``.

    ``query`` and ``body`` are percent-encoded; the body is a form. The API key header is the sender's to add.
    """

    method: str
    host: str
    path: str
    query: str
    body: str
    signed: bool

    def __repr__(self) -> str:
        # Query and body carry the signature.
        return f"UpstreamRequest(method={self.method!r}, host={self.host!r}, path={self.path!r}, signed={self.signed})"


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
    signed = route.access is Access.SIGNED
    if signed:
        parameters = (*parameters, ("recvWindow", str(recv_window_ms)), ("timestamp", str(timestamp_ms)))
    payload = _percent_encoded(parameters)
    if signed:
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


def _percent_encoded(parameters: Spelled) -> str:
    """``urlencode``, past it where no character has to be encoded: so it is of all orders but those in batches."""
    if _UNRESERVED.fullmatch("".join([part for pair in parameters for part in pair])):
        return "&".join([f"{name}={value}" for name, value in parameters])
    return urlencode(parameters)
