"""A leg without a stop lets nothing more in; losing the last one closes the account to entries, never to exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

STOP_RULE = a_rule("desk.protective_stop", within_s=4, distance_max=0.05, replace_s=1)


def bought(world: LiveWorld) -> httpx.Response:
    return world.bot.order("BTCUSDT", "BUY", "0.002")


def refused(world: LiveWorld) -> bool:
    answer = bought(world)
    return answer.status_code == 400 and "PROTECTIVE_STOP_MISSING" in answer.text


def newest_account(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The newest account document in the audit."""
    documents = [each for each in records if each.get("name") == f"account:{ACCOUNT}"]
    content: dict[str, Any] = max(documents, key=lambda each: int(each["version"]))["content"]
    return content


def cancelled(world: LiveWorld) -> None:
    """The bot takes its stops away; nothing may keep it from that."""
    answer = world.bot.send("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert answer.status_code == 200, answer.text


def stopped(world: LiveWorld, trigger_price: int) -> None:
    """The bot places a stop for all it has."""
    size = world.bot.positions()["BTCUSDT"]
    world.bot.stop("BTCUSDT", "SELL", f"{size:.3f}", trigger_price).raise_for_status()
    world.wait_until_settled()


def test_a_leg_needs_its_stop_and_whoever_takes_the_last_one_away_closes_the_account_to_entries(tmp_path: Path) -> None:
    with LiveWorld(tmp_path, a_policy(STOP_RULE)) as world:
        until(lambda: world.account()["feed"]["state"] == "LIVE", "the private stream is live")
        until(lambda: bought(world).status_code == 200, "the first entry passes", 10)
        until(lambda: bought(world).status_code == 200, "so does another, while the stop has its time", 3)
        until(lambda: refused(world), "entries are refused once the leg has been without a stop for too long", 15)
        stopped(world, 88_000)
        until(lambda: not refused(world), "with a stop for all of it an entry passes", 10)
        world.wait_until_settled()
        for trigger_price in (87_000, 88_000):  # Moved as bots move it, by cancelling it and sending another.
            cancelled(world)
            stopped(world, trigger_price)
        assert world.account()["state"] == "ACTIVE"

        cancelled(world)
        until(lambda: world.account()["state"] == "REDUCING", "the account is reduce-only", 10)
        assert "REDUCE_ONLY_STATE" in bought(world).text
        stopped(world, 88_000)
        assert world.account()["state"] == "REDUCING", "only a person re-arms"
        size = world.bot.positions()["BTCUSDT"]
        assert world.bot.order("BTCUSDT", "SELL", f"{size:.3f}", reduceOnly="true").status_code == 200
        until(lambda: not world.bot.positions(), "the exit has filled")

        records = world.export()
        (event,) = [each for each in records if each.get("what") == "protection.lost"]
        assert (event["detail"]["symbol"], event["detail"]["replace_s"]) == ("BTCUSDT", 1)
        assert "PROTECTION_LOST on demo: BTCUSDT BOTH has no stop any more" in world.guard_log()
        newest = newest_account(records)
        assert (newest["usual_settings"]["margin_mode"], newest["multi_assets"]) == ("CROSS", False)
