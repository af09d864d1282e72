"""The guard's hands: exact numbers, named troubles, no second close, and nowhere else but the base URL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from proxy.accounts.client import redirected
from proxy.accounts.payloads import instrument_of
from proxy.accounts.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.accounts.venue_account import VenueAccount
from proxy.vault.keys import Secret
from rules.model import PositionSide, Side

Answer = tuple[int, dict[str, str], Any]


class Venue:
    """A loopback server that answers by script and remembers every request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.answers: Callable[[str, str], Answer | None] = lambda method, path: (200, {}, [])
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            method, target, _ = lines[0].split(" ")
            lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")]
            body = (await reader.readexactly(sum(lengths))).decode()
            parts = urlsplit(target)
            self.requests.append((method, parts.path, dict(parse_qsl(parts.query + "&" + body))))
            answer = self.answers(method, parts.path)
            if answer is not None:
                status, headers, content = answer
                text = content if isinstance(content, str) else json.dumps(content)
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                reply = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
                writer.write(f"{reply}Connection: close\r\n{head}\r\n{text}".encode())
                await writer.drain()
        finally:
            writer.close()

    def always(self, status: int, content: Any, **headers: str) -> None:
        self.answers = lambda method, path: (
            status,
            {name.replace("_", "-"): v for name, v in headers.items()},
            content,
        )

    def by_path(self, **contents: Any) -> None:
        self.answers = lambda method, path: (200, {}, contents[path.rpartition("/")[2]])


@asynccontextmanager
async def _both() -> AsyncIterator[tuple[Venue, VenueAccount]]:
    venue = Venue()
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    venue.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    hands = VenueAccount(
        name="main",
        venue="binanceusdm",
        api_key="k" * 64,
        secret=Secret("s" * 64),
        base_url=venue.base_url,
        timeout=0.5,
    )
    try:
        yield venue, hands
    finally:
        await hands.aclose()
        server.close()


@pytest.fixture
async def both() -> AsyncIterator[tuple[Venue, VenueAccount]]:
    async with _both() as pair:
        yield pair


async def _close(hands: VenueAccount, side: PositionSide = PositionSide.BOTH, quantity: str = "0.5") -> Any:
    return await hands.close_position("BTCUSDT", side, Side.SELL, Decimal(quantity), "pgk-1")


FILLED = {"orderId": 9, "clientOrderId": "pgk-1", "status": "FILLED", "executedQty": "0.5", "avgPrice": "90000.10"}


async def test_a_close_is_reduce_only_in_one_way_mode_and_names_the_leg_in_hedge_mode(both: Any):
    venue, hands = both
    venue.always(200, FILLED)
    report = await _close(hands, quantity="0.00001")
    assert (report.status, report.average_price) == ("FILLED", Decimal("90000.10"))
    await _close(hands, PositionSide.LONG)
    (_, _, one_way), (method, path, hedge) = venue.requests
    assert (method, path) == ("POST", "/fapi/v1/order")
    assert one_way["quantity"] == "0.00001"
    assert one_way["reduceOnly"] == "true" and "positionSide" not in one_way
    assert hedge["positionSide"] == "LONG" and "reduceOnly" not in hedge
    assert hedge["type"] == "MARKET" and hedge["newClientOrderId"] == "pgk-1"


@pytest.mark.parametrize(
    "answer",
    [(503, {"code": -1000, "msg": "Unknown error"}), (400, {"code": -1007, "msg": "t/o"}), (200, "<html>"), None],
)
async def test_a_close_of_unknown_outcome_is_sent_once(both: Any, answer: Any):
    venue, hands = both
    venue.answers = lambda method, path: None if answer is None else (answer[0], {}, answer[1])
    with pytest.raises(OutcomeUnknown):
        await _close(hands)
    assert len(venue.requests) == 1


async def test_a_read_is_tried_three_times(both: Any):
    venue, hands = both
    venue.always(503, {"code": -1000, "msg": "busy"})
    with pytest.raises(VenueUnavailable):
        await hands.server_time()
    assert len(venue.requests) == 3


async def test_a_cancel_is_tried_again_and_each_kind_has_its_own_door(both: Any):
    venue, hands = both
    venue.answers = lambda method, path: (200, {}, {"code": 200, "msg": "ok"}) if len(venue.requests) > 1 else None
    await hands.cancel_all("BTCUSDT", conditional=False)
    await hands.cancel_all("BTCUSDT", conditional=True)
    assert [(method, path) for method, path, _ in venue.requests] == [
        ("DELETE", "/fapi/v1/allOpenOrders"),
        ("DELETE", "/fapi/v1/allOpenOrders"),
        ("DELETE", "/fapi/v1/algoOpenOrders"),
    ]


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
        await hands.book()
    assert trouble.value.retry_after == seconds
    assert len(venue.requests) == 1


async def test_a_refusal_keeps_the_venues_code(both: Any):
    venue, hands = both
    venue.always(400, {"code": -2022, "msg": "ReduceOnly Order is rejected."})
    with pytest.raises(VenueRefused) as trouble:
        await _close(hands)
    assert trouble.value.code == -2022


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
        await hands.book()
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
        await hands.book()
    assert "signature" not in str(trouble.value) and "http" not in str(trouble.value)


POSITION = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.500", "entryPrice": "1e-7",
            "markPrice": "0", "notional": "0", "liquidationPrice": "0", "isolatedWallet": "0"}  # fmt: skip


async def test_a_position_keeps_its_side_when_the_mark_price_is_zero(both: Any):
    venue, hands = both
    venue.by_path(openAlgoOrders=[], openOrders=[], positionRisk=[POSITION, POSITION | {"positionAmt": "0.0"}])
    book = await hands.book()
    assert [position.quantity for position in book.positions] == [Decimal("-0.500")]


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


async def test_orders_are_read_conditional_first_then_plain_then_positions(both: Any):
    venue, hands = both
    venue.by_path(openAlgoOrders=[], openOrders=[], positionRisk=[])
    await hands.book()
    assert [path.rpartition("/")[2] for _, path, _ in venue.requests] == [
        "openAlgoOrders",
        "openOrders",
        "positionRisk",
    ]
    assert all("symbol" not in params for _, _, params in venue.requests)


async def test_an_order_type_nobody_knows_does_not_stop_a_kill_but_is_trouble_for_a_survey(both: Any):
    venue, hands = both
    order = {"symbol": "BTCUSDT", "orderId": 123456789012345678, "type": "QUANTUM"}
    venue.by_path(
        openAlgoOrders=[],
        openOrders=[order],
        positionRisk=[],
        accountConfig={"dualSidePosition": False, "multiAssetsMargin": False},
        account={"totalMarginBalance": "1", "availableBalance": "1"},
    )
    assert (await hands.book()).plain[0].order_id == "123456789012345678"
    with pytest.raises(VenueUnavailable, match="unexpected answer"):
        await hands.survey(datetime.now(UTC))


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
TOTALS = {"totalMarginBalance": "1", "availableBalance": "1", "assets": []}


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
