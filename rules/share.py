"""Whose is what when several bots trade one account: a bot's part of the legs, its own book, what it has made or lost.

The account's shares and the owners of its orders are facts of the snapshot; nothing is attributed here. A share
without a bot is nobody's: it was there before the guard, or came about past it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from rules.account import Account, HeldOrder, OpenOrder, Position, Share
from rules.book import Book, Standing, account_book, book_of
from rules.exposure import held_order
from rules.intent import order_only_shrinks
from rules.model import ZERO, Command, PlaceOrder, PositionSide
from rules.snapshot import Snapshot

NOBODY: Final = ""


def is_anothers(bot: str, snapshot: Snapshot) -> bool:
    """Whether ``bot`` is some other bot than the one that asks. Nobody's belongs to everybody."""
    return bot not in (snapshot.bot, NOBODY)


def leg_shares(account: Account, symbol: str, position_side: PositionSide) -> Iterator[Share]:
    """The shares of one leg."""
    return (each for each in account.shares if (each.symbol, each.position_side) == (symbol, position_side))


def own_book(snapshot: Snapshot) -> Book:
    """The book of the asking bot as if it traded alone: its shares as positions, its resting orders, its holds.

    Raises ``ValueError`` when the account is unknown.
    """
    return snapshot.once("own book", _own_book)


def _own_book(snapshot: Snapshot) -> Book:
    account, standing = snapshot.standing(f"own book:{snapshot.bot}", _own_standing)
    return book_of(account, standing, [hold for hold in snapshot.holds if hold.bot == snapshot.bot], snapshot.markets)


def _own_standing(snapshot: Snapshot) -> tuple[Account, Standing]:
    account = _own_account(snapshot)
    return account, Standing(account, snapshot.markets)


def own_order(command: Command, snapshot: Snapshot) -> HeldOrder | None:
    """``held_order`` as the bot's own book sees it: an amend of an order that is not the bot's is of an unknown one."""
    if isinstance(command, PlaceOrder):
        return held_order(command, snapshot)
    return held_order(command, snapshot.once("own picture", _own_picture))


def _own_picture(snapshot: Snapshot) -> Snapshot:
    own = own_book(snapshot).account
    return replace(snapshot, account=own, holds=tuple(hold for hold in snapshot.holds if hold.bot == snapshot.bot))


def _own_account(snapshot: Snapshot) -> Account:
    account = snapshot.account
    if account is None:
        raise ValueError("the book of an unknown account")
    positions = tuple(
        Position(
            symbol=share.symbol,
            position_side=share.position_side,
            quantity=share.quantity,
            entry_price=share.entry_price,
            mark_price=_mark(share, snapshot),
        )
        for share in account.shares
        if share.bot == snapshot.bot and share.quantity != 0
    )
    return replace(
        account,
        positions=positions,
        open_orders=tuple(order for order in account.open_orders if order.bot == snapshot.bot),
        shares=tuple(share for share in account.shares if share.bot == snapshot.bot),
    )


def known_book(command: Command, snapshot: Snapshot) -> tuple[Book, HeldOrder | None]:
    """The book that a bot is held to, and what ``command`` adds to it: the bot's own.

    It is the whole account's while it is not known whose the positions are. Raises ``ValueError`` when the account is
    unknown.
    """
    account = snapshot.account
    if account is not None and account.positions and not account.shares:
        return account_book(snapshot), held_order(command, snapshot)
    return own_book(snapshot), own_order(command, snapshot)


def own_pnl(snapshot: Snapshot) -> Decimal:
    """What the asking bot has made (positive) or lost since the guard began to count, in quote currency.

    Realised less fees, with funding, and unrealised at the mark.
    """
    return snapshot.standing(f"own_pnl:{snapshot.bot}", _own_pnl)


def _own_pnl(snapshot: Snapshot) -> Decimal:
    shares = snapshot.account.shares if snapshot.account is not None else ()
    return sum(
        (
            share.realised_pnl
            - share.fees
            + share.funding
            + share.quantity * (_mark(share, snapshot) - share.entry_price)
            for share in shares
            if share.bot == snapshot.bot
        ),
        ZERO,
    )


def entries_under_way(bot: str, account: Account, snapshot: Snapshot) -> Iterator[HeldOrder]:
    """A bot's new entries that are under way and not seen to rest yet."""
    seen = {order.client_order_id for order in account.open_orders}
    return (held for held in _held(bot, snapshot) if held.replaces is None and held.client_order_id not in seen)


def as_if_filled(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the asking bot's entries filled, resting or under way: as it may be before the guard hears.

    One that rests and is being amended fills at the larger of the two sizes.
    """
    account = snapshot.account
    if account is None:
        return snapshot
    filled = (
        *(_filled(order, _at_most(order, snapshot), snapshot.bot) for order in _own_entries(account, snapshot.bot)),
        *(_filled(held, held.quantity, snapshot.bot) for held in entries_under_way(snapshot.bot, account, snapshot)),
    )
    return replace(snapshot, account=replace(account, shares=(*account.shares, *filled))) if filled else snapshot


def _own_entries(account: Account, bot: str) -> Iterator[OpenOrder]:
    return (order for order in account.open_orders if order.bot == bot and not order_only_shrinks(order))


def _held(bot: str, snapshot: Snapshot) -> Iterator[HeldOrder]:
    return (held for hold in snapshot.holds if hold.bot == bot for held in hold.orders)


def _at_most(order: OpenOrder, snapshot: Snapshot) -> Decimal:
    amended = (
        held.quantity
        for held in _held(snapshot.bot, snapshot)
        if (held.symbol, held.replaces) == (order.symbol, order.order_id)
    )
    return max((order.leaves_quantity or ZERO, *amended))


def _filled(order: OpenOrder | HeldOrder, quantity: Decimal, bot: str) -> Share:
    return Share(
        bot=bot,
        symbol=order.symbol,
        position_side=order.position_side,
        quantity=quantity * order.side.sign,
        entry_price=order.price or ZERO,
    )


def _mark(share: Share, snapshot: Snapshot) -> Decimal:
    """The mark price; a share whose mark nobody knows is worth what was paid for it."""
    market = snapshot.markets.get(share.symbol)
    if market is not None:
        return market.mark_price
    positions = snapshot.account.positions if snapshot.account is not None else ()
    return next((each.mark_price for each in positions if each.symbol == share.symbol), share.entry_price)
