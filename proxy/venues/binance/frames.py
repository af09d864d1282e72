"""Frames of the WebSocket trading API, ``/ws-fapi/v1``: one request each, and the answer to it. No socket here.

A frame is read as the parameters of the REST request that does the same, so that both doors have one meaning. It
carries its own key and signature, or neither: then it leans on the ``session.logon`` of its socket.

Source: Binance USD-M "WebSocket API General Info"; what ccxt.pro 4.5.90, python-binance 1.0.37 and Binance's own SDK
18.1.0 send and sign, 2026-11.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import quote_plus

import msgspec

from proxy.decoding import decoder
from proxy.venues.binance.frame_echoes import without_echoes
from proxy.venues.binance.malformed import MalformedRequest, illegal, too_many
from proxy.venues.binance.rejections import (
    Rejection,
    malformed,
    service_unavailable,
    throttled,
    unknown_outcome,
    unknown_route,
)
from proxy.venues.binance.replies import THROTTLES, failed_for_certain
from proxy.venues.binance.routes import Access, Route, find_route
from proxy.venues.binance.signing import VerifyingKey, signs
from proxy.venues.binance.strict_json import escapes_surrogates, refuse_constant, unique
from proxy.venues.binance.values import is_symbol
from proxy.venues.binance.wire import BYTES_MAX, PARAMETERS_MAX, Parameters

FrameId: TypeAlias = str | int | None

# The account methods are paired with the version of the REST read whose fields they answer with (the SDK's models).
TARGETS: Final[dict[str, tuple[str, str]]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.status": ("GET", "/fapi/v2/account"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v2/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
}
"""Every method a bot may call and the row that does the same. What is neither here nor about the session is refused."""

LOGON: Final = "session.logon"
STATUS: Final = "session.status"
LOGOUT: Final = "session.logout"
_SESSION: Final = frozenset({LOGON, STATUS, LOGOUT})

_FIELDS: Final = frozenset({"id", "method", "params"})
# Signed like the rest, but about the frame: who sends it, and whether the answer lists rate limits (ours never does).
_FRAMING: Final = frozenset({"apiKey", "signature", "returnRateLimits"})

_ID_BOUND: Final = 2**63
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
_ID_TEXT: Final = re.compile(r"[ -~]{0,64}")
_NAME: Final = re.compile(r"[A-Za-z0-9]{1,64}")
# Neither `&` nor `%`: no two sets of parameters share a signed payload, in either of its spellings.
_VALUE: Final = re.compile(r"[A-Za-z0-9._:/+=-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What every frame says. One that is no ``Frame`` is about the socket itself: its logon, status or logout."""

    id: FrameId
    method: str
    parameters: Parameters
    api_key: str | None
    signed_payload: str = field(repr=False)
    signature: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Call):
    """A call that a REST request does too.

    ``parameters`` are those of ``route``, with the timestamp and the window that ``signing`` reads. A signature never
    comes without an ``api_key``, and where ``route`` wants a signature, neither does the key without a signature.
    """

    route: Route


class RefusedFrame(Exception):
    """A frame that is not read. ``frame_id`` is the one to answer under, ``None`` where it cannot be told."""

    def __init__(self, frame_id: FrameId, rejection: Rejection) -> None:
        super().__init__(rejection.msg)
        self.frame_id = frame_id
        self.rejection = rejection


