"""An order whose answer is lost: never called a rejection, counted until the exchange has said, executed once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import fresh_id
from tests.support.worlds import LiveWorld, until

RELEASED_AFTER_S = 10.0
"""``Unresolved`` believes the exchange's "no such order" only after five misses over ten seconds."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("symbol.BTCUSDT.position_limit", limit_quantity=0.10))
    with LiveWorld(
        tmp_path_factory.mktemp("unknown") / "data",
        policy,
        balance=100_000,
        gate_workers=2,
        bots=("bot", "neighbour"),
    ) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> Iterator[LiveWorld]:
    """No order, no position, no hold, no fault."""
    yield running
    running.door.disarm()
    owner = running.direct
    owner.cancel_all("BTCUSDT")
    if quantity := owner.positions().get("BTCUSDT"):
        owner.order("BTCUSDT", "SELL", quantity, reduceOnly="true").raise_for_status()

    def empty() -> bool:
        account = running.account()
        return account["holds"] == account["open_orders"] == len(account["positions"]) == 0

    until(empty, "the guard sees an empty book", 60)
    # The bot reads what it lost, so that the next test's first entry is refused for nothing.
    running.bot.send("GET", "/fapi/v1/allOrders", symbol="BTCUSDT").raise_for_status()


def send_into_the_dark(world: LiveWorld, price: int | None = None) -> str:
    """An entry of 0.06 whose answer does not say what happened; its id."""
    client_id = fresh_id("dark")
    answer = world.bot.order("BTCUSDT", "BUY", "0.06", price, newClientOrderId=client_id)
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == -1007
    assert "unknown" in answer.json()["msg"]
    assert answer.headers["x-guard-verdict"] == "ALLOW"
    return client_id


def second(world: LiveWorld) -> httpx.Response:
    """An entry of 0.06 by another bot of the account: it fits only where the first is not."""
    return world.bot_named("neighbour").order("BTCUSDT", "BUY", "0.06", 80_000)


def again(world: LiveWorld) -> httpx.Response:
    """What the bot that lost the answer sends in its next loop: almost the same, under another name."""
    return world.bot.order("BTCUSDT", "BUY", "0.03", 80_000)


def quantities(world: LiveWorld) -> list[str]:
    return [position["quantity"] for position in world.account()["positions"]]


def must_not_fit(world: LiveWorld) -> None:
    refused = second(world)
    assert refused.status_code == 400, refused.text
    assert refused.headers["x-guard-code"] == "POSITION_ABOVE_LIMIT"


@pytest.mark.parametrize("fault", [{"unknown_503": 1, "unknown_503_execution": "now"}, {"drop_reply": 1}])
def test_an_order_that_rests_is_found_and_counted(world: LiveWorld, fault: dict[str, str]) -> None:
    world.door.arm(**fault)
    client_id = send_into_the_dark(world, 80_000)
    must_not_fit(world)
    account = world.wait_until_settled()
    assert account["open_orders"] == 1
    must_not_fit(world)
    assert [order["clientOrderId"] for order in world.direct.open_orders()] == [world.upstream_id(client_id)]
    assert len(world.door.arrivals(newClientOrderId=world.upstream_id(client_id))) == 1, "it was sent more than once"


@pytest.mark.parametrize("fault", [{"unknown_503": 1, "unknown_503_execution": "now"}, {"drop_reply": 1}])
def test_an_order_that_filled_is_found_and_counted_as_a_position(world: LiveWorld, fault: dict[str, str]) -> None:
    world.door.arm(**fault)
    client_id = send_into_the_dark(world)
    must_not_fit(world)
    world.wait_until_settled()
    # A fill heard while a survey is read is counted as if the survey had missed it, until the next one.
    until(lambda: quantities(world) == ["0.060"], "the guard counts it once")
    must_not_fit(world)
    assert world.direct.positions() == {"BTCUSDT": pytest.approx(0.06)}
    assert len(world.door.arrivals(newClientOrderId=world.upstream_id(client_id))) == 1, "it was sent more than once"


def test_an_order_that_executes_late_is_counted_all_the_while(world: LiveWorld) -> None:
    world.door.arm(unknown_503=1, unknown_503_execution="late", late_ms=3_000)
    client_id = send_into_the_dark(world, 80_000)
    until(lambda: must_not_fit(world) or world.direct.open_orders(), "the exchange executes it", every_s=0.3)
    account = world.wait_until_settled()
    assert account["open_orders"] == 1
    must_not_fit(world)
    assert len(world.door.arrivals(newClientOrderId=world.upstream_id(client_id))) == 1, "it was sent more than once"


def test_an_order_that_never_was_is_let_go_only_after_repeated_misses(world: LiveWorld) -> None:
    world.door.arm(unknown_503=1, unknown_503_execution="never")
    began = time.monotonic()
    client_id = send_into_the_dark(world, 80_000)
    assert world.account()["unknown_holds"] == 1
    must_not_fit(world)
    world.wait_until_settled()
    assert time.monotonic() - began >= RELEASED_AFTER_S
    assert world.direct.open_orders() == []
    assert second(world).status_code == 200
    assert len(world.door.arrivals(newClientOrderId=world.upstream_id(client_id))) == 1, "it was sent again"


def must_name(world: LiveWorld, client_id: str) -> None:
    refused = again(world)
    assert refused.status_code == 400, refused.text
    assert refused.headers["x-guard-code"] == "UNRESOLVED_ORDER"
    assert client_id in refused.json()["msg"]


def test_sent_again_it_is_refused_until_the_bot_has_asked(world: LiveWorld) -> None:
    world.door.arm(drop_reply=1)
    client_id = send_into_the_dark(world)
    must_name(world, client_id)
    world.wait_until_settled()
    must_name(world, client_id)
    # None of these names the order: it is filled, and no list of positions says by what.
    for path in ("/fapi/v3/positionRisk", "/fapi/v1/openOrders", "/fapi/v3/account"):
        assert world.bot.send("GET", path).status_code == 200
    must_name(world, client_id)
    told = world.bot.send("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=client_id)
    assert told.json()["status"] == "FILLED"
    assert again(world).status_code == 200
    assert world.direct.positions() == {"BTCUSDT": pytest.approx(0.06)}


def test_sent_again_it_passes_once_the_exchange_has_proven_that_there_was_none(world: LiveWorld) -> None:
    """Another position on the side is there, so that only the proof lets it go."""
    assert world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200
    world.wait_until_settled()
    world.door.arm(unknown_503=1, unknown_503_execution="never")
    must_name(world, send_into_the_dark(world, 80_000))
    world.wait_until_settled()
    assert again(world).status_code == 200


def test_while_it_is_unresolved_the_way_out_is_open(world: LiveWorld) -> None:
    world.door.arm(drop_reply=1)
    send_into_the_dark(world)
    world.wait_until_settled()
    assert world.bot.order("BTCUSDT", "SELL", "0.06", reduceOnly="true").status_code == 200
    assert world.direct.positions() == {}
    until(lambda: again(world).status_code == 200, "a survey finds that nothing is left of the lost order", every_s=0.3)
