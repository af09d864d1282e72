"""The audit page: chains, anchors, the last verification, who did what, and the button that verifies."""

from __future__ import annotations

from dataclasses import replace

import httpx

from proxy.audit.plane import ProgressView, VerificationView
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser
from tests.proxy.console.desk_double import HOSTILE, DeskDouble, an_audit


async def page(person: Browser) -> str:
    answer = await person.client.get("/audit")
    assert answer.status_code == 200
    return answer.text


async def test_it_shows_chains_anchors_the_last_verification_and_who_did_what(person: Browser) -> None:
    text = await page(person)
    for shown in (
        "1200 records",
        "the desk&#39;s own",
        "webhook at anchors.test",
        "answered 503",
        "0123456789abcdef",
        "signatures fit",
        "2026-11-23 17:02:03",
        "kill.engaged",
    ):
        assert shown in text, shown


async def test_names_are_text(person: Browser) -> None:
    text = await page(person)
    assert HOSTILE not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") == 2


async def test_what_is_wrong_stands_out_with_its_place(person: Browser, plane: DeskDouble) -> None:
    wrong = VerificationView(
        at="2026-11-24T09:00:00Z",
        took_s=2.0,
        ok=False,
        records=1100,
        wrong="gap",
        problem="record 7 is missing",
        first_bad=7,
        signatures=True,
    )
    plane.audit_view = an_audit(last=wrong)
    text = await page(person)
    assert "record 7 is missing" in text
    assert "First wrong record: 7" in text
    assert '<span class="badge halted">gap</span>' in text


async def test_how_far_a_verification_is_is_shown_and_renewed(person: Browser, plane: DeskDouble) -> None:
    plane.audit_view = an_audit(running=ProgressView(since="2026-11-24T09:29:00Z", done=300, of=1200))
    part = await person.client.get("/partials/audit")
    assert "300 of 1200 records" in part.text
    assert 'hx-trigger="every 1s"' in part.text


async def test_an_archive_that_cannot_be_read_is_said(person: Browser, plane: DeskDouble) -> None:
    plane.audit_view = replace(an_audit(), trouble="the disk is gone", chains=[], events=[], last=None)
    text = await page(person)
    assert "the disk is gone" in text
    assert "None since the guard was started" in text


async def test_a_person_begins_a_verification(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf}
    answer = await person.client.post("/console/audit/verify", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 200
    assert "being hashed again" in answer.text
    assert plane.verifications == 1


async def test_another_sites_form_begins_nothing(person: Browser, plane: DeskDouble) -> None:
    answer = await person.client.post("/console/audit/verify", data={"csrf": "x" * 43}, headers=SAME_ORIGIN)
    assert answer.status_code == 403
    assert plane.verifications == 0


async def test_a_machine_reads_the_same(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/audit", headers=BEARER)
    assert answer.status_code == 200
    assert answer.json()["checkpoint"]["seq"] == 1200


async def test_that_nobody_did_anything_is_said_of_what_was_looked_at(person: Browser, plane: DeskDouble) -> None:
    plane.audit_view = an_audit(events=[], events_looked_at=20_000)
    assert "Nobody did anything among the newest 20000 events" in await page(person)
    plane.audit_view = an_audit(events=[], events_looked_at=0)
    assert "No event is archived yet." in await page(person)
    plane.audit_view = an_audit(events=[], events_looked_at=0, trouble="the disk is gone")
    assert "archived yet" not in await page(person)
