"""own_share: several bots on one account, each of which may touch only what is its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import Account, HeldOrder, OpenOrder, Position, SymbolSettings
from rules.decision import Breach
from rules.intent import find_original, is_guaranteed_exit, order_only_shrinks
from rules.model import (
    ZERO,
    AdjustIsolatedMargin,
    AmendOrder,
    CancelOrder,
    Command,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
)
from rules.prices import far_touch, is_through
from rules.rule import Looser, Rule, Setting, show_exact
from rules.share import NOBODY, entries_under_way, is_anothers, leg_shares
from rules.snapshot import Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnShare(Rule):
    """Keep a bot to its own part of the account: its share of each leg, its orders, the settings nobody shares.

    An exit may be as large as the bot's share and what is left of nobody's together, its plain exits that rest counted
    with it. Left of nobody's is what no plain exit that rests counts on: one that is nobody's, or another bot's beyond
    that bot's share. A conditional exit is held against the two shares alone, because a stop and a take-profit stand
    for the same quantity. An exit that is nobody's may be amended within what is left of nobody's share alone, for what
    it fills is nobody's; one of the bot's own, whatever else rests, to no more than it is and the two shares together
    have. An entry under way counts as filled, and so as its bot's, where it can fill at once: at the market, or with a
    limit at the far side of the book or through it; but no exit is refused before another bot has a share of which the
    guard has heard. One that waits for its trigger or its price is the bot's once it has filled. Where no other bot
    would lose by it nothing is refused: this never keeps a bot in a position of its own. In one-way mode an entry
    against another bot's share, resting entry or order under way is refused unless ``netting``, and so is an amend that
    makes such an entry larger, or changes one that is nobody's. Without the account, or with the store away, it says
    nothing.
    """

    rule_id: ClassVar[str] = "own_share"
    codes: ClassVar[Mapping[str, str]] = {
        "SHARE_EXCEEDED": "an exit larger than what the bot may close; the headroom is what it may close",
        "SHARED_CLOSE": "`closePosition` would close another bot's share too",
        "SHARE_OPPOSED": "another bot is, or may come to be, on the other side",
        "ORDER_NOT_OWNED": "another bot's order",
        "SETTING_NOT_OWNED": "another bot relies on the setting",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 12(3)",
        "RTS 6 art. 21(3)",
    )
    example: ClassVar[str] = """
