"""What a gate asks of the store in its one round trip, and what it is told: plain nouns, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rules.instrument import Instrument
from rules.model import TradingState
from rules.snapshot import Account, Controls, HeldOrder, Hold, Market, UnreportedOrder


@dataclass(frozen=True, slots=True)
class Bucket:
    """One token bucket a request is counted in. Mirrors ``message_rate`` of the policy."""

    scope: str
    per_second: Decimal
    burst: Decimal
    tighten: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """What the one round trip is asked: whom to check, what to spend and reserve, what to write ahead."""

    hold_id: str
    account: str
    venue: str
    bot: str
    guard_key: str
    orders: tuple[HeldOrder, ...]
    reserve: bool
    spend: int
    buckets: tuple[Bucket, ...]
    write_ahead: Mapping[str, Any] | None
    replay_digest: str
    replay_window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The store's answer, decoded: everything a snapshot is made of."""

    sequence: int
    controls: Mapping[str, str]
    key_disabled: bool
    anomaly: float
    tokens: Mapping[str, Decimal]
    holds: tuple[Hold, ...]
    unreported: tuple[UnreportedOrder, ...]
    account: Account | None
    markets: Mapping[str, Market]
    instruments: Mapping[str, Instrument]
    instruments_version: str

    def controls_for(self, *, account: str, bot: str, symbols: Sequence[str]) -> Controls:
        """The trading states that apply to one bot and account, and the strictest of the symbols asked for."""

        def state(level: str) -> TradingState:
            return TradingState(self.controls.get(level, TradingState.ACTIVE.value))

        return Controls(
            generation=int(self.controls.get("generation", "0")),
            desk=state("desk"),
            account=state(f"account:{account}"),
            bot=state(f"bot:{bot}"),
            symbol=max(
                (state(f"symbol:{symbol}") for symbol in symbols),
                key=lambda found: found.severity,
                default=TradingState.ACTIVE,
            ),
            kill_running="kill:desk" in self.controls or f"kill:account:{account}" in self.controls,
        )
