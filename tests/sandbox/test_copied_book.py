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
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.scenario import Scenario
from sandbox.engine.stepping import step
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


@pytest.mark.parametrize(("side", "quantity"), [(PositionSide.LONG, "-1"), (PositionSide.SHORT, "1")])
def test_a_leg_holds_only_its_own_side(side: PositionSide, quantity: str) -> None:
    exchange = an_exchange()
    exchange.open_account("demo", Decimal(1000)).hedge_mode = True
    with pytest.raises(Rejected) as refused:
        put(exchange, quantity, side)
    assert refused.value.reason is Reason.POSITION_SIDE_MISMATCH


def put_isolated(
    exchange: Exchange, quantity: str, side: PositionSide = PositionSide.BOTH, margin: str | None = None
) -> None:
    put_position(
        exchange, exchange.accounts["demo"], "BTCUSDT", side, Decimal(quantity), Decimal(90000), leverage=10,
        margin_mode=MarginMode.ISOLATED, isolated_margin=None if margin is None else Decimal(margin),
    )  # fmt: skip


def test_both_legs_of_a_symbol_have_one_margin_mode() -> None:
    exchange = an_exchange()
    account = exchange.open_account("demo", Decimal(10_000))
    account.hedge_mode = True
    put_isolated(exchange, "0.1", PositionSide.LONG)
    with pytest.raises(Rejected) as refused:
        put(exchange, "-0.1", PositionSide.SHORT)
    assert refused.value.reason is Reason.MARGIN_MODE_HAS_POSITION
    assert (account.isolated("BTCUSDT"), account.on("BTCUSDT").leverage) == (True, 10)
    put_isolated(exchange, "-0.1", PositionSide.SHORT)


@pytest.mark.parametrize(("quantity", "margin"), [("1.2", None), ("0.1", "10001")])
def test_an_isolated_position_whose_margin_is_not_there_is_refused(quantity: str, margin: str | None) -> None:
    exchange = an_exchange()
    account = exchange.open_account("demo", Decimal(10_000))
    with pytest.raises(Rejected) as refused:
        put_isolated(exchange, quantity, margin=margin)
    assert refused.value.reason is Reason.MARGIN_INSUFFICIENT
    step(exchange)
    assert (account.wallet, account.isolated("BTCUSDT"), exchange.insurance_fund) == (10_000, False, 1_000_000)


@pytest.mark.parametrize(("margin", "set_aside"), [(None, "900"), ("650", "650"), ("2000", "2000")])
def test_an_isolated_position_has_the_margin_it_had_elsewhere(margin: str | None, set_aside: str) -> None:
    exchange = an_exchange()
    account = exchange.open_account("demo", Decimal(10_000))
    put_isolated(exchange, "0.1", margin=margin)
    assert account.position("BTCUSDT", PositionSide.BOTH).isolated_wallet == Decimal(set_aside)
    step(exchange)
    assert (account.wallet, account.cross_wallet) == (10_000, 10_000 - Decimal(set_aside))


INSTRUMENT = """
[[instrument]]
symbol = "{symbol}"
base = "PEPE"
start_price = "0.01"
tick = "0.0001"
lot_step = "1"
quantity_max = "1000000"
market_quantity_max = "{market}"
notional_min = "{least}"
depth_quantity = "{depth}"
"""


def an_instrument(**other: str) -> str:
    return INSTRUMENT.format(**{"symbol": "PEPEUSDT", "depth": "100", "market": "100000", "least": "5"} | other)


def test_own_contracts_are_listed_and_stand_in_the_place_of_those_of_their_name(tmp_path: Path) -> None:
    path = tmp_path / "exchange.toml"
    path.write_text(an_instrument() + an_instrument(symbol="BTCUSDT", depth="9"))
    own = read_settings(path).instruments
    listed = {each.symbol: each for each in with_listed(DEFAULT_INSTRUMENTS, own)}
    assert len(listed) == len(DEFAULT_INSTRUMENTS) + 1
    assert listed["BTCUSDT"].start_price == Decimal("0.01")
    assert listed["PEPEUSDT"].depth_quantity == Decimal(100)


def test_a_contract_may_be_named_in_any_script_as_some_of_the_exchange_s_are(tmp_path: Path) -> None:
    path = tmp_path / "exchange.toml"
    path.write_text(an_instrument(symbol="币安人生USDT"), encoding="utf-8")
    assert [each.symbol for each in read_settings(path).instruments] == ["币安人生USDT"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("depth", value) for value in ("0", "-1", "NaN", "x")),
        *(("market", value) for value in ("0", "nan", "inf")),
        *(("least", value) for value in ("-1", "nan")),
        *(("symbol", value) for value in ("", "B", "pepeusdt", "PEPE-USDT", "PEPE USDT", "PEPE\\u200bUSDT", "P" * 21)),
    ],
)
def test_a_contract_that_cannot_trade_is_refused_at_start(tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / "exchange.toml"
    path.write_text(an_instrument(**{name: value}))
    with pytest.raises(SettingsError):
        read_settings(path)
