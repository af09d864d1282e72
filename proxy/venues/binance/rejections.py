"""Refusals in Binance's dialect: a status and ``{"code": ..., "msg": ...}``.

Codes are chosen by what clients make of them over a plain base URL, where ccxt does not use its futures table
(measured with ccxt 4.5.90): -2010 becomes InvalidOrder, -1015 with status 400 RateLimitExceeded, a message containing
"has no operation privilege" PermissionDenied. A policy refusal is never a NetworkError, which bots retry for ever.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from proxy.venues.binance.malformed import MalformedRequest, excerpt
from proxy.venues.binance.values import plain
from rules.decision import Breach

MESSAGE_MAX: Final = 512
_NO_PRIVILEGE: Final = "has no operation privilege"

_RATE_CODES: Final = frozenset({"MESSAGE_RATE_ABOVE_LIMIT"})
_BUDGET_CODES: Final = frozenset({"VENUE_BUDGET_RESERVED", "VENUE_SILENCE"})
_STOPPED_CODES: Final = frozenset({"KILL_RUNNING", "TRADING_HALTED", "KEY_DISABLED"})
_UNKNOWN_SYMBOL_CODES: Final = frozenset({"UNKNOWN_SYMBOL"})
_UNKNOWN_ORDER_CODES: Final = frozenset({"ORDER_NOT_OWNED"})
_WRONG_SIDE_CODES: Final = frozenset({"AMEND_SIDE_WRONG"})
_STALE_CODES: Final = frozenset({"STALE_TIMESTAMP"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refusal. ``msg`` is kept to 512 characters of printable ASCII."""

    status: int
    code: int
    msg: str

    def __post_init__(self) -> None:
        printable = "".join(character if " " <= character <= "~" else "?" for character in self.msg)
        kept = printable if len(printable) <= MESSAGE_MAX else printable[: MESSAGE_MAX - 3] + "..."
        object.__setattr__(self, "msg", kept)

    def body(self) -> bytes:
        """The JSON the bot reads."""
        return json.dumps({"code": self.code, "msg": self.msg}, separators=(",", ":")).encode("ascii")


def for_breach(breach: Breach) -> Rejection:
    """The answer to a judged command that was denied."""
    numbers = [f"observed {breach.observed}"] if breach.observed else []
    numbers += [f"limit {breach.limit}"] if breach.limit else []
    allowed = breach.headroom
    numbers += [f"largest quantity allowed now {plain(allowed)}"] if allowed is not None else []
    details = f"; {', '.join(numbers)}" if numbers else ""
    named = f"GUARD {breach.rule_id} {breach.code}"
    if breach.code in _RATE_CODES:
        return Rejection(400, -1015, f"{named}: Too many new orders; {breach.message}{details}")
    if breach.code in _BUDGET_CODES:
        # As Binance says it and with its status: the bot has to wait just as long.
        return Rejection(429, -1003, f"{named}: Too many requests; {breach.message}{details}; {breach.advice}")
    if breach.code in _STOPPED_CODES:
        return Rejection(400, -2010, f"{named}: this key {_NO_PRIVILEGE} now; {breach.message}{details}")
    if breach.code in _UNKNOWN_ORDER_CODES:
        return Rejection(400, -2011, f"{named}: {breach.message}")
    if breach.code in _UNKNOWN_SYMBOL_CODES:
        return Rejection(400, -1121, f"{named}: Invalid symbol; {breach.message}")
    if breach.code in _WRONG_SIDE_CODES:
        return Rejection(400, -1117, f"{named}: Invalid side; {breach.message}")
    if breach.code in _STALE_CODES:
        return stale_timestamp()
    return Rejection(400, -2010, f"{named}: {breach.message}{details}")


def malformed(error: MalformedRequest) -> Rejection:
    """A request the grammar does not accept."""
    return Rejection(400, error.code, error.msg)


def unknown_outcome() -> Rejection:
    """The order was sent and no answer came: Binance's own -1007, "execution status unknown".

    The status is 503, which Binance documents as "the execution status is UNKNOWN and could have been a success". Of
    the statuses a client tells apart it is the one that does not read as a refusal: a 4xx is a ClientError or
    BadRequest to Binance's own SDKs, 504 hides the body from the newer one, while a 5xx is a ServerError and ccxt
    raises RequestTimeout for -1007. Nautilus takes any HTTP answer for a rejection and only a dropped connection for
    an unknown outcome; where nautilus bots trade, the gate may drop the connection instead.
    """
    return Rejection(
        503, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    )


def throttled(status: int) -> Rejection:
    """The venue's 429 or 418 where it came without words."""
    return Rejection(status, -1003, "Too many requests.")


def service_unavailable() -> Rejection:
    """The venue's 503 of these words, upon which nothing was done, where it came without a code."""
    return Rejection(503, -1001, "Service Unavailable.")


def exchange_not_reached() -> Rejection:
    """An order, exit or cancel that never left: a refusal that is safe to believe, and may be sent anew."""
    return Rejection(400, -2010, "GUARD CANNOT_JUDGE: nothing was sent: the exchange could not be reached")


def cannot_judge() -> Rejection:
    """The guard has no fresh state to judge an entry on. A refusal, not a NetworkError: retrying at once is useless."""
    return Rejection(400, -2010, "GUARD CANNOT_JUDGE: the guard cannot judge new risk now; exits and cancels pass")


