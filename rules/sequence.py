"""What a batch makes of its items one after another: what a later one sees of those before it, and how entries fall.

Of one that goes, an entry is held and its message counted, an exit rests; one that is refused leaves no trace.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rules.account import Account, Attempt, Hold, HoldStatus, OpenOrder
from rules.decision import BATCH_REFUSED, Breach, Decision, Verdict
from rules.exposure import held_order, leaves_at_most
from rules.intent import find_original
from rules.model import AmendOrder, Command, Intent, PlaceOrder
from rules.policy import Bound
from rules.prices import resting_price, worst_named
from rules.snapshot import Snapshot

OWN_HOLD: Final = "own"
"""Names the holds a batch makes for its own earlier items while it is judged in sequence."""


def after(decision: Decision, snapshot: Snapshot, bound: Bound) -> Snapshot:
    """The snapshot as the next item of a batch must see it: this entry held, its message counted; this exit resting."""
    if decision.verdict is Verdict.DENY:
        return snapshot
    if decision.intent is Intent.EXIT:
        return _with_exit(decision.effective, snapshot)
    if decision.intent is not Intent.ENTRY:
        return snapshot
    order = held_order(decision.effective, snapshot)
    orders = (order,) if order is not None else ()
    hold = Hold(
        hold_id=OWN_HOLD,
        bot=snapshot.bot,
        sequence=len(snapshot.holds),
        status=HoldStatus.PENDING,
        orders=orders,
    )
    # A batch may name several symbols, and amend besides: each message is counted in its own buckets alone.
    counted = {rule.allowance(decision.effective).scope for rule in bound.rates}
    tokens = {scope: balance - 1 if scope in counted else balance for scope, balance in snapshot.tokens.items()}
    tried = Attempt(at=snapshot.now, hold_id=OWN_HOLD, orders=orders)
    return replace(snapshot, holds=(*snapshot.holds, hold), tokens=tokens, attempts=(*snapshot.attempts, tried))


def fell_together(decision: Decision, first: Breach) -> Decision:
    """An entry that may go by itself, refused for the ``first`` breach of another one of its batch."""
    breach = Breach(
        rule_id=first.rule_id,
        code=BATCH_REFUSED,
        message=f"another entry of this batch was refused: {first.code}",
        level=first.level,
    )
    return replace(decision, verdict=Verdict.DENY, breaches=(breach,))


def _with_exit(command: Command, snapshot: Snapshot) -> Snapshot:
    if snapshot.account is None:
        return snapshot
    if isinstance(command, AmendOrder):
        return _with_amended(command, snapshot, snapshot.account)
    if not isinstance(command, PlaceOrder):
        return snapshot
    resting = OpenOrder(
        symbol=command.symbol,
        side=command.side,
        position_side=command.position_side,
        order_type=command.order_type,
        leaves_quantity=command.quantity,
        price=resting_price(command, command.side, snapshot.markets.get(command.symbol)),
        trigger_price=command.trigger_price,
        reduce_only=True,
        close_position=command.close_position,
        order_id=OWN_HOLD,
        client_order_id=command.client_order_id or "",
        bot=snapshot.bot,
    )
    account = replace(snapshot.account, open_orders=(*snapshot.account.open_orders, resting))
    return replace(snapshot, account=account)


def _with_amended(amend: AmendOrder, snapshot: Snapshot, account: Account) -> Snapshot:
    """An amended exit counts as the larger of the old and the new order, at the price that others would meet first."""
    original = find_original(amend, snapshot)
    if original is None:
        return snapshot
    price = resting_price(amend, original.side, snapshot.markets.get(amend.symbol))
    amended = replace(
        original,
        leaves_quantity=leaves_at_most(amend, original),
        price=worst_named(replace(amend, price=price), snapshot) if price is not None else None,
    )
    orders = tuple([amended if order is original else order for order in account.open_orders])
    return replace(snapshot, account=replace(account, open_orders=orders))
