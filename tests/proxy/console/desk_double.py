"""A desk behind the ``ControlPlane``: the edge of the console. It remembers what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.console.plane import (
    AccountView,
    BotView,
    CertificateRow,
    CertificateView,
    ControlRefused,
    DeskView,
    FeedView,
    OverrideView,
    PositionView,
)
from proxy.console.rearm_plane import CheckView, DrillProgress, RearmView
from proxy.console.signals_plane import SignalsView
from proxy.overrides.terms import Terms
from tests.support.certificates import JOB, a_view
from tests.support.signals import a_signals_view

TOKEN = "control-token-of-the-tests-0123456789"


def a_leg(**changes: Any) -> PositionView:
    """Two bitcoin, long."""
    leg = PositionView(
        symbol="BTCUSDT",
        position_side="LONG",
        quantity="0.250",
        entry_price="64210.50",
        mark_price="64833.10",
        notional="16208.27",
        unrealised_pnl="155.65",
        liquidation_price="41200.00",
    )
    return replace(leg, **changes)


def an_account(**changes: Any) -> AccountView:
    """One trading account with a long and a short."""
    account = AccountView(
        name="main",
        venue="binanceusdm",
        state="ACTIVE",
        kill_running=False,
        fence_engaged=False,
        survey_age_s=3.2,
        margin_balance="12450.73",
        leverage="1.92",
        positions=(
            a_leg(),
            a_leg(
                symbol="ETHUSDT",
                position_side="BOTH",
                quantity="-2.400",
                entry_price="3180.00",
                mark_price="3204.15",
                notional="-7689.96",
                unrealised_pnl="-57.96",
                liquidation_price=None,
            ),
        ),
        open_orders=4,
        conditional_orders=2,
        holds=1,
        unknown_holds=0,
        feed=FeedView(state="LIVE", why="", age_s=0.4, adopted={"positions": 2, "open_orders": 6}, gaps_healed=0),
    )
    return replace(account, **changes)


def a_bot(**changes: Any) -> BotView:
    """One calm bot."""
    bot = BotView(name="grid-1", account="main", key_hint="pg_…a91c", key_state="live", anomaly=0.12, why="")
    return replace(bot, **changes)


def a_desk(**changes: Any) -> DeskView:
    """One account, two bots."""
    desk = DeskView(
        desk="tokyo",
        at="2026-11-24T09:30:00+00:00",
        state="ACTIVE",
        policy_name="demo",
        policy_owner="risk@desk.example",
        policy_version="a1b2c3d4e5f60718",
        generation=7,
        markets_age_s=0.8,
        store_ok=True,
        accounts=(an_account(),),
        bots=(a_bot(), a_bot(name="momentum", anomaly=0.86, why="order size far above its habit")),
    )
    return replace(desk, **changes)


def an_override(**changes: Any) -> OverrideView:
    """Leave for one large order, waiting for a second person."""
    override = OverrideView(
        id="0123456789",
        state="REQUESTED",
        bot="momentum",
        symbol="BTCUSDT",
        side="BUY",
        rule="max_order_value",
        quantity_max="2",
        ticket="RISK-17",
        reason="close the hedge of desk B",
        requested_by="Ada Lovelace",
        approved_by="",
        until="2026-11-24T10:00:00Z",
    )
    return replace(override, **changes)


def a_refusal(**changes: Any) -> dict[str, Any]:
    """One blocked order."""
    return {
        "time": "2026-11-24T09:29:41+00:00",
        "bot": "momentum",
        "account": "main",
        "command": "BUY 5 BTCUSDT LIMIT 64800",
        "rule": "max_order_value",
        "code": "ORDER_VALUE_ABOVE_LIMIT",
        "observed": "324000",
        "limit": "25000",
        "headroom": "0.385",
        "message": "order value 324000 is above 25000",
        "decision_id": "01JD3M-7f",
    } | changes


def a_row(view: CertificateView) -> CertificateRow:
    """The line of a certificate in the list."""
    told = view.document
    texts = {name: str(told.get(name, "")) for name in ("kind", "phase", "by", "reason", "pressed_at")}
    issued_at = told["issue"]["at"] if told else ""
    return CertificateRow(id=view.id, subject="account main", issued_at=issued_at, problem=view.problem, **texts)


def a_rearm(**changes: Any) -> RearmView:
    """A desk that was killed and may come back: all holds, nobody has asked."""
    view = RearmView(
        scope="desk",
        stopped=True,
        stage="KILLED",
        share="0",
        policy="a1b2c3d4e5f60718",
        needs="delay",
        delay_s=900,
        reduce_only_s=300,
        ramp_s=1800,
        checks=(
            CheckView(name="flat", holds=True, said="no position, no order"),
            CheckView(name="feeds", holds=False, said="the stream of main is stale"),
        ),
    )
    return replace(view, **changes)


A_DRILL: Mapping[str, Any] = {
    "id": "20261124T093000000000",
    "kind": "practice",
    "at": "2026-11-24T09:30:00Z",
    "by": "Ada Lovelace",
    "phase": "FLAT",
    "passed": True,
    "blocked_ms": 11.5,
    "accounts": [{"account": "main", "cancelled_ms": 800.0, "flat_ms": 1500.0, "cost": "12.50"}],
}


@dataclass
class RearmDouble:
    """Implements ``RearmPlane``: what is asked for is written down, and the view moves on as it would."""

    desk: DeskDouble

    async def request(self, **asked: str) -> RearmView:
        self._act("request", asked)
        if asked["scope"].startswith("bot:"):
            return a_rearm(scope=asked["scope"], stage="ACTIVE", stopped=False, simple=True, checks=())
        view = self.desk.scopes.get(asked["scope"], a_rearm(scope=asked["scope"]))
        view = replace(view, stage="REQUESTED", by=asked["name"], reason=asked["reason"], due="2026-11-24T09:45:00Z")
        self.desk.scopes[asked["scope"]] = replace(view, waits_s=900.0)
        return view

    async def approve(self, **asked: str) -> RearmView:
        self._act("approve", asked)
        view = self.desk.scopes[asked["scope"]]
        opened = {"opened_at": "2026-11-24T09:31:00Z", "ramps_at": "2026-11-24T09:36:00Z", "waits_s": 300.0}
        view = replace(view, stage="REDUCING", stopped=False, approved_by=asked["name"], checks=(), **opened)
        self.desk.scopes[asked["scope"]] = view
        return view

    async def withdraw(self, **asked: str) -> RearmView:
        self._act("withdraw", asked)
        self.desk.scopes[asked["scope"]] = a_rearm(scope=asked["scope"])
        return self.desk.scopes[asked["scope"]]

    async def seen(self, scope: str) -> RearmView:
        return self.desk.scopes.get(scope, a_rearm(scope=scope))

    async def all(self) -> Sequence[RearmView]:
        return tuple(self.desk.scopes.values())

    def _act(self, what: str, asked: dict[str, str]) -> None:
        if self.desk.refuse:
            raise ControlRefused(self.desk.refuse)
        self.desk.rearms.append({"what": what, **asked})


@dataclass
class DrillDouble:
    """Implements ``DrillPlane``."""

    desk: DeskDouble

    async def start(self, *, kind: str, by: str) -> DrillProgress:
        if self.desk.refuse:
            raise ControlRefused(self.desk.refuse)
        self.desk.drilled.append({"kind": kind, "by": by})
        self.desk.drill_progress = DrillProgress(kind=kind, by=by, running=True, steps=("the button is pressed",))
        return self.desk.drill_progress

    async def progress(self) -> DrillProgress | None:
        return self.desk.drill_progress

    async def reports(self) -> Sequence[Mapping[str, Any]]:
        return (A_DRILL,)

    async def report(self, drill_id: str) -> Mapping[str, Any] | None:
        return A_DRILL if drill_id == A_DRILL["id"] else None


@dataclass
class SignalsDouble:
    """Implements ``SignalsPlane``."""

    desk: DeskDouble

    async def signals(self) -> SignalsView:
        if self.desk.broken:
            raise RuntimeError("bug with a secret in it")
        return self.desk.signals_view


@dataclass
class DeskDouble:
    """Implements ``ControlPlane`` and ``Certificates``."""

    view: DeskView = field(default_factory=a_desk)
    refusals: list[dict[str, Any]] = field(default_factory=lambda: [a_refusal()])
    decisions: dict[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"01JD3M-7f": {"verdict": "DENY", "breaches": [a_refusal()]}}
    )
    job: Mapping[str, Any] | None = None
    kills: list[dict[str, str]] = field(default_factory=list)
    reductions: list[dict[str, str]] = field(default_factory=list)
    rearms: list[dict[str, str]] = field(default_factory=list)
    scopes: dict[str, RearmView] = field(default_factory=lambda: {"desk": a_rearm()})
    drilled: list[dict[str, str]] = field(default_factory=list)
    drill_progress: DrillProgress | None = None
    overrides: list[tuple[str, str, Any]] = field(default_factory=list)
    policies: list[dict[str, str]] = field(default_factory=list)
    papers: dict[str, CertificateView] = field(default_factory=lambda: {JOB: a_view()})
    signals_view: SignalsView = field(default_factory=a_signals_view)
    refuse: str = ""
    broken: bool = False

    async def certificates(self) -> Sequence[CertificateRow]:
        return [a_row(view) for view in self.papers.values()]

    async def certificate(self, certificate_id: str) -> CertificateView | None:
        return self.papers.get(certificate_id)

    def has_certificate(self, certificate_id: str) -> bool:
        return certificate_id in self.papers

    async def desk(self) -> DeskView:
        if self.broken:
            raise RuntimeError("bug with a secret in it")
        return self.view

    async def blocked(
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        wanted = {"bot": bot, "rule": rule, "account": account}
        return [row for row in self.refusals if all(value in (None, row[name]) for name, value in wanted.items())][
            :limit
        ]

    async def decision(self, decision_id: str) -> Mapping[str, Any] | None:
        return self.decisions.get(decision_id)

    async def kill(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        if self.refuse:
            raise ControlRefused(self.refuse)
        self.kills.append({"scope": scope, "by": by, "reason": reason})
        return {"job": "job-1", "scope": scope, "blocked_ms": 11.5, "generation": 8}

    async def reduce(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        self.reductions.append({"scope": scope, "by": by, "reason": reason})
        return {"scope": scope, "reduced": ["main"]}

    async def kill_progress(self) -> Mapping[str, Any] | None:
        return self.job

    @property
    def rearming(self) -> RearmDouble:
        return RearmDouble(self)

    @property
    def drills(self) -> DrillDouble:
        return DrillDouble(self)

    @property
    def signals(self) -> SignalsDouble:
        return SignalsDouble(self)

    async def request_override(self, *, terms: Terms, name: str) -> OverrideView:
        return self._override("request", name, terms)

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        return self._override("approve", name, override_id)

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        return self._override("withdraw", name, override_id)

    def _override(self, act: str, name: str, what: Any) -> OverrideView:
        if self.refuse:
            raise ControlRefused(self.refuse)
        self.overrides.append((act, name, what))
        return an_override()

    async def propose_policy(self, *, text: str, name: str, reason: str) -> Mapping[str, Any]:
        return self._policy(step="propose", text=text, name=name, reason=reason)

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        return self._policy(step="approve", digest=digest, name=name, reason=reason)

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        return self._policy(step="withdraw", digest=digest, name=name, reason=reason)

    def _policy(self, **asked: str) -> Mapping[str, Any]:
        if self.refuse:
            raise ControlRefused(self.refuse)
        self.policies.append(asked)
        return {"in_force": "a1b2c3d4e5f60718", "pending": None}
