"""A guard for each client, and an empty book for each session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

POLICY = a_policy(
    a_rule("desk.max_order_value", limit=50_000),
    a_rule("desk.max_leverage", limit=10),
    a_rule("bot.hasty.message_rate", per_second=0.01, burst=2),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    directory = tmp_path_factory.mktemp("clients") / "data"
    with LiveWorld(directory, POLICY, balance=100_000, bots=("bot", "hasty")) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> Iterator[LiveWorld]:
    """An empty book, before and after, and a log that begins with the test."""
    running.door.clear()
    yield running
    running.door.disarm()
    for symbol, quantity in running.direct.positions().items():
        side = "SELL" if quantity > 0 else "BUY"
        running.direct.order(symbol, side, abs(quantity), reduceOnly="true").raise_for_status()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        running.direct.cancel_all(symbol).raise_for_status()
        running.direct.send("DELETE", "/fapi/v1/algoOpenOrders", symbol=symbol).raise_for_status()

    def empty() -> bool:
        account = running.account()
        resting = account["open_orders"] + account["conditional_orders"]
        return account["holds"] == resting == len(account["positions"]) == 0

    until(empty, "the guard sees an empty book", 60)
