"""Certificates at the control door: the file byte for byte, and a page that says no more than is signed."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from tests.proxy.console.conftest import BEARER, Browser
from tests.proxy.console.desk_double import DeskDouble
from tests.proxy.console.test_pages import CORPUS, Reader
from tests.support.certificates import DUST, JOB, a_degraded_kill, a_flat_kill, a_view
from tests.support.kills import a_kill, an_account_kill


async def test_the_file_is_handed_over_byte_for_byte(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    answer = await client.get(f"/api/certificates/{JOB}", headers=BEARER)
    assert answer.content == plane.papers[JOB].content
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{JOB}.json"'
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_list_names_each(client: httpx.AsyncClient) -> None:
    (row,) = (await client.get("/api/certificates", headers=BEARER)).json()["certificates"]
    assert (row["id"], row["phase"], row["by"], row["problem"]) == (JOB, "FLAT", "ann", "")


@pytest.mark.parametrize("name", ["20200101T000000000000-00000000", "..%2fpublic", "%00", "x" * 65, "a.pem"])
@pytest.mark.parametrize("door", ["/api/certificates/", "/certificates/"])
async def test_an_unknown_certificate_is_404(person: Browser, door: str, name: str) -> None:
    answer = await person.client.get(door + name)
    assert answer.status_code == 404


async def test_a_flat_one_says_so_and_names_its_readings(person: Browser) -> None:
    page = (await person.client.get(f"/certificates/{JOB}")).text
    assert "Flat certificate" in page and "3 readings of the venue support it" in page
    assert page.count('class="proves"') == 3
    assert "8886774" in page and "runaway grid" in page
    assert f'href="/api/certificates/{JOB}" download="{JOB}.json"' in page
    assert Reader(page).inline == []


@pytest.mark.parametrize("events", [a_degraded_kill(), a_flat_kill(DUST)], ids=["degraded", "dust"])
async def test_nothing_else_is_called_a_flat_certificate(
    person: Browser, plane: DeskDouble, events: list[object]
) -> None:
    plane.papers[JOB] = a_view(events)  # type: ignore[arg-type]
    page = (await person.client.get(f"/certificates/{JOB}")).text
    assert "Flat certificate" not in page
    assert plane.papers[JOB].document["left"][0] in page


async def test_a_damaged_one_shows_nothing_but_that(person: Browser, plane: DeskDouble) -> None:
    plane.papers[JOB] = replace(plane.papers[JOB], document={}, problem="the signature does not fit")
    page = (await person.client.get(f"/certificates/{JOB}")).text
    assert "Does not verify" in page and "the signature does not fit" in page
    assert "ann" not in page and "Verified." not in page
    assert "does not verify" in (await person.client.get("/certificates")).text


async def test_a_press_leads_to_its_accounts(person: Browser, plane: DeskDouble) -> None:
    told = plane.papers[JOB].document
    bound = [
        {"account": "main", "job": JOB, "phase": "FLAT", "substance": "0" * 64},
        {"account": "second", "job": f"{JOB}-2", "phase": "FLAT", "substance": None},
    ]
    names = ("scope", "by", "reason", "pressed_at", "phase", "flat", "issue")
    document = {"kind": "press", "accounts": bound, **{name: told[name] for name in names}}
    plane.papers["press"] = replace(plane.papers[JOB], id="press", document=document, absent=("second",))
    page = (await person.client.get("/certificates/press")).text
    assert f'<a href="/certificates/{JOB}">' in page
    assert f"{JOB}-2: not here" in page
    assert "Not proven here" in page and "Flat certificate" not in page


async def test_that_of_one_bot_does_not_speak_for_the_account(person: Browser, plane: DeskDouble) -> None:
    document = {**plane.papers[JOB].document, "scope": "bot:trend", "account": "main"}
    plane.papers[JOB] = replace(plane.papers[JOB], document=document)
    bound = [{"account": "main", "job": JOB, "phase": "FLAT", "substance": "0" * 64}]
    press = {**document, "kind": "press", "accounts": bound}
    plane.papers["press"] = replace(plane.papers[JOB], id="press", document=press)
    for name in (JOB, "press"):
        page = (await person.client.get(f"/certificates/{name}")).text
        assert "bot trend on main" in page and "what others hold on the account stays" in page


@pytest.mark.parametrize("text", CORPUS)
async def test_signed_text_is_text_all_the_same(person: Browser, plane: DeskDouble, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    plain = (await person.client.get(f"/certificates/{JOB}")).text
    document = dict(plane.papers[JOB].document)
    document |= dict.fromkeys(("account", "scope", "by", "reason", "blocked_ms", "why", "advice"), text)
    document["left"], document["unlisted"] = [text], [text]
    document["cost"] = document["cost_expected"] = {text: text}
    document["steps"] = [{"type": text, "at": text, text: [text]}, *document["steps"][1:]]
    plane.papers[JOB] = replace(plane.papers[JOB], document=document, problem="")
    page = (await person.client.get(f"/certificates/{JOB}")).text
    assert set(Reader(page).acts) <= set(Reader(plain).acts) | {("ul", ()), ("li", ()), ("p", ()), ("p", ("class",))}
    assert Reader(page).inline == [] and Reader(page).addresses == Reader(plain).addresses


async def test_the_progress_of_an_ended_kill_leads_to_its_certificate(person: Browser, plane: DeskDouble) -> None:
    plane.job = a_kill(an_account_kill("VERIFYING", job_id=JOB))
    assert "/certificates/" not in (await person.client.get("/partials/kill")).text
    plane.job = a_kill(an_account_kill("FLAT", job_id=JOB))
    assert f'href="/certificates/{JOB}"' in (await person.client.get("/partials/kill")).text
    plane.papers.clear()
    assert "/certificates/" not in (await person.client.get("/partials/kill")).text, (
        "none is offered before it is there"
    )
