"""What the guard's refusals and lost answers are to real ccxt and real python-binance: the right exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ccxt
import pytest
from binance.exceptions import BinanceAPIException

from tests.support.clients import a_ccxt, a_python_binance
from tests.support.policies import a_policy
from tests.support.practice_client import fresh_id
from tests.support.worlds import LiveWorld

BTC = "BTC/USDT:USDT"


def test_a_refusal_of_a_rule_is_an_invalid_order(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.door.total()
    with pytest.raises(ccxt.InvalidOrder, match="ORDER_VALUE_ABOVE_LIMIT"):
        a_ccxt(world).create_order(BTC, "market", "buy", 5)
    with pytest.raises(BinanceAPIException) as caught:
        a_python_binance(world, monkeypatch).futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity=5
        )
    assert caught.value.code == -2010
    assert world.door.total() == before, "an entry reached the exchange"


def test_a_refusal_for_haste_is_a_rate_limit(world: LiveWorld) -> None:
    hasty = a_ccxt(world, bot="hasty")
    for _ in range(2):
        hasty.create_order(BTC, "limit", "buy", 0.01, 85_000)
    with pytest.raises(ccxt.RateLimitExceeded):
        hasty.create_order(BTC, "limit", "buy", 0.01, 85_000)
    hasty.cancel_all_orders(BTC)  # Cancels spend nothing.
    assert world.direct.open_orders() == []


def test_a_lost_answer_is_a_timeout_and_no_rejection(world: LiveWorld) -> None:
    bot = a_ccxt(world)
    bot.load_markets()
    world.door.arm(drop_reply=1)
    with pytest.raises(ccxt.RequestTimeout):
        bot.create_order(BTC, "limit", "buy", 0.01, 85_000)
    assert len(world.direct.open_orders()) == 1


def test_the_same_again_after_a_lost_answer_is_an_invalid_order_that_names_the_first(world: LiveWorld) -> None:
    bot = a_ccxt(world)
    bot.load_markets()
    world.door.arm(drop_reply=1)
    with pytest.raises(ccxt.RequestTimeout):
        bot.create_order(BTC, "limit", "buy", 0.01, 85_000, {"clientOrderId": (lost := fresh_id("lost"))})
    with pytest.raises(ccxt.InvalidOrder, match=f"UNRESOLVED_ORDER: .*{lost}"):
        bot.create_order(BTC, "limit", "buy", 0.01, 85_000)
    assert bot.fetch_order(None, BTC, {"clientOrderId": lost})["status"] == "open"
    bot.create_order(BTC, "limit", "buy", 0.01, 85_000)
    assert len(world.direct.open_orders()) == 2


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[LiveWorld]:
    """A guard that nobody needs any more after the test."""
    with LiveWorld(tmp_path / "data", a_policy(), bots=("bot",)) as world:
        yield world


def test_after_a_kill_permission_is_denied(own_world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = own_world
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": "end-to-end test", "by": "Ada Lovelace"})
    bot = a_ccxt(world)
    with pytest.raises(ccxt.PermissionDenied):
        bot.create_order(BTC, "market", "buy", 0.01)
    bot.cancel_all_orders(BTC)
    with pytest.raises(BinanceAPIException, match="has no operation privilege"):
        a_python_binance(world, monkeypatch).futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01
        )
