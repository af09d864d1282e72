"""What must hold whatever anyone does: random commands against the engine."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.engine.account import Account
from sandbox.engine.conditional import ConditionalType
from sandbox.engine.delisting import announce_delisting
from sandbox.engine.digest import digest
from sandbox.engine.exchange import Exchange
from sandbox.engine.house import open_house
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.margin import legs_of
from sandbox.engine.model import ZERO, IncomeKind, MarginMode, NewOrder, OrderType, PositionSide, Side, TimeInForce
from sandbox.engine.money import take_stock
from sandbox.engine.preferences import set_leverage, set_margin_mode
from sandbox.engine.rejection import Rejected
from sandbox.engine.scenario import Scenario
from sandbox.engine.stepping import begin, jump, step
from sandbox.engine.trading import amend, cancel, place
from sandbox.engine.triggers import place_conditional
from tests.sandbox.builders import BTC, stop

START = Decimal(20_000)
Command = tuple[str, int, int, int]

VERBS = ("market", "limit", "reduce", "reduce_limit", "cancel", "amend", "stop", "jump", "step", "leverage", "mode")
BLOWS = ("house", "gap", "storm", "fund", "quotes", "partial", "halt", "delist")


def a_command(verbs: tuple[str, ...]) -> st.SearchStrategy[Command]:
    return st.tuples(st.sampled_from(verbs), st.integers(0, 3), st.integers(1, 2500), st.integers(-40, 40))


command = a_command(VERBS)
blow = a_command(BLOWS)
commands = st.lists(command, max_size=40)


def build(scenario: Scenario = Scenario.CALM, *, hedge: bool = False) -> Exchange:
    exchange = Exchange(DEFAULT_INSTRUMENTS, seed=11, scenario=scenario, now_ms=1_795_478_400_000)
    for name in ("alice", "bob"):
        exchange.open_account(name, START).hedge_mode = hedge
    return exchange


def obey(exchange: Exchange, command: Command) -> None:
    """Carry out one random command; refusals are fine."""
    verb, who, size, offset = command
    account = exchange.accounts["alice" if who % 2 else "bob"]
    side = Side.BUY if who < 2 else Side.SELL
    price = (exchange.market(BTC).mark_price * (1000 + offset) / 1000).quantize(Decimal("0.1"))
    leg = legs_of(account)[size % len(legs_of(account))]
    orders = list(account.open_orders.values())
    with suppress(Rejected):
        match verb:
            case "market" | "limit" | "reduce" | "reduce_limit":
                limited = verb.endswith("limit")
                place(
                    exchange,
                    account,
                    NewOrder(
                        symbol=BTC,
                        side=side,
                        order_type=OrderType.LIMIT if limited else OrderType.MARKET,
                        quantity=Decimal(size) / 1000,
                        price=price if limited else None,
                        position_side=leg,
                        reduce_only=verb.startswith("reduce") and not account.hedge_mode,
                        time_in_force=TimeInForce.GTC,
                    ),
                )
            case "cancel" if orders:
                cancel(exchange, orders[size % len(orders)])
            case "amend" if orders:
                order = orders[size % len(orders)]
                amend(exchange, account, order, order.side, Decimal(size) / 1000, price)
            case "stop":
                kind = ConditionalType.STOP_MARKET if offset < 0 else ConditionalType.TAKE_PROFIT_MARKET
                place_conditional(
                    exchange, account, stop(side, f"{size / 1000:.3f}", str(price), conditional_type=kind)
                )
            case "jump":
                jump(exchange, BTC, price)
            case "step":
                begin(exchange, Scenario.CALM)
                for _ in range(size % 20):
                    step(exchange)
            case "leverage":
                set_leverage(exchange, account, BTC, 1 + size % 125)
            case "mode":
                set_margin_mode(exchange, account, BTC, MarginMode.ISOLATED if size % 2 else MarginMode.CROSS)


def upset(exchange: Exchange, command: Command) -> None:
    """Carry out one random blow to the market as a whole."""
    verb, who, size, offset = command
    side = Side.BUY if who < 2 else Side.SELL
    book = exchange.market(BTC)
    with suppress(Rejected):
        match verb:
            case "house":
                open_house(exchange, BTC, side, Decimal(size) / 100, 1 + size % 50)
            case "gap":
                jump(exchange, BTC, (book.index_price * (100 + offset) / 100).quantize(Decimal("0.1")))
            case "storm":
                begin(exchange, Scenario.CRASH if who % 2 else Scenario.SQUEEZE)
                for _ in range(size % 40):
                    step(exchange)
            case "fund":
                exchange.set_insurance_fund(Decimal(size) if who else ZERO)
            case "quotes":
                book.depth.withdrawn = bool(who % 2)
            case "partial":
                exchange.partial_fills = size % 4
            case "halt":
                exchange.maintenance = bool(who % 2)
            case "delist":
                announce_delisting(exchange, BTC, size * 10)


def check_money(exchange: Exchange) -> None:
    stock = take_stock(exchange)
    assert abs(stock.total - exchange.deposited) < Decimal("0.001"), stock
    assert exchange.insurance_fund >= 0
    held = sum((leg.quantity for account in exchange.accounts.values() for leg in account.legs(BTC)), ZERO)
    assert held == -exchange.street.positions.get(BTC, ZERO)


def check_books(account: Account) -> None:
    assert account.wallet == account.deposited + sum((income.amount for income in account.incomes), ZERO)
    realised = sum((fill.realised for fill in account.fills), ZERO)
    fees = sum((fill.commission for fill in account.fills), ZERO)
    other = (IncomeKind.FUNDING, IncomeKind.INSURANCE_CLEAR)
    rest = sum((income.amount for income in account.incomes if income.kind in other), ZERO)
    assert account.wallet == account.deposited + realised - fees + rest
    for (symbol, leg), position in account.positions.items():
        signed = (
            fill.quantity * fill.side.sign
            for fill in account.fills
            if (fill.symbol, fill.position_side) == (symbol, leg)
        )
        assert position.quantity == sum(signed, ZERO)
        assert position.isolated_wallet == 0 or position.quantity
        if leg is not PositionSide.BOTH:
            assert position.quantity * (1 if leg is PositionSide.LONG else -1) >= 0
    for order in account.orders:
        assert order.leaves_quantity >= 0
        assert order.open == (order.order_id in account.open_orders)
        assert not order.open or order.leaves_quantity > 0


@settings(max_examples=60, deadline=None)
@given(commands, st.booleans())
def test_money_is_conserved_and_positions_are_the_sum_of_their_fills(script: list[Command], hedge: bool) -> None:
    exchange = build(hedge=hedge)
    for command in script:
        obey(exchange, command)
        for account in exchange.accounts.values():
            check_books(account)
    step(exchange)
    for account in exchange.accounts.values():
        check_books(account)
        # Whoever has nothing left open owes nothing: the insurance fund has paid.
        assert account.wallet >= 0 or any(account.legs())
    resting = {order.order_id for side in Side for order in exchange.market(BTC).resting[side]}
    assert resting == {number for account in exchange.accounts.values() for number in account.open_orders}


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(command, blow), max_size=40), st.booleans())
def test_no_blow_to_the_market_makes_money_appear_or_vanish(script: list[Command], hedge: bool) -> None:
    exchange = build(hedge=hedge)
    for each in script:
        (upset if each[0] in BLOWS else obey)(exchange, each)
        check_money(exchange)
        for account in exchange.accounts.values():
            check_books(account)
    exchange.maintenance = False
    step(exchange)
    check_money(exchange)
    for account in exchange.accounts.values():
        check_books(account)
        assert account.wallet >= 0 or any(account.legs())


def test_seeded_bad_days_reach_every_forced_close_and_money_still_adds_up() -> None:
    reached: set[str] = set()
    for seed in range(20):
        chance = random.Random(seed)
        exchange = build(hedge=bool(seed % 2))
        for _ in range(120):
            verb = chance.choice((*VERBS, *BLOWS, "market", "limit", "house"))
            each = (verb, chance.randint(0, 3), chance.randint(1, 2500), chance.randint(-15, 15))
            (upset if verb in BLOWS else obey)(exchange, each)
            check_money(exchange)
        for account in exchange.accounts.values():
            check_books(account)
            reached |= {order.client_order_id.partition("close")[0] for order in account.orders if order.price}
    assert {"auto", "adl_auto", "settlement_auto"} <= reached


@settings(max_examples=60, deadline=None)
@given(commands, st.integers(1, 400), st.sampled_from(list(Side)))
def test_a_reduce_only_order_never_enlarges_or_flips_a_position(script: list[Command], size: int, side: Side) -> None:
    exchange = build()
    for command in script:
        obey(exchange, command)
    alice = exchange.accounts["alice"]
    before = alice.position(BTC, PositionSide.BOTH).quantity
    with suppress(Rejected):
        place(
            exchange,
            alice,
            NewOrder(
                symbol=BTC,
                side=side,
                order_type=OrderType.MARKET,
                quantity=Decimal(size) / 1000,
                reduce_only=True,
            ),
        )
    after = alice.position(BTC, PositionSide.BOTH).quantity
    assert abs(after) <= abs(before)
    assert after * before >= 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(command, blow), max_size=40))
def test_the_same_seed_and_commands_give_the_same_state(script: list[Command]) -> None:
    digests = set()
    for _ in range(2):
        exchange = build()
        for each in script:
            (upset if each[0] in BLOWS else obey)(exchange, each)
        digests.add(digest(exchange))
    assert len(digests) == 1
