"""The frames a stream socket understands: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.

Answers and errors: Binance USD-M "Live Subscribing/Unsubscribing to streams".
"""

from __future__ import annotations

import json
from typing import Protocol

from sandbox.binance.call import Json
from sandbox.binance.stream_names import STREAMS_MAX
from sandbox.streams.listener import Listener

_ID_LENGTH_MAX = 36
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Subscriptions(Protocol):
    """What commands can change."""

    def known(self, name: str) -> bool:
        """True for names of the venue's grammar, whether anything will ever be said there or not."""
        ...

    def subscribe(self, listener: Listener, name: str) -> None:
        """Start hearing a stream; nothing changes for one that is heard already."""
        ...

    def unsubscribe(self, listener: Listener, name: str) -> None:
        """Stop hearing a stream; nothing changes for one that is not heard."""
        ...


class _Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def answer(text: str, listener: Listener, subscriptions: Subscriptions) -> str:
    """Obey one frame of `listener`; returns the frame that answers it."""
    frame_id: object = None
    try:
        frame = _read(text)
        frame_id = _read_id(frame)
        result = _obey(frame, listener, subscriptions)
    except _Refused as refusal:
        return json.dumps({"error": {"code": refusal.code, "msg": refusal.message}, "id": frame_id})
    return json.dumps({"result": result, "id": frame_id})


def _read(text: str) -> Json:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise _Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(frame, dict):
        raise _Refused(2, "Invalid request: expected an object at line 1 column 1")
    return frame


def _read_id(frame: Json) -> object:
    frame_id = frame.get("id")
    number = isinstance(frame_id, int) and not isinstance(frame_id, bool) and 0 <= frame_id < 2**64
    # The futures page asks for an unsigned integer; the venue also takes the short texts its newer SDKs send.
    if number or (isinstance(frame_id, str) and len(frame_id) <= _ID_LENGTH_MAX):
        return frame_id
    raise _Refused(2, "Invalid request: request ID must be an unsigned integer")


def _obey(frame: Json, listener: Listener, subscriptions: Subscriptions) -> object:
    method, params = frame.get("method"), frame.get("params")
    if method not in _METHODS:
        expected = ", ".join(f"`{name}`" for name in _METHODS)
        raise _Refused(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}")
    if params is None:
        params = []
    if not isinstance(params, list):
        raise _Refused(2, "Invalid request: invalid type for `params`, expected a sequence")
    match method:
        case "SUBSCRIBE":
            names = _names(params)
            if not all(subscriptions.known(name) for name in names):
                raise _Refused(2, "Invalid request: invalid stream")
            if len(listener.names.keys() | set(names)) > STREAMS_MAX:
                raise _Refused(2, "Invalid request: too many parameters")
            for name in names:
                subscriptions.subscribe(listener, name)
            return None
        case "UNSUBSCRIBE":
            for name in _names(params):
                subscriptions.unsubscribe(listener, name)
            return None
        case "LIST_SUBSCRIPTIONS":
            return list(listener.names)
        case "SET_PROPERTY":
            _check_property(params, 2)
            if not isinstance(params[1], bool):
                raise _Refused(1, "Invalid value type: expected Boolean")
            listener.combined = params[1]
            return None
        case _:
            _check_property(params, 1)
            return listener.combined


def _names(params: list[object]) -> list[str]:
    names = [name for name in params if isinstance(name, str)]
    if not names or len(names) < len(params):
        raise _Refused(2, "Invalid request: invalid type, expected a string in `params`")
    return names


def _check_property(params: list[object], length: int) -> None:
    if not params or not isinstance(params[0], str):
        raise _Refused(2, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise _Refused(0, "Unknown property")
    if len(params) > length:
        raise _Refused(2, "Invalid request: too many parameters")
    if len(params) < length:
        raise _Refused(1, "Invalid value type: expected Boolean")
