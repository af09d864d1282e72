"""The pages of refused orders: filtered, shared by their address, drilled into, and tried at another size."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.proxy.console.conftest import BEARER, Browser, HandClock
from tests.proxy.console.desk_double import DeskDouble, a_story
from tests.proxy.console.page_doubles import a_judged_command, a_recorded_decision
from tests.proxy.console.test_pages import CORPUS, Reader

DECISION = "/blocked/01JD3M-7f"


async def test_the_list_shows_why_and_leads_to_the_decision(person: Browser) -> None:
    page = (await person.client.get("/blocked")).text
    assert "ORDER_VALUE_ABOVE_LIMIT" in page
    assert "grid-77" in page
    assert f'href="{DECISION}"' in page


async def test_the_address_is_the_filter_and_older_pages_keep_it(
    person: Browser, plane: DeskDouble, clock: HandClock
) -> None:
    answer = await person.client.get("/blocked?bot=momentum&code=X&since=6h&until=2026-11-24T09%3A00&text=grid")
    wanted = plane.wanted[-1]
    assert (wanted.bot, wanted.code, wanted.text, wanted.account) == ("momentum", "X", "grid", None)
    assert (wanted.since, wanted.until) == (clock.time - timedelta(hours=6), datetime(2026, 11, 24, 9, tzinfo=UTC))
    assert 'name="bot" list="bots" value="momentum"' in answer.text
    older = "/blocked?bot=momentum&amp;code=X&amp;text=grid&amp;since=6h&amp;until=2026-11-24T09%3A00&amp;before=7-1-0"
    assert f'href="{older}"' in answer.text
    last = await person.client.get(older.replace("&amp;", "&"))
    assert plane.wanted[-1].before == "7-1-0"
    assert "Older" not in last.text


async def test_a_day_is_shown_unless_more_is_asked_for(person: Browser, plane: DeskDouble, clock: HandClock) -> None:
    await person.client.get("/blocked")
    assert plane.wanted[-1].since == clock.time - timedelta(days=1)
    await person.client.get("/blocked?since=all")
    assert plane.wanted[-1].since is None


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        pytest.param("since=yesterday", 422, "an age such as 6h", id="a time that is none"),
        pytest.param("until=999999w", 422, "an age such as 6h", id="before all calendars"),
        pytest.param("before=0-0-0", 409, "no such page", id="a page that was never given"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_said_on_the_page(
    person: Browser, query: str, status: int, said: str
) -> None:
    answer = await person.client.get(f"/blocked?{query}")
    assert (answer.status_code, said in answer.text) == (status, True)


async def test_the_filtered_list_leaves_as_a_table(person: Browser, plane: DeskDouble) -> None:
    answer = await person.client.get("/blocked.csv?bot=momentum")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="blocked.csv"'
    assert (answer.text, plane.wanted[-1].bot) == ("at,id\r\n", "momentum")


async def test_a_decision_is_shown_with_every_rule_in_order(person: Browser) -> None:
    page = (await person.client.get(DECISION)).text
    assert "BUY 3 BTCUSDT MARKET" in page
    assert page.index("trading_state") < page.index('<span class="answer denied">denied</span>')
    assert "Largest size that would have passed" in page
    assert "1.666" in page
    assert "margin_balance" in page


async def test_another_size_is_judged_under_both_policies_at_an_address_of_its_own(person: Browser) -> None:
    page = (await person.client.get(f"{DECISION}?item=0&quantity=1")).text
    assert "BUY 1 BTCUSDT MARKET" in page
    assert page.index("Under the policy of then") < page.index("Allowed") < page.index("Under the policy in force")
    assert "0.833" in page


async def test_a_bad_number_is_told_beside_the_form(person: Browser) -> None:
    answer = await person.client.get(f"{DECISION}?item=0&quantity=1e9999")
    assert answer.status_code == 422
    assert "quantity is a number above zero" in answer.text
    assert "margin_balance" in answer.text


async def test_what_cannot_be_taken_again_is_still_shown_as_it_was_recorded(person: Browser, plane: DeskDouble) -> None:
    plane.refuse = "this decision cannot be taken again: its policy document is not in the archive"
    answer = await person.client.get(DECISION)
    assert answer.status_code == 200
    assert "its policy document is not in the archive" in answer.text
    assert "order value 324000 is above 25000" in answer.text


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_no_text_of_a_bot_becomes_markup(person: Browser, plane: DeskDouble, text: str) -> None:
    async def shown(text: str) -> list[Reader]:
        texts = dict.fromkeys(("bot", "account", "command", "rule", "code", "message", "client_order_id", "id"), text)
        plane.judged = [a_judged_command(**texts)]
        # Half a character is in no record: gates refuse it, and it could not be encoded.
        named = "".join(each for each in text if not 0xD800 <= ord(each) < 0xE000)
        plane.found = replace(a_recorded_decision(client_id=named), route=text, at=text)
        plane.decisions["01JD3M-7f"] = a_story(outcome={text: text}, counterfactual=text, others=({text: text},))
        return [Reader((await person.client.get(path)).text) for path in ("/blocked", DECISION)]

    for known, read in zip(await shown("harmless"), await shown(text), strict=True):
        assert read.acts == known.acts
        assert read.inline == []
        assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in read.addresses)


@pytest.mark.parametrize("path", ["/blocked", "/blocked.csv", DECISION], ids=str)
async def test_nobody_is_sent_to_sign_in(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_machines_are_told_every_rule(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/decisions/01JD3M-7f/rules", headers=BEARER)).json()
    (command,) = told["commands"]
    denied = [each for each in command["trace"]["rules"] if each["answer"] == "denied"]
    assert [(each["rule"], each["code"]) for each in denied] == [("max_order_value", "ORDER_VALUE_ABOVE_LIMIT")]
    assert command["trace"]["largest"] == "1.666"
    assert told["inputs"]["markets"]["BTCUSDT"]["mark_price"] == "60000"


async def test_machines_try_another_size(client: httpx.AsyncClient) -> None:
    path = "/api/decisions/01JD3M-7f/what-if"
    found = (await client.post(path, json={"quantity": "1"}, headers=BEARER)).json()
    assert (found["then"]["verdict"], found["now"]["verdict"]) == ("ALLOW", "DENY")
    bad = await client.post(path, json={"quantity": "-1"}, headers=BEARER)
    assert (bad.status_code, bad.json()["code"]) == (422, "WHAT_IF")
    for asked in ({"item": "1"}, {"price": "1"}):
        none = await client.post(path, json={"quantity": "1"} | asked, headers=BEARER)
        assert (none.status_code, none.json()["code"]) == (409, "NOTHING_TO_TRY"), asked
    assert (await client.post(path, json={"quantity": "1"})).status_code == 401
    none = await client.post("/api/decisions/01JD3M-8a/what-if", json={"quantity": "1"}, headers=BEARER)
    assert none.status_code == 404


async def test_an_archive_that_cannot_be_read_is_said_and_not_called_empty(person: Browser, plane: DeskDouble) -> None:
    plane.refuse = "the archive cannot be read; ask `perpguard audit verify`"
    for path in ("/blocked", "/partials/blocked", "/blocked.csv"):
        answer = await person.client.get(path)
        assert answer.status_code == 409, path
        assert "the archive cannot be read" in answer.text, path
        assert "Nothing" not in answer.text, path
        assert ('id="filter-form"' in answer.text) is (path == "/blocked"), path


async def test_nothing_is_not_said_of_a_filter_that_was_not_asked(person: Browser) -> None:
    assert "Nothing that matches" not in (await person.client.get("/blocked?since=yesterday")).text


async def test_a_table_takes_as_long_as_it_takes(
    person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.console.asking.READ_SECONDS_MAX", 0.2)
    plane.table, plane.table_pause_s = tuple(b"%d\r\n" % number for number in range(8)), 0.1
    answer = await person.client.get("/blocked.csv")
    assert (answer.status_code, answer.content) == (200, b"".join(plane.table))
    plane.table_pause_s = 0.3
    assert (await person.client.get("/blocked.csv")).status_code == 504
