import json
from datetime import timedelta
from decimal import Decimal

import pytest

from proxy.audit.judged import BadCursor
from proxy.audit.query import (
    blocked,
    counts,
    counts_by_code,
    decision,
    decisions_since,
    events,
    highest_rate_per_s,
    judged,
    last_ordered,
)
from proxy.audit.reader import ArchiveReader
from proxy.audit.words import in_words
from proxy.store.codec import plain_command
from proxy.venues.binance.client_ids import outward, tag
from rules.model import AmendOrder, CancelAll, CancelOrder, OrderType, PlaceOrder, SetLeverage, Side


@pytest.fixture
def archive(day):
    with ArchiveReader.open(day) as archive:
        yield archive


def test_a_refusal_is_told_in_words_with_its_numbers(archive):
    row = blocked(archive).rows[0]
    assert (row.id, row.bot, row.account, row.command) == ("d-7", "beta", "main", "BUY 3 BTCUSDT MARKET")
    assert (row.rule, row.code) == ("max_order_value", "ORDER_VALUE_ABOVE_LIMIT")
    assert (row.observed, row.limit) == ("180000.00", "100000.00")
    assert Decimal(row.headroom) == Decimal("1.666")
    assert row.message == "order is worth 180000.00"


def test_the_newest_come_first_and_the_limit_holds(archive):
    assert [row.id for row in blocked(archive, limit=2).rows] == ["d-7", "d-5"]
    assert [row.id for row in judged(archive, limit=3).rows] == ["d-8", "d-7", "d-6"]


def test_filters_narrow(archive, desk):
    assert len(blocked(archive, bot="beta").rows) == 4
    assert not blocked(archive, bot="alpha").rows
    assert len(blocked(archive, rule="max_order_value", account="main").rows) == 4
    assert not blocked(archive, rule="price_collar").rows
    assert not blocked(archive, account="other").rows
    assert [row.id for row in blocked(archive, since=desk.start + timedelta(seconds=5)).rows] == ["d-7", "d-5"]


def test_a_rule_is_found_behind_another_and_once_per_command(place, desk):
    record = desk.decision(1, "3")
    first = record["decisions"][0]["breaches"][0]
    second = first | {"rule_id": "max_leverage", "code": "LEVERAGE_ABOVE_LIMIT", "message": "second"}
    third = second | {"level": "account:main", "message": "third"}
    record["decisions"][0]["breaches"] = [first, second, third]
    desk.write(place, [record])
    with ArchiveReader.open(place) as archive:
        assert [row.message for row in blocked(archive, rule="max_leverage").rows] == ["second"]
        assert [row.rule for row in blocked(archive).rows] == ["max_order_value"]


def test_a_quote_in_a_name_is_a_name(archive):
    assert not blocked(archive, bot="' OR 1=1 --").rows


def test_one_request_is_told_whole(archive):
    story = decision(archive, "d-2")
    assert (story.intent["kind"], story.decision["kind"], story.outcome["result"]) == ("intent", "decision", "ACCEPTED")
    assert decision(archive, "nobody") is None


def test_counts_and_events(archive, desk):
    assert counts(archive)["decision"] == 8
    assert counts_by_code(archive) == {"ORDER_VALUE_ABOVE_LIMIT": 4}
    assert events(archive) == (desk.event("e-1"),)


def an_order(order_type, **fields):
    return PlaceOrder(symbol="BTCUSDT", side=Side.SELL, order_type=order_type, **fields)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (an_order(OrderType.MARKET, quantity=Decimal(3)), "SELL 3 BTCUSDT MARKET"),
        (
            an_order(OrderType.LIMIT, quantity=Decimal("0.5"), price=Decimal(60000), reduce_only=True),
            "SELL 0.5 BTCUSDT LIMIT @ 60000 reduce-only",
        ),
        (
            an_order(OrderType.STOP_MARKET, quantity=None, close_position=True, trigger_price=Decimal(5)),
            "SELL whole position BTCUSDT STOP_MARKET trigger 5",
        ),
        (CancelOrder(symbol="BTCUSDT", order_id="42"), "cancel order 42 of BTCUSDT"),
        (CancelAll(symbol="BTCUSDT", conditional=True), "cancel all conditional orders of BTCUSDT"),
        (SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)), "set leverage of BTCUSDT to 5"),
        (
            AmendOrder(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(2), price=Decimal(9), order_id="7"),
            "amend order 7 to BUY 2 BTCUSDT @ 9",
        ),
    ],
)
def test_commands_in_words(command, words):
    assert in_words(plain_command(command)) == words


def test_a_command_of_another_version_still_has_words():
    assert in_words({"type": "Teleport", "symbol": "BTCUSDT"}) == "Teleport BTCUSDT"
    assert in_words({}) == "? any symbol"


def test_when_a_symbol_was_last_ordered_is_told_by_account_passed_and_refused_alike(archive, desk):
    assert last_ordered(archive, desk.start) == {("main", "BTCUSDT"): desk.start + timedelta(seconds=8)}
    assert last_ordered(archive, desk.start + timedelta(seconds=8)) != {}
    assert last_ordered(archive, desk.start + timedelta(seconds=9)) == {}


