"""What the venue's statement is asked for, and how it is understood: every digit, and no row taken for another."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from proxy.exchange.payloads import funding_row
from proxy.exchange.statement_payloads import NamedOrder, funding_row_id, income_row
from proxy.exchange.troubles import VenueRefused, VenueUnavailable
from rules.model import PositionSide, Side
from tests.support.scripted_venue import an_account, scripted_venue

# Binance USD-M "Account Trade List" and "Get Income History", seen 2026-11.
TRADE = {
    "buyer": False,
    "commission": "-0.07819010",
    "commissionAsset": "BNB",
    "id": 698759,
    "maker": True,
    "orderId": 25851813,
    "price": "7819.01",
    "qty": "0.002",
    "quoteQty": "15.63802",
    "realizedPnl": "-0.91539999",
    "side": "SELL",
    "positionSide": "SHORT",
    "symbol": "BTCUSDT",
    "time": 1569514978020,
}
INCOME = {
    "symbol": "BTCUSDT",
    "incomeType": "COMMISSION",
    "income": "-0.01000000",
    "asset": "BNB",
    "info": "COMMISSION",
    "time": 1570636800000,
    "tranId": 9689322392,
    "tradeId": "2059192",
}


async def test_an_execution_keeps_its_digits_and_its_fee_its_asset() -> None:
    async with scripted_venue() as venue:
        venue.always(200, [TRADE])
        account = an_account(venue.base_url)
        (fill,) = await account.statement.fills("BTCUSDT", 5, 9)
        await account.aclose()
    assert (fill.trade_id, fill.order_id, fill.side, fill.position_side) == (
        698759,
        "25851813",
        Side.SELL,
        PositionSide.SHORT,
    )
    assert (fill.commission, fill.commission_asset, fill.realised_pnl) == (
        Decimal("-0.07819010"),
        "BNB",
        Decimal("-0.91539999"),
    )
    _, path, asked = venue.requests[0]
    assert path == "/fapi/v1/userTrades"
    assert {name: asked[name] for name in ("symbol", "startTime", "endTime", "limit")} == {
        "symbol": "BTCUSDT",
        "startTime": "5",
        "endTime": "9",
        "limit": "1000",
    }


async def test_without_an_end_none_is_asked_for() -> None:
    async with scripted_venue() as venue:
        venue.always(200, [INCOME])
        account = an_account(venue.base_url)
        (row,) = await account.statement.income(5, None)
        await account.aclose()
    assert (row.kind, row.amount, row.asset, row.trade_id) == ("COMMISSION", Decimal("-0.01000000"), "BNB", 2059192)
    assert "endTime" not in venue.requests[0][2] and "incomeType" not in venue.requests[0][2]


@pytest.mark.parametrize(
    "change",
    [{"incomeType": "REALIZED_PNL"}, {"tranId": 1}, {"asset": "USDT"}, {"symbol": ""}, {"tradeId": "7"}],
    ids=["type", "number", "asset", "symbol", "trade"],
)
def test_rows_that_differ_are_different_rows(change: dict[str, Any]) -> None:
    assert income_row(INCOME | change).row_id != income_row(INCOME).row_id


def test_a_funding_row_has_one_name_whoever_read_it() -> None:
    row = INCOME | {"incomeType": "FUNDING_FEE", "tradeId": "", "info": "FUNDING_FEE"}
    assert income_row(row).row_id == funding_row_id(funding_row(row))
    assert income_row(row).trade_id is None


@pytest.mark.parametrize(
    "change",
    [{"commission": "NaN"}, {"price": "dear"}, {"side": "HOLD"}, {"id": None}],
    ids=["nan", "word", "side", "id"],
)
async def test_what_cannot_be_understood_is_the_venues_trouble(change: dict[str, Any]) -> None:
    async with scripted_venue() as venue:
        venue.always(200, [TRADE | change])
        account = an_account(venue.base_url)
        with pytest.raises(VenueUnavailable, match="unexpected answer"):
            await account.statement.fills("BTCUSDT", 5, 9)
        await account.aclose()


async def test_orders_are_named_from_an_id_on_and_one_that_is_gone_by_nobody() -> None:
    async with scripted_venue() as venue:
        venue.always(200, [{"orderId": 7, "clientOrderId": "gAbC-1"}])
        account = an_account(venue.base_url)
        assert await account.statement.orders_from("BTCUSDT", "5") == (NamedOrder("7", "gAbC-1"),)
        venue.always(400, {"code": -2013, "msg": "Order does not exist."})
        assert await account.statement.order_named("BTCUSDT", "5") is None
        venue.always(400, {"code": -2015, "msg": "Invalid API-key."})
        with pytest.raises(VenueRefused):
            await account.statement.order_named("BTCUSDT", "5")
        await account.aclose()
    assert venue.requests[0][1] == "/fapi/v1/allOrders" and venue.requests[0][2]["orderId"] == "5"


async def test_what_conditional_orders_became_has_their_names() -> None:
    async with scripted_venue() as venue:
        waits, fired = {"clientAlgoId": "gAbC-1", "actualOrderId": ""}, {"clientAlgoId": "gAbC-2", "actualOrderId": 9}
        venue.always(200, [waits, fired])
        account = an_account(venue.base_url)
        assert await account.statement.triggered("BTCUSDT") == (NamedOrder("9", "gAbC-2"),)
        await account.aclose()
    assert venue.requests[0][1] == "/fapi/v1/allAlgoOrders" and venue.requests[0][2]["symbol"] == "BTCUSDT"
