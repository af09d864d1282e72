"""The record of an account, from everything it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from proxy.accounts import memory as memories
from proxy.accounts.memory import BOTS_MAX, DECISIONS_MAX, Memory, empty
from proxy.accounts.transfers import Listing
from proxy.decoding import build
from proxy.exchange.payloads import TransferRow
from proxy.store.codec import dump, load, plain
from rules.account import Account, Share
from rules.facts import AccountRecord, BotRecord, Unprotected
from rules.model import PositionSide, Side
from tests.proxy.accounts.builders import a_fill, a_survey, an_account_event, an_algo_event
from tests.proxy.accounts.test_performance import a_share
from tests.rules.builders import NOW

MS = int(NOW.timestamp() * 1000)


def worth(asset: str, amount: Decimal) -> Decimal:
    return amount * {"USDT": 1, "BTC": 100}[asset]


def a_document(version: int, balance: str = "1000", *shares: Share) -> Account:
    at = NOW + timedelta(minutes=version)
    return a_survey(name="demo", version=version, as_of=at, margin_balance=Decimal(balance), shares=shares)


def with_documents(memory: Memory, *documents: Account) -> Memory:
    for document in documents:
        memory = memories.with_document(memory, document, {}, document.version)
    return memory


def with_decision(memory: Memory, record: Mapping[str, Any]) -> Memory:
    return memories.with_decisions(memory, [record])


def with_rows(memory: Memory, *rows: TransferRow) -> Memory:
    return memories.with_transfers(memory, Listing(rows=rows, until_ms=MS), worth, timedelta(0))


def record(memory: Memory) -> AccountRecord:
    found = memories.record_of(memory)
    assert found is not None
    return found


def bot(memory: Memory, name: str = "ann") -> BotRecord:
    found = record(memory).bot(name)
    assert found is not None
    return found


def a_decision(**changes: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "bot": "ann",
        "at": NOW.isoformat(),
        "commands": [{"type": "PlaceOrder", "symbol": "BTCUSDT"}],
        "decisions": [{"verdict": "ALLOW", "breaches": []}],
    } | changes


START = with_documents(empty("demo"), a_document(1), a_document(2))


def test_there_is_no_record_before_a_document() -> None:
    assert memories.record_of(with_decision(empty("demo"), a_decision())) is None


def test_a_record_is_as_of_its_last_document() -> None:
    legs = (Unprotected(symbol="BTCUSDT", position_side=PositionSide.BOTH, since=NOW),)
    found = memories.record_of(replace(START, version=9), legs)
    assert found is not None
    assert (found.account, found.version, found.as_of, found.unprotected) == (
        "demo",
        9,
        NOW + timedelta(minutes=2),
        legs,
    )
    assert found.performance is not None
    assert (found.performance.equity, found.bots, found.forecasts) == (1000, (), ())


def test_a_bot_that_only_sent_orders_has_made_nothing() -> None:
    found = bot(with_decision(START, a_decision()))
    assert (found.orders, found.first_seen) == (1, NOW)
    assert found.performance is not None
    assert (found.performance.day_pnl, found.performance.equity, found.performance.equity_peak) == (0, 1000, 1000)


def test_a_bot_with_a_share_is_known_even_when_it_is_flat() -> None:
    memory = with_documents(empty("demo"), a_document(1, "1000", a_share("ann", fees="5")))
    assert bot(memory).first_seen == NOW + timedelta(minutes=1)


def test_a_bot_s_results_holdings_and_proofs_are_in_its_record() -> None:
    memory = with_documents(
        START,
        a_document(3, "990", a_share("ann", "1", fees="10")),
        a_document(4, "990", a_share("ann", "1", fees="10")),
    )
    memory = memories.with_conditional(
        memory, an_algo_event("x", symbol="ETHUSDT", actual_order_id="7", at_ms=MS), "ann"
    )
    found = bot(memory)
    assert found.performance is not None
    assert found.performance.day_pnl == -10
    assert [(each.symbol, each.conditional_proven) for each in found.holdings] == [
        ("BTCUSDT", False),
        ("ETHUSDT", True),
    ]
    assert found.holdings[0].held_since == NOW + timedelta(minutes=3)
    both = memories.with_conditional(memory, an_algo_event("y", actual_order_id="8", at_ms=MS), "ann")
    assert bot(both).holdings[0] == replace(found.holdings[0], conditional_proven=True)


def test_fills_are_counted() -> None:
    assert bot(memories.with_fill(START, a_fill("ann/1", Side.BUY, "1", at_ms=MS), "ann")).fills == 1


def test_a_conditional_order_that_waits_proves_nothing_and_one_that_was_asked_back_does() -> None:
    waiting = memories.with_conditional(START, an_algo_event("x", at_ms=MS), "ann")
    gone = memories.with_conditional(waiting, an_algo_event("x", status="CANCELED", at_ms=MS), "ann")
    expired = memories.with_conditional(waiting, an_algo_event("x", status="EXPIRED", at_ms=MS), "ann")
    asked = a_decision(commands=[{"type": "CancelOrder", "symbol": "BTCUSDT", "conditional": True}])
    assert bot(waiting).holdings == bot(gone).holdings == ()
    assert bot(with_decision(expired, asked)).holdings == ()
    assert bot(with_decision(gone, asked)).holdings[0].conditional_proven


def test_a_transfer_is_no_loss_however_it_was_told() -> None:
    event = replace(an_account_event("WITHDRAW", change="-400"), at_ms=MS + 120_000)
    row = TransferRow(row_id="1", kind="TRANSFER", at_ms=MS + 120_000, amount=Decimal(-400), asset="USDT")
    told = memories.with_account_event(START, event, worth)
    for memory in (told, with_rows(START, row), with_rows(told, row)):
        found = record(with_documents(memory, a_document(3, "600"), a_document(4, "600"))).performance
        assert found is not None
        assert (found.day_pnl, found.equity, found.equity_peak) == (0, 600, 600)


def test_another_asset_counts_for_what_it_is_worth() -> None:
    row = TransferRow(row_id="1", kind="TRANSFER", at_ms=MS + 120_000, amount=Decimal(2), asset="BTC")
    found = record(with_documents(with_rows(START, row), a_document(3, "1200"))).performance
    assert found is not None
    assert (found.day_pnl, found.equity) == (0, 1200)


def test_records_of_another_shape_tell_nothing() -> None:
    for wrong in (
        {"id": None},
        {"bot": None},
        {"bot": ""},
        {"bot": 7},
        {"at": None},
        {"at": "soon"},
        {"at": "2026-11-24T09:30:00"},
    ):
        assert with_decision(START, a_decision(**wrong)) == START


def test_the_bots_of_an_account_are_bounded() -> None:
    memory = START
    for number in range(BOTS_MAX + 1):
        memory = with_decision(memory, a_decision(bot=f"b{number}", id=f"{number}"))
    assert len(memory.conducts) == BOTS_MAX


def test_what_is_remembered_survives_the_disk() -> None:
    memory = with_decision(with_documents(START, a_document(3, "990", a_share("ann", "1", fees="1"))), a_decision())
    memory = memories.with_conditional(memory, an_algo_event("x", status="CANCELED", at_ms=MS), "ann")
    memory = memories.with_account_event(memory, replace(an_account_event("DEPOSIT", change="4"), at_ms=MS), worth)
    assert build(load(dump(plain(memory))), Memory) == memory


def test_a_decision_counts_once_across_a_restart() -> None:
    memory = with_decision(START, a_decision())
    again = build(load(dump(plain(memory))), Memory)
    assert with_decision(again, a_decision()) is again
    assert bot(with_decision(again, a_decision(id="2"))).orders == 2


def test_the_newest_decisions_are_known_by_name() -> None:
    memory = START
    for number in range(DECISIONS_MAX + 1):
        at = (NOW - timedelta(seconds=number)).isoformat()
        memory = with_decision(memory, a_decision(id=f"{number}", at=at))
    assert (len(memory.decisions), memory.decisions[0], memory.decided_at) == (DECISIONS_MAX, "1", NOW)


def test_decisions_told_together_are_as_if_told_one_by_one() -> None:
    told = [a_decision(id=f"{number % 7}", bot="ann" if number % 2 else "ben") for number in range(20)]
    one_by_one = START
    for record in told:
        one_by_one = with_decision(one_by_one, record)
    assert memories.with_decisions(START, told) == one_by_one
    assert sum(each.orders for each in memories.record_of(one_by_one).bots) == 7


def test_a_row_s_time_is_the_venue_s() -> None:
    """An hour ahead of the documents': the withdrawal was before the second one."""
    memory = with_documents(START, a_document(3, "600"), a_document(4, "600"))
    row = TransferRow(row_id="1", kind="TRANSFER", at_ms=MS + 150_000 + 3_600_000, amount=Decimal(-400), asset="USDT")
    listing = Listing(rows=(row,), until_ms=MS)
    found = record(memories.with_transfers(memory, listing, worth, timedelta(hours=1))).performance
    assert found is not None
    assert (found.day_pnl, found.equity, found.equity_peak) == (0, 600, 600)
