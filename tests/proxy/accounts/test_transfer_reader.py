"""The list is read in one answer where it fits into one, by type where it does not, and never too often."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from proxy.accounts import transfer_reader
from proxy.accounts.transfer_reader import LISTED_MS, TransferReader
from proxy.accounts.transfers import KINDS
from proxy.exchange.payloads import TransferRow

NOW_MS = 1_800_000_000_000


class Venue:
    """An income list; an answer has the oldest three rows of what is asked for."""

    def __init__(self, *rows: TransferRow) -> None:
        self.rows = rows
        self.asked: list[tuple[int, str]] = []

    async def incomes(self, since_ms: int, kind: str = "") -> tuple[TransferRow, ...]:
        self.asked.append((since_ms, kind))
        rows = [row for row in self.rows if row.at_ms >= since_ms and kind in ("", row.kind)]
        return tuple(sorted(rows, key=lambda row: row.at_ms)[:3])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_reader, "FUNDINGS_MAX", 3)
    monkeypatch.setattr(transfer_reader, "PACE_S", 0.0)


def a_row(ago_ms: int, kind: str = "TRANSFER") -> TransferRow:
    at_ms = NOW_MS - ago_ms
    return TransferRow(row_id=f"{kind} {at_ms}", kind=kind, at_ms=at_ms, amount=Decimal(1), asset="USDT")


async def test_one_answer_that_is_not_full_has_everything() -> None:
    venue = Venue(a_row(20), a_row(10, "COMMISSION"))
    listing = await TransferReader(venue).read(NOW_MS - 20, NOW_MS)
    assert (set(listing.rows), listing.until_ms, listing.complete) == (set(venue.rows), NOW_MS, True)
    assert venue.asked == [(NOW_MS - 20, "")]


async def test_where_trades_fill_the_answer_each_type_is_asked_for() -> None:
    moved = a_row(2), a_row(1, "WELCOME_BONUS")
    venue = Venue(*(a_row(ago, "COMMISSION") for ago in range(3, 9)), *moved)
    listing = await TransferReader(venue).read(NOW_MS - 20, NOW_MS)
    assert (set(listing.rows), listing.until_ms, listing.complete) == (set(moved), NOW_MS, True)
    assert venue.asked[1:] == [(NOW_MS - 20, kind) for kind in sorted(KINDS)]


async def test_what_a_full_answer_of_one_type_leaves_out_is_still_to_come() -> None:
    venue = Venue(*(a_row(ago) for ago in range(5, 9)), a_row(1, "WELCOME_BONUS"))
    listing = await TransferReader(venue).read(NOW_MS - 20, NOW_MS)
    assert (listing.until_ms, listing.complete, len(listing.rows)) == (NOW_MS - 6, False, 4)


async def test_it_asks_no_further_back_than_the_venue_keeps() -> None:
    venue = Venue()
    await TransferReader(venue).read(0, NOW_MS)
    assert venue.asked == [(NOW_MS - LISTED_MS, "")]


async def test_every_question_makes_the_next_reading_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_reader, "PACE_S", 0.02)
    venue = Venue(*(a_row(ago, "COMMISSION") for ago in range(3)))
    reader = TransferReader(venue)
    began = time.monotonic()
    await reader.read(0, NOW_MS)
    await reader.read(NOW_MS, NOW_MS)
    assert len(venue.asked) == 2 + len(KINDS)
    assert time.monotonic() - began >= 0.02 * (1 + len(KINDS))
