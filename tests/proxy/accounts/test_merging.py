"""A survey in the book: it decides, except about what it cannot have seen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import OpenOrder
from rules.model import Side
from rules.snapshot import Market
from tests.proxy.accounts.stream_builders import (
    a_book,
    a_survey,
    cancelled,
    counted,
    placed,
    position_told,
    stop,
    surveyed,
    traded,
)
from tests.rules.builders import NOW, an_open_order


def resting(leaves: str = "5", filled: str = "0", order_id: str = "1") -> OpenOrder:
    return an_open_order(Side.BUY, "BTCUSDT", leaves, "50000", order_id=order_id, filled=filled, client_order_id="c1")


def test_what_is_there_at_the_start_is_adopted() -> None:
    book = a_book()
    surveyed(book, a_survey(resting(), quantity=3, at_ms=1))
    assert counted(book) == ([3], [5])


def test_an_order_the_survey_does_not_show_is_gone_and_that_is_told() -> None:
    book = a_book(placed())
    assert surveyed(book, a_survey()).healed == ("order 1 of BTCUSDT is gone",)
    assert counted(book) == ([], [])


def test_an_order_that_one_survey_did_not_list_is_there_after_all_when_the_next_does() -> None:
    book = a_book(placed())
    surveyed(book, a_survey())
    merged = surveyed(book, a_survey(resting("3", "2"), quantity=2, at_ms=5), 200)
    assert "order 1 of BTCUSDT is there after all" in merged.healed
    assert merged.conversion.taken == (), "its hold went long ago"
    assert counted(book) == ([2], [3])


def test_an_order_that_one_survey_did_not_list_is_there_after_all_when_the_stream_says_so() -> None:
    book = a_book(placed())
    surveyed(book, a_survey(at_ms=1))
    book.apply(position_told(2, 5), 200)
    book.apply(traded(2, 5), 200)
    assert counted(book) == ([2], [3])
    book.apply(cancelled(2, 6), 210)
    assert counted(book) == ([2], [])


def test_the_end_of_an_order_that_a_survey_did_not_list_is_its_end() -> None:
    book = a_book(placed())
    surveyed(book, a_survey())
    book.apply(cancelled(), 200)
    surveyed(book, a_survey(resting()), 190)
    assert counted(book) == ([], []), "the stream told of its end"


@pytest.mark.parametrize("by_the_stream", [True, False])
def test_a_conditional_order_that_one_survey_did_not_list_is_there_after_all(by_the_stream: bool) -> None:
    book = a_book(stop())
    (listed,) = book.open_orders()
    surveyed(book, a_survey())
    assert book.open_orders() == ()
    if by_the_stream:
        book.apply(stop(at_ms=9), 200)
    else:
        surveyed(book, a_survey(listed), 200)
    assert [order.order_id for order in book.open_orders()] == [listed.order_id]


def test_a_wallet_told_while_the_survey_was_read_is_not_undone() -> None:
    """A loss is taken between the reads and the merge: the wallet has it, and the position it was in is gone."""
    book = a_book(position_told(1, 2), received=10)
    book.apply(traded(1, 2), 10)
    book.apply(position_told(0, 5, wallet="500"), 100)
    surveyed(book, a_survey(quantity=1, at_ms=2), 100)
    account = book.account(version=1, as_of=NOW, stale=False, markets={})
    assert account is not None and book.surveyed is not None
    assert account.margin_balance == book.surveyed.margin_balance - 500
    surveyed(book, a_survey(at_ms=5), 200)
    account = book.account(version=2, as_of=NOW, stale=False, markets={})
    assert account is not None and account.margin_balance == book.surveyed.margin_balance


def test_what_other_symbols_have_moved_is_in_the_balance_of_a_survey_of_a_few() -> None:
    """Long 1 from 50,000, marked 49,900 since: the balance that is read has that loss in it already."""
    book = a_book()
    surveyed(book, a_survey(quantity=1, at_ms=1))
    published = book.account(version=1, as_of=NOW, stale=False, markets={})
    markets = {"BTCUSDT": Market(symbol="BTCUSDT", mark_price=Decimal(49_900), as_of=NOW)}
    before = book.account(version=1, as_of=NOW, stale=False, markets=markets)
    assert published is not None and before is not None
    assert published.margin_balance - before.margin_balance == 100
    read = replace(published, margin_balance=before.margin_balance)
    part = replace(a_survey(symbols=frozenset({"ETHUSDT"})), account=read, unrealised=Decimal(-100))
    surveyed(book, part, 100)
    after = book.account(version=2, as_of=NOW, stale=False, markets=markets)
    assert after is not None and after.margin_balance == before.margin_balance


def test_an_exit_takes_no_hold_by_its_name() -> None:
    book = a_book()
    found = replace(resting(), reduce_only=True)
    assert surveyed(book, a_survey(found)).conversion.taken == ()


def test_an_order_heard_of_since_the_survey_began_stays() -> None:
    book = a_book(placed(), received=100)
    assert surveyed(book, a_survey(), 100).healed == ()
    assert counted(book) == ([], [5])


def test_an_order_that_ended_while_the_survey_was_read_does_not_come_back() -> None:
    book = a_book(placed(), cancelled(), received=100)
    surveyed(book, a_survey(resting()), 100)
    assert counted(book) == ([], [])


def test_an_adopted_order_takes_its_hold_and_a_name_left_behind_takes_none() -> None:
    book = a_book()
    assert len(surveyed(book, a_survey(resting())).conversion.taken) == 1
    assert surveyed(book, a_survey(resting())).conversion.taken == ()
    book.apply(cancelled(), 200)
    assert surveyed(book, a_survey(resting()), 150).conversion.taken == ()


def test_fills_the_survey_has_seen_are_not_counted_again_when_they_arrive() -> None:
    book = a_book(placed())
    surveyed(book, a_survey(resting("3", "2"), quantity=2, at_ms=5))
    book.apply(position_told(2, 5), 200)
    book.apply(traded(2, 5), 200)
    assert counted(book) == ([2], [3])
    assert book.unsettled() == ()


def test_a_fill_of_an_order_the_survey_no_longer_shows_is_not_counted_again() -> None:
    book = a_book(placed())
    surveyed(book, a_survey(quantity=5, at_ms=5))
    book.apply(traded(5, 5), 200)
    assert counted(book) == ([5], [])


def test_fills_newer_than_the_survey_are_added_to_it() -> None:
    book = a_book(placed())
    book.apply(position_told(2, 8), 100)
    book.apply(traded(2, 8), 100)
    surveyed(book, a_survey(resting(), quantity=0), 100)
    assert counted(book) == ([2], [3])
    book = a_book(placed(), position_told(1, 3), traded(1, 3))
    book.apply(position_told(3, 8), 100)
    book.apply(traded(3, 8), 100)
    surveyed(book, a_survey(resting("4", "1"), quantity=1, at_ms=3), 100)
    assert counted(book) == ([3], [2])
    assert book.unsettled() == ()


def test_a_lost_fill_is_found_while_others_arrive() -> None:
    book = a_book(placed())
    book.apply(placed(order_id="2", client_order_id="c2"), 10)
    # Order 1 filled four and nobody heard; order 2 fills one while the survey is read.
    book.apply(position_told(5, 9), 100)
    book.apply(traded(1, 9, order_id="2", client_order_id="c2"), 100)
    assert book.unsettled() != ()
    surveyed(book, a_survey(resting("1", "4"), resting("5", "0", "2"), quantity=4, at_ms=6), 100)
    assert counted(book)[0] == [5]
    assert book.unsettled() == ()


def test_a_fill_in_the_millisecond_of_the_survey_counts_both_ways_until_another_survey() -> None:
    book = a_book(placed())
    book.apply(traded(2, 7), 100)
    surveyed(book, a_survey(quantity=3, at_ms=7), 100)
    assert counted(book)[0] == [5]
    assert book.unsettled() != ()
    surveyed(book, a_survey(quantity=3, at_ms=7), 200)
    assert counted(book)[0] == [3]
    assert book.unsettled() == ()


def test_a_fill_that_both_stream_and_survey_tell_counts_once() -> None:
    book = a_book(placed())
    book.apply(position_told(2, 7), 100)
    book.apply(traded(2, 7), 100)
    surveyed(book, a_survey(resting("3", "2"), quantity=2, at_ms=7), 100)
    assert counted(book) == ([2], [3])
    assert book.unsettled() == ()


def test_a_leg_that_was_closed_unheard_is_flat() -> None:
    book = a_book(placed(), position_told(5), traded(5))
    assert surveyed(book, a_survey()).healed == ("BTCUSDT BOTH was 5, is 0",)
    assert counted(book) == ([], [])


def test_a_leg_that_changed_just_now_is_not_called_unheard_its_event_is_on_the_way() -> None:
    now_ms = int(NOW.timestamp() * 1000)
    book = a_book()
    assert surveyed(book, a_survey(quantity=3, at_ms=now_ms - 1_000)).healed == ()
    assert counted(book)[0] == [3]
    book = a_book()
    assert surveyed(book, a_survey(quantity=3, at_ms=now_ms - 1_001)).healed == ("BTCUSDT BOTH was 0, is 3",)


def test_a_survey_of_other_symbols_says_nothing() -> None:
    book = a_book(placed(), position_told(2), traded(2))
    surveyed(book, a_survey(symbols=frozenset({"ETHUSDT"})))
    assert counted(book) == ([2], [3])


def test_a_conditional_order_that_became_one_unheard_is_gone() -> None:
    book = a_book(stop(), stop("TRIGGERED", 2, became="77"))
    surveyed(book, a_survey(quantity=2, at_ms=3))
    assert counted(book) == ([2], [])
    assert book.becomes == {}


def test_a_fill_whose_position_was_lost_is_not_undone_by_a_survey_read_before_it() -> None:
    """The survey found the leg flat, and only the order told of the fill: both may be, so the larger counts."""
    book = a_book(placed(), traded(5, at_ms=10), received=100)
    surveyed(book, a_survey(), 100)
    assert counted(book)[0] == [5]


def test_a_quantity_told_before_a_fill_is_no_word_on_it() -> None:
    book = a_book(placed(), position_told(0, 4), received=90)
    book.apply(traded(5, at_ms=10), 100)
    surveyed(book, a_survey(), 100)
    assert counted(book)[0] == [5]


def test_fills_that_an_undated_survey_has_seen_do_not_turn_the_leg() -> None:
    """It was closed by two fills; the survey found it flat; their events come only now, then one whose position is
    lost: it counts in full."""
    book = a_book()
    surveyed(book, a_survey(quantity=5, at_ms=1), 50)
    surveyed(book, a_survey(), 100)
    book.apply(traded(2, at_ms=10, side=Side.SELL, order_id="7"), 200)
    book.apply(position_told(0, 11), 201)
    book.apply(traded(3, at_ms=11, side=Side.SELL, order_id="8"), 202)
    assert counted(book)[0] == []
    book.apply(traded(4, at_ms=12, order_id="9"), 203)
    assert counted(book)[0] == [4]


def test_of_several_fills_in_one_millisecond_the_last_counts_though_its_position_was_lost() -> None:
    book = a_book(placed(), position_told(2, 10), received=90)
    surveyed(book, a_survey(resting()), 95)
    book.apply(position_told(2, 10), 100)
    book.apply(traded(2, at_ms=10), 101)
    surveyed(book, a_survey(resting()), 99)
    book.apply(traded(5, at_ms=10), 102)
    assert counted(book)[0] == [5]
