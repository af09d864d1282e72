"""Incidents of the market as a client reads them over HTTP: deleveraging, delisting, and what a key may do."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.sandbox.practice import ALICE, PracticeServer, start, stop
from tests.sandbox.test_wire import LIMIT, code, signed

SHORT = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.5"}


def test_a_deleveraged_short_reads_the_same_everywhere(venue: PracticeServer) -> None:
    venue.control.post("/insurance_fund", json={"balance": "0"}).raise_for_status()
    house = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "leverage": 50}
    assert venue.control.post("/house", json=house).json() == {"account": "house-1", "balance": "1800.00000000"}
    signed(venue, "POST", "/fapi/v1/order", SHORT)
    venue.price("BTCUSDT", "89000")
    [row] = signed(venue, "GET", "/fapi/v1/adlQuantile").json()
    assert row == {"symbol": "BTCUSDT", "adlQuantile": {"BOTH": 4}}
    assert signed(venue, "GET", "/fapi/v3/positionRisk").json()[0]["adl"] == 4

    venue.price("BTCUSDT", "80000")
    assert signed(venue, "GET", "/fapi/v3/positionRisk").json() == []
    [order] = signed(venue, "GET", "/fapi/v1/forceOrders", {"autoCloseType": "ADL"}).json()
    assert (order["clientOrderId"], order["status"], order["avgPrice"]) == ("adl_autoclose", "FILLED", "88200.000")
    assert signed(venue, "GET", "/fapi/v1/forceOrders", {"autoCloseType": "LIQUIDATION"}).json() == []
    assert len(signed(venue, "GET", "/fapi/v1/forceOrders").json()) == 1
    assert code(signed(venue, "GET", "/fapi/v1/forceOrders", {"autoCloseType": "TEA"})) == -1130
    trade = signed(venue, "GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}).json()[-1]
    assert (trade["orderId"], trade["commission"]) == (order["orderId"], "0.00000000")
    income = signed(venue, "GET", "/fapi/v1/income", {"incomeType": "REALIZED_PNL"}).json()[-1]
    assert income["income"] == trade["realizedPnl"]
    assert income["tradeId"] == str(trade["id"])
    money = venue.control.get("/status").json()["money"]
    assert abs(sum(float(amount) for amount in money.values()) - (10_000 + 1_000_000 + 1_800)) < 0.001


def test_a_delisting_over_the_wire(venue: PracticeServer) -> None:
    def listed() -> dict[str, object]:
        rows = httpx.get(f"{venue.url}/fapi/v1/exchangeInfo").json()["symbols"]
        return next(row for row in rows if row["symbol"] == "BTCUSDT")

    assert listed()["deliveryDate"] == 4_133_404_800_000
    signed(venue, "POST", "/fapi/v1/order", SHORT)
    signed(venue, "POST", "/fapi/v1/order", LIMIT)
    status = venue.control.post("/delist", json={"symbol": "BTCUSDT", "after_s": 20}).raise_for_status().json()
    assert listed()["deliveryDate"] == status["time_ms"] + 20_000
    venue.step(40)
    assert code(signed(venue, "POST", "/fapi/v1/order", LIMIT | {"quantity": "0.6"})) == -4140
    venue.step(40)
    assert listed()["status"] == "SETTLING"
    assert code(signed(venue, "POST", "/fapi/v1/order", LIMIT)) == -4108
    assert signed(venue, "GET", "/fapi/v1/openOrders").json() == []
    assert signed(venue, "GET", "/fapi/v3/positionRisk").json() == []
    last = signed(venue, "GET", "/fapi/v1/allOrders", {"symbol": "BTCUSDT"}).json()[-1]
    assert last["clientOrderId"].startswith("settlement_autoclose-")
    assert venue.control.post("/delist", json={"symbol": "BTCUSDT"}).json() == {"error": "SYMBOL_NOT_TRADING"}


@pytest.mark.parametrize(
    ("door", "body"),
    [
        ("/insurance_fund", {"balance": "-1"}),
        ("/insurance_fund", {"balance": "NaN"}),
        ("/house", {"symbol": "BTCUSDT", "side": "BUY", "quantity": "NaN"}),
        ("/house", {"symbol": "BTCUSDT", "side": "UP", "quantity": "1"}),
        ("/delist", {"symbol": "NOPEUSDT"}),
        ("/delist", {"symbol": "BTCUSDT", "after_s": 0}),
        ("/scenario", {"scenario": "boom"}),
    ],
)
def test_doors_refuse_what_they_cannot_do(venue_for_refusals: PracticeServer, door: str, body: object) -> None:
    assert venue_for_refusals.control.post(door, json=body).status_code == 400


def test_a_key_says_what_it_may_do_and_is_safe_unless_told_otherwise(tmp_path: Path) -> None:
    row = '[[account]]\nname = "{}"\napi_key = "{}"\napi_secret = "{}"\n'
    config = tmp_path / "sandbox.toml"

    def restrictions(more: str) -> dict[str, object]:
        config.write_text(row.format("carol", *ALICE) + more)
        process, venue = start("--config", str(config), accounts=False)
        try:
            return dict(signed(venue, "GET", "/sapi/v1/account/apiRestrictions").json())
        finally:
            stop(process)

    safe = restrictions("")
    assert (safe["enableWithdrawals"], safe["ipRestrict"], safe["enableFutures"]) == (False, True, True)
    risky = restrictions("withdrawals = true\nip_restricted = false\n")
    assert (risky["enableWithdrawals"], risky["ipRestrict"]) == (True, False)


def test_key_permissions_need_a_signature(venue: PracticeServer) -> None:
    assert code(httpx.get(f"{venue.url}/sapi/v1/account/apiRestrictions")) == -2014
