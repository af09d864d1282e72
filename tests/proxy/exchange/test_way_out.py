"""The kill's own calls: a close is sent once, silence kept, orders read in the order they move."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from proxy.exchange.resolver import RememberingResolver
from proxy.exchange.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.exchange.way_out import WayOut
from proxy.exchange.way_out_payloads import exits, listing_of, resting
from proxy.kill.hands import AllRefused, VenueHands
from rules.kill.events import CancelStep, Surveyed
from rules.kill.legs import BookLevel, LotSize, OrderKind, RestingOrder
from rules.model import PositionSide, Side
from tests.support.scripted_venue import Answer, Venue, an_account, scripted_venue

FILLED = {"orderId": 9, "clientOrderId": "pgk-1", "status": "FILLED", "executedQty": "0.5", "avgPrice": "90000.10",
          "updateTime": 1_700_000_000_000}  # fmt: skip
POSITION = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.500", "entryPrice": "1e-7",
            "markPrice": "0", "notional": "0", "liquidationPrice": "0", "isolatedWallet": "0"}  # fmt: skip
NAMED = {"openOrders": "orders", "openAlgoOrders": "conditional orders", "positionRisk": "positions"}
FLAT: dict[str, Any] = {
    "openAlgoOrders": [],
    "openOrders": [],
    "positionRisk": [],
    "bookTicker": [],
    "exchangeInfo": {"symbols": []},
    "time": {"serverTime": 1_700_000_000_000},
    "depth": {"bids": [], "asks": []},
}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with scripted_venue() as venue:
        by_path(venue)
        yield venue


def by_path(venue: Venue, **contents: Any) -> None:
    """Answers by the last part of the path; the algo orders of the spot API, whose last part is taken, are none."""
    known = FLAT | contents

    def answers(method: str, path: str) -> Answer:
        if path.startswith("/sapi/"):
            return 200, {}, known.get("algo", {"total": 0, "orders": []})
        return 200, {}, known[path.rpartition("/")[2]]

    venue.answers = answers


@pytest.fixture
async def hands(venue: Venue) -> AsyncIterator[VenueHands]:
    hands = VenueHands(an_account(venue.base_url))
    yield hands
    await hands.aclose()


@pytest.fixture
async def way(venue: Venue) -> AsyncIterator[WayOut]:
    account = an_account(venue.base_url)
    yield WayOut(account.calls)
    await account.aclose()


async def close(
    way: WayOut, side: PositionSide = PositionSide.BOTH, quantity: str = "0.5", price: str | None = None
) -> Any:
    limit = None if price is None else Decimal(price)
    return await way.close("BTCUSDT", side, Side.SELL, Decimal(quantity), limit, "pgk-1")


async def test_a_close_is_reduce_only_in_one_way_mode_and_names_the_leg_in_hedge_mode(venue: Venue, way: WayOut):
    venue.always(200, FILLED)
    report = await close(way, quantity="0.00001")
    assert (report.status, report.average_price) == ("FILLED", Decimal("90000.10"))
    assert report.venue_time == datetime.fromtimestamp(1_700_000_000, UTC)
    await close(way, PositionSide.LONG)
    (_, _, one_way), (method, path, hedge) = venue.requests
    assert (method, path) == ("POST", "/fapi/v1/order")
    assert one_way["quantity"] == "0.00001"
    assert one_way["reduceOnly"] == "true" and "positionSide" not in one_way
    assert hedge["positionSide"] == "LONG" and "reduceOnly" not in hedge
    assert hedge["type"] == "MARKET" and hedge["newClientOrderId"] == "pgk-1"


async def test_a_close_with_a_price_fills_at_once_or_not_at_all(venue: Venue, way: WayOut):
    venue.always(200, FILLED)
    await close(way, price="89820.1")
    sent = venue.requests[0][2]
    assert (sent["type"], sent["timeInForce"], sent["price"], sent["reduceOnly"]) == ("LIMIT", "IOC", "89820.1", "true")


@pytest.mark.parametrize(
    "answer",
    [
        (503, {"code": -1000, "msg": "Unknown error"}),
        (408, ""),
        (408, {"code": -2019, "msg": "no"}),
        (400, {"code": -1007, "msg": "t/o"}),
        (200, "<html>"),
        None,
    ],
)
async def test_a_close_of_unknown_outcome_is_sent_once(venue: Venue, way: WayOut, answer: Any):
    venue.answers = lambda method, path: None if answer is None else (answer[0], {}, answer[1])
    with pytest.raises(OutcomeUnknown):
        await close(way)
    assert len(venue.requests) == 1


async def test_a_refusal_keeps_the_venues_code(venue: Venue, way: WayOut):
    venue.always(400, {"code": -2022, "msg": "ReduceOnly Order is rejected."})
    with pytest.raises(VenueRefused) as trouble:
        await close(way)
    assert trouble.value.code == -2022


async def test_a_close_stamped_with_a_wrong_time_is_not_sent_again_but_the_next_one_is_stamped_right(
    venue: Venue, way: WayOut
):
    ahead = int(datetime.now(UTC).timestamp() * 1000) + 60_000

    def answers(method: str, path: str) -> Answer:
        if path.endswith("/time"):
            return 200, {}, {"serverTime": ahead}
        return (400, {}, {"code": -1021, "msg": "Timestamp"}) if len(venue.requests) == 1 else (200, {}, FILLED)

    venue.answers = answers
    with pytest.raises(VenueRefused):
        await close(way)
    await close(way)
    stamps = [int(params["timestamp"]) for _, path, params in venue.requests if path.endswith("/order")]
    assert len(stamps) == 2 and stamps[1] - stamps[0] > 50_000
    assert {params["recvWindow"] for _, path, params in venue.requests if path.endswith("/order")} == {"60000"}


async def test_a_cancel_is_tried_again_and_each_kind_has_its_own_door(venue: Venue, hands: VenueHands):
    venue.answers = lambda method, path: (200, {}, {"code": 200, "msg": "ok"}) if len(venue.requests) > 1 else None
    await hands.cancel(CancelStep(symbol="BTCUSDT", kind=OrderKind.PLAIN))
    await hands.cancel(CancelStep(symbol="BTCUSDT", kind=OrderKind.CONDITIONAL))
    await hands.cancel(CancelStep(symbol="BTCUSDT", kind=OrderKind.ALGO, order_ids=("7", "8")))
    asked = [(method, path, params.get("algoId")) for method, path, params in venue.requests]
    assert asked[:3] == [
        ("DELETE", "/fapi/v1/allOpenOrders", None),
        ("DELETE", "/fapi/v1/allOpenOrders", None),
        ("DELETE", "/fapi/v1/algoOpenOrders", None),
    ]
    assert sorted(asked[3:]) == [("DELETE", "/sapi/v1/algo/futures/order", number) for number in ("7", "8")]


async def test_an_algo_order_that_is_gone_is_as_good_as_stopped(venue: Venue, way: WayOut):
    venue.always(400, {"code": -2013, "msg": "Order does not exist."})
    await way.cancel_algo("7")


async def test_once_silence_is_demanded_nothing_is_asked_before_its_end(venue: Venue, way: WayOut):
    venue.always(418, {"code": -1003, "msg": "banned"}, Retry_After="1")
    with pytest.raises(VenueThrottled):
        await way.positions()
    by_path(venue)
    for ask in (way.positions, way.plain_orders, lambda: close(way), lambda: way.cancel_plain("BTCUSDT")):
        with pytest.raises(VenueThrottled) as silent:
            await ask()
        assert 0 < silent.value.retry_after <= 1
    assert len(venue.requests) == 1
    assert await way.algo_orders() == (), "the spot API counts by itself"
    await asyncio.sleep(silent.value.retry_after)
    assert await way.positions() == ()


async def test_orders_are_read_in_the_order_they_move_then_positions(venue: Venue, hands: VenueHands):
    await hands.survey()
    asked = [path for _, path, _ in venue.requests]
    places = [asked.index(path) for path in ("/fapi/v1/openAlgoOrders", "/fapi/v1/openOrders", "/fapi/v3/positionRisk")]
    assert places == sorted(places)
    assert asked.index("/sapi/v1/algo/futures/openOrders") < places[1]
    assert all("symbol" not in params for _, _, params in venue.requests)


async def test_positions_alone_are_one_request(venue: Venue, hands: VenueHands):
    by_path(venue, exchangeInfo={"symbols": [LISTED]})
    await hands.survey()
    venue.requests.clear()
    reading = await hands.survey(orders=False)
    assert [path for _, path, _ in venue.requests] == ["/fapi/v3/positionRisk"], "nothing is held: no touch is needed"
    assert not reading.complete


async def test_a_position_keeps_its_side_when_the_mark_price_is_zero(venue: Venue, hands: VenueHands):
    by_path(venue, positionRisk=[POSITION, POSITION | {"positionAmt": "0.0"}])
    (leg,) = (await hands.survey()).positions
    assert (leg.quantity, leg.mark_price, leg.side) == (Decimal("-0.500"), None, Side.BUY)


LISTED = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "1", "maxPrice": "9"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0", "minQty": "0.001", "maxQty": "120"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95", "multiplierDecimal": "4"},
    ],
}
TOUCH = {"symbol": "BTCUSDT", "bidPrice": "99.9", "bidQty": "4", "askPrice": "100.1", "askQty": "1"}


async def test_a_leg_carries_what_closing_it_takes(venue: Venue, hands: VenueHands):
    by_path(
        venue,
        positionRisk=[POSITION | {"positionAmt": "1", "markPrice": "100", "liquidationPrice": "80"}],
        exchangeInfo={"symbols": [LISTED, {"symbol": "NEWUSDT", "filters": "none of it"}]},
        bookTicker=[TOUCH],
    )
    (leg,) = (await hands.survey()).positions
    assert (leg.mark_price, leg.liquidation_price, leg.tick_size, leg.trading) == (100, 80, Decimal("0.1"), True)
    assert (leg.price_floor, leg.price_cap) == (95, 105)
    assert leg.market_lot == LotSize(step=Decimal("0.001"), quantity_min=Decimal("0.001"), quantity_max=Decimal(120))
    assert leg.limit_lot is not None and leg.limit_lot.quantity_max == 1000
    assert leg.book == (BookLevel(Decimal("99.9"), Decimal(4)),)
    assert "/fapi/v1/depth" not in [path for _, path, _ in venue.requests]


async def test_the_book_is_read_where_the_touch_is_small(venue: Venue, hands: VenueHands):
    by_path(
        venue,
        positionRisk=[POSITION | {"positionAmt": "-2", "markPrice": "100"}],
        bookTicker=[TOUCH],
        depth={"bids": [["99.9", "4"]], "asks": [["100.1", "1"], ["100.2", "5"]]},
    )
    (leg,) = (await hands.survey()).positions
    assert leg.book == (BookLevel(Decimal("100.1"), Decimal(1)), BookLevel(Decimal("100.2"), Decimal(5)))


def test_a_contract_that_cannot_be_understood_is_left_out():
    assert set(listing_of([LISTED, {"symbol": "X"}, {"symbol": "Y", "status": "TRADING", "filters": [1]}])) == {
        "BTCUSDT"
    }


async def test_an_order_type_nobody_knows_does_not_stop_a_kill(venue: Venue, hands: VenueHands):
    by_path(venue, openOrders=[{"symbol": "BTCUSDT", "orderId": 123456789012345678, "type": "QUANTUM"}])
    assert (await hands.survey()).plain_orders[0].order_id == "123456789012345678"


def algo_answers(venue: Venue, answer: Answer | None) -> None:
    """Everything as before, but for the spot API, which answers so."""
    whole = venue.answers
    venue.answers = lambda method, path: answer if path.startswith("/sapi/") else whole(method, path)


async def test_algo_orders_are_told_apart_unread_unlisted_and_listed(venue: Venue, hands: VenueHands):
    algo_answers(venue, (404, {}, "<html>not found</html>"))
    reading = await hands.survey()
    assert (reading.unread, reading.unlisted) == ((), ("algo orders: refused (-404): status 404",))
    by_path(venue, algo={"total": 1, "orders": [{"algoId": 14511, "symbol": "BTCUSDT"}]})
    assert [order.order_id for order in (await hands.survey()).algo_orders] == ["14511"]
    algo_answers(venue, None)
    reading = await hands.survey()
    assert reading.unlisted == () and reading.unread[0].startswith("algo orders: ")


@pytest.mark.parametrize(
    ("answer", "unlisted"),
    [
        ((404, {}, "<html>not found</html>"), True),
        ((404, {}, {"timestamp": 1, "status": 404, "error": "Not Found"}), True),
        ((404, {}, {"code": -5000, "msg": "Path /sapi/v1/algo/futures/openOrders, Method GET is invalid"}), True),
        ((403, {}, "<html>CloudFront</html>"), False),
        ((451, {}, {"code": 0, "msg": "Service unavailable from a restricted location"}), False),
        ((401, {}, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}), False),
        ((400, {}, {"code": -1022, "msg": "Signature for this request is not valid."}), False),
    ],
)
async def test_only_a_path_that_is_not_there_is_called_unlisted(
    venue: Venue, hands: VenueHands, answer: Answer, unlisted: bool
):
    algo_answers(venue, answer)
    reading = await hands.survey()
    assert (bool(reading.unlisted), bool(reading.unread)) == (unlisted, not unlisted)


async def test_what_was_listed_once_is_never_called_unlisted(venue: Venue, hands: VenueHands):
    await hands.survey()
    algo_answers(venue, (404, {}, "<html>not found</html>"))
    for _ in range(2):
        reading = await hands.survey()
        assert (reading.unread, reading.unlisted) == (("algo orders: refused (-404): status 404",), ())


@pytest.mark.parametrize("answer", [{}, '""', {"code": 200, "msg": "ok"}, [[]], ["BTCUSDT"], 0])
@pytest.mark.parametrize("listed", ["openOrders", "openAlgoOrders", "positionRisk"])
async def test_an_answer_of_another_shape_is_not_taken_for_an_empty_list(
    venue: Venue, hands: VenueHands, listed: str, answer: Any
):
    by_path(venue, **{listed: answer})
    (unread,) = (await hands.survey()).unread
    assert unread.startswith(f"{NAMED[listed]}: ") and unread.endswith("not a list of rows")


async def test_where_nothing_can_be_read_there_is_no_reading_but_the_venues_own_word(venue: Venue, hands: VenueHands):
    by_path(venue, openOrders={}, openAlgoOrders={}, positionRisk={})
    with pytest.raises(VenueUnavailable, match="not a list of rows"):
        await hands.survey()
    by_path(venue, positionRisk={})
    with pytest.raises(VenueUnavailable, match="not a list of rows"):
        await hands.survey(orders=False)
    venue.always(401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    with pytest.raises(VenueRefused):
        await hands.survey()


def asked(venue: Venue) -> list[str]:
    """The lists that were asked for since the last time."""
    found = [path.rpartition("/")[2] for _, path, _ in venue.requests if path.startswith("/fapi/")]
    venue.requests.clear()
    return [name for name in found if name in NAMED]


async def test_a_venue_that_refuses_everything_is_asked_for_everything_first_and_each_eighth_time(
    venue: Venue, hands: VenueHands
):
    whole, no = venue.answers, (401, {}, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    open_doors = ("/time", "/exchangeInfo", "/bookTicker")
    venue.answers = lambda method, path: whole(method, path) if path.endswith(open_doors) else no
    seen = []
    for _ in range(8):
        with pytest.raises(AllRefused):
            await hands.survey()
        seen.append(len(asked(venue)))
    assert seen == [3, 1, 1, 1, 1, 1, 1, 3]
    venue.answers = whole
    assert all(what.startswith("algo") for what in (await hands.survey()).unread), "what is shown again is read at once"


@pytest.mark.parametrize("shown", ["openOrders", "openAlgoOrders", "algo", "positionRisk"])
async def test_while_one_list_still_answers_nothing_is_refused_whole(venue: Venue, hands: VenueHands, shown: str):
    whole, no = venue.answers, (401, {}, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    shut = {*NAMED, "algo"} - {shown}

    def answers(method: str, path: str) -> Answer:
        name = "algo" if path.startswith("/sapi/") else path.rpartition("/")[2]
        return no if name in shut else whole(method, path)

    venue.answers = answers
    for _ in range(5):
        try:
            assert (await hands.survey()).unread
        except VenueRefused as refused:
            assert not isinstance(refused, AllRefused)


async def test_orders_are_asked_for_at_first_and_then_now_and_then_while_the_positions_are_not_shown(
    venue: Venue, hands: VenueHands, monkeypatch: pytest.MonkeyPatch
):
    whole, down = venue.answers, (500, {}, {"code": -1000, "msg": "down"})
    venue.answers = lambda method, path: down if path.endswith("/positionRisk") else whole(method, path)
    for _ in range(5):
        assert (await hands.survey()).unread, "what was on the wire rests by then"
    asked(venue)
    with pytest.raises(VenueUnavailable):
        await hands.survey()
    assert set(asked(venue)) == {"positionRisk"}
    monkeypatch.setattr(hands, "_whole_at", time.monotonic() - 4.1)
    assert (await hands.survey()).unread, "while lists are shown an order that rests can be stopped"
    with pytest.raises(VenueUnavailable):
        await hands.survey()
    hands.remember(())
    assert (await hands.survey()).unread, "a job begins with a reading of all"
    by_path(venue, openOrders=[{"symbol": "BTCUSDT", "orderId": 7}])
    whole = venue.answers
    venue.answers = lambda method, path: down if path.endswith("/positionRisk") else whole(method, path)
    hands.remember(())
    for _ in range(7):
        assert (await hands.survey()).plain_orders, "what rests has to go, whatever else is not shown"


async def test_an_outage_of_all_that_becomes_one_of_the_positions_keeps_no_orders_from_being_read(
    venue: Venue, hands: VenueHands
):
    whole, down = venue.answers, (500, {}, {"code": -1000, "msg": "down"})
    venue.always(500, {"code": -1000, "msg": "down"})
    for _ in range(2):
        with pytest.raises(VenueUnavailable):
            await hands.survey()
    venue.answers = lambda method, path: down if path.endswith("/positionRisk") else whole(method, path)
    assert (await hands.survey()).unread


async def test_a_bare_403_is_not_called_a_refusal_of_the_key(venue: Venue, hands: VenueHands):
    venue.always(403, "<html>forbidden</html>")
    with pytest.raises(VenueRefused) as refused:
        await hands.survey()
    assert not isinstance(refused.value, AllRefused)


async def test_a_job_does_not_wait_longer_for_algo_orders_because_the_account_was_flat_before(
    venue: Venue, hands: VenueHands, monkeypatch: pytest.MonkeyPatch
):
    async def hangs() -> tuple[Any, ...]:
        await asyncio.sleep(60)
        return ()

    monkeypatch.setattr(hands._way, "algo_orders", hangs)
    assert not (await hands.survey()).positions
    monkeypatch.setattr(hands, "_algo_again_at", 0.0)
    hands.remember(())
    assert (await hands.survey()).unread == ("algo orders: no answer within 1 s",)


async def test_a_demand_of_silence_ends_a_reading(venue: Venue, hands: VenueHands):
    whole = venue.answers
    silent = (429, {"Retry-After": "7"}, {"code": -1003, "msg": "slowly"})
    venue.answers = lambda method, path: silent if path.endswith("/openAlgoOrders") else whole(method, path)
    with pytest.raises(VenueThrottled):
        await hands.survey()
    assert "/fapi/v3/positionRisk" not in [path for _, path, _ in venue.requests]


async def test_a_demand_of_silence_is_kept_by_all_hands_on_an_account(venue: Venue, hands: VenueHands, way: WayOut):
    other = VenueHands(hands._venue)
    venue.always(429, {"code": -1003, "msg": "slowly"}, Retry_After="30")
    with pytest.raises(VenueThrottled):
        await hands.survey()
    asked = len(venue.requests)
    with pytest.raises(VenueThrottled) as silent:
        await other.survey()
    assert len(venue.requests) == asked and 29 < silent.value.retry_after <= 30


async def test_a_silence_longer_than_any_ban_is_no_time(venue: Venue, way: WayOut):
    venue.always(429, {"code": -1003, "msg": "until"}, Retry_After="1764425000000")
    with pytest.raises(VenueThrottled) as silent:
        await way.positions()
    assert silent.value.retry_after == timedelta(days=7).total_seconds()


@pytest.mark.parametrize("half", ["\\ud800", "a\\uDFFFb"])
async def test_half_a_character_keeps_no_order_from_being_read_and_told_of(venue: Venue, hands: VenueHands, half: str):
    by_path(venue, openOrders=f'[{{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"{half}","n{half}":["{half}"]}}]')
    reading = await hands.survey()
    assert [order.order_id for order in reading.plain_orders] == ["7"] and len(reading.digest) == 64
    reading.plain_orders[0].client_order_id.encode()


async def test_an_answer_nested_without_end_is_the_venues_trouble(venue: Venue, way: WayOut):
    venue.always(200, "[" * 100_000)
    with pytest.raises(VenueUnavailable):
        await way.positions()


async def test_what_was_listed_while_nothing_was_held_is_read_again_before_a_leg_is_told_of(
    venue: Venue, hands: VenueHands, monkeypatch: pytest.MonkeyPatch
):
    by_path(venue, exchangeInfo={"symbols": [LISTED | {"status": "PENDING_TRADING"}]})
    assert (await hands.survey()).positions == ()
    monkeypatch.setattr(hands, "_listed_at", float("-inf"))
    by_path(venue, exchangeInfo={"symbols": [LISTED]}, positionRisk=[POSITION])
    venue.requests.clear()
    (leg,) = (await hands.survey()).positions
    assert leg.trading and [path for _, path, _ in venue.requests].count("/fapi/v1/exchangeInfo") == 1


async def test_what_an_earlier_process_was_shown_is_never_called_unlisted(venue: Venue, hands: VenueHands):
    twap = RestingOrder(symbol="BTCUSDT", order_id="9")
    shown = Surveyed(at=datetime.now(UTC), plain_orders=(), conditional_orders=(), algo_orders=(twap,), positions=())
    algo_answers(venue, (404, {}, "<html>not found</html>"))
    hands.remember([replace(shown, algo_orders=())])
    assert (await hands.survey()).unlisted
    hands.remember([shown])
    reading = await hands.survey()
    assert (reading.unread, reading.unlisted) == (("algo orders: refused (-404): status 404",), ())


@pytest.mark.parametrize("listed", ["openOrders", "openAlgoOrders", "positionRisk"])
async def test_rows_without_what_they_are_read_for_are_the_venues_trouble_and_no_bug(
    venue: Venue, hands: VenueHands, listed: str
):
    by_path(venue, **{listed: [{"symbolName": "BTCUSDT"}]})
    with pytest.raises(VenueUnavailable, match="unexpected answer"):
        await hands.survey()


async def test_fees_of_another_shape_are_not_none_at_all(venue: Venue, way: WayOut):
    by_path(venue, userTrades={})
    with pytest.raises(VenueUnavailable, match="not a list of rows"):
        await way.fees("BTCUSDT", datetime.now(UTC))


async def test_algo_orders_of_another_shape_are_not_read(venue: Venue, hands: VenueHands):
    for answer in ({"total": 0, "orders": {}}, {"total": 0}, {}, []):
        by_path(venue, algo=answer)
        reading = await VenueHands(hands._venue).survey()
        assert reading.unread and not reading.unlisted, answer


async def test_a_digest_is_of_what_was_read(venue: Venue, hands: VenueHands):
    first, again = await hands.survey(), await hands.survey()
    by_path(venue, positionRisk=[POSITION])
    other = await hands.survey()
    assert first.digest == again.digest != other.digest and len(first.digest) == 64
    assert first.venue_time == datetime.fromtimestamp(1_700_000_000, UTC)


async def test_another_address_is_tried_where_one_does_not_answer(venue: Venue):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        account = an_account(f"http://127.0.0.1:{closed.getsockname()[1]}", venue.base_url)
        way = WayOut(account.calls)
        assert await way.positions() == ()
        venue.always(200, FILLED)
        assert (await close(way)).order_id == "9"
        await account.aclose()


async def test_a_venue_that_answers_with_an_error_is_not_left(venue: Venue):
    async with scripted_venue() as other:
        account = an_account(venue.base_url, other.base_url)
        venue.always(503, {"code": -1000, "msg": "busy"})
        with pytest.raises(VenueUnavailable):
            await WayOut(account.calls).positions()
        assert other.requests == []
        await account.aclose()


class NameServers(AbstractResolver):
    def __init__(self) -> None:
        self.down = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self.down:
            raise OSError("no name servers")
        where = ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)
        return [where]

    async def close(self) -> None:
        return


async def test_an_address_that_was_right_once_outlives_the_name_servers():
    servers = NameServers()
    first = await RememberingResolver(servers).resolve("fapi.example", 443)
    servers.down = True
    assert await RememberingResolver(servers).resolve("fapi.example", 443) == first
    with pytest.raises(OSError, match="no name servers"):
        await RememberingResolver(servers).resolve("never.example", 443)


@pytest.mark.parametrize(
    ("said", "only_closes"),
    [
        ({"side": "SELL", "positionSide": "BOTH", "reduceOnly": True}, True),
        ({"side": "SELL", "positionSide": "BOTH", "reduceOnly": False, "closePosition": "true"}, True),
        ({"side": "SELL", "positionSide": "LONG", "reduceOnly": False}, True),
        ({"side": "BUY", "positionSide": "SHORT"}, True),
        ({"side": "BUY", "positionSide": "LONG", "reduceOnly": False}, False),
        ({"side": "SELL", "positionSide": "SHORT"}, False),
        ({"side": "SELL", "positionSide": "BOTH", "reduceOnly": "false", "closePosition": False}, False),
        ({}, False),
    ],
)
def test_what_can_open_nothing_is_an_exit(said: dict[str, Any], only_closes: bool) -> None:
    rows = [{"symbol": "BTCUSDT", "orderId": 1, **said}]
    (order,) = orders = resting(rows, "orderId")
    assert exits(orders, rows) == ({order} if only_closes else set())
