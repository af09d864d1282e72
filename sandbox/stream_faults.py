"""Trouble with streams on demand, at `GET|POST|DELETE /sandbox/streams`.

What the guard must survive on a real venue: events that come late, twice, in the wrong order or never, connections that
stay open and say nothing, and venues that do not let anybody in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]


@dataclass(slots=True)
class StreamFaults:
    """The armed faults. Those of user streams concern `accounts` (None: every account).

    One event is one change of the account: an order's update and its TRADE_LITE are dropped or doubled together.

    - `lag_ms`: every event is delivered that much later, in order. A venue under load.
    - `drop`: the next n events are never delivered. A gap nobody announces.
    - `duplicate`: the next n events are delivered twice. A venue's redelivery after its own failover.
    - `reorder`: the next n pairs of events arrive swapped. Two servers of the venue answering out of step.
    - `freeze`: connections stay open and silent; what happens meanwhile is lost. A half-dead connection.
    - `refuse`: new sockets of any kind are answered 503. A venue that is down, or sheds load.
    - `market_freeze`, `market_lag_ms`: the same for market streams, whoever listens.
    """

    accounts: frozenset[str] | None = None
    lag_ms: int = 0
    drop: int = 0
    duplicate: int = 0
    reorder: int = 0
    freeze: bool = False
    refuse: bool = False
    market_freeze: bool = False
    market_lag_ms: int = 0

    def concern(self, account: str) -> bool:
        """True when the user-stream faults are aimed at this account."""
        return self.accounts is None or account in self.accounts


class Streams(Protocol):
    """What the door can do to open connections, and tell of them."""

    def disconnect_users(self, accounts: frozenset[str] | None) -> None:
        """Close the sockets that hear these accounts (None: any account)."""
        ...

    def disconnect_markets(self) -> None:
        """Close the sockets that hear only markets."""
        ...

    def expire_keys(self) -> None:
        """End every listen key as if its sixty minutes were over."""
        ...

    def settle(self) -> None:
        """Say on the market streams what has happened so far, before the faults change."""
        ...

    def release(self) -> None:
        """Deliver the events that `reorder` holds back."""
        ...

    def listening(self) -> dict[str, object]:
        """How many sockets hear each account, and how many the markets."""
        ...


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    accounts: list[str] | None = None
    lag_ms: _Milliseconds | None = None
    drop: _Count | None = None
    duplicate: _Count | None = None
    reorder: _Count | None = None
    freeze: bool | None = None
    refuse: bool | None = None
    market_freeze: bool | None = None
    market_lag_ms: _Milliseconds | None = None
    # Done once, now: every socket that hears these accounts is closed; every socket that hears only markets; every
    # listen key ends as if its time had run out.
    disconnect: bool = False
    market_disconnect: bool = False
    expire_keys: bool = False


class StreamFaultDoor:
    """Answers /sandbox/streams; `faults` is read by whoever delivers."""

    def __init__(self, faults: StreamFaults, streams: Streams) -> None:
        self.faults = faults
        self._streams = streams

    def answer(self, method: str, body: bytes) -> dict[str, object]:
        """GET shows, POST arms, DELETE disarms; `msgspec.DecodeError` for bodies that cannot be used."""
        match method:
            case "GET":
                pass
            case "POST":
                self._arm(msgspec.json.decode(body, type=_Asked))
            case _:
                self._disarm()
        armed = {name: getattr(self.faults, name) for name in StreamFaults.__slots__}
        accounts = self.faults.accounts
        return armed | {"accounts": None if accounts is None else sorted(accounts)} | self._streams.listening()

    def _arm(self, asked: _Asked) -> None:
        self._streams.settle()
        if asked.reorder == 0:
            self._streams.release()
        if asked.accounts is not None:
            self.faults.accounts = frozenset(asked.accounts)
        for name in StreamFaults.__slots__:
            value = getattr(asked, name)
            if name != "accounts" and value is not None:
                setattr(self.faults, name, value)
        if asked.disconnect:
            self._streams.disconnect_users(self.faults.accounts)
        if asked.market_disconnect:
            self._streams.disconnect_markets()
        if asked.expire_keys:
            self._streams.expire_keys()

    def _disarm(self) -> None:
        self._streams.settle()
        unarmed = StreamFaults()
        for name in StreamFaults.__slots__:
            setattr(self.faults, name, getattr(unarmed, name))
        self._streams.release()
