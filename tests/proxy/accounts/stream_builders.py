"""What a private stream tells, in short."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.accounts.book import Book
from proxy.accounts.merging import Merged, merge_survey
from proxy.exchange.events import AccountEvent, AlgoEvent, BalanceChange, OrderEvent
from proxy.exchange.survey import Survey
from rules.account import Account, OpenOrder
from rules.model import Side
from tests.proxy.accounts.builders import (
    BOTH,
    a_position,
    a_position_change,
    an_account_event,
    an_algo_event,
    an_order_event,
)
from tests.rules.builders import NOW, an_account

BTC = "BTCUSDT"

_ORDER = an_order_event("c1", Side.BUY, "5", order_id="1", price=Decimal(50_000), fee_asset="")


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
    leg = a_position_change(str(quantity), entry_price=Decimal(50_000))
    balance = BalanceChange(asset="USDT", wallet_balance=Decimal(wallet), change=Decimal(0))
    return replace(an_account_event(reason, leg), at_ms=at_ms, sent_ms=at_ms, balances=(balance,))


def stop(status: str = "NEW", at_ms: int = 1, became: str | None = None) -> AlgoEvent:
    """A stop of two."""
    return an_algo_event(
        "s9",
        at_ms=at_ms,
        sent_ms=at_ms,
        side=Side.BUY,
        algo_id="9",
        status=status,
        quantity=Decimal(2),
        trigger_price=Decimal(60_000),
        reduce_only=False,
        actual_order_id=became,
    )


def a_survey(
    *orders: OpenOrder, quantity: int = 0, at_ms: int | None = None, symbols: frozenset[str] | None = None
) -> Survey:
    """A survey with these orders and this much of the leg, last changed at ``at_ms``."""
    account = an_account().account
    assert account is not None
    legs = (a_position(str(quantity), entry_price="50000"),)
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
