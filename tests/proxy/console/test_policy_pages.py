"""The policy's page: what is in force and waits, and another text: compared first, then proposed as it was compared."""

from __future__ import annotations

import pytest

from proxy.policy.reading import policy_digest
from tests.proxy.console.conftest import SAME_ORIGIN, Browser
from tests.proxy.console.desk_double import DeskDouble
from tests.support.people import PASSWORD

TEXT = '[policy]\nname = "wider"\nowner = "risk@desk.example"\n'
REASON = "the desk has grown"


async def test_the_page_shows_what_is_in_force_and_what_waits(person: Browser) -> None:
    page = (await person.client.get("/policy")).text
    assert page.index("max_order_value") < page.index("max_leverage")
    assert "Proposed by Ben" in page
    assert page.index("Loosened: 1") < page.index("Tightened: 1")
    assert "limit: 25000 -&gt; 50000" in page


async def test_what_rules_in_report_mode_would_have_refused_leads_to_examples(person: Browser) -> None:
    part = (await person.client.get("/partials/policy-hindsight?since=7d")).text
    assert part.index("No order was refused.") < part.index("saved 12.50")
    assert 'href="/blocked/01JD3M-7f"' in part
    assert (await person.client.get("/partials/policy-hindsight?since=soon")).status_code == 422


async def test_a_text_is_compared_as_its_file_was_written(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "text": TEXT.replace("\n", "\r\n")}
    answer = await person.client.post("/console/policy/compare", data=form, headers=SAME_ORIGIN)
    assert "It loosens: it takes somebody else" in answer.text
    assert plane.policies == [{"step": "compare", "text": TEXT}]
    assert policy_digest(TEXT) in answer.text


async def test_a_text_that_is_no_policy_is_told_what_is_wrong(person: Browser, plane: DeskDouble) -> None:
    plane.refuse = "line 3: unknown rule"
    form = {"csrf": person.csrf, "text": TEXT}
    answer = await person.client.post("/console/policy/compare", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, "line 3: unknown rule" in answer.text) == (409, True)


async def test_what_is_proposed_is_what_was_compared(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "text": TEXT, "digest": policy_digest(TEXT), "reason": REASON, "proof": PASSWORD}
    changed = await person.client.post("/console/policy/propose", data=form | {"text": TEXT + "#"}, headers=SAME_ORIGIN)
    assert (changed.status_code, plane.policies) == (409, [])
    answer = await person.client.post("/console/policy/propose", data=form, headers=SAME_ORIGIN)
    assert "In force now: a1b2c3d4e5f60718." in answer.text
    assert plane.policies == [{"step": "propose", "text": TEXT, "name": "Ada Lovelace", "reason": REASON}]


async def test_an_unlocked_screen_is_not_enough_to_loosen(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "digest": "0123456789abcdef", "reason": REASON, "proof": "guessed"}
    answer = await person.client.post("/console/policy/approve", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, plane.policies) == (401, [])
    answer = await person.client.post("/console/policy/approve", data=form | {"proof": PASSWORD}, headers=SAME_ORIGIN)
    assert [each["step"] for each in plane.policies] == ["approve"]


async def test_withdrawing_takes_a_reason_alone(person: Browser, plane: DeskDouble) -> None:
    form = {"csrf": person.csrf, "digest": "0123456789abcdef", "reason": REASON}
    answer = await person.client.post("/console/policy/withdraw", data=form, headers=SAME_ORIGIN)
    assert "Withdrawn." in answer.text
    assert [(each["step"], each["name"]) for each in plane.policies] == [("withdraw", "Ada Lovelace")]


@pytest.mark.parametrize("step", ["compare", "propose", "approve", "withdraw"], ids=str)
async def test_a_form_of_another_session_does_nothing(person: Browser, plane: DeskDouble, step: str) -> None:
    fields = {
        "compare": {"text": TEXT},
        "propose": {"text": TEXT, "digest": policy_digest(TEXT), "reason": REASON, "proof": PASSWORD},
        "approve": {"digest": "0123456789abcdef", "reason": REASON, "proof": PASSWORD},
        "withdraw": {"digest": "0123456789abcdef", "reason": REASON},
    }[step]
    form = fields | {"csrf": "x" * 43}
    answer = await person.client.post(f"/console/policy/{step}", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, plane.policies) == (403, [])
