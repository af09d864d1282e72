"""Two guards of one house, each with bots, a policy and an exchange of its own, were given one store and one desk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_own_store import OwnStore
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

CAREFUL = a_policy(a_rule("symbol.BTCUSDT.position_limit", limit_quantity=0.02))
LOOSE = a_policy(a_rule("symbol.BTCUSDT.position_limit", limit_quantity=50.0))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OwnStore]:
    (tmp_path / "own").mkdir()
    own = OwnStore(tmp_path / "own")
    own.start()
    yield own
    own.kill()


def order(world: LiveWorld, quantity: str) -> httpx.Response:
    """One far from the market."""
    return world.bot.order("BTCUSDT", "BUY", quantity, 80_000)


def code(world: LiveWorld, quantity: str) -> str | None:
    answer: str | None = order(world, quantity).headers.get("x-guard-code")
    return answer


DRAWDOWN = "[kill.triggers]\ndrawdown_kill = 0.5\n"
LEASES = "[kill.lease]\nreduce_after_s = 1\ncancel_after_s = 2\nflatten_after_s = 3\n"


def test_the_second_takes_nothing_of_the_firsts_account_for_its_own(tmp_path: Path, store: OwnStore) -> None:
    """The accounts are called alike. The first's is a hundred times as large, and its bot's lease runs out."""

    class First(LiveWorld):
        @property
        def environment(self) -> dict[str, str]:
            return super().environment | {"PERPGUARD_STORE_URL": store.url}

    class Second(First):
        def _wait_until_ready(self) -> None:
            """It does not become ready."""

    with (
        First(tmp_path / "first", CAREFUL, balance=1_000_000) as first,
        Second(tmp_path / "second", LOOSE + DRAWDOWN + LEASES, balance=10_000) as second,
    ):
        assert second.direct.order("BTCUSDT", "BUY", "0.01").status_code == 200
        assert first.bot.send("POST", "/guard/v1/lease", ttl=15).status_code == 200
        with store.client() as client:
            until(lambda: client.hget("perpguard:{demo}:record:demo", "memory"), "its record is saved", 60)
            first.stop_guard()
            client.delete("perpguard:{demo}:guard")
            until(second.answers, "the second has the desk, and has read its account", 90)
            until(lambda: client.hget("perpguard:{demo}:record:demo", "memory"), "its own record is saved", 60)
            assert "demo|demo-bot" not in client.hgetall("perpguard:{demo}:leases")
            record = json.loads(client.hget("perpguard:{demo}:record:demo", "body"))
        assert float(record["performance"]["equity_peak"]) < 20_000
        assert second.direct.positions(), "its own position was closed for what the other's account had"
        (bot, *_) = second.ask("GET", "/api/desk")["bots"]
        assert (second.ask("GET", "/api/desk")["state"], bot["state"]) == ("ACTIVE", "ACTIVE")


def test_the_second_judges_nothing_the_first_judges_on_and_the_second_has_the_desk_when_the_first_has_left_it(
    tmp_path: Path, store: OwnStore
) -> None:
    class First(LiveWorld):
        @property
        def environment(self) -> dict[str, str]:
            return super().environment | {"PERPGUARD_STORE_URL": store.url}

    class Second(First):
        def _wait_until_ready(self) -> None:
            """It does not become ready."""

    with (
        First(tmp_path / "first", CAREFUL, balance=1_000_000) as first,
        Second(tmp_path / "second", LOOSE, balance=1_000_000) as second,
    ):
        until(lambda: "belongs to the guard at" in second.guard_log(), "the second says so", 60)
        until(lambda: code(second, "0.5") == "DESK_TAKEN", "and why it refuses", 60)
        seen = second.ask("GET", "/api/desk")
        assert (seen["store_ok"], str(first.data_dir) in seen["taken_by"]) == (True, True)
        assert "this desk of the store is another guard's" in second.command("status").stdout
        assert second.bot.cancel_all("BTCUSDT").status_code == 200, "what cancels goes"
        assert code(first, "0.5") == "POSITION_ABOVE_LIMIT"
        assert order(first, "0.01").status_code == 200
        assert "The desk demo of the store belongs to another guard" in second.guard_log(), "an alert was raised"
        assert not second.direct.open_orders()
        first.stop_guard()
        with store.client() as client:
            (owner,) = client.scan_iter(match="*:guard")
            assert client.pttl(owner) > 0, "it is kept for a guard that is only restarted"
            client.delete(owner)
        until(lambda: order(second, "0.5").status_code == 200, "the second has the desk", 90)


def test_a_guard_that_was_away_while_another_had_the_desk_and_left_it_takes_over_what_that_one_left(
    tmp_path: Path, store: OwnStore
) -> None:
    class Away(LiveWorld):
        @property
        def environment(self) -> dict[str, str]:
            return super().environment | {"PERPGUARD_STORE_URL": store.url}

    another = "0b" * 16
    with Away(tmp_path / "away", CAREFUL, balance=1_000_000) as world, store.client() as client:
        until(lambda: order(world, "0.01").status_code == 200, "it trades", 60)
        with client.pipeline(transaction=True) as left:
            left.hset("perpguard:{demo}:controls", "guard", another)
            left.hset("perpguard:{demo}:whose", mapping={"": another, "demo": f"{another}|another account's"})
            left.hset("perpguard:{demo}:holds:demo", "theirs", "1|PENDING|1|demo-bot|[]")
            left.delete("perpguard:{demo}:guard")
            left.execute()
        until(lambda: "another guard has taken the desk" in world.guard_log(), "its warden ends")
        until(lambda: "the desk demo was another guard's" in world.guard_log(), "the next one takes over", 60)
        until(lambda: order(world, "0.01").status_code == 200, "it trades again", 90)
        assert not client.hexists("perpguard:{demo}:holds:demo", "theirs"), "nothing of the other is believed"
