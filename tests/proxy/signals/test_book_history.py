"""A book against its own past."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from proxy.exchange.market_payloads import Depth
from proxy.signals.book_history import KEPT_EVERY, NEEDED, BookHistory
from tests.rules.builders import NOW

BAND = Decimal("0.001")


def a_book(half_spread: str = "0.01", held: str = "5") -> Depth:
    half, size = Decimal(half_spread), Decimal(held)
    return Depth(bids=((100 - half, size),), asks=((100 + half, 2 * size),))


def seen(books: int) -> BookHistory:
    """Spreads and depths that grow from book to book."""
    history = BookHistory()
    for n in range(books):
        history.note(NOW + n * KEPT_EVERY, a_book(f"0.{n + 10}", str(n + 1)), BAND)
    return history


def test_a_short_history_ranks_nothing():
    assert seen(NEEDED - 1).quality(a_book(), BAND) is None
    assert seen(NEEDED).quality(a_book(), BAND) is not None


def test_a_wide_spread_and_a_thin_book_are_told_by_their_ranks():
    history = seen(40)
    worst, best = history.quality(a_book("0.9", "0.1"), BAND), history.quality(a_book("0.001", "999"), BAND)
    assert worst is not None
    assert best is not None
    assert (worst.spread_rank, worst.depth_rank) == (1, 0)
    assert (best.spread_rank, best.depth_rank) == (0, 1)


def test_one_book_in_five_minutes_is_kept():
    history = BookHistory()
    for second in range(0, 3_000, 30):
        history.note(NOW + timedelta(seconds=second), a_book(), BAND)
    assert history.quality(a_book(), BAND) is None


def test_half_a_book_is_no_book():
    history = seen(40)
    assert history.quality(Depth((), a_book().asks), BAND) is None
