"""A copied book stands on the practice exchange of the drill as it stood on the live one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from proxy.drill.book import CopiedBook, CopiedSymbol
from proxy.drill.world import DrillWorld
from proxy.practice.client import connect
from rules.account import Account, Position
from rules.instrument import Instrument
from rules.model import MarginMode, PositionSide
from tests.sandbox.practice import start, stop

D = Decimal
BTC = CopiedSymbol(
    instrument=Instrument(
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        trading=True,
        tick_size=D("0.1"),
        step_size=D("0.001"),
        quantity_min=D("0.001"),
        quantity_max=D(1000),
        market_step_size=D("0.001"),
        market_quantity_min=D("0.001"),
        market_quantity_max=D(120),
        notional_min=D(0),
    ),
    mark_price=D(90_000),
    depth=D(100),
)
ALL_SET_ASIDE = Position(
    symbol="BTCUSDT",
    position_side=PositionSide.BOTH,
    quantity=D("0.1"),
    entry_price=D(90_000),
    mark_price=D(90_000),
    margin_mode=MarginMode.ISOLATED,
    leverage=D(10),
    isolated_margin=D("612.5"),
)


def test_an_isolated_position_is_copied_with_the_margin_it_has_and_not_with_what_it_cost(tmp_path: Path):
    # Fundings were paid out of its margin since, and nothing but it is in the account.
    account = Account(
        name="main",
        version=1,
        as_of=datetime(2026, 11, 29, tzinfo=UTC),
        margin_balance=D("612.4"),
        available_balance=D(0),
        hedged=False,
        positions=(ALL_SET_ASIDE,),
    )
    book = CopiedBook(account=account, symbols=(BTC,))
    world = DrillWorld(tmp_path / "data", tmp_path / "policy.toml", {"main": book}, gate_workers=1)
    settings = tmp_path / "exchange.toml"
    settings.write_text(world.exchange_settings)
    process, venue = start("--config", str(settings), "--speed", "0", accounts=False)
    try:
        world._copy(venue.url, "main", book)
        venue.step(4)
        [row] = connect(venue.url, *world._keys["main"]).fapiPrivateV3GetPositionRisk()
    finally:
        venue.control.close()
        stop(process)
    assert world.not_copied == []
    assert (row["positionAmt"], D(row["isolatedWallet"])) == ("0.100", D("612.5"))
