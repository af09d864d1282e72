"""The ledger as the control door shows it: read from the file in a thread of its own, not more often than needed."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from proxy.ledger.books import rows
from proxy.ledger.books.execution import Quality, execution
from proxy.ledger.books.recent import recent
from proxy.ledger.books.reconciling import Reconciliation, reconcile
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.schema import BooksUnavailable, reading
from proxy.ledger.books.sums import Books, Subject, by_kind
from proxy.ledger.books.words import DIFFERENCES_SHOWN, coverage_lines, gap_lines, minute, plain_amounts, verdict
from proxy.ledger.plane import BookedView, BooksView, LedgerView, PeriodView, QualityView, StandingView
from proxy.looks import Looks
from proxy.store.codec import plain

PERIODS: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(days=1), timedelta(days=7))

FRESH_S: Final = 5.0
RECONCILED_FRESH_S: Final = 60.0
"""How old an answer may be, besides as long as it took to read: a ledger that is slow is not read without a pause.

Comparing a week of a busy account with its statement takes seconds.
"""

KEPT_MAX: Final = 16
"""Answers remembered; more questions than that are worked out anew."""


class LedgerGlance:
    """One desk's."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._looks = Looks("ledger")
        self._answers: OrderedDict[Wanted, tuple[float, LedgerView]] = OrderedDict()
        self._standings: dict[str, tuple[float, StandingView]] = {}

    async def ledger(self, account: str | None, bot: str | None, symbol: str | None) -> LedgerView:
        """What is kept. One question at a time: the file is read, and the warden has other things to do.

        A reading goes on when nobody waits for it any more; its answer is for whoever asks next.
        """
        wanted = Wanted(account=account, bot=bot, symbol=symbol)
        known = self._answers.get(wanted)
        if known is not None and time.monotonic() - known[0] <= FRESH_S:
            return known[1]
        return await self._looks.ask(wanted, lambda: self._answer(wanted))

    def _answer(self, wanted: Wanted) -> LedgerView:
        """Read, and remember. In the one thread of the ledger's looks."""
        began = time.monotonic()
        view = self._read(wanted)
        ended = time.monotonic()
        self._answers[wanted] = ended + (ended - began), view
        self._answers.move_to_end(wanted)
        while len(self._answers) > KEPT_MAX:
            self._answers.popitem(last=False)
        return view

    def _read(self, wanted: Wanted) -> LedgerView:
        now = self._now()
        try:
            with reading(self._path) as connection:
                week = replace(wanted, since=now - PERIODS[-1])
                books = recent(connection, wanted, now, PERIODS)
                return LedgerView(
                    at=plain(now),
                    standings=[
                        self._standing(connection, name, now)
                        for name in rows.accounts(connection)
                        if wanted.account in (None, name)
                    ],
                    books=[_books_view(*each) for each in sorted(books.items())],
                    booked=[
                        BookedView(account=account, kind=kind, amounts=plain_amounts(amounts))
                        for (account, kind), amounts in sorted(by_kind(rows.others(connection, week)).items())
                    ],
                    quality=[_quality_view(each) for each in execution(connection, week)],
                )
        except BooksUnavailable as trouble:
            return LedgerView(at=plain(now), trouble=str(trouble))

    def _standing(self, connection: sqlite3.Connection, account: str, now: datetime) -> StandingView:
        known = self._standings.get(account)
        if known is not None and time.monotonic() - known[0] <= RECONCILED_FRESH_S:
            return known[1]
        found = reconcile(connection, account, now - PERIODS[-1])
        assert found is not None  # noqa: S101 - it is one of the ledger's accounts
        view = _standing_view(found, rows.milliseconds(now))
        self._standings[account] = time.monotonic(), view
        return view


def _standing_view(found: Reconciliation, now_ms: int) -> StandingView:
    covered = found.coverage.as_of(now_ms)
    _, *missing = coverage_lines(covered)
    return StandingView(
        account=found.account,
        since=plain(found.since),
        until=plain(found.until),
        standing=found.standing.value,
        verdict=verdict(found),
        missing=[line.strip() for line in missing],
        gaps=gap_lines(covered.missing_between(rows.milliseconds(found.since), None)),
        differences=[
            f"{minute(each.at)} {each.what.value} {each.symbol} {each.row}: {each.ledger:f} here,"
            f" {each.statement:f} in the statement, {each.asset}"
            for each in found.differences[:DIFFERENCES_SHOWN]
        ],
        nameless=covered.nameless,
    )


def _books_view(subject: Subject, periods: list[Books]) -> BooksView:
    return BooksView(
        account=subject.account,
        bot=subject.bot,
        symbol=subject.symbol,
        periods=[
            PeriodView(
                seconds=int(length.total_seconds()),
                fills=books.fills,
                trading=plain_amounts(books.trading),
                fees=plain_amounts(books.fees),
                funding=plain_amounts(books.carry),
            )
            for length, books in zip(PERIODS, periods, strict=True)
        ],
    )


def _quality_view(each: Quality) -> QualityView:
    return QualityView(
        day=each.day.isoformat(),
        account=each.account,
        bot=each.bot,
        symbol=each.symbol,
        orders=each.orders,
        refused=each.refused,
        rejected=each.rejected,
        unknown=each.unknown,
        latency_ms_p50=_text(each.latency_ms_p50),
        latency_ms_p99=_text(each.latency_ms_p99),
        spread_bps=_text(each.spread_bps),
        slippage_bps=_text(each.slippage_bps),
        usual_bps=_text(each.slippage_usual_bps),
        measured_fills=each.measured_fills,
        measured_by_mark=each.measured_by_mark,
        unmeasured_fills=each.unmeasured_fills,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
