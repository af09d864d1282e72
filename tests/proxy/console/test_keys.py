"""The keys at the control door: listed without the key, switched off at once, on again only with a proof."""

from __future__ import annotations

import httpx

from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser
from tests.proxy.console.desk_double import DeskDouble
from tests.support.people import PASSWORD

KEY = "0123456789abcdef"


async def test_a_machine_is_told_of_every_key_and_shown_none(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/keys", headers=BEARER)).json()
    assert [(key["bot"], key["hint"], key["state"]) for key in told["guard_keys"]] == [("momentum", "…9fQz", "active")]
    assert [(key["account"], key["verdict"]) for key in told["exchange_keys"]] == [("main", "sound")]


async def test_a_key_is_switched_off_without_a_proof_and_on_with_one(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "key": KEY}
    off = await person.client.post("/console/keys/disable", data=form, headers=SAME_ORIGIN)
    assert (off.status_code, "is refused from now on" in off.text) == (200, True)
    wrong = await person.client.post(
        "/console/keys/enable", data=form | {"proof": "not my password at all"}, headers=SAME_ORIGIN
    )
    assert (wrong.status_code, plane.keys.switched) == (401, [(KEY, False, "Ada Lovelace")])
    on = await person.client.post("/console/keys/enable", data=form | {"proof": PASSWORD}, headers=SAME_ORIGIN)
    assert (on.status_code, plane.keys.switched[1:]) == (200, [(KEY, True, "Ada Lovelace")])
    page = (await person.client.get("/keys")).text
    assert "momentum" in page and "sound" in page


async def test_a_key_that_is_none_is_refused(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "key": "no-such-key"}
    answer = await person.client.post("/console/keys/disable", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, plane.keys.switched) == (409, [])
