"""What a report counts as gone: only what a reading has shown to be gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from proxy.kill.journal import Job
from proxy.kill.report import AccountReport, account_report
from rules.kill.events import DeadlinePassed, Engaged, KeysDisabled, Surveyed
from rules.kill.legs import OpenLeg, RestingOrder
from rules.kill.machine import DEADLINE
from rules.model import PositionSide

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
PLAIN = (RestingOrder(symbol="BTCUSDT", order_id="7", client_order_id="p"),)
STOP = (RestingOrder(symbol="BTCUSDT", order_id="8", client_order_id="c"),)
TWAP = (RestingOrder(symbol="BTCUSDT", order_id="9", client_order_id="t"),)
LEG = (OpenLeg(symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=Decimal("0.7")),)
DOWN = "status 503, code 0"


def read(seconds: float, **shown: Any) -> Surveyed:
    content: dict[str, Any] = {"plain_orders": (), "conditional_orders": (), "positions": ()} | shown
    return Surveyed(at=AT + timedelta(seconds=seconds), **content)


def reported(*surveys: Surveyed) -> AccountReport:
    job = Job(job_id="1-00000001", account="main", scope="desk", by="ann", reason="test", started_at=AT, blocked_ms=1.0)
    engaged = Engaged(at=AT, by="ann", reason="test", deadline=AT + DEADLINE)
    events = [engaged, KeysDisabled(at=AT, latched=True), *surveys, DeadlinePassed(at=AT + DEADLINE)]
    return account_report(job, events)


ALL = read(1, plain_orders=PLAIN, conditional_orders=STOP, algo_orders=TWAP)


@pytest.mark.parametrize(
    ("later", "cancelled"),
    [
        ([read(2)], 3),
        ([read(2), read(3, complete=False)], 3),
        ([read(2, unread=("algo orders: no answer within 1 s",))], 2),
        ([read(2, unread=(f"conditional orders: {DOWN}",))], 2),
        ([read(2, unread=(f"orders: {DOWN}",))], 2),
        ([read(2, unread=(f"triggered orders of BTCUSDT: {DOWN}",))], 2),
        ([read(2), read(3, unread=(f"algo orders: {DOWN}", f"orders: {DOWN}"))], 3),
        ([read(2, algo_orders=TWAP, unread=(f"positions: {DOWN}",))], 2),
    ],
    ids=["read", "positions-last", "no-algos", "no-conditionals", "no-orders", "no-births", "read-before", "rests"],
)
def test_an_order_counts_as_cancelled_by_the_last_reading_that_read_its_kind(later: list[Surveyed], cancelled: int):
    assert reported(ALL, *later).cancelled == cancelled


def test_an_order_of_a_kind_that_was_never_read_or_not_since_it_was_seen_is_not_cancelled():
    births = (f"triggered orders of BTCUSDT: {DOWN}",)
    assert reported(read(1, plain_orders=PLAIN, unread=births), read(2, unread=births)).cancelled == 0
    assert reported(read(1), read(2, plain_orders=PLAIN, unread=births)).cancelled == 0


def test_a_position_that_was_not_read_is_not_told_of_as_closed():
    blind = (f"positions: {DOWN}",)
    report = reported(read(1, positions=LEG), read(2, plain_orders=PLAIN, unread=blind))
    assert (report.closed, report.left) == ((), ("order 7 BTCUSDT", f"unknown: {blind[0]}"))
    (closed,) = reported(read(1, positions=LEG), read(2), read(3, unread=blind)).closed
    assert closed.quantity == Decimal("0.7")


def test_the_time_without_a_position_does_not_begin_with_a_reading_that_read_none():
    blind = read(1, plain_orders=PLAIN, unread=(f"positions: {DOWN}",))
    report = reported(blind, *(read(seconds) for seconds in (3, 6, 9)))
    assert report.flat and report.exposed_ms == 3_000