class UnknownMethod(RefusedFrame):
    """A method that is not served. Whoever calls it believes in another guard, or tests this one."""


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written: it never passes through a float, and ``1`` is not ``"1"`` as an id."""

    literal: str


class _Error(msgspec.Struct, frozen=True):
    code: int
    msg: str


class _TimedError(_Error, frozen=True):
    data: dict[str, int]


_READ_ERROR: Final = decoder(_Error)
_READ_RAW: Final = decoder(msgspec.Raw)


def read_frame(raw: bytes | str) -> Call:
    """The one meaning of a text frame. Raises ``RefusedFrame``."""
    frame_id: FrameId = None
    try:
        envelope = _read_envelope(raw)
        frame_id = _read_id(envelope["id"])
        method, route = _read_method(envelope["method"])
        if route is None and method not in _SESSION:
            raise UnknownMethod(frame_id, unknown_route("WS", method))
        sent = _read_params(envelope.get("params"))
        present = Parameters(MappingProxyType({name: text for name, text in sent.items() if text}))
        read = Call(
            id=frame_id,
            method=method,
            parameters=without_echoes(present.without(_FRAMING)),
            api_key=present.get("apiKey"),
            signed_payload="&".join(f"{name}={sent[name]}" for name in sorted(sent) if name != "signature"),
            signature=present.get("signature"),
        )
        _expect_credentials(read, present, route)
    except MalformedRequest as error:
        raise RefusedFrame(frame_id, malformed(error)) from None
    if route is None:
        return read
    return Frame(
        id=read.id,
        method=read.method,
        parameters=read.parameters,
        api_key=read.api_key,
        signed_payload=read.signed_payload,
        signature=read.signature,
        route=route,
    )


def verify_frame(frame: Call, key: VerifyingKey) -> bool:
    """Whether the signature is over all other parameters, sorted by name, as ``name=value`` joined with ``&``.

    Binance documents the values as they are, which ccxt.pro signs (all 7 captures); its own SDK signs them
    percent-encoded. The two differ in client ids with ``:`` or ``/`` and in exponents with ``+`` only.
    """
    signature = (frame.signature or "").encode()
    spellings = (frame.signed_payload, quote_plus(frame.signed_payload, safe="=&"))
    verified = [signs(payload.encode(), signature, key) for payload in spellings]
    return any(verified)


def answer_frame(
    frame_id: FrameId,
    status: int,
    body: bytes,
    *,
    trimmed: str = "",
    retry_after_s: int | None = None,
    now_ms: int = 0,
) -> bytes:
    """The frame that says what a REST answer says.

    A frame has no headers. What ``Retry-After`` says in seconds stands in the error as the moment to come again, as the
    venue's own 418 has it ("WebSocket API General Info", seen 2026-11). That an order was sent smaller than the bot
    asked for stands under ``guard``, a name the venue does not use. A body that is not JSON, a gateway's page for one,
    proves nothing about the call and is answered as that, unless the status does.
    """
    answer: dict[str, Any] = {"id": frame_id, "status": status}
    try:
        body.decode()  # ``Raw`` skips over text without reading it, and a text frame must be UTF-8.
        if status == 200:
            answer["result"] = _READ_RAW.decode(body)
        else:
            answer["error"] = _READ_ERROR.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = _in_words(status, body)
        answer["status"] = said.status if status == 200 else status
        answer["error"] = _Error(said.code, said.msg)
    error = answer.get("error")
    if error is not None and retry_after_s is not None:
        when = {"serverTime": now_ms, "retryAfter": now_ms + retry_after_s * 1000}
        answer["error"] = _TimedError(error.code, error.msg, when)
    told = {"guard": {"trimmed": trimmed}} if trimmed else {}
    return msgspec.json.encode(answer | {"rateLimits": []} | told)


def _in_words(status: int, body: bytes) -> Rejection:
    """What an answer without the venue's own code says: the same as ``replies.read_reply`` reads out of it."""
    if status in THROTTLES:
        return throttled(status)
    return service_unavailable() if failed_for_certain(status, body) else unknown_outcome()


def _read_envelope(raw: bytes | str) -> dict[str, Any]:
    if len(raw) > BYTES_MAX:
        raise too_many(f"a frame of more than {BYTES_MAX} bytes")
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise illegal("a frame is UTF-8") from None
    # Flat but for ``params``, so depth is bounded before it is parsed.
    if text.count("{") > 2 or "[" in text or escapes_surrogates(text):
        raise illegal("a frame is text without halves of characters, nested no deeper than 'params'")
    try:
        envelope = json.loads(
            text, object_pairs_hook=unique, parse_int=_Number, parse_float=_Number, parse_constant=refuse_constant
        )
    except ValueError:
        raise illegal("the frame is not one JSON document with unique names and plain numbers") from None
    if not isinstance(envelope, dict) or envelope.keys() | {"params"} != _FIELDS:
        raise illegal("a frame is an object of 'id', 'method' and 'params'")
    return envelope


def _read_id(value: object) -> FrameId:
    match value:
        case None:
            return None
        case str(text) if _ID_TEXT.fullmatch(text):
            return text
        case _Number(literal) if _INTEGER.fullmatch(literal) and abs(int(literal)) < _ID_BOUND:
            return int(literal)
        case _:
            raise illegal("the id is not null, a 64-bit whole number or up to 64 printable characters")


def _read_method(value: object) -> tuple[str, Route | None]:
    if not isinstance(value, str) or not value.isascii():
        raise illegal("the method is not a string of ASCII")
    target = TARGETS.get(value)
    return value, None if target is None else find_route(*target)


def _read_params(value: object) -> dict[str, str]:
    if value is None:  # Binance: "params" may be left out if there are none.
        return {}
    if not isinstance(value, dict) or len(value) > PARAMETERS_MAX:
        raise illegal(f"'params' is not an object of at most {PARAMETERS_MAX} parameters")
    if not all(_NAME.fullmatch(name) for name in value):
        raise illegal("the names in 'params' are of ASCII letters and digits")
    return {name: _read_text(entry, name) for name, entry in value.items()}


def _expect_credentials(read: Call, present: Parameters, route: Route | None) -> None:
    """A signature says whose it is, and where one is needed a key alone is not enough."""
    logon = read.method == LOGON
    if read.signature is not None or logon:
        present.require("apiKey")
    if logon or (read.api_key is not None and route is not None and route.access is Access.SIGNED):
        present.require("signature")


def _read_text(value: object, name: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str(text) | _Number(text) if _VALUE.fullmatch(text):
            return text
        # The one value that is not ASCII: it is read once more, with the rest of the request.
        case str(text) if name == "symbol" and is_symbol(text):
            return text
        case _:
            raise illegal(f"parameter '{name}' is not a number, a boolean or a string of plain characters")
