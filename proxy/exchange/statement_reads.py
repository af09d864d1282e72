"""What the guard asks a venue about what has been done on an account. Each read says what it weighs of the budget.

Limits: Binance USD-M "Account Trade List" (at most seven days a question, six months back), "Get Income History"
(three months back), "All Orders" (filled orders stay) and "Query All Algo Orders" (seven days back), seen 2026-11.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.exchange.market_reads import Read
from proxy.exchange.payloads import parsed
from proxy.exchange.statement_payloads import (
    Fill,
    IncomeRow,
    NamedOrder,
    fill,
    income_row,
    named_order,
    triggered_order,
)
from proxy.exchange.troubles import VenueRefused

ROWS_MAX: Final = 1_000
"""Rows of one answer; one with so many may have left out later ones."""

WINDOW_MS: Final = 7 * 24 * 3600 * 1000
"""The longest time one question may span."""

FILLS_WEIGHT: Final = 5
INCOME_WEIGHT: Final = 30
ORDERS_WEIGHT: Final = 5
ORDER_WEIGHT: Final = 1
TRIGGERED_WEIGHT: Final = 5

_NO_SUCH_ORDER: Final = -2013


class StatementReads:
    """Reads of one account's past, through its connections. All raise ``VenueTrouble``."""

    def __init__(self, client: Any, read: Read) -> None:
        self._venue = client
        self._read = read

    async def fills(self, symbol: str, since_ms: int, until_ms: int | None) -> tuple[Fill, ...]:
        """A symbol's executions from ``since_ms`` to ``until_ms``, both included, oldest first; weight 5.

        Without an end seven days at most.
        """
        asked = {"symbol": symbol, **_span(since_ms, until_ms)}
        rows = await self._read(self._venue.fapiPrivateGetUserTrades, asked)
        return parsed(lambda: tuple(map(fill, rows)))

    async def income(self, since_ms: int, until_ms: int | None) -> tuple[IncomeRow, ...]:
        """Rows of every type from ``since_ms`` to ``until_ms``, both included, oldest first; weight 30."""
        rows = await self._read(self._venue.fapiPrivateGetIncome, _span(since_ms, until_ms))
        return parsed(lambda: tuple(map(income_row, rows)))

    async def orders_from(self, symbol: str, order_id: str) -> tuple[NamedOrder, ...]:
        """A symbol's plain orders from the venue's id on, oldest first; weight 5."""
        asked = {"symbol": symbol, "orderId": order_id, "limit": str(ROWS_MAX)}
        rows = await self._read(self._venue.fapiPrivateGetAllOrders, asked)
        return parsed(lambda: tuple(map(named_order, rows)))

    async def order_named(self, symbol: str, order_id: str) -> NamedOrder | None:
        """One plain order by the venue's id, ``None`` when it knows none any more; weight 1."""
        try:
            row = await self._read(self._venue.fapiPrivateGetOrder, {"symbol": symbol, "orderId": order_id})
        except VenueRefused as refusal:
            if refusal.code == _NO_SUCH_ORDER:
                return None
            raise
        return parsed(lambda: named_order(row))

    async def triggered(self, symbol: str) -> tuple[NamedOrder, ...]:
        """Plain orders that conditional ones of a symbol became, by the conditional one's name; weight 5.

        Of the newest ``ROWS_MAX`` placed in the last seven days.
        """
        rows = await self._read(self._venue.fapiPrivateGetAllAlgoOrders, {"symbol": symbol, "limit": str(ROWS_MAX)})
        return parsed(lambda: tuple(each for row in rows if (each := triggered_order(row)) is not None))


def _span(since_ms: int, until_ms: int | None) -> dict[str, str]:
    end = {"endTime": str(until_ms)} if until_ms is not None else {}
    return {"startTime": str(since_ms), **end, "limit": str(ROWS_MAX)}
