from datetime import timedelta
from decimal import Decimal

import pytest

from proxy.audit.query import blocked, counts, counts_by_code, decision, decisions_since, events, judged, last_ordered
from proxy.audit.reader import ArchiveReader
from proxy.audit.words import in_words, safe
from proxy.store.codec import plain_command
from rules.model import AmendOrder, CancelAll, CancelOrder, OrderType, PlaceOrder, SetLeverage, Side


@pytest.fixture
def archive(database):
    with ArchiveReader.open(database) as archive:
        yield archive


def test_a_refusal_is_told_in_words_with_its_numbers(archive):
    row = blocked(archive)[0]
    assert (row.id, row.bot, row.account, row.command) == ("d-7", "beta", "main", "BUY 3 BTCUSDT MARKET")
    assert (row.rule, row.code) == ("max_order_value", "ORDER_VALUE_ABOVE_LIMIT")
    assert (row.observed, row.limit) == ("180000.00", "100000.00")
    assert Decimal(row.headroom) == Decimal("1.666")
    assert row.message == "order is worth 180000.00"


def test_the_newest_come_first_and_the_limit_holds(archive):
    assert [row.id for row in blocked(archive, limit=2)] == ["d-7", "d-5"]
    assert [row.id for row in judged(archive, limit=3)] == ["d-8", "d-7", "d-6"]


def test_filters_narrow(archive, desk):
    assert len(blocked(archive, bot="beta")) == 4
    assert not blocked(archive, bot="alpha")
    assert len(blocked(archive, rule="max_order_value", account="main")) == 4
    assert not blocked(archive, rule="price_collar")
    assert not blocked(archive, account="other")
    assert [row.id for row in blocked(archive, since=desk.start + timedelta(seconds=5))] == ["d-7", "d-5"]


def test_a_rule_is_found_behind_another_and_once_per_command(tmp_path, desk):
    record = desk.decision(1, "3")
    first = record["decisions"][0]["breaches"][0]
    second = first | {"rule_id": "max_leverage", "code": "LEVERAGE_ABOVE_LIMIT", "message": "second"}
    third = second | {"level": "account:main", "message": "third"}
    record["decisions"][0]["breaches"] = [first, second, third]
    desk.write(tmp_path / "audit.db", [record])
    with ArchiveReader.open(tmp_path / "audit.db") as archive:
        assert [row.message for row in blocked(archive, rule="max_leverage")] == ["second"]
        assert [row.rule for row in blocked(archive)] == ["max_order_value"]


def test_a_quote_in_a_name_is_a_name(archive):
    assert not blocked(archive, bot="' OR 1=1 --")


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


def test_safe_text_spells_out_what_a_terminal_obeys():
    assert safe("a\x1b[31m\r\n\x9b\u2028\u202eb\u200b") == r"a\x1b[31m\r\n\x9b\u2028\u202eb\u200b"
    assert safe("Zürich 東京") == "Zürich 東京"
    assert len(safe("x" * 10_000)) < 500


def test_when_a_symbol_was_last_ordered_is_told_by_account_passed_and_refused_alike(archive, desk):
    assert last_ordered(archive, desk.start) == {("main", "BTCUSDT"): desk.start + timedelta(seconds=8)}
    assert last_ordered(archive, desk.start + timedelta(seconds=8)) != {}
    assert last_ordered(archive, desk.start + timedelta(seconds=9)) == {}


def test_the_decisions_of_an_account_since_a_moment_are_told_oldest_first_and_once(archive, desk):
    found = [record["id"] for record in decisions_since(archive, "main", desk.start + timedelta(seconds=7))]
    assert found == ["d-7", "d-8"]
    assert len(list(decisions_since(archive, "main", desk.start))) == 8
    assert list(decisions_since(archive, "other", desk.start)) == []
