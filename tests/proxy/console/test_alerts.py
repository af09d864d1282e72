"""Alerts at the control door: who may see, acknowledge and try; and a link that only a pressed button uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from proxy.alerts.plane import AlertsView
from tests.proxy.console.conftest import BEARER, ORIGIN, SAME_ORIGIN, Browser, browse, sign_in
from tests.proxy.console.desk_double import DeskDouble
from tests.proxy.console.test_pages import CORPUS, Reader
from tests.support.alerts import AT, AlertsDouble, an_alert


@pytest.fixture
def alerts(plane: DeskDouble) -> AlertsDouble:
    return plane.alerts


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(app) as client:
        yield client


async def test_a_machine_reads_acknowledges_and_tests(client: httpx.AsyncClient, alerts: AlertsDouble) -> None:
    told = (await client.get("/api/alerts", headers=BEARER)).json()
    assert [each["title"] for each in told["open"]] == ["KILL: desk is being stopped"]
    assert told["channels"][0]["name"] == "pager" and "url" not in told["channels"][0]
    path = f"/control/alerts/{alerts.open[0].id}/acknowledge"
    heard = await client.post(path, json={"name": "Ben"}, headers=BEARER)
    assert (heard.status_code, heard.json()["acknowledged_by"]) == (200, "Ben")
    tried = await client.post("/control/alerts/test", json={"channel": "pager", "name": "Ann"}, headers=BEARER)
    assert (tried.status_code, alerts.tested) == (200, [("pager", "Ann")])


@pytest.mark.parametrize("name", ["nothing", "x" * 300])
async def test_an_alert_that_is_none_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post(f"/control/alerts/{name}/acknowledge", json={"name": "Ann"}, headers=BEARER)
    assert answer.status_code == 404


async def test_a_channel_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/control/alerts/test", json={"channel": "x", "name": "Ann"}, headers=BEARER)
    assert answer.status_code == 409


@pytest.mark.parametrize("path", ["/alerts", "/api/alerts", "/partials/alerts"])
async def test_a_stranger_sees_nothing(stranger: httpx.AsyncClient, path: str) -> None:
    answer = await stranger.get(path)
    assert answer.status_code in (303, 401) and "KILL" not in answer.text


async def test_the_page_shows_what_is_open_and_a_person_acknowledges_it(person: Browser, alerts: AlertsDouble) -> None:
    page = (await person.client.get("/alerts")).text
    assert "By ann: runaway." in page and "2 times" in page and "tgram" in page
    form = {"csrf": person.csrf, "id": alerts.open[0].id}
    said = await person.client.post("/console/alerts/acknowledge", data=form, headers=SAME_ORIGIN)
    assert said.status_code == 200 and "acknowledged by" in said.text
    assert "Acknowledge<" not in (await person.client.get("/partials/alerts")).text


async def test_a_person_tries_a_channel_and_hears_why_it_failed(person: Browser, alerts: AlertsDouble) -> None:
    alerts.channel = replace(alerts.channel, trouble="no answer within 4 s")
    form = {"csrf": person.csrf, "channel": "pager"}
    said = await person.client.post("/console/alerts/test", data=form, headers=SAME_ORIGIN)
    assert "did not take it: no answer within 4 s" in said.text
    refused = await person.client.post("/console/alerts/test", data=form | {"channel": "no-such"}, headers=SAME_ORIGIN)
    assert refused.status_code == 409


async def test_nobody_is_told_is_said_loudly(person: Browser, alerts: AlertsDouble) -> None:
    alerts.alerts = lambda: AlertsView(  # type: ignore[method-assign]
        at=AT, open=[], past=[], channels=[], quiet=True, held=4
    )
    page = (await person.client.get("/alerts")).text
    assert "Nobody is told." in page and "4 notices wait" in page


async def test_looking_at_a_link_does_not_acknowledge(stranger: httpx.AsyncClient, alerts: AlertsDouble) -> None:
    for _ in range(3):
        page = await stranger.get("/alerts/ack/good")
        assert page.status_code == 200 and "I have heard of it" in page.text
    await stranger.head("/alerts/ack/good")
    assert alerts.open[0].acknowledged_by == ""
    assert page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-store"


async def test_the_button_acknowledges_once(stranger: httpx.AsyncClient, alerts: AlertsDouble) -> None:
    done = await stranger.post("/alerts/ack/good", data={"name": "Ann"}, headers=SAME_ORIGIN)
    assert "Acknowledged by Ann (link sent to pager)" in done.text
    await stranger.post("/alerts/ack/good", data={"name": "Ben"}, headers=SAME_ORIGIN)
    assert alerts.open[0].acknowledged_by.startswith("Ann")


@pytest.mark.parametrize(
    ("token", "name", "headers", "status"),
    [
        ("bad", "Ann", SAME_ORIGIN, 404),
        ("good", "", SAME_ORIGIN, 422),
        ("good", "Ann", {"Origin": "https://elsewhere.test", "Sec-Fetch-Site": "cross-site"}, 403),
        ("good", "Ann", {}, 403),
    ],
    ids=["no link", "no name", "another site", "no browser"],
)
async def test_nothing_else_does(
    stranger: httpx.AsyncClient, alerts: AlertsDouble, token: str, name: str, headers: dict[str, str], status: int
) -> None:
    answer = await stranger.post(f"/alerts/ack/{token}", data={"name": name}, headers=headers)
    assert (answer.status_code, alerts.open[0].acknowledged_by) == (status, "")


async def test_what_a_venue_or_a_bot_wrote_is_text(person: Browser, alerts: AlertsDouble) -> None:
    async def pages(said: str) -> dict[str, Reader]:
        alerts.open = [an_alert(title=said, text=said, advice=said, acknowledged_by=said, acknowledged_at=AT)]
        alerts.past = [an_alert(title=said, closed_at=AT)]
        alerts.channel = replace(alerts.channel, trouble=said)
        return {path: Reader((await person.client.get(path)).text) for path in ("/alerts", "/alerts/ack/good")}

    harmless = await pages("harmless")
    for text in CORPUS:
        for path, read in (await pages(text)).items():
            assert read.inline == [] and read.acts == harmless[path].acts, (path, text)


async def test_the_form_of_another_session_is_refused(app: FastAPI, person: Browser, alerts: AlertsDouble) -> None:
    async with browse(app) as other:
        await sign_in(other)
        form = {"csrf": person.csrf, "id": alerts.open[0].id}
        answer = await other.post("/console/alerts/acknowledge", data=form, headers=SAME_ORIGIN | {"Origin": ORIGIN})
    assert (answer.status_code, alerts.open[0].acknowledged_by) == (403, "")


async def test_the_overviews_part_says_what_is_open_and_which_channel_is_silent(
    person: Browser, alerts: AlertsDouble
) -> None:
    alerts.channel = replace(alerts.channel, trouble="the address does not answer")
    shown = (await person.client.get("/partials/open-alerts")).text
    assert "1 open" in shown and "KILL: desk is being stopped" in shown
    assert "pager" in shown and "the address does not answer" in shown
