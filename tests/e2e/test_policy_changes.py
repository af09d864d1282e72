"""A policy changed while bots trade, through real processes: at once where it tightens, with two people where not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from proxy.policy.reading import policy_digest
from proxy.store.embedded import embedded_url
from proxy.store.keys import Keys
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import Bot
from tests.support.rearming import QUICK
from tests.support.worlds import LiveWorld, freeze, until

BTC = "BTCUSDT"
DESK = "demo"


def limited_to(value: int) -> str:
    """A policy with one limit, of a desk where two people loosen."""
    text = a_policy(a_rule("desk.max_order_value", limit=value))
    # A world adds how soon a scope comes back where a policy does not say it; here the text is what counts.
    return text.replace("[policy]\n", '[policy]\nloosening = "two-people"\n', 1) + QUICK


WIDE, NARROW, WIDER = limited_to(1_000), limited_to(100), limited_to(2_000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path_factory.mktemp("policies") / "data", WIDE, gate_workers=2) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> Iterator[LiveWorld]:
    """WIDE is in force, nothing waits."""
    yield running
    body = {"name": "cleo", "reason": "after a test"}
    for waiting in running.ask("GET", "/api/desk")["proposals"]:
        running.ask("POST", "/control/policy/withdraw", {"digest": waiting["policy_version"], **body})
    if running.ask("GET", "/api/desk")["policy_version"] != policy_digest(WIDE):
        answer = running.ask("POST", "/control/policy", {"text": WIDE, **body})
        if answer["pending"] is not None:
            running.ask("POST", "/control/policy/approve", {"digest": policy_digest(WIDE), **body, "name": "dan"})


def command(world: LiveWorld, *arguments: str, name: str) -> Any:
    return world.command("policy", *arguments, "--name", name, "--reason", "a test of the guard")


def apply(world: LiveWorld, text: str, name: str) -> str:
    path = world.data_dir / "next.toml"
    path.write_text(text)
    done = command(world, "apply", str(path), name=name)
    assert done.returncode == 0, done.stderr
    said: str = done.stdout
    return said


def at_each_gate(world: LiveWorld) -> dict[int, httpx.Response]:
    """The same small order at either gate: whichever runs takes the connection, and the other stands still."""
    gates = world.processes("gate")
    assert len(gates) == 2
    answers = {}
    for gate, other in (gates, reversed(gates)):
        freeze(other)
        try:
            key = world.guard_key
            answers[gate] = Bot(world.places.gate, key.key, key.secret).order(BTC, "BUY", "0.002")
        finally:
            os.kill(other, signal.SIGCONT)
    return answers


def judged_under(world: LiveWorld, answer: httpx.Response) -> str:
    decision = answer.headers["x-guard-decision"]
    story = until(lambda: found(world, decision), "the decision is archived")
    version: str = story["decision"]["policy_version"]
    return version


def found(world: LiveWorld, decision: str) -> dict[str, Any] | None:
    reply = httpx.get(
        f"{world.places.console.rstrip('/')}/api/decisions/{decision}",
        headers={"Authorization": f"Bearer {world.control_token.reveal()}"},
        trust_env=False,
    )
    story: dict[str, Any] | None = reply.json() if reply.status_code == 200 else None
    return story if story is not None and story.get("decision") else None


def refused_everywhere(world: LiveWorld, text: str) -> None:
    for answer in at_each_gate(world).values():
        assert answer.headers.get("x-guard-code") == "ORDER_VALUE_ABOVE_LIMIT", answer.text
        assert judged_under(world, answer) == policy_digest(text)


def allowed_everywhere(world: LiveWorld, text: str) -> None:
    for answer in at_each_gate(world).values():
        assert answer.status_code == 200, answer.text
        assert judged_under(world, answer) == policy_digest(text)


def test_a_tightened_policy_is_in_force_with_the_very_next_order_at_every_gate(world: LiveWorld) -> None:
    allowed_everywhere(world, WIDE)
    assert "is in force on every gate" in apply(world, NARROW, "ann")
    refused_everywhere(world, NARROW)
    assert world.ask("GET", "/api/desk")["policy_version"] == policy_digest(NARROW)


def test_a_loosened_policy_waits_for_a_second_person(world: LiveWorld) -> None:
    apply(world, NARROW, "ann")
    said = apply(world, WIDER, "ann")
    assert "loosened desk max_order_value limit: 100 -> 2000" in said and "in force until then" in said
    refused_everywhere(world, NARROW)
    again = command(world, "approve", policy_digest(WIDER), name=" ANN ")
    assert again.returncode == 1 and "somebody else must approve" in again.stderr
    refused_everywhere(world, NARROW)
    assert policy_digest(WIDER) in world.command("policy", "pending").stdout
    approved = command(world, "approve", policy_digest(WIDER), name="ben")
    assert approved.returncode == 0, approved.stderr
    allowed_everywhere(world, WIDER)
    steps = until(lambda: steps_of(world, policy_digest(WIDER)), "the audit tells it")
    assert steps == ["document", "policy.proposed by ann", "policy.in_force by ben"]
    assert world.command("audit", "verify").returncode == 0
    replayed = world.command("audit", "replay")
    assert replayed.returncode == 0, replayed.stdout


def steps_of(world: LiveWorld, digest: str) -> list[str]:
    """What the archive holds of one policy, in the chain's order; empty until it is in force."""
    steps = []
    for record in world.export():
        if record.get("name") == f"policy:{digest}":
            steps.append("document")
        elif record.get("kind") == "event" and record["detail"].get("policy") == digest:
            steps.append(f"{record['what']} by {record['by']}")
    return steps if any("in_force" in step for step in steps) else []


