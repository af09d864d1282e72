"""The real freqtrade, live and on futures: enters, protects itself on the exchange, leaves; and loses an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.accounting import nothing_unaccounted, placed_names
from tests.support.freqtrade import Freqtrade
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

pytestmark = pytest.mark.full

POLICY = a_policy(a_rule("desk.max_order_value", limit=50_000), a_rule("desk.max_leverage", limit=10))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path / "guard", POLICY, balance=100_000) as running:
        yield running


def orders(world: LiveWorld) -> list[tuple[str, str, str]]:
    """Path, side and type of the orders the exchange took."""
    return [
        (entry["path"].rpartition("/")[2], entry["params"]["side"], entry["params"]["type"])
        for entry in world.door.log()
        if entry["method"] == "POST" and "side" in entry["params"] and entry["status"] == 200
    ]


def refusals(world: LiveWorld) -> list[dict[str, Any]]:
    """The first breach of every refused decision in the audit."""
    return [
        decision["breaches"][0]
        for record in world.export()
        if record["kind"] == "decision"
        for decision in record["decisions"]
        if decision["breaches"]
    ]


def test_it_enters_protects_itself_and_leaves(world: LiveWorld, tmp_path: Path) -> None:
    with Freqtrade(world, tmp_path / "freqtrade") as bot:
        (trade,) = until(bot.open_trades, "it has entered", 60, every_s=0.5)
        until(lambda: len(orders(world)) == 2, "its stop is at the exchange", 60, every_s=0.5)
        assert [row["algoId"] for row in world.direct.send("GET", "/fapi/v1/openAlgoOrders").json()]
        assert list(world.direct.positions()) == ["BTCUSDT"]
        bot.enter_no_more()
        bot.force_exit(trade["trade_id"])
        (closed,) = until(bot.closed_trades, "it has left", 60, every_s=0.5)
        assert closed["exit_reason"] == "force_exit"
    assert orders(world) == [
        ("order", "BUY", "MARKET"),
        ("algoOrder", "SELL", "STOP_MARKET"),
        ("order", "SELL", "MARKET"),
    ]
    assert world.direct.positions() == {}
    assert world.direct.send("GET", "/fapi/v1/openAlgoOrders").json() == []
    nothing_unaccounted(world)
    assert refusals(world) == []


def test_a_lost_answer_is_one_position_and_a_refusal_that_names_it(world: LiveWorld, tmp_path: Path) -> None:
    """freqtrade never learns of the first order; without the guard it would open it again and again."""
    world.door.arm(drop_reply=1)
    with Freqtrade(world, tmp_path / "freqtrade") as bot:
        (lost,) = until(lambda: placed_names(world), "it has entered", 60, every_s=0.5)
        refused = until(lambda: len(refusals(world)) >= 2 and refusals(world), "it has tried again", 90, every_s=1)
        assert bot.open_trades() == []
        assert placed_names(world) == [lost]
        assert {(breach["code"], breach["observed"]) for breach in refused} == {("UNRESOLVED_ORDER", lost)}
        position = world.direct.positions()
        assert list(position) == ["BTCUSDT"]
        nothing_unaccounted(world)

        # Somebody closes what the bot does not know of; from then on it trades as before.
        closed = world.bot.order("BTCUSDT", "SELL", position["BTCUSDT"], reduceOnly="true")
        assert closed.status_code == 200, closed.text
        until(bot.open_trades, "it has entered anew", 60, every_s=0.5)
        assert world.direct.positions() == position
