"""What an account carries, as people are shown it: its legs with their stops, and its limits with what is in use.

The arithmetic is the rules' own; nothing is counted here a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from proxy.console.desk_views import LimitView, PositionView, StopView
from rules.account import Account, Hold, Position
from rules.decision import Use
from rules.exposure import worst_case
from rules.facts import Conditions
from rules.instrument import moves_balance
from rules.protection import Band, stops_of
from rules.rule import show, show_exact
from rules.snapshot import Controls, Market, Snapshot

SHARE_MAX: Final = Decimal("9.99")
"""Beyond that it does not matter how far above its limit something is."""

_ANY_STOP: Final = Band(distance_max=Decimal(1), trailing=True, any_limit=True)
"""Whatever can stop the leg out is shown; what the policy asks of a stop is its own matter."""


def picture_of(
    account: Account | None,
    markets: Mapping[str, Market],
    holds: Sequence[Hold],
    conditions: Conditions | None,
    now: datetime,
) -> Snapshot:
    """What the rules are asked about: the account as it stands, no bot and no order."""
    return Snapshot(
        now=now,
        bot="",
        account=account,
        controls=Controls(generation=0),
        markets=markets,
        holds=tuple(holds),
        conditions=conditions,
    )


def leverage_of(picture: Snapshot) -> str | None:
    """Worst-case gross notional over margin balance, as ``max_leverage`` counts it; ``None`` when nobody can say."""
    account = picture.account
    if account is None or account.margin_balance <= 0:
        return None
    gross = sum((each.gross_notional for each in worst_case(picture).values()), Decimal(0))
    return show(gross / account.margin_balance)


def margin_used_of(account: Account) -> str:
    """The margin that is not available to new orders, in quote units: what the last survey told, and at least what the
    legs of now bind, notional over the venue's leverage; a position opened since that survey is not in the former. Of
    legs that another asset margins nothing is in this balance."""
    bound = Decimal(0)
    for leg in account.positions:
        set_for = account.settings_of(leg.symbol)
        if set_for is not None and set_for.leverage and moves_balance(leg.symbol, account.multi_assets):
            bound += abs(leg.quantity) * leg.mark_price / set_for.leverage
    return show(max(account.margin_balance - account.available_balance, bound))


def limit_view(use: Use) -> LimitView:
    """A limit as the control door shows it."""
    share = min(use.observed / use.limit, SHARE_MAX) if use.limit > 0 else SHARE_MAX if use.observed > 0 else Decimal(0)
    words = show_exact if use.unit == "base" else show
    return LimitView(
        rule=use.rule_id,
        level=use.level,
        name=use.name,
        symbol=use.symbol,
        observed=words(use.observed),
        limit=words(use.limit),
        unit=use.unit,
        share=float(share),
    )


def leg_view(leg: Position, account: Account, markets: Mapping[str, Market]) -> PositionView:
    """A leg as the control door shows it, at the newest mark."""
    mark = markets[leg.symbol].mark_price if leg.symbol in markets else leg.mark_price
    settings = account.settings_of(leg.symbol)
    leverage = leg.leverage if leg.leverage is not None else settings.leverage if settings is not None else None
    return PositionView(
        symbol=leg.symbol,
        position_side=leg.position_side.value,
        quantity=f"{leg.quantity:f}",
        entry_price=f"{leg.entry_price:f}",
        mark_price=f"{mark:f}",
        notional=show(abs(leg.quantity) * mark),
        unrealised_pnl=show(leg.quantity * (mark - leg.entry_price)),
        liquidation_price=f"{leg.liquidation_price:f}" if leg.liquidation_price else None,
        leverage=f"{leverage:f}" if leverage is not None else None,
        margin_mode=leg.margin_mode.value,
        stops=[
            StopView(
                trigger_price=f"{order.trigger_price:f}" if order.trigger_price is not None else "",
                quantity=f"{order.leaves_quantity:f}" if order.leaves_quantity is not None else "",
            )
            for order in stops_of(leg, account.orders(leg.symbol), _ANY_STOP)
        ],
    )
