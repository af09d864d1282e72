"""What the control API answers, by example: one small desk, one stopped account. A test holds each to its schema."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from proxy.audit.query import JudgedCommand
from proxy.certificate.plane import CertificateRow
from proxy.console.desk_views import (
    AccountView,
    ArchiveView,
    BotView,
    DeskView,
    FeedView,
    LastDrill,
    OverrideView,
    PolicyOutcome,
    PositionView,
    ProposalView,
)
from proxy.console.history_plane import HistoryView
from proxy.console.plane import Blocked
from proxy.drill.plane import DrillProgress
from proxy.drill.shelf import AccountDrill, DrillReport
from proxy.kill.gates import Acknowledged
from proxy.kill.in_flight import InFlight
from proxy.kill.press_plane import Pressed, Reduced
from proxy.kill.rearm_plane import CheckView, RearmView
from proxy.signals.plane import AnomalyView, ForecastView, JumpView, SignalsView

_AT: Final = "2026-11-24T09:30:00Z"
_DIGEST: Final = "a1b2c3d4e5f60718"
_ID: Final = "20261124T093000000000"

DESK: Final = DeskView(
    desk="tokyo",
    at=_AT,
    state="ACTIVE",
    policy_name="calm",
    policy_owner="risk@desk.example",
    policy_version=_DIGEST,
    generation=7,
    markets_age_s=0.8,
    store_ok=True,
    accounts=(
        AccountView(
            name="main",
            venue="binanceusdm",
            state="ACTIVE",
            kill_running=False,
            fence_engaged=False,
            known_age_s=0.8,
            survey_age_s=3.2,
            margin_balance="12450.73",
            leverage="1.30",
            positions=(
                PositionView(
                    symbol="BTCUSDT",
                    position_side="BOTH",
                    quantity="0.250",
                    entry_price="64210.50",
                    mark_price="64833.10",
                    notional="16208.27",
                    unrealised_pnl="155.65",
                    liquidation_price="41200.00",
                ),
            ),
            open_orders=4,
            conditional_orders=1,
            holds=0,
            unknown_holds=0,
            feed=FeedView(state="LIVE", why="", age_s=0.4, adopted={"positions": 1, "open_orders": 5}, gaps_healed=0),
            exchange_key="sound",
            clock_offset_ms=12,
        ),
    ),
    bots=(BotView(name="momentum", account="main", key_hint="pg_…a91c", key_state="active", anomaly=0.12, why=""),),
    drill=LastDrill(id=_ID, kind="practice", at=_AT, age_s=86_400.0, passed=True, phase="FLAT", account="main"),
    archive=ArchiveView(opened=True, trouble=""),
)

HISTORY: Final = HistoryView(
    every_s=60.0, at=(1_795_512_600.0, 1_795_512_660.0), series={"anomaly": (0.1, None), "leverage:main": (1.3, 1.3)}
)

BLOCKED: Final = Blocked(
    blocked=[
        JudgedCommand(
            seq=4711,
            item=0,
            id="01JD3M-7f",
            at=datetime(2026, 11, 24, 9, 29, 41, tzinfo=UTC),
            bot="momentum",
            account="main",
            symbol="BTCUSDT",
            client_order_id="mine-1",
            command="BUY 5 BTCUSDT LIMIT 64800",
            verdict="DENY",
            rule="max_order_value",
            code="ORDER_VALUE_ABOVE_LIMIT",
            observed="324000",
            limit="25000",
            headroom="0.385",
            message="order value 324000 is above 25000",
        )
    ],
    next="1795512581000000-4711-0",
)

DECISION: Final[dict[str, Any]] = {
    "id": "01JD3M-7f",
    "intent": {"bot": "momentum", "account": "main"},
    "decision": {"verdict": "DENY", "policy_version": _DIGEST},
    "outcome": None,
    "others": [],
    "counterfactual": "not known: the marks cannot be read",
}

PRESSED: Final = Pressed(
    scope="account:main",
    blocked_ms=11.5,
    generation=8,
    latched=True,
    gates=Acknowledged(gates=2, acknowledged=2, within_ms=9.1, silent=()),
    in_flight=InFlight(known=True),
    trouble="",
)

REDUCED: Final = Reduced(scope="desk", reduced=["main"])

KILL: Final[dict[str, Any]] = {
    "kill": {
        "running": True,
        "scope": "account:main",
        "by": "Ada Lovelace",
        "reason": "runaway grid",
        "started_at": _AT,
        "blocked_ms": 11.5,
        "flat": False,
        "flat_ms": None,
        "accounts": [
            {
                "job_id": f"{_ID}-0a1b2c3d",
                "account": "main",
                "name": "main",
                "scope": "account:main",
                "by": "Ada Lovelace",
                "reason": "runaway grid",
                "started_at": _AT,
                "phase": "CANCELLING",
                "flat": False,
                "blocked_ms": 11.5,
                "exposed_ms": None,
                "flat_ms": None,
                "verified_ms": None,
                "latched": True,
                "cancelled": 3,
                "closed": [],
                "read_backs": [],
                "unlisted": [],
                "left": ["BTCUSDT BOTH 0.250"],
                "why": "",
                "cause": None,
                "retry_at": None,
                "cause_symbols": [],
                "advice": "",
                "cost_estimate": None,
                "cost": None,
                "joined": False,
                "trouble": "",
                "steps": [{"at": _AT, "what": "pressed"}],
                "exchange_key": None,
            }
        ],
        "left_open": [],
        "unreadable": [],
    }
}

CERTIFICATES: Final[dict[str, Any]] = {
    "certificates": [
        CertificateRow(
            id=f"{_ID}-0a1b2c3d",
            kind="account",
            subject="account main",
            phase="FLAT",
            by="Ada Lovelace",
            reason="runaway grid",
            pressed_at=_AT,
            issued_at="2026-11-24T09:30:09Z",
            problem="",
        )
    ]
}

PENDING: Final = PolicyOutcome(
    in_force=_DIGEST,
    pending=ProposalView(
        policy_version="b2c3d4e5f6071829",
        policy_name="calm",
        policy_owner="risk@desk.example",
        by="Ada Lovelace",
        reason="calmer markets",
        at=_AT,
        due="2026-11-24T10:30:00Z",
        stale=False,
        loosened=("max_order_value: limit 25000 -> 30000",),
        other_changes=(),
    ),
)
IN_FORCE: Final = PolicyOutcome(in_force=_DIGEST, pending=None)

OVERRIDE: Final = OverrideView(
    id="0123456789",
    state="REQUESTED",
    bot="momentum",
    symbol="BTCUSDT",
    side="BUY",
    rule="max_order_value",
    quantity_max="0.5",
    ticket="RISK-17",
    reason="close the hedge of desk B",
    requested_by="Ada Lovelace",
    approved_by="",
    until="2026-11-24T09:40:00Z",
)

STOPPED: Final = RearmView(
    scope="account:main",
    stopped=True,
    stage="KILLED",
    share="0",
    policy=_DIGEST,
    needs="second person",
    delay_s=900,
    reduce_only_s=300,
    ramp_s=1800,
    checks=(CheckView(name="flat", holds=True, said="no position, no order"),),
)
ASKED: Final = replace(
    STOPPED, stage="REQUESTED", by="Ada Lovelace", reason="the feed is repaired", asked_at=_AT, waits_s=900.0
)
BACK: Final = replace(
    ASKED, stopped=False, stage="REDUCING", approved_by="Grace Hopper", opened_at="2026-11-24T09:31:00Z", checks=()
)

DRILL: Final = DrillReport(
    id=_ID,
    kind="practice",
    at=datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
    by="Ada Lovelace",
    phase="FLAT",
    passed=True,
    blocked_ms=11.5,
    accounts=(
        AccountDrill(
            account="main",
            phase="FLAT",
            positions=1,
            orders=5,
            blocked_ms=11.5,
            cancelled_ms=800.0,
            flat_ms=1500.0,
            verified_ms=7600.0,
            cost_estimate="12.10",
            estimate_in_book="1",
            cost="12.50",
        ),
    ),
)
DRILL_RUNS: Final = DrillProgress(kind="practice", by="Ada Lovelace", running=True, steps=("the button is pressed",))

SIGNALS: Final = SignalsView(
    at=_AT,
    forecasts=(
        ForecastView(
            signal="barrier",
            symbol="BTCUSDT",
            horizon_h=24.0,
            key="down:0.05",
            kind="probability",
            value=0.0213,
            reference=0.03,
            as_of="2026-11-24T09:00:00Z",
            age_s=1800.0,
            until="2026-11-25T09:00:00Z",
            method="har-fhs 1",
            n=400,
            skill=0.11,
            status="reliable",
            why="held over 400 forecasts",
            stress=(JumpView(move=-0.2, reached=True),),
        ),
    ),
    anomalies=(AnomalyView(level="bot", name="momentum", value=0.12, why=""),),
)