def key_format() -> Rejection:
    """The API key header is missing or is no guard key."""
    return Rejection(401, -2014, "GUARD UNAUTHORISED: API-key format invalid.")


def unauthorised() -> Rejection:
    """No such guard key, or not from there."""
    return Rejection(401, -2015, "GUARD UNAUTHORISED: Invalid API-key, IP, or permissions for action.")


def key_disabled() -> Rejection:
    """The guard key was disabled. ccxt turns a late -2015 into a DDoSProtection that bots retry, so not that code."""
    return Rejection(400, -2010, f"GUARD KEY_DISABLED: this key {_NO_PRIVILEGE}; it was disabled")


def not_this_bots_connection() -> Rejection:
    """Another bot's request behind an unanswered one: whoever forwards them has lost count of them."""
    return Rejection(
        400, -1130, "GUARD OTHER_BOTS_CONNECTION: this connection has another bot's request under way; open another"
    )


def bad_signature() -> Rejection:
    """The signature does not sign what was sent."""
    return Rejection(400, -1022, "GUARD BAD_SIGNATURE: Signature for this request is not valid.")


def logon_key_kind() -> Rejection:
    """``session.logon`` with an HMAC key, which Binance does not take either."""
    return Rejection(
        400, -4056, "GUARD LOGON_KEY_KIND: HMAC_SHA256 API key is not supported; sign every frame, or use Ed25519"
    )


def not_logged_on() -> Rejection:
    """A frame without a key on a socket where nobody logged on."""
    return Rejection(401, -2014, "GUARD UNAUTHORISED: API-key format invalid; neither apiKey nor session.logon")


@lru_cache(maxsize=1024)  # A crowd gets thousands of them at once.
def too_many_under_way(most: int) -> Rejection:
    """More at once than one bot, or one of its sockets, may have under way. Meant as Binance means -1003: slow down."""
    return Rejection(429, -1003, f"GUARD TOO_MANY_UNDER_WAY: Too many requests; {most} await their answer")


def too_many_sockets(most: int) -> Rejection:
    """A guard key speaks on more sockets of one gate than it may."""
    return Rejection(503, -1008, f"GUARD TOO_MANY_SOCKETS: this key has {most} sockets open here")


def stale_timestamp() -> Rejection:
    """Too old, too far ahead, or in a unit other than milliseconds."""
    return Rejection(400, -1021, "GUARD STALE_TIMESTAMP: Timestamp for this request is outside of the recvWindow.")


def replayed() -> Rejection:
    """The very request was seen before. Not -1021, which clients answer with a fresh copy: a second order."""
    return Rejection(400, -2010, "GUARD REPLAYED: this very request was received before; ask for the order's status")


def unknown_route(method: str, path: str, reason: str = "") -> Rejection:
    """A route that is not in the table, or a DENY row with its reason."""
    why = reason or "it is not in the guard's table of routes"
    segments = "/".join(excerpt(segment) for segment in path.split("/")[:6])
    return Rejection(
        403, -1002, f"GUARD UNKNOWN_ROUTE: this key {_NO_PRIVILEGE} for {excerpt(method)} {segments}: {why}"
    )


def venue_unreachable() -> Rejection:
    """A read that failed may be asked again: the one refusal that clients should take for a passing network error."""
    return Rejection(
        503, -1001, "GUARD VENUE_UNREACHABLE: Internal error; unable to process your request. Please try again."
    )


def no_such_order() -> Rejection:
    """An order that is another's, on an account whose bots see their own: Binance's own answer to what is not there."""
    return Rejection(400, -2013, "Order does not exist.")


def account_wide(what: str) -> Rejection:
    """A call that would reach every bot of a shared account, and cannot be cut down to one."""
    return Rejection(
        400, -2010, f"GUARD ACCOUNT_WIDE: this key {_NO_PRIVILEGE} for {what}: other bots share the account"
    )


def timer_not_kept() -> Rejection:
    """A dead-man timer the guard could not write down, or not for certain; arming it again is safe."""
    return Rejection(
        503, -1001, "GUARD TIMER_NOT_KEPT: Internal error; unable to process your request. Please try again."
    )


def lease_not_kept() -> Rejection:
    """A bot's lease the guard could not write down, or not for certain; asking again is safe."""
    return Rejection(
        503, -1001, "GUARD LEASE_NOT_KEPT: Internal error; unable to process your request. Please try again."
    )


def too_many_timers(most: int) -> Rejection:
    """A bot may have dead-man timers on so many symbols at once."""
    return Rejection(400, -2010, f"GUARD TOO_MANY_TIMERS: this key has dead-man timers on {most} symbols; disarm one")


def internal() -> Rejection:
    """A bug of the guard, before anything was sent. Never the answer to bad input."""
    return Rejection(500, -1000, "GUARD INTERNAL: An unknown error occurred while processing the request.")


def batch_body(entries: Sequence[Rejection | bytes]) -> bytes:
    """The array a batch is answered with, status 200: refusals of ours and entries of the venue's, as they come."""
    return b"[" + b",".join(entry.body() if isinstance(entry, Rejection) else entry for entry in entries) + b"]"
