"""A bot that loses money at the practice exchange meets its daily loss: no new risk, and the way out stays open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from proxy.practice.world import ACCOUNT
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

BTC = "BTCUSDT"


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("bot.ada.daily_loss", of="bot", limit=3))
    directory = tmp_path_factory.mktemp("daily_loss") / "data"
    with LiveWorld(directory, policy, balance=100_000, bots=("ada", "bob")) as world:
        yield world


def code(answer: httpx.Response) -> str:
    return answer.headers.get("x-guard-code", "")


def test_a_losing_bot_may_only_get_out(world: LiveWorld) -> None:
    ada, bob = world.bot_named("ada"), world.bot_named("bob")
    # Until the first record is there nobody knows what was lost, and nothing is let in.
    until(lambda: ada.order(BTC, "BUY", "0.1").status_code == 200, "the record is known", 60)
    # Its fee alone, on about 9,000, is more than 3.
    until(lambda: code(ada.order(BTC, "BUY", "0.001")) == "DAILY_LOSS_REACHED", "the loss is known", 60)
    refused = ada.order(BTC, "BUY", "0.001")
    assert (code(refused), refused.status_code) == ("DAILY_LOSS_REACHED", 400)
    assert "the bot has lost" in refused.json()["msg"]
    assert bob.order(BTC, "BUY", "0.01").status_code == 200, "another bot's loss is its own"
    held = ada.positions()[BTC]
    assert ada.order(BTC, "SELL", f"{held:g}", reduceOnly="true").status_code == 200
    until(lambda: not ada.positions(), "ada is out", 60)
    assert code(ada.order(BTC, "BUY", "0.001")) == "DAILY_LOSS_REACHED", "getting out is no recovery"
    exported = world.export()
    denied = [each for each in exported if "DAILY_LOSS_REACHED" in str(each.get("decisions"))]
    assert {record["snapshot"]["bot"] for record in denied} == {"ada"}
    documents = {each["id"]: each["content"] for each in exported if each["kind"] == "document"}
    remembered = [documents[record["snapshot"]["record"]["$ref"]]["bots"] for record in denied]
    assert all("ada" in {each["bot"] for each in bots} for bots in remembered)
    measures = [each for record in denied for each in record["decisions"][0]["measures"]]
    assert all(float(each["value"]) >= 3 for each in measures if each["name"] == "loss_day")
    assert {"loss_day", "loss_24h"} <= {each["name"] for each in measures}


def test_a_memory_that_cannot_be_read_gives_no_loss_back(tmp_path: Path) -> None:
    """What was lost today is not known then, and is not taken for nothing, until a person says that it may be."""
    records = tmp_path / "data" / "records"
    records.mkdir(mode=0o700, parents=True)
    records.parent.chmod(0o700)
    (records / f"{ACCOUNT}.json").write_text("{torn")
    with LiveWorld(tmp_path / "data", a_policy(a_rule("desk.daily_loss", of="account", limit=300))) as world:
        until(lambda: code(world.bot.order(BTC, "BUY", "0.01")) == "FACTS_UNKNOWN", "the rest is known", 60)
        assert f"what was remembered of {ACCOUNT} cannot be read: {ACCOUNT}.json: DecodeError" in world.guard_log()
        assert world.bot.send("DELETE", "/fapi/v1/allOpenOrders", symbol=BTC).status_code == 200
        (records / f"{ACCOUNT}.anew").touch()
        until(lambda: world.bot.order(BTC, "BUY", "0.01").status_code == 200, "the record has begun anew", 60)
        assert not (records / f"{ACCOUNT}.anew").exists()
