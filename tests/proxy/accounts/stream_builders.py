"""What a private stream tells, in short."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.accounts.book import Book
from proxy.accounts.events import AccountEvent, AlgoEvent, BalanceChange, OrderEvent, PositionChange
from proxy.accounts.merging import Merged, merge_survey
from proxy.accounts.survey import Survey
from rules.model import MarginMode, OrderType, PositionSide, Side
from rules.snapshot import Account, OpenOrder, Position
from tests.rules.builders import NOW, an_account

BTC = "BTCUSDT"
BOTH = PositionSide.BOTH

_ORDER = OrderEvent(
    at_ms=1,
    sent_ms=1,
    symbol=BTC,
    side=Side.BUY,
    position_side=BOTH,
    order_id="1",
    client_order_id="c1",
    order_type=OrderType.LIMIT,
    execution="NEW",
    status="NEW",
    quantity=Decimal(5),
    price=Decimal(50_000),
    filled_quantity=Decimal(0),
    last_quantity=Decimal(0),
    last_price=Decimal(0),
    fee=Decimal(0),
    fee_asset="",
    realised_pnl=Decimal(0),
    trade_id=0,
    maker=False,
    reduce_only=False,
    close_position=False,
)


def placed(at_ms: int = 1, **changes: Any) -> OrderEvent:
    """A buy of five is new."""
    return replace(_ORDER, at_ms=at_ms, **changes)


def traded(filled: int, at_ms: int = 2, **changes: Any) -> OrderEvent:
    """That buy has filled so much of its five."""
    status = "FILLED" if filled == 5 else "PARTIALLY_FILLED"
    terms = {"execution": "TRADE", "status": status, "filled_quantity": Decimal(filled), **changes}
    return placed(at_ms, **terms)


def cancelled(filled: int = 0, at_ms: int = 3, **changes: Any) -> OrderEvent:
    return placed(at_ms, execution="CANCELED", status="CANCELED", filled_quantity=Decimal(filled), **changes)


def position_told(quantity: int, at_ms: int = 2, reason: str = "ORDER", wallet: str = "1000") -> AccountEvent:
    """The venue's quantity of the leg, and the wallet."""
    return AccountEvent(
        at_ms=at_ms,
        sent_ms=at_ms,
        reason=reason,
        balances=(BalanceChange(asset="USDT", wallet_balance=Decimal(wallet), change=Decimal(0)),),
        positions=(
            PositionChange(
                symbol=BTC,
                position_side=BOTH,
                quantity=Decimal(quantity),
                entry_price=Decimal(50_000),
                margin_mode=MarginMode.CROSS,
            ),
        ),
    )


def stop(status: str = "NEW", at_ms: int = 1, became: str | None = None) -> AlgoEvent:
    """A stop of two."""
    return AlgoEvent(
        at_ms=at_ms,
        sent_ms=at_ms,
        symbol=BTC,
        side=Side.BUY,
        position_side=BOTH,
        algo_id="9",
        client_order_id="s9",
        order_type=OrderType.STOP_MARKET,
        status=status,
        quantity=Decimal(2),
        price=None,
        trigger_price=Decimal(60_000),
        reduce_only=False,
        close_position=False,
        actual_order_id=became,
    )


def a_survey(
    *orders: OpenOrder, quantity: int = 0, at_ms: int | None = None, symbols: frozenset[str] | None = None
) -> Survey:
    """A survey with these orders and this much of the leg, last changed at ``at_ms``."""
    account = an_account().account
    assert account is not None
    legs = (
        Position(
            symbol=BTC,
            position_side=BOTH,
            quantity=Decimal(quantity),
            entry_price=Decimal(50_000),
            mark_price=Decimal(50_000),
        ),
    )
    return Survey(
        account=replace(account, as_of=NOW, positions=legs if quantity else (), open_orders=orders),
        symbols=symbols,
        wallets={"USDT": Decimal(1000)},
        leg_ms={} if at_ms is None else {(BTC, BOTH): at_ms},
    )


def a_book(*events: Any, received: float = 10) -> Book:
    """A book that was surveyed empty, and has heard these events."""
    book = Book("demo")
    merge_survey(book, a_survey(), 0)
    for event in events:
        book.apply(event, received)
    return book


def surveyed(book: Book, survey: Survey, since: float = 100) -> Merged:
    """The survey in the book; by default it has seen everything that was heard."""
    return merge_survey(book, survey, since)


def account_of(book: Book) -> Account:
    account = book.account(version=1, as_of=NOW, stale=False, markets={})
    assert account is not None
    return account


def counted(book: Book) -> tuple[list[int], list[int]]:
    """The quantities of the leg that count, and what the open orders may still fill."""
    account = account_of(book)
    return [int(each.quantity) for each in account.positions], [
        int(order.leaves_quantity or 0) for order in account.open_orders
    ]