@pytest.mark.parametrize("path", ["/control/policy", "/control/policy/approve", "/control/policy/withdraw"])
def test_a_guard_key_changes_no_policy(world: LiveWorld, path: str) -> None:
    key = world.guard_key
    for token in (key.key, key.secret.reveal()):
        reply = httpx.post(
            world.places.console.rstrip("/") + path,
            json={"text": WIDER, "name": "ann", "reason": "a bot wants more"},
            headers={"Authorization": f"Bearer {token}", "X-MBX-APIKEY": key.key},
            trust_env=False,
        )
        assert reply.status_code == 401
    at_the_gate = world.bot.send("POST", path, text=WIDER)
    assert at_the_gate.status_code >= 400
    assert world.ask("GET", "/api/desk")["policy_version"] == policy_digest(WIDE)


def test_a_policy_that_no_gate_can_read_refuses_entries_and_lets_exits_pass(world: LiveWorld) -> None:
    world.bot.order(BTC, "BUY", "0.002").raise_for_status()
    warden = world.process("warden")
    freeze(warden)  # It would put the text right within a second.
    try:
        with redis.Redis.from_url(embedded_url(world.data_dir)) as store:
            store.hset(Keys(DESK).policy, mapping={"version": "broken", "body": "[desk"})
        entry = world.bot.order(BTC, "BUY", "0.002")
        assert (entry.status_code, entry.headers.get("x-guard-code")) == (400, "POLICY_UNKNOWN")
        assert world.bot.order(BTC, "SELL", "0.002", reduceOnly="true").status_code == 200
    finally:
        os.kill(warden, signal.SIGCONT)
    until(lambda: world.bot.order(BTC, "BUY", "0.002").status_code == 200, "the warden has put it right")


def test_an_active_policy_edited_by_hand_changes_nothing_and_stands_in_the_audit(world: LiveWorld) -> None:
    active = world.data_dir / "policy" / "active.toml"
    active.write_text(WIDER)
    try:
        (edit,) = until(lambda: edits(world), "the audit tells it")
    finally:
        active.write_text(WIDE)
    assert edit == {"policy": policy_digest(WIDER), "instead_of": policy_digest(WIDE), "how": "found while running"}
    assert world.ask("GET", "/api/desk")["policy_version"] == policy_digest(WIDE)


def edits(world: LiveWorld) -> list[dict[str, Any]]:
    return [record["detail"] for record in world.export() if record.get("what") == "policy.edited"]


def test_the_story_of_a_refusal_says_what_its_order_would_have_come_to(world: LiveWorld) -> None:
    answer = world.bot.order(BTC, "BUY", "1")
    assert answer.headers.get("x-guard-code") == "ORDER_VALUE_ABOVE_LIMIT", answer.text
    story = until(lambda: found(world, answer.headers["x-guard-decision"]), "the decision is archived")
    until((world.data_dir / "ledger" / "marks.db").is_file, "marks are kept")
    story = found(world, answer.headers["x-guard-decision"])
    assert story is not None
    (supposed,) = story["counterfactual"]
    assert (supposed["rule"], supposed["order"]["quantity"]) == ("max_order_value", "1")
    assert supposed["outcomes"]["5m"] == {"state": "not yet", "result": None, "why": ""}
