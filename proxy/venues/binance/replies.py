"""What the venue's answer proves: executed, refused, or nothing. Fields we do not know are ignored.

Source: Binance "HTTP return codes" and error codes: 5xx and 408 leave the execution unknown, -1006 and -1007 say so;
429 and 418 are turned away at the door. Of the 503s of USD-M futures three are failures for certain ("General Info",
HTTP 503, seen 2026-11): "Service Unavailable.", "Internal error; unable to process your request. Please try again.",
and -1008, by which the venue sheds load, of single orders and of entries of a batch. They are told by exactly those
words, or that code; of any other 503, "Unknown error, please check your request or try again later." above all, the
order may have executed. What proves nothing is UNKNOWN, and the hold stays.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from proxy.decoding import decoder
from proxy.venues.binance.route import BUDGET_HOST, Kind, Route

BYTES_MAX: Final = 1024 * 1024

THROTTLES: Final = (418, 429)
"""Turned away at the venue's door: whatever the body says, nothing was done."""

_SERVICE_UNAVAILABLE: Final = "Service Unavailable."
_FAILED_TEXTS: Final = (_SERVICE_UNAVAILABLE, "Internal error; unable to process your request. Please try again.")
_SHED: Final = -1008
_DISCONNECTED: Final = -1001
"""The code whose text in the list of codes is the second of these. Alone it proves nothing."""
_UNKNOWN_CODES: Final = frozenset({-1000, -1001, -1006, -1007, -1008})
_WITH_IDS: Final = frozenset(
    {
        Kind.ORDER,
        Kind.ALGO_ORDER,
        Kind.AMEND,
        Kind.CANCEL,
        Kind.CANCEL_ALGO,
        Kind.BATCH_ORDER,
        Kind.BATCH_AMEND,
        Kind.BATCH_CANCEL,
    }
)
_BATCHES: Final = frozenset({Kind.BATCH_ORDER, Kind.BATCH_AMEND, Kind.BATCH_CANCEL})


class Reported(StrEnum):
    """What became of one command."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one command, with the ids the venue gave. ``order_id`` is the algo id of a conditional order."""

    outcome: Reported
    code: int | None = None
    msg: str = ""
    order_id: str | None = None
    client_order_id: str | None = None
    status: str | None = None


class _Entry(msgspec.Struct, frozen=True):
    # The algo service answers success with ``"code": "200"``, a string; other routes with a number.
    code: int | str | None = None
    msg: str = ""
    orderId: int | None = None  # noqa: N815 - the venue's spelling
    algoId: int | None = None  # noqa: N815
    clientOrderId: str | None = None  # noqa: N815
    clientAlgoId: str | None = None  # noqa: N815
    status: str | None = None
    algoStatus: str | None = None  # noqa: N815


_ENTRY: Final = decoder(_Entry)
_ENTRIES: Final = decoder(list[_Entry])
_RAW_ENTRIES: Final = decoder(list[msgspec.Raw])
# Text that is no UTF-8 is msgspec's UnicodeDecodeError, endless nesting Python's RecursionError.
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_CODE: Final = re.compile(r"-?[0-9]{1,9}")
_UNKNOWN: Final = Reply(outcome=Reported.UNKNOWN)


def read_reply(route: Route, status: int, body: bytes, count: int = 1) -> tuple[Reply, ...]:
    """The outcome of each of ``count`` commands sent in one request, in their order.

    A batch whose array has another length proves nothing about any of its entries.
    """
    if len(body) > BYTES_MAX:
        return (_UNKNOWN,) * count
    if not 200 <= status < 300:
        return (_refused(route, status, body),) * count
    if route.kind not in _BATCHES:
        entry = _decode(body)
        return (_UNKNOWN if entry is None else _outcome(route, entry),)
    try:
        entries = _ENTRIES.decode(body)
    except _UNREADABLE:
        # One error object instead of an array refuses the whole batch.
        entry = _decode(body)
        return (_UNKNOWN if entry is None else _outcome(route, entry),) * count
    if len(entries) != count:
        return (_UNKNOWN,) * count
    return tuple(_outcome(route, entry) for entry in entries)


def split_entries(body: bytes) -> tuple[bytes, ...] | None:
    """The raw entries of a batch answer, to be passed on beside refusals of ours; ``None`` if it is no array."""
    try:
        return tuple(bytes(entry) for entry in _RAW_ENTRIES.decode(body))
    except _UNREADABLE:
        return None


def error_code(body: bytes) -> int | None:
    """The venue's own number for what is wrong; ``None`` where the body says none."""
    entry = _decode(body) if len(body) <= BYTES_MAX else None
    return None if entry is None else _code(entry)


def failed_for_certain(status: int, body: bytes) -> bool:
    """Whether this is one of the 503s of USD-M futures upon which nothing was done."""
    if status != 503 or len(body) > BYTES_MAX:
        return False
    entry = _decode(body)
    if entry is None:
        return body == _SERVICE_UNAVAILABLE.encode("ascii")
    code = _code(entry)
    return code == _SHED or (entry.msg in _FAILED_TEXTS and code not in _UNKNOWN_CODES - {_DISCONNECTED})


def _refused(route: Route, status: int, body: bytes) -> Reply:
    entry = _decode(body)
    code = None if entry is None else _code(entry)
    msg = "" if entry is None else entry.msg
    if status in THROTTLES or (route.host == BUDGET_HOST and failed_for_certain(status, body)):
        return Reply(outcome=Reported.REJECTED, code=code, msg=msg)
    proven = 400 <= status < 500 and status != 408 and code is not None and code not in _UNKNOWN_CODES
    return Reply(outcome=Reported.REJECTED if proven else Reported.UNKNOWN, code=code, msg=msg)


def _outcome(route: Route, entry: _Entry) -> Reply:
    code, order_id = _code(entry), entry.orderId if entry.algoId is None else entry.algoId
    if code is not None and code < 0:
        shed = code == _SHED and route.host == BUDGET_HOST
        outcome = Reported.UNKNOWN if code in _UNKNOWN_CODES and not shed else Reported.REJECTED
        return Reply(outcome=outcome, code=code, msg=entry.msg)
    if route.kind in _WITH_IDS and order_id is None:
        return _UNKNOWN
    return Reply(
        outcome=Reported.ACCEPTED,
        code=code,
        msg=entry.msg,
        order_id=None if order_id is None else str(order_id),
        client_order_id=entry.clientOrderId if entry.clientAlgoId is None else entry.clientAlgoId,
        status=entry.status if entry.algoStatus is None else entry.algoStatus,
    )


def _code(entry: _Entry) -> int | None:
    match entry.code:
        case int(code):
            return code
        case str(text) if _CODE.fullmatch(text):
            return int(text)
        case _:
            return None


def _decode(body: bytes) -> _Entry | None:
    try:
        return _ENTRY.decode(body)
    except _UNREADABLE:
        return None
