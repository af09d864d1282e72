"""The journal survives what a crash can do to a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.kill.journal import Job, Journal, JournalCorrupt, from_plain, to_plain
from rules.kill.events import (
    CancelFailed,
    CancelStep,
    CloseRejected,
    CloseStep,
    Engaged,
    Event,
    KeysDisabled,
    Resumed,
    Survey,
    Surveyed,
    SurveyFailed,
    Waited,
)
from rules.kill.legs import BookLevel, LotSize, OpenLeg, OrderKind, RestingOrder
from rules.kill.machine import replay
from rules.model import PositionSide, Side

T0 = datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC)
LEG = OpenLeg(symbol="BTCUSDT", position_side=PositionSide.SHORT, quantity=Decimal("-1.50"), mark_price=Decimal(90),
              market_lot=LotSize(step=Decimal("1e-3"), quantity_min=Decimal("1e-3"), quantity_max=Decimal(9)),
              book=(BookLevel(Decimal("90.1"), Decimal(2)),))  # fmt: skip
CLOSE = CloseStep(leg=LEG, side=Side.BUY, quantity=Decimal("1.5"), sequence=7)
ORDER = RestingOrder(symbol="BTCUSDT", order_id="4000000001")
EVENTS: tuple[Event, ...] = (
    Engaged(at=T0, by="ann", reason="ünïcode\n\u2028line", deadline=T0 + timedelta(seconds=60)),
    KeysDisabled(at=T0, latched=True),
    SurveyFailed(at=T0, error="down", retry_after=1.5),
    SurveyFailed(at=T0, error="-2014", refused=True),
    Waited(at=T0),
    Surveyed(at=T0, plain_orders=(ORDER,), conditional_orders=(), positions=(LEG,)),
    CancelFailed(at=T0, step=CancelStep(symbol="BTCUSDT", kind=OrderKind.CONDITIONAL), error="x"),
    Resumed(at=T0, deadline=T0 + timedelta(seconds=90)),
    Surveyed(at=T0, plain_orders=(), conditional_orders=(), positions=(LEG,)),
    CloseRejected(at=T0, step=CLOSE, error="-2022"),
)
JOB = Job(job_id="20261124T120000000001-0123abcd", account="main", scope="account:main", by="ann", reason="r",
          started_at=T0, blocked_ms=0.5)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jobs" / f"{JOB.job_id}.jsonl"
    journal = Journal.create(path, JOB)
    for event in EVENTS:
        journal.intend(Survey(), T0)
        journal.record(event)
    journal.close()
    return path


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_come_back_equal(event: Event):
    assert from_plain(json.loads(json.dumps(to_plain(event)))) == event


def test_what_was_written_is_read(path: Path):
    journal = Journal.read(path)
    assert journal is not None
    assert (journal.job, tuple(journal.events)) == (JOB, EVENTS)
    assert replay(journal.events) == replay(EVENTS)


def test_journals_of_older_versions_are_read_and_mean_what_they_meant(path: Path):
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    del lines[0]["sources"]
    for line in lines:
        line.get("event", {}).pop("refused", None)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    journal = Journal.read(path)
    assert journal is not None and journal.job == JOB
    assert [type(event) for event in journal.events] == [type(event) for event in EVENTS]
    assert not any(event.refused for event in journal.events if isinstance(event, SurveyFailed))


def test_a_file_cut_at_any_byte_can_be_resumed(path: Path, tmp_path: Path):
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        cut = tmp_path / "cut.jsonl"
        cut.write_bytes(content[:length])
        journal = Journal.resume(cut)
        if journal is None:
            assert b"\n" not in content[:length]
            continue
        assert tuple(journal.events) == EVENTS[: len(journal.events)]
        journal.record(Waited(at=T0))
        journal.close()
        again = Journal.read(cut)
        assert again is not None and again.events == journal.events


def test_damage_before_the_last_line_is_not_passed_over(path: Path):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4][:10] + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalCorrupt):
        Journal.read(path)


def test_client_order_ids_fit_the_venue():
    assert JOB.client_order_id(12) == "pgk-0123abcd-12"
