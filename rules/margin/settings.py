"""The picture as a setting would leave it, where the setting may bring an isolated leg nearer to its end."""

from __future__ import annotations

from dataclasses import replace

from rules.account import Account, HeldOrder, Position, SymbolSettings
from rules.book import account_book
from rules.margin.known import MarginUnknown, account_of, isolated_margin_of, mode_of
from rules.model import BUY, SELL, ZERO, AdjustIsolatedMargin, MarginMode, PositionSide, SetLeverage
from rules.snapshot import Snapshot


def after_setting(command: SetLeverage | AdjustIsolatedMargin, snapshot: Snapshot) -> Snapshot | None:
    """The same picture with the new leverage, or without the margin that is taken away.

    ``None`` where the setting brings no isolated leg nearer. Raises ``MarginUnknown``.
    """
    account = account_of(snapshot)
    if isinstance(command, SetLeverage):
        changed = _with_leverage(command, account)
    else:
        changed = _with_less_margin(command, account)
    return None if changed is None else replace(snapshot, account=changed)


def standing_sides(symbol: str, snapshot: Snapshot) -> list[HeldOrder]:
    """For each side on which the symbol has a leg, a resting entry or something under way, an order of nothing: what
    is found of it is found of the side as it stands."""
    found = account_book(snapshot).before(symbol)
    if found is None:
        return []
    return [
        HeldOrder(
            symbol=symbol, side=side, position_side=PositionSide.BOTH, quantity=ZERO, price=None, client_order_id=""
        )
        for side, notional in ((BUY, found.long_notional), (SELL, found.short_notional))
        if notional > ZERO
    ]


def _with_leverage(command: SetLeverage, account: Account) -> Account | None:
    """Margin is set aside for an entry when it fills, by the leverage of then; that of a leg stays as it is."""
    symbol, known = command.symbol, account.settings_of(command.symbol)
    if mode_of(symbol, account) is MarginMode.CROSS or (known is not None and command.leverage <= known.leverage):
        return None
    others = tuple(each for each in account.settings if each.symbol != symbol)
    new = SymbolSettings(symbol=symbol, margin_mode=MarginMode.ISOLATED, leverage=command.leverage)
    return replace(account, settings=(*others, new))


def _with_less_margin(command: AdjustIsolatedMargin, account: Account) -> Account | None:
    if command.amount >= ZERO:
        return None
    legs = tuple(_less(leg, command) if _is_of(leg, command) else leg for leg in account.positions)
    if legs == account.positions:
        raise MarginUnknown(f"the isolated {command.symbol} leg")
    return replace(account, positions=legs)


def _is_of(leg: Position, command: AdjustIsolatedMargin) -> bool:
    return leg.symbol == command.symbol and leg.position_side is command.position_side


def _less(leg: Position, command: AdjustIsolatedMargin) -> Position:
    return replace(leg, isolated_margin=isolated_margin_of(leg) + command.amount)
