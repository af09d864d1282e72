"""Turn one execution into position, wallet and income: the only place where a position's quantity changes."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.account import Account
from sandbox.engine.events import Cause, Execution
from sandbox.engine.exchange import Exchange
from sandbox.engine.model import ZERO, Fill, IncomeKind, Order, OrderStatus, Position

_PRICE_PLACES = Decimal("1e-10")


def book_fill(
    exchange: Exchange,
    account: Account,
    order: Order,
    price: Decimal,
    quantity: Decimal,
    *,
    maker: bool,
    trade_id: int,
    fee_free: bool = False,
) -> None:
    """Execute `quantity` of `order` at `price`: position, realised profit, commission, order progress and the fill.

    `fee_free` is for closes that the exchange itself orders away from the book.
    """
    instrument = exchange.market(order.symbol).instrument
    position = account.position(order.symbol, order.position_side)
    before = abs(position.quantity)
    realised = exchange.pay(
        account, IncomeKind.REALIZED_PNL, order.symbol, _move(position, order.side.sign * quantity, price), trade_id
    )
    rate = ZERO if fee_free else instrument.maker_fee if maker else instrument.taker_fee
    fee = price * quantity * rate
    commission = -exchange.pay(account, IncomeKind.COMMISSION, order.symbol, -fee, trade_id)
    position.commission = position.commission + commission if position.quantity else ZERO
    exchange.treasury += commission
    position.realised += realised
    position.updated_ms = exchange.now_ms
    if account.isolated(order.symbol) and order.liquidation:
        # A liquidated position pays with its own margin alone; `liquidation.py` settles what is left of it.
        position.isolated_wallet += realised - commission
    elif account.isolated(order.symbol):
        _move_isolated_margin(account, position, before, price, quantity, commission)

    order.filled_quantity += quantity
    order.filled_notional += quantity * price
    order.updated_ms = exchange.now_ms
    order.status = OrderStatus.PARTIALLY_FILLED if order.leaves_quantity > 0 else OrderStatus.FILLED
    fill = Fill(
        trade_id=trade_id,
        order_id=order.order_id,
        symbol=order.symbol,
        side=order.side,
        position_side=order.position_side,
        price=price,
        quantity=quantity,
        commission=commission,
        realised=realised,
        maker=maker,
        time_ms=exchange.now_ms,
    )
    account.fills.append(fill)
    exchange.events.account_changed(exchange.now_ms, account, Cause.ORDER, position)
    execution = Execution.FORCED if order.liquidation else Execution.TRADE
    exchange.events.order_changed(exchange.now_ms, order, execution, fill)


def _move(position: Position, change: Decimal, price: Decimal) -> Decimal:
    """Add a signed `change` at `price`; returns the profit realised on whatever part it closed."""
    held = position.quantity
    after = held + change
    if held * change >= 0:
        cost = position.entry_price * abs(held) + price * abs(change)
        position.entry_price = (cost / abs(after)).quantize(_PRICE_PLACES)
        position.quantity = after
        return ZERO
    closed = min(abs(held), abs(change))
    realised = (price - position.entry_price) * closed * (1 if held > 0 else -1)
    if after == 0:
        position.entry_price = ZERO
        position.commission = ZERO
    elif held * after < 0:
        position.entry_price = price
        position.commission = ZERO
    else:
        position.commission *= abs(after) / abs(held)
    position.quantity = after
    return realised


def _move_isolated_margin(
    account: Account, position: Position, before: Decimal, price: Decimal, quantity: Decimal, commission: Decimal
) -> None:
    """Keep an isolated leg's wallet in proportion: margin follows what is opened and returns from what is closed.

    No more is set aside than the cross wallet holds; a commission that was more than that comes out of the margin.
    """
    after = abs(position.quantity)
    opened = quantity if after == before + quantity else after if after == quantity - before else ZERO
    if opened == ZERO:
        position.isolated_wallet = (position.isolated_wallet * after / before).quantize(Decimal("1e-8"))
        return
    if opened != quantity:
        # The position flipped: all of the old margin comes back before the new leg takes its own.
        position.isolated_wallet = ZERO
    margin = (opened * price / account.on(position.symbol).leverage).quantize(Decimal("1e-8"))
    position.isolated_wallet += min(margin, max(account.cross_wallet, -commission))
