"""What a gate asks of the store in its one round trip, and what it is told: plain nouns, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import Struct

from proxy.store.ramp import ramp_field, ramp_share
from rules.account import Account, Attempt, HeldOrder, Hold, UnreportedOrder
from rules.facts import AccountRecord, Conditions, Override, Score
from rules.instrument import Instrument
from rules.model import TradingState
from rules.policy import Policy
from rules.snapshot import Controls, Market
from rules.usual import UsualOrders


@dataclass(frozen=True, slots=True)
class Bucket:
    """One token bucket a request is counted in. Mirrors ``message_rate`` of the policy.

    ``spend`` tokens are taken when there are enough in every bucket that ``refuses``; one that only reports is charged
    by its own balance. ``drain`` are taken in any case, down to none. An anomaly score keeps tokens back from the bot
    it is of; only a bucket that is its ``own`` fills more slowly as well: others' would be slowed with it.
    """

    scope: str
    per_second: Decimal
    burst: Decimal
    tighten: Decimal
    spend: int = 0
    drain: int = 0
    refuses: bool = True
    own: bool = False


class HoldRequest(Struct, frozen=True, kw_only=True):
    """What the one round trip is asked: whom to check, what to count and reserve, what to write ahead.

    ``attempts_window_s`` is how far back the bot's earlier entries are wanted, 0 for none.
    """

    hold_id: str
    account: str
    venue: str
    bot: str
    guard_key: str
    orders: tuple[HeldOrder, ...]
    reserve: bool
    buckets: tuple[Bucket, ...]
    write_ahead: Mapping[str, Any] | None
    replay_digest: str
    replay_window_ms: int
    attempts_window_s: int = 0


class View(Struct, frozen=True, kw_only=True):
    """The store's answer, decoded: everything a snapshot is made of, and the policy in force at that moment.

    ``policy`` is ``None`` when the store has none, or one this gate cannot read; ``policy_version`` names it still.
    ``told_at`` is what the store's clock showed, by which ``attempts`` are dated; ``None`` of what was put together
    without asking it.
    """

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
    policy: Policy | None
    policy_version: str
    conditions: Conditions | None
    record: AccountRecord | None
    attempts: tuple[Attempt, ...] = ()
    scores: Mapping[str, Score] = {}
    overrides: tuple[Override, ...] = ()
    usual: UsualOrders | None = None
    told_at: datetime | None = None


class Look(Struct, frozen=True, kw_only=True):
    """The account and its holds a moment later, with what may have come to stop the order since it was held."""

    holds: tuple[Hold, ...]
    account: Account | None
    controls: Mapping[str, str]
    key_disabled: bool
    policy_version: str


def controls_for(
    fields: Mapping[str, str], *, account: str, bot: str, symbols: Sequence[str], venue: str = ""
) -> Controls:
    """The trading states that apply to one bot and account, and the strictest of the symbols asked for.

    ``fields`` are the store's. A word that this gate does not know may be any state, so it is the strictest. A scope
    that came back without any share of its limits yet is reduce-only.
    """
    return _controls(tuple(fields.items()), account, bot, tuple(symbols), venue)


@lru_cache(maxsize=256)
def _controls(
    told: tuple[tuple[str, str], ...], account: str, bot: str, symbols: tuple[str, ...], venue: str
) -> Controls:
    """They change by a person's hand or a kill, and are asked for with every order: the very texts are the key."""
    fields = dict(told)

    def share(scope: str) -> Decimal:
        return ramp_share(fields.get(ramp_field(scope)))

    def state(level: str) -> TradingState:
        try:
            return TradingState(fields.get(level, TradingState.ACTIVE.value))
        except ValueError:
            return TradingState.HALTED

    def strictest(*levels: str) -> TradingState:
        return max(map(state, levels), key=lambda found: found.severity, default=TradingState.ACTIVE)

    scopes = ("desk", f"venue:{venue}", f"account:{account}", f"bot:{bot}")
    shares = {scope: share(scope) for scope in scopes}

    def level(scope: str, *others: str) -> TradingState:
        return max(
            strictest(scope, *others),
            TradingState.ACTIVE if shares[scope] else TradingState.REDUCING,
            key=lambda found: found.severity,
        )

    return Controls(
        generation=int(fields.get("generation", "0")),
        desk=level("desk"),
        venue=level(f"venue:{venue}"),
        account=level(f"account:{account}"),
        # What a rule made of the bot, and a kill of it: two latches, either stops.
        bot=level(f"bot:{bot}", f"killed:bot:{bot}"),
        symbol=strictest(*(f"symbol:{symbol}" for symbol in symbols)),
        kill_running=any(f"kill:{scope}" in fields for scope in scopes),
        ramp=min(shares.values()),
    )
