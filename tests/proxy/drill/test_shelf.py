"""Reports of rehearsals are kept, bounded, and never guessed at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.drill import shelf
from proxy.drill.shelf import DrillReport, drill_id, drill_of, drills, keep_drill, newest_drill

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def a_report(at: datetime = AT) -> DrillReport:
    return DrillReport(
        id=drill_id(at), kind="dry", at=at, by="ann", phase="FLAT", passed=True, blocked_ms=1.5, accounts=()
    )


def test_the_newest_comes_first_and_each_is_found_by_its_id(tmp_path: Path):
    for hours in (0, 2, 1):
        keep_drill(tmp_path, a_report(AT + timedelta(hours=hours)))
    assert [report.at.hour for report in drills(tmp_path)] == [14, 13, 12]
    assert newest_drill(tmp_path) == a_report(AT + timedelta(hours=2))
    assert drill_of(tmp_path, a_report().id) == a_report()


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shelf, "KEPT_MAX", 2)
    for hours in range(4):
        keep_drill(tmp_path, a_report(AT + timedelta(hours=hours)))
    assert [report.at.hour for report in drills(tmp_path)] == [15, 14]


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": "x"}'])
def test_one_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes):
    keep_drill(tmp_path, a_report())
    (tmp_path / "drills" / f"{drill_id(AT + timedelta(hours=1))}.json").write_bytes(content)
    assert newest_drill(tmp_path) == a_report()


@pytest.mark.parametrize("name", ["../vault/vault", "", "x" * 21, "20261127T120000000000/.."])
def test_a_name_that_is_no_id_names_no_file(tmp_path: Path, name: str):
    keep_drill(tmp_path, a_report())
    assert drill_of(tmp_path, name) is None


def test_without_any_there_is_none(tmp_path: Path):
    assert (drills(tmp_path), newest_drill(tmp_path)) == ((), None)
