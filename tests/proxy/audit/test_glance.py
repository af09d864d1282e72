"""The audit's page over a real archive: what people did is found behind what the guard did, and damage is said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.audit import glance as audit_glance
from proxy.audit.glance import EVENTS_SHOWN, AuditGlance
from proxy.audit.place import ArchivePlace
from proxy.audit.scribe import Scribe
from proxy.store.codec import plain
from tests.proxy.audit.conftest import START, Desk
from tests.proxy.audit.damaging import cut_records


def an_event(number: int, by: str) -> dict[str, Any]:
    return Desk().event(f"e-{number}", f"did.{number}") | {"by": by, "at": plain(START + timedelta(seconds=number))}


def a_glance(directory: Path, events: list[dict[str, Any]]) -> AuditGlance:
    place = ArchivePlace(directory=directory)
    Desk().write(place, events, batch_size=100)
    verification = SimpleNamespace(last=None, running=None)
    scribe = SimpleNamespace(place=place, anchor=None, verification=verification, anchors=SimpleNamespace(states=()))
    return AuditGlance(cast(Scribe, scribe))


async def test_a_person_is_found_behind_all_that_the_guard_did(tmp_path: Path) -> None:
    events = [an_event(0, "ada"), *(an_event(number, "warden") for number in range(1, 600))]
    view = await a_glance(tmp_path, events).audit()
    assert [(each.by, each.what) for each in view.events] == [("ada", "did.0")]
    assert (view.trouble, view.events_looked_at) == ("", 600)


async def test_the_newest_of_people_are_shown_and_no_more_is_read(tmp_path: Path) -> None:
    view = await a_glance(tmp_path, [an_event(number, "ada") for number in range(EVENTS_SHOWN + 10)]).audit()
    assert [each.what for each in view.events] == [f"did.{number}" for number in range(EVENTS_SHOWN + 9, 9, -1)]
    assert view.events_looked_at == EVENTS_SHOWN


async def test_what_was_looked_at_is_bounded_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_glance, "EVENTS_LOOKED_AT", 20)
    view = await a_glance(
        tmp_path, [an_event(number, "ada" if not number else "guard") for number in range(30)]
    ).audit()
    assert (list(view.events), view.events_looked_at, view.records) == ([], 20, 30)


async def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    glance = a_glance(tmp_path, [an_event(1, "ada")])
    cut_records(ArchivePlace(directory=tmp_path), "event")
    assert (await glance.audit()).trouble == "A record is damaged: ask `perpguard audit verify`."


async def test_where_there_is_no_archive_that_is_said(tmp_path: Path) -> None:
    glance = a_glance(tmp_path, [])
    ArchivePlace(directory=tmp_path).database.unlink()
    assert "there is no archive" in (await glance.audit()).trouble
