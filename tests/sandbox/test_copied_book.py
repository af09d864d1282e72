"""A book that was traded elsewhere stands on the practice exchange: any size, either mode, own contracts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.engine.copying import put_position
from sandbox.engine.exchange import Exchange
from sandbox.engine.listing import DEFAULT_INSTRUMENTS, with_listed
from sandbox.engine.model import MarginMode, PositionSide
from sandbox.engine.money import take_stock
from sandbox.engine.rejection import Rejected
from sandbox.engine.scenario import Scenario
from sandbox.settings import SettingsError, read_settings

LARGE = Decimal(250)


def an_exchange() -> Exchange:
    return Exchange(DEFAULT_INSTRUMENTS, seed=7, scenario=Scenario.FLAT, now_ms=1_700_000_000_000)


def put(exchange: Exchange, quantity: str, side: PositionSide = PositionSide.BOTH, price: str = "95000") -> None:
    put_position(
        exchange, exchange.accounts["demo"], "BTCUSDT", side, Decimal(quantity), Decimal(price),
        leverage=5, margin_mode=MarginMode.CROSS,
    )  # fmt: skip


@pytest.mark.parametrize("quantity", ["250", "-250"])
def test_a_position_of_any_size_stands_at_its_entry_price_and_money_adds_up(quantity: str) -> None:
    exchange = an_exchange()
    account = exchange.open_account("demo", Decimal(1000))
    put(exchange, quantity)
    leg = account.position("BTCUSDT", PositionSide.BOTH)
    assert (leg.quantity, leg.entry_price, account.on("BTCUSDT").leverage) == (Decimal(quantity), Decimal(95000), 5)
    assert account.wallet == Decimal(1000)
    assert take_stock(exchange).total == exchange.deposited


def test_a_leg_of_the_other_mode_or_one_that_is_not_flat_is_refused() -> None:
    exchange = an_exchange()
    account = exchange.open_account("demo", Decimal(1000))
    with pytest.raises(Rejected):
        put(exchange, "1", PositionSide.LONG)
    put(exchange, "1")
    with pytest.raises(Rejected):
        put(exchange, "1")
    account.hedge_mode = True
    with pytest.raises(Rejected):
        put(exchange, "1")
    put(exchange, "-1", PositionSide.SHORT)


INSTRUMENT = """
[[instrument]]
symbol = "{symbol}"
base = "PEPE"
start_price = "0.01"
tick = "0.0001"
lot_step = "1"
quantity_max = "1000000"
market_quantity_max = "100000"
notional_min = "5"
depth_quantity = "{depth}"
"""


def test_own_contracts_are_listed_and_stand_in_the_place_of_those_of_their_name(tmp_path: Path) -> None:
    path = tmp_path / "exchange.toml"
    path.write_text(INSTRUMENT.format(symbol="PEPEUSDT", depth="100") + INSTRUMENT.format(symbol="BTCUSDT", depth="9"))
    own = read_settings(path).instruments
    listed = {each.symbol: each for each in with_listed(DEFAULT_INSTRUMENTS, own)}
    assert len(listed) == len(DEFAULT_INSTRUMENTS) + 1
    assert listed["BTCUSDT"].start_price == Decimal("0.01")
    assert listed["PEPEUSDT"].depth_quantity == Decimal(100)


@pytest.mark.parametrize("depth", ["0", "-1", "NaN", "x"])
def test_a_contract_that_cannot_trade_is_refused_at_start(tmp_path: Path, depth: str) -> None:
    path = tmp_path / "exchange.toml"
    path.write_text(INSTRUMENT.format(symbol="PEPEUSDT", depth=depth))
    with pytest.raises(SettingsError):
        read_settings(path)