[account.main.own_share]
enforcement = "enforce"
netting = false
"""
    sized: ClassVar[bool] = True

    netting: Annotated[bool, Setting("`true` or `false`", Looser.HIGHER)] = False

    def __post_init__(self) -> None:
        if self.level.startswith("symbol:"):
            raise ValueError("own_share is set for the desk, an account or a bot: an account is shared whole or not")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what would take from another bot, or change what another bot relies on."""
        account = snapshot.account
        if account is None or not snapshot.store_reachable:
            return None
        match command:
            case PlaceOrder(quantity=None):
                return self._closing(command, account, snapshot)
            case PlaceOrder(quantity=Decimal() as quantity) if is_guaranteed_exit(command):
                return self._shrinking(command, quantity, account, snapshot)
            case PlaceOrder():
                return self._opposing(command, account, snapshot)
            case AmendOrder():
                return self._amending(command, account, snapshot)
            case CancelOrder(order_id=str()):
                owned = not any(is_anothers(order.bot, snapshot) for order in _named(command, account))
                return None if owned else self._not_owned(command.order_id)
            case SetLeverage() | SetMarginMode() | AdjustIsolatedMargin():
                return None if _changes_nothing(command, account) else self._setting(command.symbol, account, snapshot)
            case SetPositionMode() | SetMultiAssetMode():
                return self._setting(None, account, snapshot)
            case _:
                return None

    def _closing(self, order: PlaceOrder, account: Account, snapshot: Snapshot) -> Breach | None:
        if _anothers_part(order, account, snapshot) == 0:
            return None
        return self.breach(
            "SHARED_CLOSE",
            f"another bot has a share of the {order.symbol} position, and closePosition would close it too",
            advice="send a reduce-only order with the quantity of your own share",
        )

    def _shrinking(
        self, order: PlaceOrder | OpenOrder, quantity: Decimal, account: Account, snapshot: Snapshot
    ) -> Breach | None:
        """Judge an exit that is placed, or one that rests and is amended, of ``quantity``."""
        if account.feed_stale:
            return None  # The bot may have more than the guard has heard of.
        if _anothers_part(order, account, snapshot) == 0:
            return None
        room = _room(order, account, snapshot)
        if quantity <= room:
            return None
        return self.breach(
            "SHARE_EXCEEDED",
            f"would reduce another bot's share of the {order.symbol} position",
            observed=show_exact(quantity),
            limit=show_exact(room),
            headroom=room,
            advice=_how_much(room, order, account, snapshot),
        )

    def _opposing(self, order: PlaceOrder | OpenOrder, account: Account, snapshot: Snapshot) -> Breach | None:
        if self.netting or account.hedged:
            return None
        against = order.side.sign
        opposed = (
            any(
                is_anothers(share.bot, snapshot) and share.quantity * against < 0
                for share in leg_shares(account, order.symbol, order.position_side)
            )
            or any(
                is_anothers(resting.bot, snapshot)
                and resting.symbol == order.symbol
                and resting.side is not order.side
                and not order_only_shrinks(resting)
                for resting in account.open_orders
            )
            or any(
                is_anothers(hold.bot, snapshot) and held.symbol == order.symbol and held.side is not order.side
                for hold in snapshot.holds
                for held in hold.orders
            )
        )
        if not opposed:
            return None
        return self.breach(
            "SHARE_OPPOSED",
            f"another bot is, or may come to be, on the other side of {order.symbol}; the two would net each other out",
            advice="close your own share with reduceOnly=true, or trade the other side on another account",
        )

    def _amending(self, amend: AmendOrder, account: Account, snapshot: Snapshot) -> Breach | None:
        original = find_original(amend, snapshot)
        if original is None:
            return None
        if is_anothers(original.bot, snapshot):
            return self._not_owned(amend.order_id)
        leaves = amend.quantity - original.filled_quantity
        if order_only_shrinks(original):
            return self._shrinking(original, leaves, account, snapshot)
        if leaves > (original.leaves_quantity or ZERO) or _is_nobodys(original):
            return self._opposing(original, account, snapshot)
        return None

    def _not_owned(self, order_id: str | None) -> Breach:
        return self.breach("ORDER_NOT_OWNED", "Unknown order sent.", observed=order_id or "")

    def _setting(self, symbol: str | None, account: Account, snapshot: Snapshot) -> Breach | None:
        users = (
            *((share.bot, share.symbol) for share in account.shares if share.quantity != 0),
            *((order.bot, order.symbol) for order in account.open_orders),
            *((hold.bot, held.symbol) for hold in snapshot.holds for held in hold.orders),
        )
        if not any(is_anothers(bot, snapshot) and symbol in (None, used) for bot, used in users):
            return None
        return self.breach(
            "SETTING_NOT_OWNED",
            f"another bot has a share or an order {f'of {symbol}' if symbol else 'on this account'},"
            " and relies on the setting as it is",
            advice="settings may be changed while no other bot uses them",
        )


def _part(bot: str, order: PlaceOrder | OpenOrder, account: Account) -> Decimal:
    """What a bot has of the order's leg on the side that the order closes."""
    return sum(
        (
            max(ZERO, -order.side.sign * share.quantity)
            for share in leg_shares(account, order.symbol, order.position_side)
            if share.bot == bot
        ),
        ZERO,
    )


def _anothers_part(order: PlaceOrder | OpenOrder, account: Account, snapshot: Snapshot) -> Decimal:
    """What other bots have of the order's leg on the side that it closes."""
    others = {share.bot for share in account.shares if is_anothers(share.bot, snapshot)}
    return sum((_part(bot, order, account) for bot in others), ZERO)


def _room(order: PlaceOrder | OpenOrder, account: Account, snapshot: Snapshot) -> Decimal:
    """How much an exit may close without taking from another bot, whichever of those that rest fills first.

    What an exit fills is booked on whoever placed it: a bot's on its own share and then on nobody's, nobody's on
    nobody's alone. So an exit placed by hand never keeps a bot from closing its own.
    """
    own = _part_soon(snapshot.bot, order, account, snapshot)
    nobodys = _part(NOBODY, order, account)
    if order.order_type.is_conditional:
        return own + nobodys
    resting = _resting_exits(order, account)
    beyond = resting.pop(snapshot.bot, ZERO) - own
    left = nobodys - resting.pop(NOBODY, ZERO)
    left -= sum(
        (max(ZERO, closing - _part_soon(bot, order, account, snapshot)) for bot, closing in resting.items()), ZERO
    )
    if isinstance(order, PlaceOrder):
        return max(ZERO, max(ZERO, left) - beyond)
    if _is_nobodys(order):
        return max(ZERO, left - max(ZERO, beyond))
    # Its own exit may shrink whatever else rests: no refusal of that would leave another bot better off.
    as_it_is = min(order.leaves_quantity or ZERO, own + nobodys)
    return max(as_it_is, max(ZERO, left) - beyond)


