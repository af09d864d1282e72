"""Send what was judged: of one request that the guard read, everything that must hold of what goes upstream."""

from __future__ import annotations

from fractions import Fraction

from proxy.venues.binance.client_words import OF_CANCELS, OF_READS
from proxy.venues.binance.encode import build, encode
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.route import Kind
from proxy.venues.binance.signing import verify
from proxy.venues.binance.wire import AUTHENTICATION, Parameters, read_parameters
from rules.decision import _SEAL, Cleared
from rules.model import CancelOrder
from tests.support.readings import all_three

FORM = "application/x-www-form-urlencoded"
VENUE_SECRET = "venue-secret"


def as_sent(parameters: Parameters) -> dict[bytes, bytes]:
    """The parameters as the readings give theirs."""
    return {name.encode(): value.encode() for name, value in parameters.values.items()}


def check_upstream(asked: VenueRequest, parameters: Parameters) -> None:
    """What the venue is sent reads back as the same commands, alike for all, and says nothing the bot did not say."""
    cleared = [Cleared(command, _SEAL) for command in asked.commands]
    spelled = encode(asked.route, cleared) if cleared else asked.reads
    upstream = build(asked.route, spelled, secret=VENUE_SECRET, timestamp_ms=1_795_332_044_643)
    query, body = upstream.query.encode(), upstream.body.encode()
    again = read_parameters(query, body, FORM)
    assert all_three(query, body, FORM) == as_sent(again), upstream
    assert verify(query, body, VENUE_SECRET) == upstream.signed
    reread = read_request(asked.route, again)
    assert (reread.commands, reread.reads) == (asked.commands, asked.reads)
    for name, value in spelled:
        if name not in _REWRITTEN:
            assert same_value(value, parameters.require(name)), (name, value, parameters)
    said = {name for name, _ in spelled}
    dropped = parameters.values.keys() - AUTHENTICATION - _REWRITTEN - said
    if said & _PREVAILING:
        dropped -= _CLIENT_IDS
    # A library's own words ask for nothing; of an order that is made or changed none may be lost.
    if asked.route.kind is Kind.READ:
        dropped -= OF_READS
    elif asked.commands and all(isinstance(command, CancelOrder) for command in asked.commands):
        dropped -= OF_CANCELS
    assert all((name, parameters.require(name)) in _DEFAULTS for name in dropped), (dropped, spelled)


_REWRITTEN = frozenset({"batchOrders", "orderIdList", "orderidlist", "origClientOrderIdList", "origclientorderidlist"})
"""JSON is written anew; that it means the same is said by the commands."""

_PREVAILING, _CLIENT_IDS = frozenset({"orderId", "algoId"}), frozenset({"origClientOrderId", "clientAlgoId"})
"""Where the venue's id is sent the client's is left out, as the venue would."""

_DEFAULTS = frozenset({("positionSide", "BOTH"), ("closePosition", "false")})
"""Left out, for Binance takes them so."""


def same_value(sent_upstream: str, sent_by_bot: str) -> bool:
    """Byte for byte, but for numbers in plain form and flags in lower case."""
    if sent_upstream == sent_by_bot or sent_upstream.lower() == sent_by_bot.lower() in ("true", "false"):
        return True
    return Fraction(sent_upstream) == Fraction(sent_by_bot)