def test_the_decisions_of_an_account_since_a_moment_are_told_oldest_first_and_once(archive, desk):
    found = [record["id"] for record in decisions_since(archive, "main", desk.start + timedelta(seconds=7))]
    assert found == ["d-7", "d-8"]
    assert len(list(decisions_since(archive, "main", desk.start))) == 8
    assert list(decisions_since(archive, "other", desk.start)) == []


def a_refused(desk, number, **changed):
    record = desk.decision(number, "3", client_id=changed.pop("client_id", f"own-{number}"))
    record["commands"][0] |= {"symbol": changed.pop("symbol", "BTCUSDT")}
    record["decisions"] = json.loads(json.dumps(record["decisions"]))  # Plain lists, to be changed.
    record["decisions"][0]["breaches"][0] |= {
        each: changed.pop(each) for each in ("code", "message") if each in changed
    }
    return record | changed


def found(place, **filters):
    with ArchiveReader.open(place) as archive:
        return [row.id for row in blocked(archive, **filters).rows]


@pytest.fixture(scope="module")
def searched(new_place, desk):
    """Six refusals of two accounts and two bots."""
    place = new_place()
    desk.write(
        place,
        [
            a_refused(desk, 1, symbol="ETHUSDT"),
            a_refused(desk, 2, account="other", code="OTHER_CODE"),
            a_refused(desk, 3, bot="beta", message="Worth 100 % too much_here"),
            a_refused(desk, 4, bot="beta", client_id=outward("Grid-77", tag("main", "beta"))),
            a_refused(desk, 5),
            a_refused(desk, 6, account="other", symbol="ETHUSDT"),
        ],
    )
    return place


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"symbol": "ETHUSDT"}, ["d-6", "d-1"]),
        ({"account": "other", "symbol": "ETHUSDT"}, ["d-6"]),
        ({"code": "OTHER_CODE"}, ["d-2"]),
        ({"code": "OTHER_CODE", "account": "main"}, []),
        ({"text": "grid-77"}, ["d-4"]),
        ({"text": "100 % TOO much_"}, ["d-3"]),
        ({"text": "100 x too"}, []),
        ({"text": "%"}, ["d-3"]),
        ({"bot": "beta", "text": "own-3"}, ["d-3"]),
        ({"bot": "alpha", "rule": "max_order_value", "symbol": "BTCUSDT"}, ["d-5", "d-2"]),
    ],
    ids=lambda value: " ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else "",
)
def test_filters_and_text_find_what_they_say(searched, filters, ids):
    assert found(searched, **filters) == ids


def test_a_time_is_half_open(searched, desk):
    since, until = desk.start + timedelta(seconds=2), desk.start + timedelta(seconds=4)
    assert found(searched, since=since, until=until) == ["d-3", "d-2"]


def test_the_bots_own_id_is_told(searched):
    with ArchiveReader.open(searched) as archive:
        (row,) = blocked(archive, text="grid-77").rows
    assert (row.client_order_id, row.symbol, row.item) == ("Grid-77", "BTCUSDT", 0)


def pages(place, **asked):
    """Every page of a question, each by the end of the one before."""
    before, every = None, []
    with ArchiveReader.open(place) as archive:
        while True:
            page = blocked(archive, before=before, **asked)
            every.append([row.id for row in page.rows])
            before = page.next
            if before is None:
                return every


def test_pages_follow_one_another_without_gap_or_double(searched):
    assert pages(searched, limit=4) == [["d-6", "d-5", "d-4", "d-3"], ["d-2", "d-1"]]
    assert pages(searched, limit=2, symbol="ETHUSDT") == [["d-6", "d-1"], []]


def test_a_page_that_has_looked_far_enough_says_where_to_go_on(searched, monkeypatch):
    monkeypatch.setattr("proxy.audit.judged.LOOKED_AT_MAX", 2)
    assert pages(searched, account="other", symbol="ETHUSDT") == [["d-6"], []]
    assert pages(searched, text="own-1") == [[], [], ["d-1"], []]


@pytest.mark.parametrize("before", ["", "1", "1-2", "1-2-x", "-1-2-3", "1-2-3-4", "９-1-1", "9" * 30 + "-1-1"])
def test_what_is_no_end_of_a_page_is_refused(searched, before):
    with ArchiveReader.open(searched) as archive, pytest.raises(BadCursor):
        blocked(archive, before=before)


def test_commands_of_one_request_are_pages_too(place, desk):
    record = a_refused(desk, 1)
    for each in ("commands", "decisions"):
        record[each] = record[each] * 3
    desk.write(place, [record])
    assert pages(place, limit=2) == [["d-1", "d-1"], ["d-1"]]


def test_the_highest_rate_is_counted_by_whole_seconds_and_requests(place, desk):
    within = [f"2026-11-24T09:00:01.{part}Z" for part in ("000000", "000001", "999999")]
    batch = desk.decision(1)
    for each in ("commands", "decisions"):
        batch[each] = batch[each] * 4  # One request, however many orders it carries.
    records = [batch | {"id": f"d-1-{number}", "at": at} for number, at in enumerate(within)]
    desk.write(place, [*records, desk.decision(2)])
    with ArchiveReader.open(place) as archive:
        assert highest_rate_per_s(archive, desk.start) == 3
        assert highest_rate_per_s(archive, desk.start + timedelta(hours=1)) == 0
