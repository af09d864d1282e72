"""A running guard and the description it serves of itself: its real answers have the shapes that are promised, before a
kill, during one and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from proxy.practice.world import ACCOUNT
from tests.support.openapi import Described, closed, operations_of, validator
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.max_order_value", limit=10_000))
    with LiveWorld(tmp_path_factory.mktemp("world") / "data", policy) as running:
        yield running


class Judge:
    """The guard's description, closed, and a client that holds every answer against it."""

    def __init__(self, world: LiveWorld) -> None:
        bearer = {"Authorization": f"Bearer {world.control_token.reveal()}"}
        self._client = httpx.Client(base_url=world.places.console, headers=bearer, trust_env=False, timeout=20)
        self.document = closed(self._client.get("/openapi.json").json())
        self.operations = {each.name: each for each in operations_of(self.document)}

    def ask(self, name: str, path: str = "", body: dict[str, str] | None = None) -> Any:
        """What the guard answers, if it is as promised."""
        described: Described = self.operations[name]
        answer = self._client.request(described.method.upper(), path or described.path, json=body)
        content = described.operation["responses"][str(answer.status_code)]["content"]
        schema = content[answer.headers["content-type"]]["schema"]
        errors = [
            f"{error.instance_path}: {error.message}"
            for error in validator(self.document, schema).iter_errors(answer.json())
        ]
        assert errors == [], (name, answer.status_code)
        return answer.json()


def test_every_real_answer_has_the_shape_that_is_promised(world: LiveWorld) -> None:
    judge = Judge(world)
    world.bot.order("BTCUSDT", "BUY", "0.01")
    refused = world.bot.order("BTCUSDT", "BUY", "5")
    assert refused.status_code == 400
    until(lambda: judge.ask("GET /api/blocked")["blocked"] or None, "a refusal in the archive", 30)
    (blocked, *_) = judge.ask("GET /api/blocked", "/api/blocked?limit=5&rule=max_order_value")["blocked"]
    story = judge.ask("GET /api/decisions/{decision_id}", f"/api/decisions/{blocked['id']}")
    assert story["decision"] is not None
    for name in ("GET /api/desk", "GET /api/signals", "GET /control/rearm", "GET /control/drill", "GET /api/drills"):
        judge.ask(name)
    assert judge.ask("GET /control/kill")["kill"] is None
    pressed = judge.ask("POST /control/kill", body={"scope": f"account:{ACCOUNT}", "reason": "a test", "by": "Ada"})
    assert pressed["blocked_ms"] > 0
    until(lambda: judge.ask("GET /control/kill")["kill"]["flat"] or None, "the account is flat", 60)
    (listed, *_) = until(lambda: judge.ask("GET /api/certificates")["certificates"] or None, "a certificate", 60)
    judge.ask("GET /api/certificates/{certificate_id}", f"/api/certificates/{listed['id']}")
    judge.ask("GET /control/rearm", f"/control/rearm?scope=account:{ACCOUNT}")
    asked = {"scope": f"account:{ACCOUNT}", "name": "Ada", "reason": "a test", "typed": "wrong"}
    told = judge.ask("POST /control/rearm", body=asked)
    assert (told["code"], len(told["errors"]) > 1) == ("REFUSED", True)
    judge.ask("GET /api/desk")


def test_refusals_of_policies_and_overrides_are_told_reason_by_reason(world: LiveWorld) -> None:
    judge = Judge(world)
    told = judge.ask(
        "POST /control/policy", body={"text": "[policy]\nnam = 1\n", "name": "Ada", "reason": "a test of it"}
    )
    assert told["code"] == "REFUSED" and len(told["errors"]) > 1
    terms = {"bot": "nobody", "symbol": "BTCUSDT", "side": "BUY", "rule": "nothing", "quantity_max": "1"}
    asked = terms | {"expires": "10m", "ticket": "T-1", "reason": "a test of it", "name": "Ada"}
    told = judge.ask("POST /control/overrides", body=asked)
    assert told["code"] == "REFUSED" and told["errors"]


def test_the_command_line_tells_what_the_problem_says(world: LiveWorld) -> None:
    done = world.command("rearm", "--scope", "account:nobody", "--name", "Ada", "--reason", "a test", "--typed", "x")
    assert done.returncode == 1
    assert "no such account" in done.stderr
