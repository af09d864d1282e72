"""Each movement of money once, whichever way it was told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from proxy.accounts.transfers import COUNTED_MAX, KINDS, NEAR_MS, OVERLAP_MS, REASONS, Listing, Transfers, heard, listed
from proxy.exchange.events import AccountEvent
from proxy.exchange.payloads import TransferRow, transfer_row
from tests.proxy.accounts.builders import an_account_event

T0 = 1_000_000_000_000
EMPTY = Transfers(since_ms=T0)


def an_event(amount: str, at_ms: int = T0, reason: str = "WITHDRAW") -> AccountEvent:
    event = an_account_event(reason, change=amount)
    return AccountEvent(at_ms=at_ms, sent_ms=at_ms, reason=reason, balances=event.balances, positions=())


def a_row(row_id: str, amount: str, at_ms: int = T0, asset: str = "USDT", kind: str = "TRANSFER") -> TransferRow:
    return TransferRow(row_id=row_id, kind=kind, at_ms=at_ms, amount=Decimal(amount), asset=asset)


def a_listing(*rows: TransferRow, until_ms: int = T0) -> Listing:
    return Listing(rows=rows, until_ms=until_ms)


def run(*told: AccountEvent | TransferRow, start: Transfers = EMPTY) -> tuple[list[str], Transfers]:
    """The amounts that were new, in order, and what is kept."""
    fresh: list[str] = []
    for each in told:
        start, news = heard(start, each) if isinstance(each, AccountEvent) else listed(start, a_listing(each))
        fresh += [f"{moved.amount}" for moved in news]
    return fresh, start


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_an_event_of_a_transfer_is_one(reason: str) -> None:
    assert run(an_event("-50", reason=reason))[0] == ["-50"]


@pytest.mark.parametrize("reason", ["ORDER", "FUNDING_FEE", "INSURANCE_CLEAR", "MARGIN_TRANSFER", "ADJUSTMENT"])
def test_another_event_is_none(reason: str) -> None:
    assert run(an_event("-50", reason=reason)) == ([], EMPTY)


def test_a_balance_that_did_not_change_is_none() -> None:
    assert run(an_event("0"))[0] == []


def test_what_is_told_twice_counts_once() -> None:
    assert run(an_event("-50"), an_event("-50"))[0] == ["-50"]
    assert run(an_event("-50"), an_event("-50", T0 + 1))[0] == ["-50", "-50"]
    assert run(a_row("1", "-50"), a_row("1", "-50"))[0] == ["-50"]
    assert run(a_row("1", "-50"), a_row("2", "-50"))[0] == ["-50", "-50"]


@pytest.mark.parametrize("apart", [0, NEAR_MS, -NEAR_MS])
def test_an_event_and_its_row_are_one(apart: int) -> None:
    start = Transfers(since_ms=T0 - NEAR_MS)
    assert run(an_event("-50"), a_row("1", "-50", T0 + apart), start=start)[0] == ["-50"]
    assert run(a_row("1", "-50", T0 + apart), an_event("-50"), start=start)[0] == ["-50"]


@pytest.mark.parametrize(
    "row",
    [a_row("1", "-51"), a_row("1", "-50", asset="USDC"), a_row("1", "-50", T0 + NEAR_MS + 1)],
    ids=["another amount", "another asset", "another time"],
)
def test_another_row_is_another_movement(row: TransferRow) -> None:
    assert len(run(an_event("-50"), row)[0]) == 2
    assert len(run(row, an_event("-50"))[0]) == 2


def test_each_row_explains_one_event() -> None:
    assert run(an_event("-50"), an_event("-50", T0 + 1), a_row("1", "-50"), a_row("2", "-50"), a_row("3", "-50"))[
        0
    ] == [
        "-50",
        "-50",
        "-50",
    ]


def test_what_was_before_counting_began_is_no_news() -> None:
    assert run(a_row("1", "-50", T0 - 1), an_event("-50", T0 - 1)) == ([], EMPTY)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_money_that_nobody_made_is_a_movement_whatever_the_venue_calls_it(kind: str) -> None:
    assert run(a_row("1", "-50", kind=kind))[0] == ["-50"]


@pytest.mark.parametrize(
    "kind",
    [
        "REALIZED_PNL",
        "FUNDING_FEE",
        "COMMISSION",
        "COMMISSION_REBATE",
        "API_REBATE",
        "FEE_RETURN",
        "INSURANCE_CLEAR",
        "POSITION_LIMIT_INCREASE_FEE",
        "DELIVERED_SETTELMENT",
        "AUTO_EXCHANGE",
        "OF_TOMORROW",
    ],
)
def test_what_was_made_or_paid_by_trading_is_none(kind: str) -> None:
    assert run(a_row("1", "-50", kind=kind)) == ([], EMPTY)


def test_what_is_older_than_the_overlap_is_forgotten_and_stays_counted() -> None:
    """However long nothing moved: a list that was read is not asked for again."""
    rows = a_row("1", "5"), a_row("2", "7", T0 + NEAR_MS), a_row("3", "9", T0 + OVERLAP_MS)
    kept, fresh = listed(EMPTY, a_listing(*rows, until_ms=T0 + NEAR_MS + OVERLAP_MS))
    assert ([each.amount for each in fresh], kept.since_ms) == ([5, 7, 9], T0 + NEAR_MS)
    kept, fresh = listed(kept, a_listing(*rows, until_ms=T0 + NEAR_MS + OVERLAP_MS + 1))
    assert (fresh, kept.since_ms, [each.row_id for each in kept.counted]) == ((), T0 + NEAR_MS + 1, ["2", "3"])


def test_an_event_just_before_what_is_still_asked_for_has_its_row_just_after() -> None:
    _, kept = run(an_event("-50"))
    kept, fresh = listed(kept, a_listing(until_ms=T0 + OVERLAP_MS + NEAR_MS))
    assert (fresh, kept.since_ms) == ((), T0 + NEAR_MS)
    assert listed(kept, a_listing(a_row("1", "-50", T0 + NEAR_MS), until_ms=T0 + OVERLAP_MS + NEAR_MS))[1] == ()


def test_a_list_that_was_read_before_changes_nothing() -> None:
    _, kept = run(a_row("1", "5"), a_row("2", "7"))
    assert listed(kept, a_listing(until_ms=T0 - OVERLAP_MS)) == (kept, ())


def test_what_is_kept_is_bounded() -> None:
    rows = [a_row(str(number), "1", T0 + number) for number in range(COUNTED_MAX + 5)]
    kept, fresh = listed(EMPTY, a_listing(*rows))
    assert (len(kept.counted), len(fresh)) == (COUNTED_MAX, COUNTED_MAX + 5)
    assert listed(kept, a_listing(*rows))[1] == ()


def test_the_venue_s_row() -> None:
    row: dict[str, Any] = {
        "incomeType": "TRANSFER",
        "income": "-5.5",
        "asset": "USDT",
        "time": 7,
        "tranId": 9,
        "symbol": "",
    }
    assert transfer_row(row) == a_row("TRANSFER 9 USDT", "-5.5", 7)
    assert transfer_row(row | {"incomeType": "WELCOME_BONUS"}).row_id != transfer_row(row).row_id
    with pytest.raises(ValueError, match="not a number"):
        transfer_row(row | {"income": "NaN"})
