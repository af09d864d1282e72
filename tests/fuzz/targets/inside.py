"""What the guard's own processes tell each other: documents of the store, recorded commands, the kill's line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from proxy.decoding import build
from proxy.kill.line import Unheard, _request
from proxy.store.codec import build_command, dump, load, plain, plain_command
from proxy.store.documents import decode_account, decode_markets
from proxy.store.fence import Scope
from rules.facts import AccountRecord, Conditions
from rules.instrument import Instrument
from rules.model import AmendOrder, CancelOrder, PlaceOrder, Side
from rules.usual import UsualOrders
from tests.fuzz.target import Refused, Target
from tests.rules.builders import MARKS, an_account

_DOCUMENTS: Final[tuple[Callable[[str], Any], ...]] = (
    decode_account,
    decode_markets,
    lambda body: build(load(body), dict[str, Instrument]),
    lambda body: build(load(body), Conditions),
    lambda body: build(load(body), AccountRecord),
    lambda body: build(load(body), UsualOrders),
    lambda body: build_command(load(body)),
)

# What `readable` takes for an unreadable answer.
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


def _reader(data: bytes) -> Callable[[str], Any]:
    return _DOCUMENTS[(data[0] if data else 0) % len(_DOCUMENTS)]


def _read_document(data: bytes) -> Any:
    """The store's client hands on text; the first byte picks the document."""
    try:
        return _reader(data)(data[1:].decode())
    except _UNREADABLE:
        raise Refused from None


def _check_document(data: bytes, value: Any) -> None:
    """Written down again it reads as itself; compared in writing, for a number may be none."""
    written = dump(plain_command(value) if _reader(data) is _DOCUMENTS[-1] else plain(value))
    again = _reader(data)(written.decode())
    assert dump(plain_command(again) if _reader(data) is _DOCUMENTS[-1] else plain(again)) == written


def _document_seeds() -> Iterator[bytes]:
    account = an_account().long("BTCUSDT", "2").account
    order = PlaceOrder(symbol="BTCUSDT", side=Side.BUY, order_type="LIMIT", quantity=Decimal("0.1"), price=Decimal(9))  # type: ignore[arg-type]
    amend = AmendOrder(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(1), price=Decimal(2), order_id="1")
    yield b"\0" + dump(plain(account))
    yield b"\x01" + dump(plain(MARKS))
    for command in (order, amend, CancelOrder(symbol="BTCUSDT", client_order_id="x-1")):
        yield b"\x06" + dump(plain_command(command))
    for place in range(7):
        yield bytes([place]) + b"{}"


def _read_line(data: bytes) -> tuple[Scope, str, str]:
    try:
        return _request(data)
    except (Unheard, ValueError):
        raise Refused from None


def _check_line(data: bytes, read: tuple[Scope, str, str]) -> None:
    scope, by, reason = read
    asked = json.loads(data)
    assert asked == {"command": "kill", "scope": str(scope), "by": by, "reason": reason}
    assert Scope.parse(str(scope)) == scope
    assert all(0 < len(text) <= 500 and text.isprintable() for text in (by, reason))
    assert "/" not in scope.name and scope.name not in (".", "..")


def _line_seeds() -> Iterator[bytes]:
    for scope in ("desk", "venue:binance_usdm", "account:demo", "bot:ada"):
        yield json.dumps({"command": "kill", "scope": scope, "by": "ada", "reason": "drill"}).encode() + b"\n"


DOCUMENTS = Target(name="documents", read=_read_document, check=_check_document, seeds=_document_seeds)
CONTROL_LINE = Target(name="control_line", read=_read_line, check=_check_line, seeds=_line_seeds)