def _how_much(room: Decimal, order: PlaceOrder | OpenOrder, account: Account, snapshot: Snapshot) -> str:
    """What ``_room`` is made of, in words, and what the bot itself can do about it."""
    most = show_exact(room)
    if _is_nobodys(order):
        return f"leave at most {most} of it, for what it fills is nobody's; close your share with your own order"
    if order.order_type.is_conditional:
        return f"close at most {most}: your share and nobody's"
    own_rest = _resting_exits(order, account).get(snapshot.bot, ZERO) > 0
    more = own_rest and room < _part_soon(snapshot.bot, order, account, snapshot) + _part(NOBODY, order, account)
    if isinstance(order, OpenOrder) and room <= (order.leaves_quantity or ZERO):
        return f"leave at most {most} of it{'; cancel your other exits to close more' if more else ''}"
    advice = f"close at most {most}: your share and what is left of nobody's, less exits that rest"
    return f"{advice}; cancel yours to close more" if more else advice


def _is_nobodys(order: PlaceOrder | OpenOrder) -> bool:
    return isinstance(order, OpenOrder) and order.bot == NOBODY


def _part_soon(bot: str, order: PlaceOrder | OpenOrder, account: Account, snapshot: Snapshot) -> Decimal:
    """What a bot has of the order's leg, with what may have filled and is on its way to the guard."""
    return _part(bot, order, account) + _filled_under_way(bot, order, account, snapshot)


def _filled_under_way(bot: str, order: PlaceOrder | OpenOrder, account: Account, snapshot: Snapshot) -> Decimal:
    """What a bot's entries under way on the leg may have filled: the bot knows before the guard does."""
    market = snapshot.markets.get(order.symbol)
    return sum(
        (
            held.quantity
            for held in entries_under_way(bot, account, snapshot)
            if (held.symbol, held.position_side) == (order.symbol, order.position_side)
            and held.side is not order.side
            and _fills_at_once(held, market)
        ),
        ZERO,
    )


def _fills_at_once(held: HeldOrder, market: Market | None) -> bool:
    """Whether an entry meets the book as it comes. Where the book is not known, it may.

    It is judged by the far touch of now, and that may have run away since: then the fill is heard of within the second
    look at the exit.
    """
    if held.conditional or held.passive:
        return False
    limit = held.price if held.amendment is None else held.amendment.price
    if limit is None or market is None:
        return True
    touch = far_touch(held.side, market) or market.mark_price
    return not is_through(held.side, touch, limit)


def _resting_exits(order: PlaceOrder | OpenOrder, account: Account) -> dict[str, Decimal]:
    """What the other plain exits that rest on the order's leg and side may still close, by whose they are."""
    closing: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for resting in account.open_orders:
        if (
            resting is not order
            and order_only_shrinks(resting)
            and not resting.order_type.is_conditional
            and (resting.symbol, resting.position_side, resting.side) == (order.symbol, order.position_side, order.side)
        ):
            closing[resting.bot] += resting.leaves_quantity or ZERO
    return closing


def _named(cancel: CancelOrder, account: Account) -> list[OpenOrder]:
    """The resting orders an order id may mean. Plain and conditional orders are numbered apart."""
    return [
        order
        for order in account.open_orders
        if order.order_id == cancel.order_id
        and order.order_type.is_conditional is cancel.conditional
        and cancel.symbol in (None, order.symbol)
    ]


def _changes_nothing(command: SetLeverage | SetMarginMode | AdjustIsolatedMargin, account: Account) -> bool:
    """Whether the setting is what it is already: many bots send theirs before every order."""
    known = account.settings_of(command.symbol)
    said_by: list[Position | SymbolSettings] = [*account.legs(command.symbol)]
    if known is not None:
        said_by.append(known)
    match command:
        case SetLeverage(leverage=leverage):
            return {each.leverage for each in said_by if each.leverage is not None} == {leverage}
        case SetMarginMode(margin_mode=mode):
            return {each.margin_mode for each in said_by} == {mode}
        case _:
            return False
