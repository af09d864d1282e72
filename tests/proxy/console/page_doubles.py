"""The refusals, the look ahead and the policy behind the console's pages: what their planes would tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from proxy.audit.documents import Document
from proxy.audit.query import JudgedCommand
from proxy.kill.preview_plane import AccountPreview, CancelledOrder, ClosedLeg, KillPreview
from proxy.policy.plane import CameTo, Differences, Hindsight, PolicyShown, RuleHindsight, RuleRow, WaitingRow
from proxy.policy.reading import parse_policy, policy_digest
from proxy.reasons.inquiry import Recorded, Told, WhatIf, put_together, suppose, tell
from proxy.reasons.plane import Refusals, Wanted
from proxy.refused import Refused
from tests.proxy.audit.conftest import POLICY, START, TIGHTER
from tests.proxy.audit.conftest import Desk as AuditDesk

if TYPE_CHECKING:
    from tests.proxy.console.desk_double import DeskDouble


def a_judged_command(**changes: Any) -> JudgedCommand:
    """The same as a row of the record."""
    row = JudgedCommand(
        seq=1,
        item=0,
        id="01JD3M-7f",
        at=datetime(2026, 11, 24, 9, 29, 41, tzinfo=UTC),
        bot="momentum",
        account="main",
        symbol="BTCUSDT",
        client_order_id="grid-77",
        command="BUY 5 BTCUSDT LIMIT 64800",
        verdict="DENY",
        rule="max_order_value",
        code="ORDER_VALUE_ABOVE_LIMIT",
        observed="324000",
        limit="25000",
        headroom="0.385",
        message="order value 324000 is above 25000",
    )
    return replace(row, **changes)


class _Documents:
    """What a decision of the audit's small desk names."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self._documents = {each["id"]: each for each in documents}

    def decisions(self) -> Iterator[dict[str, Any]]:
        return iter(())

    def documents(self, reference: str) -> tuple[Document, ...]:
        found = self._documents.get(reference)
        return () if found is None else (Document(START, found["content"]),)


@cache
def a_recorded_decision(decision_id: str = "01JD3M-7f", **order: str) -> Recorded:
    """Three bitcoin at 60000, refused where an order may be worth 100000."""
    desk = AuditDesk()
    record = desk.decision(1, "3", "momentum", **order) | {"id": decision_id}
    return put_together(record, _Documents(desk.documents()))


def a_preview(**changes: Any) -> KillPreview:
    """One account with a long and two orders."""
    orders = [
        CancelledOrder(
            kind=kind,
            symbol="BTCUSDT",
            side="SELL",
            order_type=order_type,
            quantity=quantity,
            price=None,
            trigger_price=Decimal(60000) if kind == "conditional" else None,
            reduce_only=kind == "conditional",
            bot="momentum",
            order_id="42",
        )
        for kind, order_type, quantity in (("plain", "LIMIT", Decimal("0.1")), ("conditional", "STOP_MARKET", None))
    ]
    leg = ClosedLeg(
        symbol="BTCUSDT",
        side="LONG",
        quantity=Decimal("0.250"),
        mark_price=Decimal("64833.1"),
        notional=Decimal("16208.275"),
        cost=Decimal("3.1"),
        in_book=Decimal("0.25"),
    )
    account = AccountPreview(
        name="main",
        venue="binanceusdm",
        age_s=1.2,
        part_of="",
        orders=orders,
        orders_left_out=0,
        legs=[leg],
        trouble="",
    )
    preview = KillPreview(
        scope="desk",
        at="2026-11-24T09:30:00Z",
        accounts=[account],
        orders=2,
        legs=1,
        notional=leg.notional,
        cost=Decimal("3.1"),
        uncosted=0,
        depth_age_s=0.4,
    )
    return replace(preview, **changes)


@dataclass
class PreviewDouble:
    """Implements ``PreviewPlane``."""

    desk: DeskDouble

    async def preview(self, scope: str) -> KillPreview:
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        return a_preview(scope=scope)


def differences(**changes: Any) -> Differences:
    """A text that loosens one limit and tightens another."""
    found = Differences(
        digest="0123456789abcdef",
        name="wider",
        owner="risk@desk.example",
        loosened=["desk max_order_value limit: 25000 -> 50000"],
        tightened=["desk price_collar band: 0.05 -> 0.02"],
        other=[],
        waits="somebody else's approval",
    )
    return replace(found, **changes)


@dataclass
class PolicyDouble:
    """Implements ``PolicyPlane``."""

    desk: DeskDouble

    async def shown(self) -> PolicyShown:
        rows = [
            RuleRow(rule="max_order_value", level="desk", enforcement="enforce", settings=[("limit", "25000")]),
            RuleRow(rule="max_leverage", level="bot:momentum", enforcement="report", settings=[("limit", "3")]),
        ]
        waiting = WaitingRow(
            by="Ben",
            reason="the desk has grown",
            at="2026-11-24T09:00:00Z",
            due=None,
            stale=False,
            differences=differences(),
        )
        return PolicyShown(
            digest="a1b2c3d4e5f60718",
            name="demo",
            owner="risk@desk.example",
            loosening="somebody else's approval",
            rules=rows,
            text=POLICY,
            waiting=[waiting],
        )

    async def differences(self, text: str) -> Differences:
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        self.desk.policies.append({"step": "compare", "text": text})
        return differences(digest=policy_digest(text))

    async def hindsight(self, since: datetime) -> Hindsight:
        row = RuleHindsight(
            rule="max_leverage",
            intents=3,
            times=7,
            came_to=[CameTo(horizon="after 1 h", said="saved 12.50", counted="3 filled")],
            examples=["01JD3M-7f"],
        )
        return Hindsight(
            decisions=20,
            cut=False,
            refused=[],
            reported=[row],
            unknown={},
            left_out={},
            trouble="",
            assumed="a fee",
        )


@dataclass
class ReasonsDouble:
    """Implements ``ReasonsPlane`` over what a real archive told."""

    desk: DeskDouble

    async def refusals(self, wanted: Wanted, *, limit: int) -> Refusals:
        self.desk.wanted.append(wanted)
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        if wanted.before == "0-0-0":
            raise Refused("there is no such page; begin with the first")
        return Refusals(rows=self.desk.judged[:limit], next="7-1-0" if wanted.before is None else None)

    async def counts(self, *, since: datetime | None, until: datetime | None) -> Mapping[str, int]:
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        return {"ORDER_VALUE_ABOVE_LIMIT": len(self.desk.judged)}

    async def table(self, wanted: Wanted) -> AsyncIterator[bytes]:
        self.desk.wanted.append(wanted)
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        for piece in self.desk.table:
            await asyncio.sleep(self.desk.table_pause_s)
            yield piece

    async def rules(self, decision_id: str) -> Told | None:
        if self.desk.refuse:
            raise Refused(self.desk.refuse)
        return tell(self.desk.found) if decision_id == self.desk.found.id else None

    async def what_if(self, decision_id: str, *, item: str, quantity: str, price: str) -> WhatIf | None:
        found = self.desk.found
        if decision_id != found.id:
            return None
        return suppose(found, parse_policy(TIGHTER), item=item, quantity=quantity, price=price)
