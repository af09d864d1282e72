"""What the audit learns of people: everything that became of them, and of visits no more than it can bear."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxy.people.desk import AGAIN_AFTER, FAILURES_MAX, VISITS_MAX, PeopleDesk
from proxy.people.file import PeopleFile
from proxy.people.register import Register
from proxy.people.roles import Role
from tests.support.people import a_register, write_people
from tests.support.scribes import a_scribe

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


class Audit:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.time = NOW
        self.refused: set[str] = set()

    def now(self) -> datetime:
        return self.time

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> bool:
        self.events.append((what, by, detail))
        return what not in self.refused


class AwayStore:
    """A store that cannot be reached."""

    def __init__(self) -> None:
        self.away = True
        self.records: list[dict[str, Any]] = []

    async def record(self, records: list[dict[str, Any]]) -> None:
        if self.away:
            raise ConnectionError("store away")
        self.records += records


async def run(desk: PeopleDesk, audit: Audit, count: int) -> None:
    running = asyncio.create_task(desk.run())
    for _ in range(500):
        if len(audit.events) >= count:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def built(tmp_path: Path) -> tuple[Register, PeopleDesk, Audit]:
    write_people(tmp_path)
    audit = Audit()
    register = a_register(tmp_path, audit.now)
    return register, PeopleDesk(register, audit.event, audit.now), audit


async def test_a_change_is_told_once_and_then_forgotten(tmp_path: Path) -> None:
    register, desk, audit = built(tmp_path)
    register.set_role("Vic", Role.TRADER, by="Ada Lovelace")
    await run(desk, audit, 1)
    at = "2026-11-24T09:30:00Z"
    told = {"user": "Vic", "role": "trader", "before": "viewer", "at": at}
    assert audit.events == [("people.role", "Ada Lovelace", told)]
    assert register.people.changes == ()
    await run(desk, audit, 2)
    assert len(audit.events) == 1


async def test_a_change_made_while_no_warden_ran_is_told_by_the_next(tmp_path: Path) -> None:
    register, _, audit = built(tmp_path)
    register.set_disabled("Vic", disabled=True, by="root (command line)")
    desk = PeopleDesk(a_register(tmp_path, audit.now), audit.event, audit.now)
    await run(desk, audit, 1)
    assert [(what, by) for what, by, _ in audit.events] == [("people.disabled", "root (command line)")]


async def test_a_change_the_audit_did_not_take_stays_and_is_told_again_with_those_after_it(tmp_path: Path) -> None:
    register, desk, audit = built(tmp_path)
    register.set_role("Vic", Role.TRADER, by="Ada Lovelace")
    register.set_disabled("Vic", disabled=True, by="Ada Lovelace")
    register.set_role("Tess", Role.RISK, by="Ada Lovelace")
    audit.refused = {"people.disabled"}
    for _ in range(2):  # The second comes too soon.
        await desk._tell_changes()
        assert [what for what, _, _ in audit.events] == ["people.role", "people.disabled"]
        assert [change.what for change in register.people.changes] == ["people.disabled", "people.role"]
    audit.refused, audit.time = set(), NOW + AGAIN_AFTER
    await desk._tell_changes()
    assert [what for what, _, _ in audit.events[2:]] == ["people.disabled", "people.role"]
    assert register.people.changes == ()


async def test_a_change_stays_in_the_file_while_neither_store_nor_archive_takes_it(tmp_path: Path) -> None:
    register, _, audit = built(tmp_path)
    store = AwayStore()
    desk = PeopleDesk(register, a_scribe(store, audit.now).write_event, audit.now)
    register.set_disabled("Vic", disabled=True, by="Ada Lovelace")
    await desk._tell_changes()
    assert [change.what for change in PeopleFile(tmp_path).read().changes] == ["people.disabled"]
    store.away, audit.time = False, NOW + AGAIN_AFTER
    await desk._tell_changes()
    assert [record["what"] for record in store.records] == ["people.disabled"]
    assert PeopleFile(tmp_path).read().changes == ()


async def test_guessers_do_not_fill_the_audit(tmp_path: Path) -> None:
    _, desk, audit = built(tmp_path)
    for number in range(FAILURES_MAX + 500):
        desk.note("signin.failed", "nobody", {"address": f"10.0.0.{number}"})
    desk.note("signin", "Ada Lovelace", {"address": "127.0.0.1"})
    await run(desk, audit, FAILURES_MAX + 1)
    assert [what for what, _, _ in audit.events].count("signin.failed") == FAILURES_MAX
    assert audit.events[-1][0] == "signin"
    audit.time += timedelta(minutes=5)
    await run(desk, audit, FAILURES_MAX + 2)
    assert audit.events[-1] == ("signin.unsaid", "warden", {"count": 500})


async def test_a_visit_that_the_audit_did_not_take_is_told_again_with_those_after_it(tmp_path: Path) -> None:
    _, desk, audit = built(tmp_path)
    desk.note("signin", "Ada Lovelace", {"address": "127.0.0.1"})
    desk.note("signout", "Ada Lovelace", {})
    audit.refused = {"signin"}
    for _ in range(2):  # The second comes too soon.
        await desk._tell_visits()
        assert [what for what, _, _ in audit.events] == ["signin"]
    audit.refused, audit.time = set(), NOW + AGAIN_AFTER
    await desk._tell_visits()
    await desk._tell_visits()
    assert [what for what, _, _ in audit.events[1:]] == ["signin", "signout"]


async def test_visits_that_wait_for_the_audit_are_bounded(tmp_path: Path) -> None:
    _, desk, audit = built(tmp_path)
    audit.refused = {"signin"}
    await desk._tell_visits()
    for _ in range(VISITS_MAX + 7):
        desk.note("signin", "Ada Lovelace", {})
    assert len(desk._visits) == VISITS_MAX
    audit.refused, audit.time = set(), NOW + timedelta(minutes=5)
    await desk._tell_visits()
    assert audit.events[-1] == ("signin.unsaid", "warden", {"count": 7})
