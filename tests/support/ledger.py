"""What the console is told of the ledger, in short."""

from __future__ import annotations

from typing import Any

from proxy.ledger.plane import BookedView, BooksView, LedgerView, PeriodView, QualityView, StandingView

PERIODS = (900, 3600, 86_400, 604_800)


def a_books_view(bot: str = "grid", symbol: str = "BTCUSDT", **changes: Any) -> BooksView:
    """Fees of two assets, and funding that came an hour ago."""
    periods = [
        PeriodView(
            seconds=seconds,
            fills=3,
            trading={"USDT": "12.50000000"},
            fees={"BNB": "-0.00012", "USDT": "-1.25"},
            funding={"USDT": "-0.75"} if seconds > 3600 else {},
        )
        for seconds in PERIODS
    ]
    return BooksView(**({"account": "main", "bot": bot, "symbol": symbol, "periods": periods} | changes))


def a_standing_view(**changes: Any) -> StandingView:
    """Reconciled."""
    told: dict[str, Any] = {
        "account": "main",
        "since": "2026-11-17T09:00:00Z",
        "until": "2026-11-24T09:00:00Z",
        "standing": "reconciled",
        "verdict": "main: reconciled to the last digit for 2026-11-17 09:00:00 to 2026-11-24 09:00:00 UTC",
        "missing": (),
        "gaps": (),
        "differences": (),
        "nameless": 0,
    }
    return StandingView(**(told | changes))


def a_quality_view(**changes: Any) -> QualityView:
    """A day that was dearer than usual."""
    told: dict[str, Any] = {
        "day": "2026-11-24",
        "account": "main",
        "bot": "grid",
        "symbol": "BTCUSDT",
        "orders": 50,
        "refused": 5,
        "rejected": 9,
        "unknown": 0,
        "latency_ms_p50": "12.40",
        "latency_ms_p99": "80.00",
        "spread_bps": "0.50",
        "slippage_bps": "1.75",
        "usual_bps": "1.25",
        "measured_fills": 40,
        "measured_by_mark": 1,
        "unmeasured_fills": 2,
    }
    return QualityView(**(told | changes))


def a_ledger_view(**changes: Any) -> LedgerView:
    """One account that is reconciled, one bot, one transfer."""
    told: dict[str, Any] = {
        "at": "2026-11-24T09:00:00Z",
        "standings": (a_standing_view(),),
        "books": (a_books_view(),),
        "booked": (BookedView(account="main", kind="TRANSFER", amounts={"USDT": "-100"}),),
        "quality": (a_quality_view(),),
    }
    return LedgerView(**(told | changes))
