"""What the audit learns of people: everything that became of them, and of visits no more than it can bear."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxy.people.desk import FAILURES_MAX, PeopleDesk
from proxy.people.register import Register
from proxy.people.roles import Role
from tests.support.people import a_register, write_people

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


class Audit:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.events.append((what, by, detail))


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
