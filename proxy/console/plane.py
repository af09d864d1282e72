"""What the console and the control API may ask of the warden, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.console.rearm_plane import DrillPlane, RearmPlane
from proxy.console.signals_plane import SignalsPlane
from proxy.overrides.terms import Terms


class ControlRefused(Exception):
    """The request was understood and refused; the text is for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """One open leg as the console shows it: venue strings, exact."""

    symbol: str
    position_side: str
    quantity: str
    entry_price: str
    mark_price: str
    notional: str
    unrealised_pnl: str
    liquidation_price: str | None


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
    """

    name: str
    venue: str
    state: str
    kill_running: bool
    fence_engaged: bool
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
class LastDrill:
    """The newest rehearsal of the kill."""

    id: str
    kind: str
    at: str
    age_s: float
    passed: bool
    phase: str


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
class DeskView:
    """The desk in one glance. ``anomaly`` is the score across accounts, ``why`` what drove it.

    ``drill`` is the newest rehearsal, ``None`` when there never was one.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """One certificate in a list. ``kind`` is ``account`` or ``press``, ``subject`` whom it concerns.

    ``problem`` says why it does not verify; then the other texts may be empty.
    """

    id: str
    kind: str
    subject: str
    phase: str
    by: str
    reason: str
    pressed_at: str
    issued_at: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """One certificate: the file's ``content``, byte for byte, and the signed ``document`` in it.

    ``problem`` says why it does not verify; then ``document`` is empty. ``absent`` names accounts of a press whose
    certificates are not here.
    """

    id: str
    content: bytes
    document: Mapping[str, Any]
    absent: Sequence[str]
    problem: str


class Certificates(Protocol):
    """The certificates of ended kills. None of these raises for a certificate that is damaged: it says so."""

    async def certificates(self) -> Sequence[CertificateRow]:
        """The newest ones, newest first."""
        ...

    async def certificate(self, certificate_id: str) -> CertificateView | None:
        """One of them; ``None`` when there is none of that id."""
        ...

    def has_certificate(self, certificate_id: str) -> bool:
        """Whether there is one of that id."""
        ...


class ControlPlane(Protocol):
    """The warden, as the control door sees it. Every method may take a second; none raises but ``ControlRefused``."""

    async def desk(self) -> DeskView:
        """The state of everything."""
        ...

    async def blocked(
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """The newest refusals: time, bot, account, command in words, rule, code, observed, limit, headroom, message,
        decision id."""
        ...

    async def decision(self, decision_id: str) -> Mapping[str, Any] | None:
        """Everything the archive holds of one request, and what its refused orders would have come to."""
        ...

    async def kill(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Press the button. Returns as soon as trading is BLOCKED: scope, blocked_ms, generation, latched, gates (who
        said so), in_flight (what was on the wire). The job runs on.

        Raises ``ControlRefused`` for an unknown scope.
        """
        ...

    async def reduce(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Let nothing in that adds risk: scope, reduced (the accounts that were not so, nor stopped, before).

        Raises ``ControlRefused`` for an unknown scope, and when the store does not answer.
        """
        ...

    async def kill_progress(self) -> Mapping[str, Any] | None:
        """The newest job: running, scope, by, reason, flat, flat_ms, accounts (name, phase, steps, read_backs)."""
        ...

    @property
    def rearming(self) -> RearmPlane:
        """How what was stopped comes back."""
        ...

    @property
    def drills(self) -> DrillPlane:
        """Rehearsals of the kill."""
        ...

    @property
    def signals(self) -> SignalsPlane:
        """Forecasts and scores, and how well they have held."""
        ...

    async def request_override(self, *, terms: Terms, name: str) -> OverrideView:
        """Keep a request for an override until another person approves it. Raises ``ControlRefused``."""
        ...

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        """Put a request in force. Raises ``ControlRefused``, also for the person who asked."""
        ...

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        """Take a request or an override back. Raises ``ControlRefused``."""
        ...

    async def propose_policy(self, *, text: str, name: str, reason: str) -> Mapping[str, Any]:
        """Put a policy in force, or, when it loosens anything, on the list: in_force, pending (or null).

        Raises ``ControlRefused``, with everything that is wrong with the text.
        """
        ...

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        """Agree to what somebody else proposed; answers as proposing does. Raises ``ControlRefused``."""
        ...

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        """Take a proposal off the list. Raises ``ControlRefused``."""
        ...
