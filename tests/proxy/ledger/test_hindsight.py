"""What refusals came to, as the policy's page has it: counted without prices, and cut where it is too much."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.place import ArchivePlace
from proxy.ledger import hindsight
from proxy.ledger.hindsight import looked_back
from tests.proxy.audit.conftest import START, Desk
from tests.proxy.audit.damaging import cut_records


@pytest.fixture
def place(tmp_path: Path) -> ArchivePlace:
    place, desk = ArchivePlace(directory=tmp_path / "audit"), Desk()
    records: list[Any] = desk.documents()
    records += [desk.decision(number, quantity, "beta") for number, quantity in ((1, "3"), (2, "4"), (3, "5"))]
    desk.write(place, [*records, desk.decision(4, "1")])
    return place


def test_without_kept_prices_refusals_are_counted_and_nothing_is_valued(place: ArchivePlace, tmp_path: Path) -> None:
    found = looked_back(place, tmp_path / "marks.db", START, START + timedelta(hours=2))
    (row,) = found.refused
    assert (row.rule, row.intents, row.times) == ("max_order_value", 3, 3)
    assert row.examples == ("d-3", "d-2", "d-1")
    assert {each.said for each in row.came_to} == {"–"}
    assert (found.decisions, found.cut) == (4, False)
    assert "no mark prices are kept yet" in found.trouble


def test_more_than_a_look_can_read_is_said(
    place: ArchivePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hindsight, "DECISIONS_MAX", 2)
    found = looked_back(place, tmp_path / "marks.db", START, START + timedelta(hours=2))
    assert (found.decisions, found.cut) == (2, True)


def test_what_was_before_is_left_out(place: ArchivePlace, tmp_path: Path) -> None:
    since = START + timedelta(seconds=3)
    (row,) = looked_back(place, tmp_path / "marks.db", since, START + timedelta(hours=2)).refused
    assert row.intents == 1


def test_a_desk_without_an_archive_is_told_so(tmp_path: Path) -> None:
    found = looked_back(ArchivePlace(directory=tmp_path), tmp_path / "marks.db", START, START)
    assert (found.refused, found.decisions) == ([], 0)
    assert found.trouble


def test_a_damaged_record_is_said(place: ArchivePlace, tmp_path: Path) -> None:
    cut_records(place, "decision")
    found = looked_back(place, tmp_path / "marks.db", START, START + timedelta(hours=2))
    assert found.trouble == "the archive cannot be read; ask `perpguard audit verify`"
