"""TWAP orders trade by themselves until somebody stops them, and no cancel of other orders does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.listing import DEFAULT_INSTRUMENTS, extra_instruments
from sandbox.engine.model import PositionSide, Side
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.scenario import STEP_MS, Scenario
from sandbox.engine.stepping import step
from sandbox.engine.trading import cancel_all
from sandbox.engine.twap import PIECE_EVERY_MS, start_twap, stop_twap
from sandbox.engine.twap_order import NewTwap, TwapOrder

BTC = "BTCUSDT"
STEPS_A_PIECE = PIECE_EVERY_MS // STEP_MS


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(DEFAULT_INSTRUMENTS, seed=7, scenario=Scenario.FLAT, now_ms=1_700_000_000_000)


@pytest.fixture
def alice(exchange: Exchange) -> Account:
    return exchange.open_account("alice", Decimal(100_000))


def start(exchange: Exchange, account: Account, **more: object) -> TwapOrder:
    asked: dict[str, object] = {"symbol": BTC, "side": Side.BUY, "quantity": Decimal("0.05"), "duration_ms": 300_000}
    return start_twap(exchange, account, NewTwap(**(asked | more)))  # type: ignore[arg-type]


def held(account: Account) -> Decimal:
    return account.position(BTC, PositionSide.BOTH).quantity


def test_a_piece_a_minute_until_all_is_placed(exchange: Exchange, alice: Account):
    start(exchange, alice)
    seen = []
    for _ in range(5):
        step(exchange)
        seen.append(held(alice))
        for _ in range(STEPS_A_PIECE - 1):
            step(exchange)
    assert seen == [Decimal(number) / 100 for number in range(1, 6)]
    assert not alice.twaps


def test_cancelling_plain_orders_does_not_stop_it_and_stopping_it_does(exchange: Exchange, alice: Account):
    twap = start(exchange, alice)
    step(exchange)
    cancel_all(exchange, alice, BTC)
    for _ in range(STEPS_A_PIECE):
        step(exchange)
    assert held(alice) == Decimal("0.02")
    stop_twap(alice, twap.twap_id)
    for _ in range(STEPS_A_PIECE * 2):
        step(exchange)
    assert held(alice) == Decimal("0.02")
    with pytest.raises(Rejected):
        stop_twap(alice, twap.twap_id)


def test_pieces_with_a_limit_rest_and_stay_when_it_is_stopped(exchange: Exchange, alice: Account):
    twap = start(exchange, alice, limit_price=Decimal(88_000))
    step(exchange)
    stop_twap(alice, twap.twap_id)
    assert [order.price for order in alice.orders_on(BTC)] == [88_000]


def test_a_piece_that_cannot_be_placed_is_left_out(exchange: Exchange, alice: Account):
    start(exchange, alice, side=Side.SELL, reduce_only=True)
    for _ in range(STEPS_A_PIECE * 5 + 2):
        step(exchange)
    assert held(alice) == 0 and not alice.twaps


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"quantity": Decimal(0)}, Reason.QUANTITY_NOT_POSITIVE),
        ({"quantity": Decimal(-1)}, Reason.QUANTITY_NOT_POSITIVE),
        ({"quantity": Decimal("0.011")}, Reason.TWAP_TOO_SMALL),
        ({"quantity": Decimal("11.2")}, Reason.TWAP_TOO_LARGE),
        ({"limit_price": Decimal("1e30")}, Reason.PRICE_TOO_HIGH),
        ({"limit_price": Decimal("88000.05")}, Reason.PRECISION),
    ],
    ids=["nothing", "less than nothing", "below 1,000 USDT", "above 1,000,000 USDT", "no price", "off tick"],
)
def test_what_no_piece_could_be_made_of_is_refused_at_the_start(
    exchange: Exchange, alice: Account, asked: dict[str, object], reason: Reason
):
    with pytest.raises(Rejected) as refused:
        start(exchange, alice, **asked)
    assert refused.value.reason is reason
    step(exchange)
    assert not alice.twaps


def test_extra_symbols_are_listed_besides():
    assert [each.symbol for each in extra_instruments(2)] == ["X01USDT", "X02USDT"]
