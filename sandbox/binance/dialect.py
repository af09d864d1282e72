"""One request in, one reply out: route, limits, signature, handler, error format. No I/O; the clock is passed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import assert_never

import msgspec

from sandbox.binance.bans import RateLimited
from sandbox.binance.call import AccountCall, Call
from sandbox.binance.errors import VenueError, from_rejection, unavailable
from sandbox.binance.limits import RateLimits
from sandbox.binance.listen_keys import ListenKeys
from sandbox.binance.params import Params, read_batch, read_pairs
from sandbox.binance.routes import ROUTES, Access, AccountRoute, PublicRoute, reads_only
from sandbox.binance.signing import Credential, check_signature, check_window, http_payload, identify
from sandbox.binance.sub_account_keys import SubAccountKeys
from sandbox.engine.exchange import Exchange
from sandbox.engine.rejection import Rejected

# Amounts the venue sends as JSON numbers (margin tiers) leave as numbers with their exact digits.
_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Request:
    """A request as it arrived; `query` and `body` are the signed bytes, one latin-1 character per byte.

    A frame of the trading socket has the method "WS", its operation for a path and its parameters in `query`; what it
    may have been signed over is in `payloads`, and `logged_on` says that its session has shown its signature before.
    """

    method: str
    path: str
    query: str
    body: str
    api_key: str | None
    caller: str
    received_ms: int
    payloads: tuple[str, ...] = ()
    logged_on: bool = False

    @cached_property
    def params(self) -> Params:
        """What was sent, by name: read once for the answer and the request log."""
        return read_pairs(self.query, self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: status, JSON bytes and extra headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def json_reply(status: int, content: object, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A reply with a JSON body."""
    return Reply(status, _JSON.encode(content), tuple(headers))


class BinanceDialect:
    """The exchange as a Binance USD-M client sees it."""

    def __init__(self, exchange: Exchange, credentials: Iterable[Credential], limits: RateLimits) -> None:
        self._exchange = exchange
        self._credentials = {credential.api_key: credential for credential in credentials}
        self._sub_keys = SubAccountKeys(self._credentials.values())
        self.limits = limits
        self.listen_keys = ListenKeys()

    def account_of(self, api_key: str | None) -> str | None:
        """The name of the account a key belongs to, for the request log."""
        credential = self._credentials.get(api_key) if api_key else None
        return credential.account if credential else None

    def log_on(self, request: Request) -> Credential:
        """Check a signed `session.logon`; raises `VenueError`.

        Only Ed25519 keys may open a session: Binance USD-M "WebSocket API general info". Its refusal's code is a guess.
        """
        credential = identify(self._credentials, request.api_key)
        if credential.public_key is None:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", HTTPStatus.UNAUTHORIZED)
        _check_signed(credential, request)
        return credential

    def answer(self, request: Request) -> Reply:
        """Answer any request; refusals come back in the venue's error format, never as exceptions."""
        headers: list[tuple[str, str]] = []
        try:
            content = self._dispatch(request, headers)
        except Rejected as refusal:
            return _refused(from_rejection(refusal), headers)
        except VenueError as refused:
            return _refused(refused, headers)
        return json_reply(HTTPStatus.OK, content, headers)

    def _dispatch(self, request: Request, headers: list[tuple[str, str]]) -> object:
        self.limits.bans.check(request.caller, request.received_ms)
        route = ROUTES.get((request.method, request.path))
        if route is None:
            message = f"Path {request.path}, Method {request.method} is invalid"
            raise VenueError(-5000, message, HTTPStatus.NOT_FOUND)
        if self._exchange.halted and not reads_only(request.method, request.path):
            raise unavailable(maintenance=self._exchange.maintenance)
        params = request.params
        weight = route.weight if params.text("symbol") or route.weight_all is None else route.weight_all
        headers += self.limits.charge_weight(request.caller, weight, request.received_ms)
        match route:
            case PublicRoute():
                return route.answer(Call(self._exchange, self.limits, params, request.received_ms))
            case AccountRoute():
                return route.answer(self._authorised(route, request, headers))
            case _:
                assert_never(route)

    def _authorised(self, route: AccountRoute, request: Request, headers: list[tuple[str, str]]) -> AccountCall:
        credential = identify(self._credentials, request.api_key)
        self._sub_keys.check(credential, request.path)
        if route.access is Access.SIGNED:
            _check_signed(credential, request)
        if route.places_orders:
            batch = request.params.text("batchOrders")
            count = len(read_batch(batch)) if batch else 1
            headers += self.limits.charge_orders(credential.account, count, request.received_ms)
        account = self._exchange.accounts[credential.account]
        return AccountCall(
            self._exchange,
            self.limits,
            request.params,
            request.received_ms,
            account,
            self.listen_keys,
            credential.permissions,
            credential,
            self._sub_keys,
        )


def _check_signed(credential: Credential, request: Request) -> None:
    check_window(request.params, request.received_ms)
    if not request.logged_on:
        check_signature(credential, request.payloads or (http_payload(request.query, request.body),), request.params)


def places_orders(method: str, path: str) -> bool:
    """True for the requests that place or amend orders, which is what faults are aimed at."""
    route = ROUTES.get((method, path))
    return isinstance(route, AccountRoute) and route.places_orders


def _refused(error: VenueError, headers: list[tuple[str, str]]) -> Reply:
    if isinstance(error, RateLimited):
        headers.append(("retry-after", str(error.retry_after)))
    return json_reply(error.status, {"code": error.code, "msg": error.message}, headers)
