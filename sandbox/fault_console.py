"""The fault console, GET/POST/DELETE /sandbox/faults: one door for the faults of the way, the engine and the limits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from sandbox.binance.bans import Bans
from sandbox.engine.exchange import Exchange
from sandbox.engine.rejection import Reason, Rejected
from sandbox.faults import Faults, FaultScope, LateExecution
from sandbox.late_requests import LateRequests

_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
_DAY_S = 24 * 3600


class ArmFaults(msgspec.Struct, forbid_unknown_fields=True):
    """What can be armed; what is left out stays as it is. `docs/practice-exchange.md` explains each."""

    scope: FaultScope | None = None
    latency_ms: _Milliseconds | None = None
    jitter_ms: _Milliseconds | None = None
    lost_request: _Count | None = None
    drop_reply: _Count | None = None
    duplicate: _Count | None = None
    unknown_503: _Count | None = None
    unknown_503_execution: LateExecution | None = None
    late_ms: _Milliseconds | None = None
    reject_429: _Count | None = None
    retry_after_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] | None = None
    ban_418: Annotated[int, msgspec.Meta(ge=0, le=3 * _DAY_S)] | None = None
    ban_address: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    maintenance: bool | None = None
    empty_book: bool | list[str] | None = None
    partial_fills: _Count | None = None
    partial_fill_fraction: Decimal | None = None


class FaultConsole:
    """Arms, shows and clears. `wall_ms` is the clock that bans are measured with."""

    def __init__(self, exchange: Exchange, bans: Bans, seed: int, wall_ms: Callable[[], int]) -> None:
        self._exchange = exchange
        self._bans = bans
        self._seed = seed
        self._wall_ms = wall_ms
        self.faults = Faults(seed=seed)
        self.late = LateRequests()

    def show(self) -> dict[str, Any]:
        """Everything armed, in the names it is armed by, and how often each fault has been met."""
        faults, exchange = self.faults, self._exchange
        return {
            "scope": faults.scope,
            "latency_ms": faults.latency_ms,
            "jitter_ms": faults.jitter_ms,
            "lost_request": faults.lost_request,
            "drop_reply": faults.drop_reply,
            "duplicate": faults.duplicate,
            "unknown_503": faults.unknown_503,
            "unknown_503_execution": faults.unknown_503_execution,
            "late_ms": faults.late_ms,
            "reject_429": faults.reject_429,
            "retry_after_s": faults.retry_after_s,
            "ban_418": self._bans.left_s(self._wall_ms()),
            "maintenance": exchange.maintenance,
            "empty_book": [symbol for symbol, market in exchange.markets.items() if market.depth.withdrawn],
            "partial_fills": exchange.partial_fills,
            "partial_fill_fraction": str(exchange.partial_fill_fraction),
            "hits": dict(faults.hits),
        }

    def arm(self, asked: ArmFaults) -> dict[str, Any]:
        """Arm what is asked for; `Rejected(UNKNOWN_SYMBOL)` for an unlisted symbol, and then nothing has changed."""
        fraction = asked.partial_fill_fraction
        if fraction is not None and not (fraction.is_finite() and 0 < fraction <= 1):
            raise msgspec.ValidationError("partial_fill_fraction: above 0 and at most 1")
        if isinstance(asked.empty_book, list) and not set(asked.empty_book) <= set(self._exchange.markets):
            raise Rejected(Reason.UNKNOWN_SYMBOL)
        # What is not a field of `Faults` belongs to the engine or the bans.
        for name in asked.__struct_fields__:
            value = getattr(asked, name)
            if value is not None and hasattr(self.faults, name):
                setattr(self.faults, name, value)
        self._arm_engine(asked)
        if asked.ban_418 is not None:
            self._bans.ban(asked.ban_address, self._wall_ms() + asked.ban_418 * 1000)
        return self.show()

    def clear(self) -> dict[str, Any]:
        """Disarm everything, lift every ban and forget the hits and what was still to be executed."""
        self.faults = Faults(seed=self._seed)
        self.late.clear()
        self._arm_engine(
            ArmFaults(maintenance=False, empty_book=False, partial_fills=0, partial_fill_fraction=Decimal("0.25"))
        )
        self._bans.lift()
        return self.show()

    def _arm_engine(self, asked: ArmFaults) -> None:
        exchange = self._exchange
        if asked.maintenance is not None:
            exchange.maintenance = asked.maintenance
        if asked.partial_fills is not None:
            exchange.partial_fills = asked.partial_fills
        if asked.partial_fill_fraction is not None:
            exchange.partial_fill_fraction = asked.partial_fill_fraction
        if asked.empty_book is not None:
            for symbol, market in exchange.markets.items():
                listed = isinstance(asked.empty_book, list) and symbol in asked.empty_book
                market.depth.withdrawn = asked.empty_book is True or listed
