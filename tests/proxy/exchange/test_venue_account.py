"""The guard's hands: exact numbers, named troubles, no second close, and nowhere else but the base URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxy.exchange.client import redirected
from proxy.exchange.payloads import instrument_of, parsed
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueUnavailable
from proxy.exchange.venue_account import VenueAccount
from proxy.vault.keys import Secret
from tests.support.scripted_venue import Answer, Venue, an_account, scripted_venue


@pytest.fixture
async def both() -> AsyncIterator[tuple[Venue, VenueAccount]]:
    async with scripted_venue() as venue:
        hands = an_account(venue.base_url)
        try:
            yield venue, hands
        finally:
            await hands.aclose()


async def test_a_read_is_tried_three_times(both: Any):
    venue, hands = both
    venue.always(503, {"code": -1000, "msg": "busy"})
    with pytest.raises(VenueUnavailable):
        await hands.server_time()
    assert len(venue.requests) == 3


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry_After": "7"}, 7),
        (418, {"retry_after": "300"}, 300),
        (429, {}, 10),
        (418, {"Retry_After": "soon"}, 120),
    ],
)
async def test_the_venues_demand_for_silence_is_passed_on_and_not_tried_again(
    both: Any, status: int, headers: dict[str, str], seconds: float
):
    venue, hands = both
    venue.always(status, {"code": -1003, "msg": "slow down"}, **headers)
    with pytest.raises(VenueThrottled) as trouble:
        await hands.markets(datetime.now(UTC))
    assert trouble.value.retry_after == seconds
    assert len(venue.requests) == 1


async def test_a_clock_that_is_off_is_set_and_the_read_repeated(both: Any):
    venue, hands = both
    ahead = int(datetime.now(UTC).timestamp() * 1000) + 60_000

    def answers(method: str, path: str) -> Answer:
        if path.endswith("/time"):
            return 200, {}, {"serverTime": ahead}
        seen = [request for request in venue.requests if request[1] == path]
        return (400, {}, {"code": -1021, "msg": "Timestamp"}) if len(seen) == 1 else (200, {}, [])

    venue.answers = answers
    await hands._order_rows({})
    stamps = [int(params["timestamp"]) for _, path, params in venue.requests if path.endswith("openAlgoOrders")]
    assert stamps[1] - stamps[0] > 50_000


async def test_redirects_are_not_followed(both: Any):
    venue, hands = both
    elsewhere = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    venue.always(302, {}, Location=f"http://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}/stolen")
    with pytest.raises(VenueUnavailable):
        await hands.markets(datetime.now(UTC))
    assert "/stolen" not in {path for _, path, _ in venue.requests}
    elsewhere.close()


async def test_a_proxy_in_the_environment_is_not_used(both: Any, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    venue, hands = both
    venue.always(200, {"serverTime": 1_700_000_000_000})
    assert (await hands.server_time()).year == 2023


async def test_no_trouble_shows_the_signed_url(both: Any):
    venue, hands = both
    venue.answers = lambda method, path: None
    with pytest.raises(VenueUnavailable) as trouble:
        await hands.markets(datetime.now(UTC))
    assert "signature" not in str(trouble.value) and "http" not in str(trouble.value)


POSITION = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.500", "entryPrice": "1e-7",
            "markPrice": "0", "notional": "0", "liquidationPrice": "0", "isolatedWallet": "0"}  # fmt: skip


async def test_an_order_type_nobody_knows_is_trouble_for_a_survey(both: Any):
    venue, hands = both
    order = {"symbol": "BTCUSDT", "orderId": 123456789012345678, "type": "QUANTUM"}
    venue.by_path(
        openAlgoOrders=[],
        openOrders=[order],
        positionRisk=[],
        accountConfig={"dualSidePosition": False, "multiAssetsMargin": False},
        account={"totalMarginBalance": "1", "availableBalance": "1", "totalUnrealizedProfit": "0"},
    )
    with pytest.raises(VenueUnavailable, match="unexpected answer"):
        await hands.survey(datetime.now(UTC))


FUNDING = {"symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.37500000", "asset": "USDT",
           "info": "FUNDING_FEE", "time": 1570636800000, "tranId": 9689322392, "tradeId": ""}  # fmt: skip


async def test_funding_is_read_from_a_time_on_or_from_the_start(both: Any):
    venue, hands = both
    venue.by_path(income=[FUNDING])
    (row,) = await hands.fundings(0)
    await hands.fundings(1570636800000)
    assert (row.row_id, row.at_ms, row.amount) == ("9689322392", 1570636800000, Decimal("-0.375"))
    assert [params.get("startTime") for _, _, params in venue.requests] == [None, "1570636800000"]
    assert {(params["incomeType"], params["limit"]) for _, _, params in venue.requests} == {("FUNDING_FEE", "1000")}


@pytest.mark.parametrize("wrong", [{"income": "NaN"}, {"tranId": None, "time": "soon"}, {"income": None}])
async def test_a_funding_row_that_is_not_understood_is_trouble_and_not_skipped(both: Any, wrong: dict[str, Any]):
    venue, hands = both
    venue.by_path(income=[FUNDING, FUNDING | wrong])
    with pytest.raises(VenueUnavailable, match="unexpected answer"):
        await hands.fundings(0)


async def test_income_of_every_type_is_read_or_of_one(both: Any):
    venue, hands = both
    venue.by_path(income=[FUNDING | {"incomeType": "TRANSFER"}, FUNDING])
    moved, funding = await hands.incomes(5)
    await hands.incomes(5, "WELCOME_BONUS")
    assert (moved.kind, moved.at_ms, moved.amount, moved.asset) == (
        "TRANSFER",
        1570636800000,
        Decimal("-0.375"),
        "USDT",
    )
    assert (funding.kind, funding.row_id != moved.row_id) == ("FUNDING_FEE", True)
    assert [params.get("incomeType") for _, _, params in venue.requests] == [None, "WELCOME_BONUS"]
    assert {(params["startTime"], params["limit"]) for _, _, params in venue.requests} == {("5", "1000")}


async def test_numbers_in_json_stay_exact(both: Any):
    venue, hands = both
    brackets = '[{"symbol":"X","brackets":[{"notionalFloor":0,"notionalCap":0.1,"initialLeverage":20,'
    brackets += '"maintMarginRatio":0.100000000000000005551,"cum":0.30000000000000004}]}]'
    filters: list[dict[str, str]] = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0", "maxPrice": "9"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "5"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0", "minQty": "0.001", "maxQty": "2"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    listed = {"symbol": "X", "baseAsset": "A", "quoteAsset": "B", "status": "SETTLING", "filters": filters}
    venue.by_path(leverageBracket=brackets, exchangeInfo={"symbols": [listed, {"symbol": "odd"}]})
    instruments = await hands.instruments()
    assert set(instruments) == {"X"}
    assert instruments["X"].tiers[0].maintenance_rate == Decimal("0.100000000000000005551")
    assert instruments["X"].market_step_size == Decimal("0.001")
    assert instruments["X"].price_min is None and not instruments["X"].trading


async def test_every_url_points_at_the_base_url_and_no_other_is_left(both: Any):
    venue, hands = both

    def texts(urls: Any) -> list[str]:
        return [urls] if isinstance(urls, str) else [text for each in urls.values() for text in texts(each)]

    found = texts(hands._venue.urls)
    assert len(found) > 20
    assert {urlsplit(url).netloc for url in found} == {urlsplit(venue.base_url).netloc}
    assert {urlsplit(url).scheme for url in found} <= {"http", "ws"}


@pytest.mark.parametrize(
    "base_url", ["", "fapi", "ftp://x", "http://", "http://x/path", "http://u:p@x", "http://x?q=1"]
)
def test_a_base_url_with_anything_more_is_refused(base_url: str):
    with pytest.raises(ValueError, match="base_url"):
        redirected({"a": "https://fapi.binance.com/fapi/v1"}, base_url)


def test_a_url_of_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="redirect"):
        redirected({"a": ["https://fapi.binance.com"]}, "http://127.0.0.1:1")


def test_a_venue_without_hands_is_refused():
    with pytest.raises(ValueError, match="no hands"):
        VenueAccount(name="main", venue="bybit", api_key="k", secret=Secret("s"), base_url="http://127.0.0.1:1")


async def test_a_cancel_names_one_order_and_one_that_is_gone_is_as_good(both: Any):
    venue, hands = both
    venue.always(200, {"orderId": 9, "clientOrderId": "gabcx", "status": "CANCELED"})
    await hands.cancel_order("BTCUSDT", "gabcx")
    ((method, path, asked),) = venue.requests
    assert (method, path, asked["symbol"], asked["origClientOrderId"]) == (
        "DELETE",
        "/fapi/v1/order",
        "BTCUSDT",
        "gabcx",
    )
    venue.always(400, {"code": -2011, "msg": "Unknown order sent."})
    await hands.cancel_order("BTCUSDT", "gabcx")
    venue.always(400, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    with pytest.raises(VenueRefused):
        await hands.cancel_order("BTCUSDT", "gabcx")


RISK = POSITION | {"positionAmt": "0.5", "isolatedWallet": "0", "adl": 2, "updateTime": 1}
TOTALS = {"totalMarginBalance": "1", "availableBalance": "1", "totalUnrealizedProfit": "0", "assets": []}


async def test_a_survey_brings_ranks_isolated_margins_and_both_modes_of_the_account(both: Any):
    venue, hands = both
    apart = RISK | {"symbol": "ETHUSDT", "isolatedWallet": "12.5", "adl": 0}
    unranked = {name: value for name, value in RISK.items() if name != "adl"} | {"symbol": "XRPUSDT"}
    venue.by_path(
        openAlgoOrders=[], openOrders=[], positionRisk=[RISK, apart, unranked], account=TOTALS,
        accountConfig={"dualSidePosition": True, "multiAssetsMargin": False},
    )  # fmt: skip
    account = (await hands.survey(datetime.now(UTC))).account
    assert (account.hedged, account.multi_assets) == (True, False)
    assert [(leg.margin_mode.value, leg.isolated_margin, leg.adl_quantile) for leg in account.positions] == [
        ("CROSS", None, 2),
        ("ISOLATED", Decimal("12.5"), 0),
        ("CROSS", None, None),
    ]


LISTED = {
    "symbol": "X", "baseAsset": "A", "quoteAsset": "B", "status": "TRADING",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0", "maxPrice": "9"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "5"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0", "minQty": "0.001", "maxQty": "2"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "delisted_at"),
    [
        ({}, None),
        ({"deliveryDate": None}, None),
        ({"deliveryDate": 0}, None),
        ({"deliveryDate": 4133404800000}, None),
        ({"deliveryDate": 4133404799999}, datetime(2100, 12, 25, 7, 59, 59, 999000, UTC)),
        ({"deliveryDate": "1795478400000"}, datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_a_delivery_date_before_the_year_2100_is_a_delisting(row: dict[str, Any], delisted_at: datetime | None):
    listed = instrument_of(LISTED | row, {})
    assert listed is not None and listed.delisted_at == delisted_at


def test_a_delivery_date_nobody_understands_leaves_the_contract_out():
    assert instrument_of(LISTED | {"deliveryDate": "soon"}, {}) is None


@pytest.mark.parametrize(
    "parse",
    [lambda: [[]][0][0], lambda: int(float("1e999")), lambda: Decimal("x"), lambda: {}["a"], lambda: int(None)],
    ids=["an empty row", "beyond all numbers", "no number", "no such field", "nothing"],
)
def test_whatever_shape_an_answer_has_it_is_the_venue_s_trouble(parse: Callable[[], object]) -> None:
    with pytest.raises(VenueUnavailable, match="unexpected answer"):
        parsed(parse)
