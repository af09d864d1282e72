"""The page of the button: what lies ahead, the press by hand and by word, and reduce-only beside them."""

from __future__ import annotations

import httpx
import pytest

from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser
from tests.proxy.console.desk_double import DeskDouble


async def test_the_scope_of_the_address_is_chosen_before_anything_is_read(person: Browser, plane: DeskDouble) -> None:
    page = (await person.client.get("/kill?scope=bot%3Amomentum")).text
    assert '<option value="bot:momentum" selected>' in page
    assert page.count("<option") == 5
    assert 'hx-post="/console/kill"' in page
    plane.broken = True
    assert '<option value="bot:momentum" selected>' in (await person.client.get("/kill?scope=bot%3Amomentum")).text


async def test_what_a_press_would_do_is_listed_order_by_order(person: Browser) -> None:
    part = (await person.client.get("/partials/kill-preview?scope=account%3Amain")).text
    assert "16,208.28" in part
    assert "SELL 0.1 BTCUSDT LIMIT" in part
    assert "SELL whole position BTCUSDT STOP_MARKET trigger 60,000 reduce-only" in part
    assert "books read 0.4 s ago" in part


async def test_trouble_in_looking_ahead_is_said_and_takes_nothing_away(person: Browser, plane: DeskDouble) -> None:
    plane.refuse = "no such bot"
    answer = await person.client.get("/partials/kill-preview?scope=bot%3Anobody")
    assert answer.status_code == 200
    assert "no such bot. The button works without it." in answer.text
    assert "<h3>bot:nobody</h3>" in answer.text, "whose figures these are"


async def test_a_typed_word_presses_as_a_held_button_does(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "scope": "account:main", "reason": "", "typed": " stop "}
    answer = await person.client.post("/console/kill/typed", data=form, headers={**SAME_ORIGIN, "HX-Request": "true"})
    assert answer.status_code == 202
    assert "Trading is blocked" in answer.text
    assert plane.kills == [{"scope": "account:main", "by": "Ada Lovelace", "reason": "typed the word on the console"}]


async def test_a_press_that_the_disk_did_not_take_is_not_called_blocked(person: Browser, plane: DeskDouble) -> None:
    plane.disk_trouble = "the stop is not on this machine's disk (Read-only file system)"
    form = {"csrf": person.csrf, "scope": "account:main", "reason": "", "typed": "stop"}
    answer = await person.client.post("/console/kill/typed", data=form, headers={**SAME_ORIGIN, "HX-Request": "true"})
    assert answer.status_code == 202
    assert "Trading is blocked" not in answer.text
    assert "The kill runs" in answer.text and "Read-only file system" in answer.text


async def test_without_script_the_press_comes_back_to_the_page(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "scope": "desk", "reason": "fire", "typed": "STOP"}
    answer = await person.client.post("/console/kill/typed", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/kill")
    assert [each["reason"] for each in plane.kills] == ["fire"]


async def test_another_word_stops_nothing(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "scope": "desk", "reason": "", "typed": "STO"}
    answer = await person.client.post("/console/kill/typed", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, plane.kills) == (422, [])
    assert "nothing was stopped" in answer.text


async def test_reduce_only_is_one_press_beside_the_button(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "scope": "desk", "reason": ""}
    answer = await person.client.post("/console/reduce", data=form, headers=SAME_ORIGIN)
    assert "Reduce-only now: main." in answer.text
    assert plane.reductions == [{"scope": "desk", "by": "Ada Lovelace", "reason": "reduce-only from the console"}]


@pytest.mark.parametrize("path", ["/console/kill/typed", "/console/reduce"], ids=str)
async def test_a_form_of_another_session_does_nothing(person: Browser, plane: DeskDouble, path: str) -> None:
    form = {"csrf": "x" * 43, "scope": "desk", "reason": ""} | ({"typed": "STOP"} if "typed" in path else {})
    answer = await person.client.post(path, data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, plane.kills, plane.reductions) == (403, [], [])


async def test_machines_look_ahead_too(client: httpx.AsyncClient) -> None:
    found = (await client.get("/control/kill/preview?scope=desk", headers=BEARER)).json()
    assert (found["orders"], found["legs"], found["cost"]) == (2, 1, "3.1")
    assert (await client.get("/control/kill/preview?scope=everything", headers=BEARER)).status_code == 422
    assert (await client.get("/control/kill/preview")).status_code == 401
