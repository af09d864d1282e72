"""A desk behind the ``ControlPlane``: the edge of the console. It remembers what was asked of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.audit.plane import (
    AnchorView,
    AuditView,
    ChainView,
    CheckpointView,
    EventView,
    VerificationView,
)
from proxy.audit.query import JudgedCommand
from proxy.certificate.plane import CertificateRow, CertificateView
from proxy.console import examples
from proxy.console.desk_views import (
    AccountView,
    BotView,
    DeskView,
    FeedView,
    LimitView,
    OverrideView,
    PolicyOutcome,
    PositionView,
    StopView,
    SymbolView,
)
from proxy.console.history_plane import HistoryView
from proxy.console.plane import Blocked, DecisionStory
from proxy.drill.plane import DrillProgress
from proxy.drill.shelf import DrillReport
from proxy.kill.gates import Acknowledged
from proxy.kill.in_flight import InFlight
from proxy.kill.press_plane import Kill, Pressed, Reduced
from proxy.kill.rearm_plane import CheckView, RearmView
from proxy.ledger.plane import LedgerView
from proxy.overrides.terms import Terms
from proxy.reasons.inquiry import Recorded
from proxy.reasons.plane import Wanted
from proxy.refused import Refused
from proxy.signals.plane import SignalsView
from proxy.store.codec import plain
from tests.proxy.console.page_doubles import (
    PolicyDouble,
    PreviewDouble,
    ReasonsDouble,
    a_judged_command,
    a_recorded_decision,
)
from tests.support.alerts import AlertsDouble
from tests.support.certificates import JOB, a_view
from tests.support.keys import KeysDouble
from tests.support.ledger import a_ledger_view
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
        leverage="10",
        margin_mode="CROSS",
        stops=(StopView(trigger_price="58000.00", quantity="0.250"),),
    )
    return replace(leg, **changes)


def a_limit(**changes: Any) -> LimitView:
    """Leverage, half of it in use."""
    limit = LimitView(
        rule="max_leverage", level="desk", name="", symbol="", observed="1.92", limit="3.50", unit="x", share=0.549
    )
    return replace(limit, **changes)


def an_account(**changes: Any) -> AccountView:
    """One trading account with a long and a short."""
    account = AccountView(
        name="main",
        venue="binanceusdm",
        state="ACTIVE",
        kill_running=False,
        fence_engaged=False,
        known_age_s=0.8,
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
                stops=(),
            ),
        ),
        open_orders=4,
        conditional_orders=2,
        holds=1,
        unknown_holds=0,
        margin_used="3120.10",
        limits=(
            a_limit(),
            a_limit(
                rule="position_limit", symbol="BTCUSDT", observed="38600.00", limit="40000.00", unit="", share=0.965
            ),
            a_limit(rule="position_limit", symbol="ETHUSDT", observed="7689.96", limit="40000.00", unit="", share=0.19),
            a_limit(rule="correlated_exposure", observed="19842.11", limit="37352.19", unit="", share=0.53),
        ),
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
        symbols=(SymbolView(name="BTCUSDT", state="ACTIVE"), SymbolView(name="ETHUSDT", state="ACTIVE")),
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


def a_refusal(**changes: Any) -> JudgedCommand:
    """One blocked order."""
    return a_judged_command(seq=4711, client_order_id="mine-1", **changes)


def a_story(**changes: Any) -> DecisionStory:
    """All the archive holds of it."""
    story = DecisionStory(
        counterfactual=(),
        id="01JD3M-7f",
        intent=None,
        decision={"verdict": "DENY", "breaches": [plain(a_refusal())]},
        outcome=None,
        others=(),
    )
    return replace(story, **changes)


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


A_DRILL = examples.DRILL


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
        if asked["scope"] not in self.desk.scopes:
            raise Refused("nobody asked for it")
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
            raise Refused(self.desk.refuse)
        self.desk.rearms.append({"what": what, **asked})


@dataclass
class DrillDouble:
    """Implements ``DrillPlane``."""

    desk: DeskDouble

    async def start(self, *, kind: str, by: str) -> DrillProgress:
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        self.desk.drilled.append({"kind": kind, "by": by})
        self.desk.drill_progress = DrillProgress(kind=kind, by=by, running=True, steps=("the button is pressed",))
        return self.desk.drill_progress

    async def progress(self) -> DrillProgress | None:
        return self.desk.drill_progress

    async def reports(self) -> Sequence[DrillReport]:
        return (A_DRILL,)

    async def report(self, drill_id: str) -> DrillReport | None:
        return A_DRILL if drill_id == A_DRILL.id else None


@dataclass
class SignalsDouble:
    """Implements ``SignalsPlane``."""

    desk: DeskDouble

    async def signals(self) -> SignalsView:
        if self.desk.broken:
            raise RuntimeError("bug with a secret in it")
        return self.desk.signals_view


@dataclass
class LedgerDouble:
    """Implements ``LedgerPlane``."""

    desk: DeskDouble

    async def ledger(self, account: str | None, bot: str | None, symbol: str | None) -> LedgerView:
        self.desk.ledger_asked.append((account, bot, symbol))
        return self.desk.ledger_view


@dataclass
class HistoryDouble:
    """Implements ``HistoryPlane``."""

    desk: DeskDouble

    async def history(self) -> HistoryView:
        return self.desk.history_view


HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass
class AuditDouble:
    """Implements ``AuditPlane``."""

    desk: DeskDouble

    async def audit(self) -> AuditView:
        if self.desk.broken:
            raise RuntimeError("bug with a secret in it")
        return self.desk.audit_view

    async def verify(self) -> bool:
        self.desk.verifications += 1
        return self.desk.audit_view.running is None


def an_audit(**changes: Any) -> AuditView:
    """A whole archive of two chains, one anchor that fails, and one event whose words are hostile."""
    view = AuditView(
        place="/data/audit/audit.db",
        records=1200,
        root="ab" * 32,
        chains=[
            ChainView(chain="", records=200, hash="cd" * 32),
            ChainView(chain=HOSTILE, records=1000, hash="ef" * 32),
        ],
        checkpoint=CheckpointView(seq=1200, at="2026-11-24T09:29:59Z", key_id="0123456789abcdef"),
        anchors=[
            AnchorView(name="beside the archive", seq=1200, at="2026-11-24T09:29:59Z", failing=""),
            AnchorView(name="webhook at anchors.test", seq=None, at=None, failing="answered 503"),
        ],
        last=VerificationView(
            at="2026-11-24T09:00:00Z",
            took_s=1.25,
            ok=True,
            records=1100,
            wrong="",
            problem="",
            first_bad=None,
            signatures=True,
        ),
        running=None,
        events=[EventView(at="2026-11-23T17:02:03Z", what="kill.engaged", by=HOSTILE, detail='{"scope":"everything"}')],
        events_looked_at=12,
    )
    return replace(view, **changes)


def a_history(**changes: Any) -> HistoryView:
    """Four hours of minutes: a calm morning, and a bot that gets odd at its end."""
    count = 240
    began = 1_795_513_800.0 - 60 * count
    series: dict[str, list[float | None]] = {
        "anomaly": [0.08 + 0.05 * math.sin(at / 9) + (0.7 if at > 225 else 0.0) for at in range(count)],
        "leverage:main": [1.6 + 0.3 * math.sin(at / 40) for at in range(count)],
        "liquidation:main": [None if at < 30 else 0.004 + 0.003 * math.sin(at / 25) for at in range(count)],
        "limit:main": [0.45 + 0.1 * math.sin(at / 40) for at in range(count)],
    }
    view = HistoryView(every_s=60.0, at=[began + 60 * at for at in range(count)], series=series)
    return replace(view, **changes)


@dataclass
class DeskDouble:
    """Implements ``ControlPlane`` and ``Certificates``."""

    view: DeskView = field(default_factory=a_desk)
    refusals: list[JudgedCommand] = field(default_factory=lambda: [a_refusal()])
    decisions: dict[str, DecisionStory] = field(default_factory=lambda: {"01JD3M-7f": a_story()})
    job: Kill | None = None
    kills: list[dict[str, str]] = field(default_factory=list)
    reductions: list[dict[str, str]] = field(default_factory=list)
    rearms: list[dict[str, str]] = field(default_factory=list)
    scopes: dict[str, RearmView] = field(default_factory=lambda: {"desk": a_rearm()})
    drilled: list[dict[str, str]] = field(default_factory=list)
    drill_progress: DrillProgress | None = None
    overrides: list[tuple[str, str, Any]] = field(default_factory=list)
    policies: list[dict[str, str]] = field(default_factory=list)
    papers: dict[str, CertificateView] = field(default_factory=lambda: {JOB: a_view()})
    judged: list[JudgedCommand] = field(default_factory=lambda: [a_judged_command()])
    wanted: list[Wanted] = field(default_factory=list)
    table: tuple[bytes, ...] = (b"at,id\r\n",)
    table_pause_s: float = 0.0
    found: Recorded = field(default_factory=a_recorded_decision)
    history_view: HistoryView = field(default_factory=a_history)
    audit_view: AuditView = field(default_factory=an_audit)
    verifications: int = 0
    signals_view: SignalsView = field(default_factory=a_signals_view)
    keys: KeysDouble = field(default_factory=KeysDouble)
    alerts: AlertsDouble = field(default_factory=AlertsDouble)
    ledger_view: LedgerView = field(default_factory=a_ledger_view)
    ledger_asked: list[tuple[str | None, ...]] = field(default_factory=list)
    looked_at_max: int = 100
    refuse: str = ""
    disk_trouble: str = ""
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
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int, before: str | None = None
    ) -> Blocked:
        wanted = {"bot": bot, "rule": rule, "account": account}
        if self.refuse:
            raise Refused(self.refuse)
        if before is not None and not re.fullmatch(r"[0-9]{1,4}", before):
            raise Refused("there is no such page; begin with the first")
        begin = int(before or 0)
        rows = self.refusals[begin : begin + self.looked_at_max]
        matching = [row for row in rows if all(value in (None, getattr(row, name)) for name, value in wanted.items())]
        end = begin + len(rows)
        return Blocked(blocked=matching[:limit], next=str(end) if end < len(self.refusals) else None)

    async def decision(self, decision_id: str) -> DecisionStory | None:
        return self.decisions.get(decision_id)

    async def kill(self, *, scope: str, by: str, reason: str) -> Pressed:
        if self.refuse:
            raise Refused(self.refuse)
        self.kills.append({"scope": scope, "by": by, "reason": reason})
        return Pressed(
            scope=scope,
            blocked_ms=None if self.disk_trouble else 11.5,
            generation=8,
            latched=True,
            gates=Acknowledged(gates=1, acknowledged=1, within_ms=9.5, silent=()),
            in_flight=InFlight(known=True),
            trouble=self.disk_trouble,
        )

    async def reduce(self, *, scope: str, by: str, reason: str) -> Reduced:
        self.reductions.append({"scope": scope, "by": by, "reason": reason})
        return Reduced(scope=scope, reduced=["main"])

    async def kill_progress(self) -> Kill | None:
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

    @property
    def ledger(self) -> LedgerDouble:
        return LedgerDouble(self)

    @property
    def policy_shown(self) -> PolicyDouble:
        return PolicyDouble(self)

    @property
    def ahead(self) -> PreviewDouble:
        return PreviewDouble(self)

    @property
    def reasons(self) -> ReasonsDouble:
        return ReasonsDouble(self)

    @property
    def history(self) -> HistoryDouble:
        return HistoryDouble(self)

    @property
    def auditing(self) -> AuditDouble:
        return AuditDouble(self)

    async def request_override(self, *, terms: Terms, name: str) -> OverrideView:
        return self._override("request", name, terms)

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        return self._override("approve", name, override_id)

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        return self._override("withdraw", name, override_id)

    def _override(self, act: str, name: str, what: Any) -> OverrideView:
        if self.refuse:
            raise Refused(self.refuse)
        self.overrides.append((act, name, what))
        return an_override()

    async def propose_policy(self, *, text: str, name: str, reason: str) -> PolicyOutcome:
        return self._policy(step="propose", text=text, name=name, reason=reason)

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> PolicyOutcome:
        return self._policy(step="approve", digest=digest, name=name, reason=reason)

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> PolicyOutcome:
        return self._policy(step="withdraw", digest=digest, name=name, reason=reason)

    def _policy(self, **asked: str) -> PolicyOutcome:
        if self.refuse:
            raise Refused(self.refuse)
        self.policies.append(asked)
        return PolicyOutcome(in_force="a1b2c3d4e5f60718", pending=None)
