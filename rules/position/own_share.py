"""own_share: several bots on one account, each of which may touch only what is its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.intent import find_original, is_guaranteed_exit, order_only_shrinks
from rules.model import (
    ZERO,
    AdjustIsolatedMargin,
    AmendOrder,
    CancelOrder,
    Command,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
)
from rules.prices import far_touch, is_through
from rules.rule import Looser, Rule, Setting, show_exact
from rules.share import NOBODY, is_anothers, leg_shares, own_under_way
from rules.snapshot import Account, HeldOrder, Market, OpenOrder, Position, Snapshot, SymbolSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnShare(Rule):
    """Keep a bot to its own part of the account: its share of each leg, its orders, the settings nobody shares.

    An exit may be as large as the bot's share and nobody's together, its plain exits that rest counted with it; a
    conditional exit is held against the share alone, because a stop and a take-profit stand for the same quantity. Of
    an exit that is nobody's the bot may make no more than that either, nobody's other exits counted too. An entry of
    its own under way counts as filled where it can fill at once: at the market, or with a limit at the far side of the
    book or through it. One that waits for its trigger or its price is the bot's once it has filled. Where no other bot
    would lose by it nothing is refused: this never keeps a bot in a position of its own. In one-way mode an entry
    against another bot's share, resting entry or order under way is refused unless ``netting``. Without the account, or
    with the store away, it says nothing.
    """

    rule_id: ClassVar[str] = "own_share"
    codes: ClassVar[Mapping[str, str]] = {
        "SHARE_EXCEEDED": "an exit larger than what the bot may close; the headroom is its share",
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
                waits = command.order_type.is_conditional
                resting = ZERO if waits else _resting_exits(command, account, (snapshot.bot,))
                return self._shrinking(command.symbol, command.side, command.position_side, quantity, resting, snapshot)
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
        if _anothers_part(order.symbol, order.side, order.position_side, account, snapshot) == 0:
            return None
        return self.breach(
            "SHARED_CLOSE",
            f"another bot has a share of the {order.symbol} position, and closePosition would close it too",
            advice="send a reduce-only order with the quantity of your own share",
        )

    def _shrinking(
        self,
        symbol: str,
        side: Side,
        position_side: PositionSide,
        quantity: Decimal,
        resting: Decimal,
        snapshot: Snapshot,
    ) -> Breach | None:
        account = snapshot.account
        if account is None or account.feed_stale:
            return None  # The bot may have more than the guard has heard of.
        if _anothers_part(symbol, side, position_side, account, snapshot) == 0:
            return None
        open_to_it = sum(
            (
                max(ZERO, -side.sign * share.quantity)
                for share in leg_shares(account, symbol, position_side)
                if share.bot in (snapshot.bot, NOBODY)
            ),
            _filled_under_way(symbol, side, position_side, account, snapshot),
        )
        room = max(ZERO, open_to_it - resting)
        if quantity <= room:
            return None
        return self.breach(
            "SHARE_EXCEEDED",
            f"would reduce another bot's share of the {symbol} position",
            observed=show_exact(quantity),
            limit=show_exact(room),
            headroom=room,
            advice=f"close at most {show_exact(room)}, your share less your resting exits; cancel those to close more",
        )

    def _opposing(self, order: PlaceOrder, account: Account, snapshot: Snapshot) -> Breach | None:
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
        if not order_only_shrinks(original):
            return None
        leaves = amend.quantity - original.filled_quantity
        # Who amends what is nobody's has the use of all that is. Its own exits are held against its own alone: an exit
        # placed by hand is no reason why a bot could not move its own.
        users = (snapshot.bot, NOBODY) if original.bot == NOBODY else (snapshot.bot,)
        resting = _resting_exits(original, account, users)
        return self._shrinking(original.symbol, original.side, original.position_side, leaves, resting, snapshot)

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


def _anothers_part(
    symbol: str, side: Side, position_side: PositionSide, account: Account, snapshot: Snapshot
) -> Decimal:
    """What other bots have of the leg on the side that an order of ``side`` closes."""
    return sum(
        (
            max(ZERO, -side.sign * share.quantity)
            for share in leg_shares(account, symbol, position_side)
            if is_anothers(share.bot, snapshot)
        ),
        ZERO,
    )


def _filled_under_way(
    symbol: str, side: Side, position_side: PositionSide, account: Account, snapshot: Snapshot
) -> Decimal:
    """What the bot's entries under way on the leg may have filled: the bot knows before the guard does."""
    market = snapshot.markets.get(symbol)
    return sum(
        (
            held.quantity
            for held in own_under_way(account, snapshot)
            if (held.symbol, held.position_side) == (symbol, position_side)
            and held.side is not side
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


def _resting_exits(order: PlaceOrder | OpenOrder, account: Account, bots: Collection[str]) -> Decimal:
    """What the other plain exits of these bots that rest on the order's leg and side may still close."""
    return sum(
        (
            resting.leaves_quantity or ZERO
            for resting in account.open_orders
            if resting is not order
            and resting.bot in bots
            and order_only_shrinks(resting)
            and not resting.order_type.is_conditional
            and (resting.symbol, resting.position_side, resting.side) == (order.symbol, order.position_side, order.side)
        ),
        ZERO,
    )


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
