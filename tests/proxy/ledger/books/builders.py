"""A venue's statement as a test fixture: trades whose income rows are true to them, and a venue that lists both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from proxy.exchange.statement_payloads import Fill, IncomeRow, NamedOrder
from proxy.exchange.troubles import VenueTrouble
from proxy.ledger.books.attribution import attributed
from proxy.ledger.books.book import LedgerBook
from proxy.ledger.books.spans import Span
from rules.model import PositionSide, Side

ACCOUNT = "main"
NOW_MS = 1_795_510_800_000  # 2026-11-24T09:00Z
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


def owner(client_order_id: str) -> str:
    """A bot's orders bear its name before a slash."""
    return client_order_id.partition("/")[0] if "/" in client_order_id else ""


def a_fill(trade_id: int = 1, at_ms: int = NOW_MS - MINUTE_MS, symbol: str = "BTCUSDT", **changes: Any) -> Fill:
    told: dict[str, Any] = {
        "symbol": symbol,
        "trade_id": trade_id,
        "order_id": str(trade_id),
        "at_ms": at_ms,
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "price": Decimal("60000.10"),
        "quantity": Decimal("0.010"),
        "realised_pnl": Decimal("1.25000001"),
        "margin_asset": "USDT",
        "commission": Decimal("0.30000050"),
        "commission_asset": "USDT",
        "maker": False,
    }
    return Fill(**(told | changes))


def an_income(kind: str, amount: str, at_ms: int = NOW_MS - MINUTE_MS, row: int = 1, **changes: Any) -> IncomeRow:
    told: dict[str, Any] = {
        "row_id": f"{kind} {row}",
        "kind": kind,
        "symbol": "",
        "asset": "USDT",
        "amount": Decimal(amount),
        "at_ms": at_ms,
        "trade_id": None,
        "info": "",
    }
    return IncomeRow(**(told | changes))


def booked(fill: Fill) -> list[IncomeRow]:
    """The statement's rows of a trade: none for what is zero."""
    rows = []
    for kind, asset, amount in (
        ("REALIZED_PNL", fill.margin_asset, fill.realised_pnl),
        ("COMMISSION", fill.commission_asset, -fill.commission),
    ):
        if amount:
            rows.append(
                IncomeRow(
                    row_id=f"{kind} {fill.symbol} {fill.trade_id}",
                    kind=kind,
                    symbol=fill.symbol,
                    asset=asset,
                    amount=amount,
                    at_ms=fill.at_ms,
                    trade_id=fill.trade_id,
                    info="",
                )
            )
    return rows


def keep(
    book: LedgerBook,
    fills: Iterable[Fill] = (),
    incomes: Iterable[IncomeRow] = (),
    *,
    since_ms: int = NOW_MS - DAY_MS,
    until_ms: int = NOW_MS,
    names: dict[str, str] | None = None,
) -> None:
    """A ledger that has read all of it. Orders are called by their id after the bot ``grid``, unless ``names`` says."""
    fills, read = list(fills), Span(since_ms, until_ms)
    book.begin(ACCOUNT, since_ms)
    book.add_income(ACCOUNT, incomes, read)
    for symbol in {each.symbol for each in fills}:
        book.follow(ACCOUNT, [symbol])
        book.add_fills(ACCOUNT, symbol, [each for each in fills if each.symbol == symbol], read)
    named = names or {}
    book.name_orders(
        ACCOUNT,
        [
            attributed(each.symbol, each.order_id, named.get(each.order_id, f"grid/{each.order_id}"), owner)
            for each in fills
        ],
    )


@dataclass
class StatementDouble:
    """Implements ``Statement``: the oldest ``rows_max`` rows of what is asked for, as the venue does.

    Its ``trouble`` is with everything, or with what of the symbol ``troubled`` is asked."""

    trades: list[Fill] = field(default_factory=list)
    rows: list[IncomeRow] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    conditionals: dict[str, str] = field(default_factory=dict)
    rows_max: int = 1_000
    trouble: VenueTrouble | None = None
    troubled: str = ""
    asked: list[tuple[str, int, int | None]] = field(default_factory=list)

    def trade(self, fill: Fill, client_order_id: str = "grid/1") -> None:
        """A trade is executed and booked."""
        self.trades.append(fill)
        self.rows += booked(fill)
        self.names[fill.order_id] = client_order_id

    async def fills(self, symbol: str, since_ms: int, until_ms: int | None) -> tuple[Fill, ...]:
        self._asked(symbol, since_ms, until_ms)
        found = [each for each in self.trades if each.symbol == symbol and _inside(each.at_ms, since_ms, until_ms)]
        return tuple(sorted(found, key=lambda each: (each.at_ms, each.trade_id))[: self.rows_max])

    async def income(self, since_ms: int, until_ms: int | None) -> tuple[IncomeRow, ...]:
        self._asked("income", since_ms, until_ms)
        found = [each for each in self.rows if _inside(each.at_ms, since_ms, until_ms)]
        return tuple(sorted(found, key=lambda each: each.at_ms)[: self.rows_max])

    async def orders_from(self, symbol: str, order_id: str) -> tuple[NamedOrder, ...]:
        self._asked(f"orders {symbol}", int(order_id), None)
        orders = sorted({each.order_id for each in self.trades if each.symbol == symbol}, key=int)
        later = [each for each in orders if int(each) >= int(order_id) and each in self.names]
        return tuple(NamedOrder(each, self.names[each]) for each in later[: self.rows_max])

    async def order_named(self, symbol: str, order_id: str) -> NamedOrder | None:
        self._asked(f"order {symbol}", int(order_id), None)
        return None

    async def triggered(self, symbol: str) -> tuple[NamedOrder, ...]:
        self._asked(f"conditional orders {symbol}", 0, None)
        return tuple(NamedOrder(order_id, name) for order_id, name in self.conditionals.items())

    def _asked(self, what: str, since_ms: int, until_ms: int | None) -> None:
        self.asked.append((what, since_ms, until_ms))
        if self.trouble is not None and what.endswith(self.troubled):
            raise self.trouble


def _inside(at_ms: int, since_ms: int, until_ms: int | None) -> bool:
    return since_ms <= at_ms and (until_ms is None or at_ms <= until_ms)
