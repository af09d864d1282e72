"""The signals of a guard that runs: on its command line, over its API, and with a log of forecasts on its disk."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from proxy.practice.world import BOT
from proxy.signals.scoreboard.log import log_path
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    directory = tmp_path_factory.mktemp("signals") / "data"
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    with LiveWorld(directory, policy, balance=100_000, bots=(BOT,)) as running:
        until(lambda: running.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200, "entries pass", 60, every_s=0.2)
        yield running


def test_the_command_line_tells_what_the_warden_tells(world: LiveWorld) -> None:
    until(lambda: world.ask("GET", "/api/signals")["temperatures"] != [], "a market is measured", 60)
    told = json.loads(world.command("signals", "--json").stdout)
    assert {(each["level"], each["name"]) for each in told["anomalies"]} >= {("desk", "desk"), ("bot", BOT)}
    shown = world.command("signals")
    assert shown.returncode == 0
    assert f"anomaly bot={BOT} score=" in shown.stdout
    assert " of 100 longs_pay=" in shown.stdout and "no prediction" in shown.stdout


def test_the_log_of_forecasts_is_there(world: LiveWorld) -> None:
    assert log_path(world.data_dir).is_file()
