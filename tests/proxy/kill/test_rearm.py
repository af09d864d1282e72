"""Re-arming is slower than pressing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.kill.asked import Asked, asked_of, note_asked
from proxy.kill.jobs import job_directory
from proxy.kill.journal import Job, Journal
from proxy.kill.lock import AccountLock
from proxy.kill.rearm import RearmRefused, abandoned, rearm
from proxy.store.fence import DESK, Fence, FenceCorrupt, Scope
from rules.kill.events import DeadlinePassed, Engaged

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MAIN = Scope("main")
REASON = "checked with the venue"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    fence = Fence.initialise(tmp_path)
    fence.engage(MAIN)
    return tmp_path


def a_job(data_dir: Path, account: str, *, ended: bool) -> None:
    job = Job(job_id="20261124T000000000000-00000000", account=account, scope=f"account:{account}", by="ann",
              reason="r", started_at=NOW, blocked_ms=1)  # fmt: skip
    journal = Journal.create(data_dir / "kill" / "jobs" / account / f"{job.job_id}.jsonl", job)
    journal.record(Engaged(at=NOW, by="ann", reason="r", deadline=NOW))
    if ended:
        journal.record(DeadlinePassed(at=NOW))
    journal.close()


def test_a_named_person_with_a_reason_lifts_that_scope_alone_and_it_is_written_down(data_dir: Path):
    Fence(data_dir).engage(DESK)
    a_job(data_dir, "main", ended=True)
    before = Fence(data_dir).generation()
    assert rearm(data_dir, MAIN, "bob", REASON, "account:main") == before + 1
    assert Fence(data_dir).scopes() == {DESK}
    written = json.loads((data_dir / "kill" / "rearm.jsonl").read_text())
    assert (written["by"], written["scope"], written["reason"]) == ("bob", "account:main", REASON)


def test_what_an_earlier_press_owed_goes_and_a_press_that_comes_meanwhile_keeps_its_note(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    ann, cem = Asked(by="ann", reason="r"), Asked(by="cem", reason="again")
    note_asked(data_dir, MAIN, ann)
    release = Fence.release

    def with_a_press(fence: Fence, scope: Scope) -> int:
        assert asked_of(data_dir, scope) is None
        note_asked(data_dir, scope, cem)
        return release(fence, scope)

    with monkeypatch.context() as patch:
        patch.setattr(Fence, "release", with_a_press)
        rearm(data_dir, MAIN, "bob", REASON, "account:main")
    assert asked_of(data_dir, MAIN) == cem

    def refuses(fence: Fence, scope: Scope) -> int:
        raise FenceCorrupt(data_dir / "kill" / "epoch", "damage")

    monkeypatch.setattr(Fence, "release", refuses)
    Fence(data_dir).engage(MAIN)
    with pytest.raises(FenceCorrupt):
        rearm(data_dir, MAIN, "bob", REASON, "account:main")
    assert asked_of(data_dir, MAIN) == cem, "it stays stopped, and is owed"


@pytest.mark.parametrize(
    ("name", "reason", "typed", "refusal"),
    [
        ("bob", REASON, "main", "typed"),
        ("bob", REASON, "desk", "typed"),
        ("bob", "  ok   .  ", "account:main", "shorter"),
        ("  ", REASON, "account:main", "named"),
    ],
)
def test_anything_missing_leaves_it_stopped(data_dir: Path, name: str, reason: str, typed: str, refusal: str):
    with pytest.raises(RearmRefused, match=refusal):
        rearm(data_dir, MAIN, name, reason, typed)
    assert Fence(data_dir).scopes() == {MAIN}
    assert not (data_dir / "kill" / "rearm.jsonl").exists()


@pytest.mark.parametrize("scope", [MAIN, DESK])
def test_an_unfinished_kill_cannot_be_lifted(data_dir: Path, scope: Scope):
    a_job(data_dir, "main", ended=False)
    with pytest.raises(RearmRefused, match="has not ended"):
        rearm(data_dir, scope, "bob", REASON, str(scope))


def test_another_accounts_unfinished_kill_is_no_obstacle(data_dir: Path):
    a_job(data_dir, "other", ended=False)
    rearm(data_dir, MAIN, "bob", REASON, "account:main")
    assert not Fence(data_dir).engaged("main")


def test_what_no_key_of_the_vault_can_end_is_no_obstacle_unless_somebody_is_at_it(data_dir: Path):
    venues = {"main": "binanceusdm"}
    Fence(data_dir).engage(DESK)
    a_job(data_dir, "old", ended=False)
    assert abandoned(data_dir, DESK, venues) == ("old",)
    assert abandoned(data_dir, MAIN, venues) == ()
    lock = AccountLock(job_directory(data_dir, "old") / "lock")
    assert lock.acquire()
    with pytest.raises(RearmRefused, match="the kill of old has not ended"):
        rearm(data_dir, DESK, "bob", REASON, "desk", venues)
    lock.release()
    rearm(data_dir, DESK, "bob", REASON, "desk", venues)
    assert Fence(data_dir).scopes() == {MAIN}


def test_a_damaged_journal_counts_as_unfinished(data_dir: Path):
    a_job(data_dir, "main", ended=True)
    path = next((data_dir / "kill" / "jobs" / "main").glob("*.jsonl"))
    path.write_bytes(b"damage\n" + path.read_bytes())
    with pytest.raises(RearmRefused, match="has not ended"):
        rearm(data_dir, MAIN, "bob", REASON, "account:main")
