"""The frames a bot sends on a stream socket, ``SUBSCRIBE`` and its kind, and the frames that answer them. No socket.

Source: Binance USD-M "Live Subscribing/Unsubscribing to streams"; errors in the shape ccxt.pro 4.5.90 reads. Ids may be
strings as well: Binance's own SDK 18 sends hexadecimal ones.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from proxy.venues.binance.malformed import excerpt
from proxy.venues.binance.stream_paths import STREAMS_MAX
from proxy.venues.binance.streams import STREAM_NAME_MAX
from proxy.venues.binance.strict_json import escapes_surrogates, refuse_constant, unique

CallId: TypeAlias = int | str | None

_FIELDS: Final = frozenset({"method", "params", "id"})
_ID_BOUND: Final = 2**63
_ID_TEXT: Final = re.compile(r"[ -~]{1,64}")

# Binance's own numbers for what is wrong with a frame.
_UNKNOWN_PROPERTY: Final = 0
_NOT_BOOLEAN: Final = 1
_INVALID_REQUEST: Final = 2


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ask for streams. The names are as sent: whether they are streams is the table's business."""

    id: CallId
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Have no more of some streams."""

    id: CallId
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListSubscriptions:
    """Which streams are there."""

    id: CallId


@dataclass(frozen=True, slots=True)
class SetCombined:
    """From now on wrap messages, or not."""

    id: CallId
    combined: bool


@dataclass(frozen=True, slots=True)
class GetCombined:
    """Whether messages are wrapped."""

    id: CallId


Call: TypeAlias = Subscribe | Unsubscribe | ListSubscriptions | SetCombined | GetCombined


class RefusedCall(Exception):
    """A frame that is understood and refused; the socket stays. ``answer`` is the frame to send."""

    def __init__(self, call_id: CallId, code: int, msg: str) -> None:
        super().__init__(msg)
        self.call_id = call_id
        self.answer = _encode({"error": {"code": code, "msg": msg}, "id": call_id})


class UnreadableCall(Exception):
    """A frame that cannot be read in one way, or a method nobody knows: the socket is closed. The text says why."""


def read_call(text: str) -> Call:
    """The one meaning of a text frame. Raises ``RefusedCall`` or ``UnreadableCall``."""
    envelope = _read_envelope(text)
    call_id = _read_id(envelope.get("id"))
    method, params = envelope.get("method"), envelope.get("params")
    match method:
        case "SUBSCRIBE":
            return Subscribe(call_id, _read_names(call_id, params))
        case "UNSUBSCRIBE":
            return Unsubscribe(call_id, _read_names(call_id, params))
        case "LIST_SUBSCRIPTIONS":
            if params not in (None, []):
                raise RefusedCall(call_id, _INVALID_REQUEST, "Invalid request: no parameters expected")
            return ListSubscriptions(call_id)
        case "SET_PROPERTY":
            value = _read_property(call_id, params, 2)
            if not isinstance(value, bool):
                raise RefusedCall(call_id, _NOT_BOOLEAN, "Invalid value type: expected Boolean")
            return SetCombined(call_id, value)
        case "GET_PROPERTY":
            _read_property(call_id, params, 1)
            return GetCombined(call_id)
        case _:
            raise UnreadableCall(f"GUARD UNKNOWN_OPERATION: {excerpt(str(method))}")


def unknown_stream(call_id: CallId) -> RefusedCall:
    """A name that is in no table, or a user stream's key that nobody was given."""
    return RefusedCall(
        call_id, _INVALID_REQUEST, "GUARD UNKNOWN_STREAM: Invalid request: a stream is not in the guard's table"
    )


def too_many_streams(call_id: CallId) -> RefusedCall:
    """More streams than one socket may have, or than the guard has room for."""
    return RefusedCall(
        call_id,
        _INVALID_REQUEST,
        f"GUARD TOO_MANY_STREAMS: Invalid request: at most {STREAMS_MAX} streams a connection",
    )


def no_streams(call_id: CallId) -> RefusedCall:
    """A call for streams that names none."""
    return RefusedCall(call_id, _INVALID_REQUEST, "Invalid request: 'params' is a list of at least one stream")


def result(call_id: CallId, value: object = None) -> bytes:
    """The frame that answers a call."""
    return _encode({"result": value, "id": call_id})


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _read_envelope(text: str) -> dict[str, Any]:
    # An object with at most one array in it: depth is bounded before anything is parsed.
    if not text.isascii() or text.count("{") > 1 or text.count("[") > 1 or escapes_surrogates(text):
        raise UnreadableCall("GUARD MALFORMED: a frame is one flat JSON object in ASCII")
    try:
        envelope = json.loads(
            text, object_pairs_hook=unique, parse_float=refuse_constant, parse_constant=refuse_constant
        )
    except ValueError:
        raise UnreadableCall("GUARD MALFORMED: the frame is not one JSON document with unique names") from None
    if not isinstance(envelope, dict) or not envelope.keys() <= _FIELDS:
        raise UnreadableCall("GUARD MALFORMED: a frame is an object of 'method', 'params' and 'id'")
    return envelope


def _read_id(value: object) -> CallId:
    match value:
        case None:
            return None
        case bool():
            pass
        case int() if 0 <= value < _ID_BOUND:
            return value
        case str() if _ID_TEXT.fullmatch(value):
            return value
    raise UnreadableCall("GUARD MALFORMED: request ID must be an unsigned integer or a short text")


def _read_names(call_id: CallId, params: object) -> tuple[str, ...]:
    if not isinstance(params, list) or not params:
        raise no_streams(call_id)
    if len(params) > STREAMS_MAX:
        raise too_many_streams(call_id)
    if not all(isinstance(name, str) and len(name) <= STREAM_NAME_MAX for name in params):
        raise unknown_stream(call_id)
    return tuple(dict.fromkeys(params))


def _read_property(call_id: CallId, params: object, length: int) -> object:
    if not isinstance(params, list) or len(params) != length or not isinstance(params[0], str):
        raise RefusedCall(call_id, _INVALID_REQUEST, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise RefusedCall(call_id, _UNKNOWN_PROPERTY, "Unknown property")
    return params[-1]
