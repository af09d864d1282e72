"""The desk as the console and the control API show it: plain nouns, each once, in venue strings and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """One enforced limit of the policy and what is in use of it, by the rule's own arithmetic.

    Positions, resting orders and holds count as if filled. ``name`` says which of a rule's limits, empty for its only
    one; ``symbol`` is empty for the whole account. ``unit`` is ``x`` for multiples of margin balance, ``base`` for base
    units, empty for quote currency. ``share`` is used over limit, at most 9.99.
    """

    rule: str
    level: str
    name: str
    symbol: str
    observed: str
    limit: str
    unit: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopView:
    """One protective stop of a leg. ``quantity`` is empty for one that closes all of it."""

    trigger_price: str
    quantity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolView:
    """One symbol that is held or whose state is not ACTIVE, across the desk's accounts."""

    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """One open leg as the console shows it: venue strings, exact.

    ``stops`` are the conditional orders that protect it, ``margin_mode`` is CROSS or ISOLATED.
    """

    symbol: str
    position_side: str
    quantity: str
    entry_price: str
    mark_price: str
    notional: str
    unrealised_pnl: str
    liquidation_price: str | None
    leverage: str | None = None
    margin_mode: str = ""
    stops: Sequence[StopView] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedView:
    """An account's private stream. ``state`` is LIVE, STALE (``why`` says so) or OFF (surveys alone); ``age_s`` is the
    venue's last sign of life. ``adopted`` is what the first survey found, ``None`` before it; ``gaps_healed`` counts
    what surveys put right that the stream had not told."""

    state: str
    why: str
    age_s: float | None
    adopted: Mapping[str, Any] | None
    gaps_healed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """Something that happened without the guard. ``activity`` is ``order``, ``fill``, ``leverage``, ..., ``forced``."""

    at: str
    activity: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One exchange account. ``state`` is ACTIVE, REDUCING or HALTED; ages are seconds, ``None`` when never seen.

    ``exchange_key`` is ``sound``, ``unknown``, or what is wrong with the key's rights. ``clock_offset_ms`` is the
    venue's time less the guard's. ``outside`` are the newest findings of what did not come through the guard.
    ``anomaly`` is the score of all its bots together, ``why`` what drove it. ``external_trader`` says that it went on
    being traded past the guard after a kill; ``timers`` are the symbols on which the venue's own dead-man timer stands.
    ``limits`` are those of the policy that size an account's book, with what is in use of each; ``margin_used`` is the
    margin that is not available to new orders. ``known_age_s`` is since it was last known to be as shown, by a survey
    or by an unbroken stream; ``survey_age_s`` since it was last read as a whole.
    """

    name: str
    venue: str
    state: str
    kill_running: bool
    fence_engaged: bool
    known_age_s: float | None
    survey_age_s: float | None
    margin_balance: str | None
    leverage: str | None
    positions: Sequence[PositionView]
    open_orders: int
    conditional_orders: int
    holds: int
    unknown_holds: int
    feed: FeedView
    exchange_key: str = "unknown"
    clock_offset_ms: int | None = None
    outside: Sequence[FindingView] = ()
    timers: Sequence[str] = ()
    anomaly: float = 0.0
    why: str = ""
    external_trader: bool = False
    limits: Sequence[LimitView] = ()
    margin_used: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotView:
    """One guard key's bot. ``anomaly`` is 0 to 1, ``why`` its driver in words.

    ``state`` is ACTIVE, REDUCING or HALTED: what a rule made of this bot alone, ``stopped_for`` why.
    """

    name: str
    account: str
    key_hint: str
    key_state: str
    anomaly: float
    why: str
    state: str = "ACTIVE"
    stopped_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideView:
    """Leave for one order, asked for (``state`` REQUESTED) or in force (GRANTED) until ``until``."""

    id: str
    state: str
    bot: str
    symbol: str
    side: str
    rule: str
    quantity_max: str
    ticket: str
    reason: str
    requested_by: str
    approved_by: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A looser policy that waits. ``by`` is empty while nobody stands for it; ``due`` is when it takes effect by
    itself, ``None`` when it needs somebody else. ``stale``: it was proposed against a policy that is not in force any
    more, and has to be proposed again."""

    policy_version: str
    policy_name: str
    policy_owner: str
    by: str
    reason: str
    at: str
    due: str | None
    stale: bool
    loosened: Sequence[str]
    other_changes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOutcome:
    """The digest of the policy in force, and the proposal that waits, if this made one."""

    in_force: str
    pending: ProposalView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDrill:
    """The newest rehearsal of the kill of ``account``: of all accounts' the one that says most against the desk."""

    id: str
    kind: str
    at: str
    age_s: float
    passed: bool
    phase: str
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """A bot's promise to be heard again within ``left_s`` seconds; negative when it was not. ``step`` is what followed:
    reduce, cancel or flatten."""

    bot: str
    account: str
    ttl_s: float
    left_s: float
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogView:
    """A process that flattens when the guard is silent. ``name`` is empty for one that is configured and never called.

    ``duty`` is what it says it is at: waiting, watching, standing down, flattening. ``lost``: it called, and does not
    any more.
    """

    name: str
    duty: str
    heard_age_s: float | None
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveView:
    """The audit's archive. ``trouble`` is why records do not reach it, empty while they do. ``opened``: it has been
    open since the guard's start; until then entries are refused."""

    opened: bool = True
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskView:
    """The desk in one glance. ``anomaly`` is the score across accounts, ``why`` what drove it.

    ``drill`` is of the accounts' newest rehearsals the one that says most against the desk: one that did not pass, else
    the oldest; ``None`` when there never was one. ``unrehearsed`` are the accounts that none names. ``taken_by`` is
    where the guard is that has this desk of the store in our place, empty while it is ours: then entries are refused
    (``DESK_TAKEN``) and nothing is read of the exchange.
    """

    desk: str
    at: str
    state: str
    policy_name: str
    policy_owner: str
    policy_version: str
    generation: int | None
    markets_age_s: float | None
    store_ok: bool
    accounts: Sequence[AccountView]
    bots: Sequence[BotView]
    proposals: Sequence[ProposalView] = ()
    anomaly: float = 0.0
    why: str = ""
    overrides: Sequence[OverrideView] = ()
    drill: LastDrill | None = None
    watchdogs: Sequence[WatchdogView] = ()
    leases: Sequence[LeaseView] = ()
    symbols: Sequence[SymbolView] = ()
    archive: ArchiveView = ArchiveView()
    taken_by: str = ""
    unrehearsed: Sequence[str] = ()
