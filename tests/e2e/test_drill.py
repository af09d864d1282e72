"""The drill by its real door: a live book is copied, rehearsed on, and neither touched nor stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.drill.shelf import drills, keep_drill
from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.rearming import REASON, seen
from tests.support.worlds import LiveWorld, until

POLICY = a_policy(a_rule("desk.max_order_value", limit=50_000)) + "\n[kill.drill]\nmax_age_days = 30\n"
BY = ("--by", "Ada Lovelace")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path_factory.mktemp("drill") / "data", POLICY, balance=100_000) as world:
        until(lambda: world.bot.order("BTCUSDT", "BUY", "0.1").status_code == 200, "entries pass", 60, every_s=0.2)
        for answer in (
            world.bot.order("ETHUSDT", "SELL", "2"),
            world.bot.order("BTCUSDT", "BUY", "0.01", 85_000),
            world.bot.stop("BTCUSDT", "SELL", "0.1", 85_500),
        ):
            assert answer.status_code == 200, answer.text
        yield world


def report(world: LiveWorld, *words: str) -> dict[str, Any]:
    done = world.command("drill", *BY, "--json", *words)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def book(world: LiveWorld) -> tuple[Any, ...]:
    return world.direct.positions(), len(world.direct.open_orders()), world.account()["state"]


def untouched(world: LiveWorld, before: tuple[Any, ...], sent: int) -> None:
    assert book(world) == before
    assert world.door.total() == sent, "a drill sent something to the live exchange"
    assert world.bot.order("BTCUSDT", "BUY", "0.002").status_code == 200
    world.bot.order("BTCUSDT", "SELL", "0.002", reduceOnly="true").raise_for_status()


def test_a_dry_drill_does_everything_but_the_sends(world: LiveWorld) -> None:
    before, sent = book(world), world.door.total()
    found = report(world, "--live", "--dry")
    account = found["accounts"][0]
    assert (found["kind"], found["phase"], found["passed"]) == ("dry", "FLAT", True)
    assert (account["account"], account["positions"], account["orders"]) == (ACCOUNT, 2, 2)
    assert float(account["cost_estimate"]) > 0
    assert account["flat_ms"] <= account["verified_ms"]
    untouched(world, before, sent)
    assert json.loads(world.command("drill", "show", found["id"], "--json").stdout) == found


@pytest.mark.full
def test_a_practice_drill_measures_a_kill_of_the_same_book_under_load(world: LiveWorld) -> None:
    before, sent = book(world), world.door.total()
    drilled = report(world)
    account = drilled["accounts"][0]
    assert (drilled["kind"], drilled["phase"], drilled["passed"]) == ("practice", "FLAT", True)
    assert (account["positions"], drilled["not_copied"]) == (2, [])
    assert drilled["arrived_after_blocked"] == 0
    assert drilled["sent"] >= drilled["taken"] > 0
    assert drilled["rate_per_s"] >= 0.5 * max(10, 2 * drilled["rate_seen_per_s"])
    assert drilled["blocked_ms"] is not None
    assert account["cancelled_ms"] <= account["verified_ms"]
    assert float(account["cost"])
    untouched(world, before, sent)

    desk = world.ask("GET", "/api/desk")["drill"]
    assert (desk["id"], desk["passed"]) == (drilled["id"], True)
    listed = world.command("drill", "list").stdout.splitlines()
    assert listed[0].startswith(drilled["id"])
    assert world.ask("GET", f"/api/drills/{drilled['id']}") == drilled


@pytest.mark.parametrize("words", [("--live",), ("--dry",), ("--live", "--dry"), ()])
def test_half_a_command_is_no_drill(world: LiveWorld, words: tuple[str, ...]) -> None:
    done = world.command("drill", *words)
    assert done.returncode == 2
    assert "--live and --dry belong together" in done.stderr or "needs --by" in done.stderr


@pytest.mark.parametrize("scope", [f"account:{ACCOUNT}", "desk"])
def test_a_drill_of_another_account_opens_nothing_and_one_of_this_runs_while_all_is_stopped(
    world: LiveWorld, scope: str
) -> None:
    def look() -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in seen(world, scope)["checks"] if each["name"] == "drill")
        return found

    world.ask("POST", "/control/kill", {"scope": scope, "reason": REASON, "by": "Ada"})
    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "the kill ends", 60, every_s=0.2)
    report(world, "--live", "--dry", "--account", ACCOUNT)
    for each in drills(world.data_dir):  # As if they had been of some other account.
        others = tuple(replace(account, account="other") for account in each.accounts)
        keep_drill(world.data_dir, replace(each, accounts=others))
    found = look()
    assert not found["holds"] and f"lacking: {ACCOUNT}" in found["said"], found
    assert f"perpguard drill --by NAME --account {ACCOUNT}" in found["said"], "what to do"
    report(world, "--live", "--dry", "--account", ACCOUNT)
    found = look()
    assert found["holds"] and f"{ACCOUNT} 0 days ago (dry, passed)" in found["said"], found
