"""Frames of the WebSocket trading API (`/ws-fapi/v1`): JSON text to a routable request, and its reply back to JSON.

Shapes: Binance USD-M "WebSocket API general info". The request is then answered exactly as its REST sister is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlencode

import msgspec

from sandbox.binance.call import Json
from sandbox.binance.dialect import Reply, Request
from sandbox.binance.errors import VenueError
from sandbox.binance.routes import WS

ID_LENGTH_MAX = 36
PARAMETERS_MAX = 100
# JSON can escape half a character, and no answer could repeat it.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

FrameId = str | int | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One request frame. `params` keep every number as it was spelled; nulls are left out."""

    frame_id: FrameId
    method: str
    params: Mapping[str, str]

    @property
    def wants_rate_limits(self) -> bool | None:
        """The frame's own `returnRateLimits`, None when it does not say."""
        asked = self.params.get("returnRateLimits")
        return None if asked is None else asked == "true"


class BadFrame(Exception):
    """A frame that cannot be understood; `error` is what its sender is told."""

    def __init__(self, frame_id: FrameId, error: VenueError) -> None:
        super().__init__(str(error))
        self.frame_id = frame_id
        self.error = error


def read_frame(text: str) -> Frame:
    """Read a request frame; raises `BadFrame`."""
    try:
        decoded = json.loads(text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise BadFrame(None, VenueError(-1135, "Invalid JSON Request")) from None
    if not isinstance(decoded, dict):
        raise BadFrame(None, VenueError(-1135, "Invalid JSON Request"))
    frame_id = _read_id(decoded.get("id"))
    method = decoded.get("method")
    params = decoded.get("params", {})
    if not isinstance(method, str) or not isinstance(params, dict) or len(params) > PARAMETERS_MAX:
        raise BadFrame(frame_id, VenueError(-1135, "Invalid JSON Request"))
    values = {name: _as_text(value) for name, value in params.items() if value is not None}
    return Frame(frame_id, method, values)


def as_request(frame: Frame, session_key: str | None, caller: str, received_ms: int) -> Request:
    """The request a frame makes. `session_key` is the logged-on session's API key, used when the frame names none.

    A frame is signed over its parameters but `signature`, sorted by name; clients differ in whether they percent-encode
    the values (the official SDK does, ccxt does not), and the venue takes both.
    """
    signed = sorted((name, value) for name, value in frame.params.items() if name != "signature")
    raw = "&".join(f"{name}={value}" for name, value in signed)
    encodings = (
        raw.encode(errors="replace").decode("latin-1"),
        urlencode(signed, errors="replace"),
        urlencode(signed, errors="replace", quote_via=quote),
    )
    own_key = frame.params.get("apiKey")
    return Request(
        method=WS,
        path=frame.method,
        query=urlencode(list(frame.params.items()), errors="replace"),
        body="",
        api_key=own_key or session_key,
        caller=caller,
        received_ms=received_ms,
        payloads=encodings,
        logged_on=session_key is not None and own_key in (None, session_key) and "signature" not in frame.params,
    )


def reply_frame(frame_id: FrameId, reply: Reply, rate_limits: list[Json] | None, now_ms: int) -> str:
    """A REST reply as the frame that answers `frame_id`. What `Retry-After` says in seconds, a frame says as a time.

    Source: Binance "WebSocket API general info", the example of a 418.
    """
    content: Json = {"id": frame_id, "status": int(reply.status)}
    if reply.status == HTTPStatus.OK:
        content["result"] = msgspec.Raw(reply.body)
    else:
        error: Json = msgspec.json.decode(reply.body)
        seconds = dict(reply.headers).get("retry-after")
        if seconds is not None:
            error["data"] = {"serverTime": now_ms, "retryAfter": now_ms + int(seconds) * 1000}
        content["error"] = error
    if rate_limits is not None:
        content["rateLimits"] = rate_limits
    return msgspec.json.encode(content).decode()


def error_frame(frame_id: FrameId, error: VenueError) -> str:
    """A refusal as the frame that answers `frame_id`."""
    body = {"id": frame_id, "status": int(error.status), "error": {"code": error.code, "msg": error.message}}
    return json.dumps(body)


def result_frame(frame_id: FrameId, result: Json) -> str:
    """A successful answer of the socket's own operations (`session.*`)."""
    return json.dumps({"id": frame_id, "status": 200, "result": result})


def _read_id(value: object) -> FrameId:
    if value is None or (isinstance(value, str) and len(value) <= ID_LENGTH_MAX and not _LONE_SURROGATE.search(value)):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    raise BadFrame(None, VenueError(-1130, "Data sent for parameter 'id' is not valid."))


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
