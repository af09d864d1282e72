"""Examples of what the control API answers about the record: why an order was refused, what a press would do, what has
to be heard, what was earned and paid, and the audit itself. For its description; nobody sends them."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from proxy.alerts.plane import AlertsView, AlertView, ChannelView, TrialView
from proxy.audit.plane import AnchorView, AuditView, ChainView, CheckpointView, EventView, VerificationView
from proxy.kill.preview_plane import AccountPreview, CancelledOrder, ClosedLeg, KillPreview
from proxy.ledger.plane import BookedView, BooksView, LedgerView, PeriodView, QualityView, StandingView
from proxy.reasons.inquiry import Told, TracedCommand, WhatIf
from proxy.reasons.tracing import Answer, RuleResult, Trace
from proxy.vault.plane import ExchangeKeyView, GuardKeyView, KeysView
from rules.decision import Enforcement, Verdict
from rules.model import Intent

_AT: Final = "2026-11-24T09:30:00Z"
_DIGEST: Final = "a1b2c3d4e5f60718"

_REFUSED: Final = Trace(
    verdict=Verdict.DENY,
    intent=Intent.ENTRY,
    code="ORDER_VALUE_ABOVE_LIMIT",
    rule="max_order_value",
    headroom=Decimal("0.385"),
    largest=Decimal("0.385"),
    trimmed_to=None,
    advice=(),
    policy_version=_DIGEST,
    rules=(
        RuleResult(
            rule="max_order_value",
            level="desk",
            answer=Answer.DENIED,
            enforcement=Enforcement.ENFORCE,
            code="ORDER_VALUE_ABOVE_LIMIT",
            message="order value 324000 is above 25000",
            observed="324000",
            limit="25000",
            headroom=Decimal("0.385"),
            settings=(("limit", "25000"),),
        ),
    ),
    elsewhere=0,
)
_PASSED: Final = Trace(
    verdict=Verdict.ALLOW,
    intent=Intent.ENTRY,
    code="",
    rule="",
    headroom=None,
    largest=Decimal("0.385"),
    trimmed_to=None,
    advice=(),
    policy_version=_DIGEST,
    rules=(),
    elsewhere=0,
)
RULES: Final = Told(
    id="01JD3M-7f",
    at=_AT,
    bot="momentum",
    account="main",
    route="POST /fapi/v1/order",
    policy_version=_DIGEST,
    policy_name="calm",
    policy_owner="risk@desk.example",
    commands=(
        TracedCommand(
            item=0,
            asked="BUY 5 BTCUSDT LIMIT 64800",
            quantity=Decimal(5),
            price=Decimal(64_800),
            agrees=True,
            withheld="",
            trace=_REFUSED,
        ),
    ),
    inputs={"bot": "momentum"},
)
WHAT_IF: Final = WhatIf(
    id="01JD3M-7f",
    item=0,
    asked="BUY 5 BTCUSDT LIMIT 64800",
    supposed="BUY 0.3 BTCUSDT LIMIT 64800",
    quantity=Decimal("0.3"),
    price=Decimal(64_800),
    then=_PASSED,
    now=_PASSED,
    not_asked=(),
)
PREVIEW: Final = KillPreview(
    scope="account:main",
    at=_AT,
    accounts=(
        AccountPreview(
            name="main",
            venue="binanceusdm",
            age_s=0.8,
            part_of="",
            orders=(
                CancelledOrder(
                    kind="plain",
                    symbol="BTCUSDT",
                    side="SELL",
                    order_type="LIMIT",
                    quantity=Decimal("0.25"),
                    price=Decimal(66_000),
                    trigger_price=None,
                    reduce_only=True,
                    bot="momentum",
                    order_id="8389765",
                ),
            ),
            orders_left_out=0,
            legs=(
                ClosedLeg(
                    symbol="BTCUSDT",
                    side="LONG",
                    quantity=Decimal("0.25"),
                    mark_price=Decimal(64_800),
                    notional=Decimal(16_200),
                    cost=Decimal("3.1"),
                    in_book=Decimal(1),
                ),
            ),
            trouble="",
        ),
    ),
    orders=1,
    legs=1,
    notional=Decimal(16_200),
    cost=Decimal("3.1"),
    uncosted=0,
    depth_age_s=0.3,
)
ALERT: Final = AlertView(
    id="20261124093000-1",
    severity="kill",
    title="KILL: desk is being stopped",
    text="By Ada Lovelace: runaway.",
    advice="Look at Stop.",
    page="/kill",
    what="kill.engaged",
    about="stop:desk",
    raised_at=_AT,
    seen_at=_AT,
    count=1,
    repeats=0,
    lasting=True,
    acknowledged_by="Ada Lovelace",
    acknowledged_at=_AT,
    closed_at=None,
)
ALERTS: Final = AlertsView(
    at=_AT,
    open=(ALERT,),
    past=(),
    channels=(
        ChannelView(
            name="pager",
            scheme="tgram",
            minimum="warning",
            quiet_hours=True,
            delivered=3,
            failed=0,
            waiting=0,
            last_at=_AT,
            trouble="",
        ),
    ),
    quiet=False,
    held=0,
)
TRIAL: Final = TrialView(channel="pager", trouble="")
KEYS: Final = KeysView(
    guard_keys=(
        GuardKeyView(
            id="0123456789abcdef",
            bot="momentum",
            account="main",
            label="momentum",
            hint="…9fQz",
            state="active",
            signs="secret",
            created_at=_AT,
            changed_at=None,
        ),
    ),
    exchange_keys=(
        ExchangeKeyView(
            account="main",
            venue="binanceusdm",
            hint="…Kx2a",
            created_at=_AT,
            verdict="sound",
            accepted=(),
            master=False,
        ),
    ),
)
AUDIT: Final = AuditView(
    place="audit/audit.db",
    records=1_200,
    root="ab" * 32,
    chains=(ChainView(chain="main", records=1_000, hash="ef" * 32),),
    checkpoint=CheckpointView(seq=1_200, at=_AT, key_id="0123456789abcdef"),
    anchors=(AnchorView(name="beside the archive", seq=1_200, at=_AT, failing=""),),
    last=VerificationView(
        at=_AT, took_s=1.25, ok=True, records=1_200, wrong="", problem="", first_bad=None, signatures=True
    ),
    running=None,
    events=(EventView(at=_AT, what="kill.engaged", by="Ada Lovelace", detail='{"scope":"desk"}'),),
    events_looked_at=12,
)
LEDGER: Final = LedgerView(
    at=_AT,
    standings=(
        StandingView(
            account="main",
            since="2026-11-17T09:00:00Z",
            until=_AT,
            standing="reconciled",
            verdict="main: reconciled to the last digit",
            missing=(),
            gaps=(),
            differences=(),
            nameless=0,
        ),
    ),
    books=(
        BooksView(
            account="main",
            bot="momentum",
            symbol="BTCUSDT",
            periods=(
                PeriodView(
                    seconds=900, fills=3, trading={"USDT": "12.5"}, fees={"USDT": "-1.25"}, funding={"USDT": "-0.75"}
                ),
            ),
        ),
    ),
    booked=(BookedView(account="main", kind="TRANSFER", amounts={"USDT": "-100"}),),
    quality=(
        QualityView(
            day="2026-11-24",
            account="main",
            bot="momentum",
            symbol="BTCUSDT",
            orders=50,
            refused=5,
            rejected=1,
            unknown=0,
            latency_ms_p50="12.40",
            latency_ms_p99="80.00",
            spread_bps="0.50",
            slippage_bps="1.75",
            usual_bps="1.25",
            measured_fills=40,
            measured_by_mark=1,
            unmeasured_fills=2,
        ),
    ),
)
