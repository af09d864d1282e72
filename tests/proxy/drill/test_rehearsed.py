"""Whose kill was rehearsed: a drill speaks for the accounts it names, and for no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.drill import shelf
from proxy.drill.rehearsed import rehearsed, worst_of
from proxy.drill.shelf import AccountDrill, DrillReport, drill_id, keep_drill

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MONTH = timedelta(days=30)


def an_account(name: str) -> AccountDrill:
    return AccountDrill(
        account=name,
        phase="FLAT",
        positions=0,
        orders=0,
        blocked_ms=1.0,
        cancelled_ms=1.0,
        flat_ms=1.0,
        verified_ms=7000.0,
        cost_estimate="",
        estimate_in_book="",
        cost="",
    )


def a_drill(days_ago: float, *accounts: str, kind: str = "practice", passed: bool = True) -> DrillReport:
    at = NOW - timedelta(days=days_ago)
    return DrillReport(
        id=drill_id(at),
        kind=kind,
        at=at,
        by="ann",
        phase="FLAT",
        passed=passed,
        blocked_ms=1.0,
        accounts=tuple(an_account(name) for name in accounts),
    )


def lacking(data_dir: Path, *accounts: str) -> list[str]:
    return [each.account for each in rehearsed(data_dir, accounts) if not each.counts(NOW, MONTH)]


def test_the_worst_is_one_that_did_not_pass_then_none_then_the_oldest(tmp_path: Path) -> None:
    def worst(*accounts: str) -> str | None:
        found = worst_of(rehearsed(tmp_path, accounts))
        return found.account if found is not None else None

    keep_drill(tmp_path, a_drill(2, "old"))
    keep_drill(tmp_path, a_drill(1, "main", passed=False))
    keep_drill(tmp_path, a_drill(0.5, "test"))
    assert (worst("test", "old"), worst("test", "old", "never"), worst("never", "main", "old")) == (
        "old",
        "never",
        "main",
    )
    assert worst() is None


def test_a_drill_of_another_account_rehearses_nothing(tmp_path: Path) -> None:
    keep_drill(tmp_path, a_drill(1, "test"))
    assert lacking(tmp_path, "test", "main") == ["main"]
    assert [each.said(NOW) for each in rehearsed(tmp_path, ("test", "main"))] == [
        "test 1 days ago (practice, passed)",
        "main never",
    ]


def test_a_newer_drill_of_another_takes_nothing_away(tmp_path: Path) -> None:
    for each in (a_drill(20, "main", "second"), a_drill(3, "second", kind="dry"), a_drill(1, "test", passed=False)):
        keep_drill(tmp_path, each)
    assert lacking(tmp_path, "main", "second") == []
    assert rehearsed(tmp_path, ("second",))[0].said(NOW) == "second 3 days ago (dry, passed)"


@pytest.mark.parametrize("newest", [a_drill(31, "main"), a_drill(1, "main", passed=False)], ids=["old", "failed"])
def test_one_that_is_old_or_did_not_pass_does_not_count(tmp_path: Path, newest: DrillReport) -> None:
    keep_drill(tmp_path, a_drill(40, "main"))
    keep_drill(tmp_path, newest)
    assert lacking(tmp_path, "main") == ["main"]


def test_a_failed_drill_is_made_good_by_a_dry_one_of_the_flat_account(tmp_path: Path) -> None:
    keep_drill(tmp_path, a_drill(2, "main", passed=False))
    keep_drill(tmp_path, a_drill(1, "main", kind="dry"))
    assert lacking(tmp_path, "main") == []


def test_no_more_reports_are_read_than_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (1, 2, 3):
        keep_drill(tmp_path, a_drill(days, "main"))
    read: list[Path] = []
    reads = shelf._read
    monkeypatch.setattr(shelf, "_read", lambda path: read.append(path) or reads(path))
    assert lacking(tmp_path, "main") == [] and len(read) == 1


def test_a_report_without_accounts_speaks_for_none(tmp_path: Path) -> None:
    keep_drill(tmp_path, replace(a_drill(1, "main"), accounts=()))
    assert lacking(tmp_path, "main") == ["main"]


def test_a_rehearsal_that_began_nothing_is_about_every_account(tmp_path: Path) -> None:
    keep_drill(tmp_path, a_drill(20, "main", "test"))
    keep_drill(tmp_path, a_drill(10, passed=False))
    assert lacking(tmp_path, "main", "test") == ["main", "test"]
    keep_drill(tmp_path, a_drill(1, "main"))
    assert lacking(tmp_path, "main", "test") == ["test"]
