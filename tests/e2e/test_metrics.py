"""A real guard under the eyes of a scraper: orders, refusals, a gate that dies, a store that stops, a kill."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator

import httpx
import pytest

from proxy.metrics.names import METRICS
from proxy.practice.world import BOT
from tests.support.metrics import samples
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, freeze, until

Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    with LiveWorld(tmp_path_factory.mktemp("metrics") / "data", policy, balance=100_000) as running:
        yield running


def scrape(world: LiveWorld) -> Samples:
    token = (world.data_dir / "metrics.token").read_text().strip()
    url = world.places.console.rstrip("/") + "/metrics"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False)
    answer.raise_for_status()
    return samples(answer.text)


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum of what has these labels."""
    return sum(number for place, number in found.get(name, []) if labels.items() <= place.items())


def seen(world: LiveWorld, name: str, wanted: float, **labels: str) -> Samples:
    """The scrape in which a name has reached a value."""

    def reached() -> Samples | None:
        found = scrape(world)
        return found if total(found, name, **labels) >= wanted else None

    return until(reached, f"{name} is {wanted}")


def test_orders_and_refusals_are_counted_with_every_stage_of_their_way(world: LiveWorld) -> None:
    assert world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200
    assert world.bot.order("BTCUSDT", "BUY", "5").status_code == 400
    assert world.bot.cancel_all("BTCUSDT").status_code == 200
    world.bot.open_orders()
    assert world.bot.client.get("/fapi/v1/nothing").status_code >= 400
    seen(world, "requests_refused_total", 1, reason="unknown_route")
    found = seen(world, "request_stage_seconds_count", 1, kind="read", stage="total")
    assert total(found, "decisions_total", verdict="allow") == 2
    refused = {"verdict": "deny", "rule": "max_order_value", "code": "ORDER_VALUE_ABOVE_LIMIT"}
    assert total(found, "decisions_total", **refused) == 1
    assert total(found, "orders_total", kind="entry", result="accepted", bot="demo-bot", account="demo") == 1
    assert total(found, "orders_total", kind="cancel", result="accepted") == 1
    ways = {
        "entry": {"authenticate": 2, "parse": 2, "hold": 2, "decide": 2, "send": 1, "settle": 2, "total": 2},
        "cancel": {"authenticate": 1, "parse": 1, "hold": 1, "decide": 1, "send": 1, "settle": 1, "total": 1},
        "read": {"authenticate": 1, "parse": 1, "send": 1, "total": 1},
    }
    for kind, stages in ways.items():
        counted = {
            place["stage"]: number for place, number in found["request_stage_seconds_count"] if place["kind"] == kind
        }
        assert counted == stages, kind
    # What the exchange answered is settled behind the answer.
    within = ways["entry"].keys() - {"settle"}
    parts = sum(total(found, "request_stage_seconds_sum", kind="entry", stage=stage) for stage in within)
    whole = total(found, "request_stage_seconds_sum", kind="entry", stage="total")
    assert parts - whole <= whole


def test_what_is_exposed_is_in_the_name_set_and_nothing_is_missing_without_a_reason(world: LiveWorld) -> None:
    found = scrape(world)
    exposed = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in found}
    assert exposed <= set(METRICS)
    # No kill, drill, watchdog, lease, override or forecast that has held, and nobody holds anything now.
    absent = {name for name in METRICS if name not in exposed}
    happenings = ("last_kill_", "last_bot_kill_", "drill_", "account_drill_", "watchdog_", "venue_silence_")
    assert {name for name in absent if not name.startswith(happenings)} <= {
        "lease_left_seconds", "overrides", "forecast_probability", "hold_age_seconds_max", "leverage_temperature",
    }  # fmt: skip
    assert total(found, "source_up") == len(found["source_up"])


def test_the_token_is_for_the_guards_user_alone_and_opens_nothing_else(world: LiveWorld) -> None:
    path = world.data_dir / "metrics.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    console = world.places.console.rstrip("/")
    for token, door in ((path.read_text().strip(), "/api/desk"), (world.control_token.reveal(), "/metrics")):
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(console + door, headers=headers, trust_env=False).status_code == 401


def test_a_gate_that_is_started_again_counts_anew_in_its_old_place(world: LiveWorld) -> None:
    before = scrape(world)
    ((place, _),) = before["gate_up"]
    started_at = total(before, "process_start_time_seconds", process=place["gate"])
    os.kill(world.process("gate"), signal.SIGKILL)

    def again() -> Samples | None:
        found = scrape(world)
        fresh = total(found, "process_start_time_seconds", process=place["gate"]) > started_at
        return found if fresh and total(found, "gate_up") == 1 else None

    after = until(again, "the gate is there again", timeout_s=60)
    assert [each for each, _ in after["gate_up"]] == [place]
    assert total(after, "decisions_total") == 0


def test_without_the_store_it_still_answers_with_what_the_warden_knows(world: LiveWorld) -> None:
    def away() -> Samples | None:
        found = scrape(world)
        return found if total(found, "store_up") == 0 else None

    store = world.process("store")
    freeze(store)
    try:
        found = until(away, "the store is seen to be away")
        assert total(found, "source_up", source="store") == 0
        assert "gates_alive" not in found and "trading_state" not in found
        assert total(found, "latch_generation") >= 1
        assert total(found, "process_resident_memory_bytes", process="warden") > 0
        assert "survey_age_seconds" in found
    finally:
        os.kill(store, signal.SIGCONT)
    assert seen(world, "store_up", 1)


def test_a_kill_is_seen_with_how_long_it_took(world: LiveWorld) -> None:
    seen(world, "gates_alive", 1)
    world.ask("POST", "/control/kill", {"scope": f"bot:{BOT}", "reason": "test"})
    found = seen(world, "last_bot_kill_flat", 1, account="demo", bot=BOT)
    assert "last_kill_flat" not in found, "a bot's kill is not its account's"
    pressed = world.ask("POST", "/control/kill", {"scope": "desk", "reason": "test"})
    found = seen(world, "last_kill_flat", 1, account="demo")
    assert "last_bot_kill_flat" not in found, "the account was killed after it"
    assert 0 < total(found, "last_kill_blocked_seconds") <= pressed["blocked_ms"] / 1000
    assert total(found, "last_kill_flat_seconds") > 0
    assert total(found, "trading_state", level="desk") == total(found, "trading_state", level="account") == 2
    assert total(found, "latch_generation") >= pressed["generation"]
