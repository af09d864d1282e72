"""What the venue's answer proves: executed, refused, or nothing. Fields we do not know are ignored.

Source: Binance "HTTP return codes" and error codes: 503 and 408 leave the execution unknown, -1006 and -1007 say so;
429 and 418 are turned away at the door. What proves nothing is UNKNOWN, and the hold stays.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from proxy.decoding import decoder
from proxy.venues.binance.route import Kind, Route

BYTES_MAX: Final = 1024 * 1024

_RATE_STATUSES: Final = (418, 429)
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


class Outcome(StrEnum):
    """What became of one command."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one command, with the ids the venue gave. ``order_id`` is the algo id of a conditional order."""

    outcome: Outcome
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
_UNKNOWN: Final = Reply(outcome=Outcome.UNKNOWN)


def read_reply(route: Route, status: int, body: bytes, count: int = 1) -> tuple[Reply, ...]:
    """The outcome of each of ``count`` commands sent in one request, in their order.

    A batch whose array has another length proves nothing about any of its entries.
    """
    if len(body) > BYTES_MAX:
        return (_UNKNOWN,) * count
    if not 200 <= status < 300:
        return (_refused(status, body),) * count
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


def _refused(status: int, body: bytes) -> Reply:
    entry = _decode(body)
    code = None if entry is None else _code(entry)
    msg = "" if entry is None else entry.msg
    if status in _RATE_STATUSES:
        return Reply(outcome=Outcome.REJECTED, code=code, msg=msg)
    proven = 400 <= status < 500 and status != 408 and code is not None and code not in _UNKNOWN_CODES
    return Reply(outcome=Outcome.REJECTED if proven else Outcome.UNKNOWN, code=code, msg=msg)


def _outcome(route: Route, entry: _Entry) -> Reply:
    code, order_id = _code(entry), entry.orderId if entry.algoId is None else entry.algoId
    if code is not None and code < 0:
        outcome = Outcome.UNKNOWN if code in _UNKNOWN_CODES else Outcome.REJECTED
        return Reply(outcome=outcome, code=code, msg=entry.msg)
    if route.kind in _WITH_IDS and order_id is None:
        return _UNKNOWN
    return Reply(
        outcome=Outcome.ACCEPTED,
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
