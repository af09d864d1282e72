"""A kill on a real guard ends in a certificate, also when the warden died before it was issued."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, gone, until

pytestmark = pytest.mark.full

POLICY = a_policy(a_rule("desk.max_order_value", limit=50_000))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path_factory.mktemp("certificate") / "data", POLICY, balance=100_000) as running:
        running.bot.order("BTCUSDT", "BUY", "0.1").raise_for_status()
        running.ask("POST", "/control/kill", {"scope": "desk", "reason": "runaway grid", "by": "ann"})
        yield running


def certificate(world: LiveWorld, kind: str) -> dict[str, Any]:
    """The newest certificate of that kind, as soon as there is one."""

    def found() -> dict[str, Any] | None:
        rows = world.ask("GET", "/api/certificates")["certificates"]
        newest = next((row for row in rows if row["kind"] == kind and not row["problem"]), None)
        if newest is None:
            return None
        document: dict[str, Any] = world.ask("GET", f"/api/certificates/{newest['id']}")["certificate"]
        return document

    return until(found, f"a certificate of the {kind}", 60)


def verify(world: LiveWorld, certificate_id: str) -> dict[str, Any]:
    directory = world.data_dir / "certificates"
    words = ("verify", str(directory / f"{certificate_id}.json"), "--public-key", str(directory / "public.pem"))
    done = world.command("certificate", *words, "--require-flat", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_press_is_certified_and_the_audit_and_the_certificate_hold_each_other(world: LiveWorld) -> None:
    press, account = certificate(world, "press"), certificate(world, "account")
    assert press["accounts"][0]["job"] == account["id"]
    for each in (press, account):
        assert verify(world, each["id"])["proves_flat"]
        assert each["issue"]["policy"]["digest"] and each["issue"]["audit"]["sequence"] > 0
    assert any(step["type"] == "CloseSent" for step in account["steps"])

    def issued() -> list[str] | None:
        events = [each for each in world.export() if each.get("what") == "certificate.issued"]
        return [each["detail"]["id"] for each in events] if len(events) == 2 else None

    assert until(issued, "both are in the audit") == [account["id"], press["id"]]


def test_a_warden_that_died_before_it_certified_does_so_when_it_is_back(world: LiveWorld) -> None:
    before = certificate(world, "account")
    warden = world.process("warden")
    os.kill(warden, signal.SIGSTOP)  # So that nothing is issued between the two lines that follow.
    (world.data_dir / "certificates" / f"{before['id']}.json").unlink()
    os.kill(warden, signal.SIGKILL)
    until(lambda: gone(warden), "it is dead")
    until(world.answers, "the warden is back", 60)
    after = certificate(world, "account")
    assert after.pop("issue")["at"] > before.pop("issue")["at"]
    assert after == before
    assert verify(world, after["id"])["proves_flat"]
