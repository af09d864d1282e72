"""What the venue rejected, and what was not sent after all, explains no order of its name."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.recording import Subject
from proxy.store.codec import dump, load
from rules.model import OrderType, PlaceOrder, Side
from rules.outside import OutsideAction
from tests.proxy.accounts.builders import an_order_event
from tests.proxy.accounts.test_outside_watch import Desk
from tests.rules.builders import NOW


class Request:
    """As a gate tells the audit of it, and the audit the watch: orders of these names, and what became of them."""

    def __init__(self, desk: Desk, request_id: str, *names: str) -> None:
        self._desk = desk
        self._subject = Subject(
            decision_id=request_id, desk="d", bot="ann", account="main", venue="v", key_hint="k", route="r"
        )
        self._commands = tuple(map(an_order, names))
        self._tell(self._subject.intent(NOW, self._commands))

    def decided(self, *verdicts: str) -> Request:
        commands = [load(dump(each)) for each in self._subject._written(self._commands)]
        decisions = [{"verdict": verdict} for verdict in verdicts]
        self._tell({"kind": "decision", "id": self._subject.decision_id, "commands": commands, "decisions": decisions})
        return self

    def ended(self, result: str, *outcomes: str) -> None:
        items = [{"place": place, "outcome": outcome} for place, outcome in enumerate(outcomes)]
        self._tell(self._subject.outcome(result, sent_at=NOW, answered_at=NOW, items=items))

    def _tell(self, record: dict[str, Any]) -> None:
        self._desk.watch.hear(load(dump(record)))


def an_order(client_order_id: str) -> PlaceOrder:
    return PlaceOrder(
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        client_order_id=client_order_id,
    )


def strangers(desk: Desk, *names: str) -> list[str]:
    """Those of these orders, as the venue shows them, that nothing explains."""
    for name in names:
        desk.watch.saw(an_order_event(name, Side.BUY, "9", order_id=f"{name} {len(desk.asked)}"), known=False)
        desk.asked.append(name)
    return [each.client_order_id for each in desk.watch.unexplained()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, OutsideAction.ALERT)


@pytest.mark.parametrize(
    ("result", "found"), [("REJECTED", ["a"]), ("NOT_SENT", ["a"]), ("UNKNOWN", []), ("ACCEPTED", [])]
)
def test_an_order_that_was_not_taken_explains_none_of_its_name(desk: Desk, result: str, found: list[str]) -> None:
    Request(desk, "r1", "a").decided("ALLOW").ended(result)
    assert strangers(desk, "a") == found


def test_of_a_batch_those_that_the_venue_rejected_explain_none(desk: Desk) -> None:
    Request(desk, "r1", "a", "b", "c").ended("UNKNOWN", "ACCEPTED", "REJECTED", "UNKNOWN")
    assert strangers(desk, "a", "b", "c") == ["b"]


def test_what_was_not_taken_takes_nothing_from_its_like_that_was(desk: Desk) -> None:
    Request(desk, "r1", "a").ended("ACCEPTED")
    Request(desk, "r2", "a", "b").decided("DENY", "ALLOW").ended("REJECTED", "REJECTED", "REJECTED")
    Request(desk, "r3", "a").ended("REJECTED")
    assert strangers(desk, "a") == []
    assert strangers(desk, "a", "b") == ["a", "b"]
