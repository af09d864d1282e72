"""Four bots, two gates, one warden and one exchange, every step of which happens when the seed says.

The exchange is the practice exchange's engine; gates, store, scripts and book are the real ones. Nothing waits and
nothing sleeps: requests, replies and frames lie in queues until the next random step moves one of them.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.unresolved import Unresolved
from proxy.audit.journal import Journal
from proxy.audit.recording import Subject
from proxy.exchange.events import Event, read_event
from proxy.exchange.payloads import PlacedOrder
from proxy.exchange.survey import Survey
from proxy.gate.counting import kind_of
from proxy.gate.judge import Judge
from proxy.gate.ruling import JudgedRequest, Outcome, Ruling, with_client_ids
from proxy.store.fence import Fence
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import WardenStore
from proxy.venues.binance.client_ids import tag
from rules.account import Account, Hold, OpenOrder, Position
from rules.exposure import Exposure, worst_case
from rules.instrument import Instrument
from rules.model import AmendOrder, CancelOrder, Command, OrderType, PlaceOrder, PositionSide, Side
from rules.position.position_limit import PositionLimit
from rules.snapshot import Controls, Market, Snapshot
from sandbox.binance.user_events import user_frames
from sandbox.engine import model as engine
from sandbox.engine.conditional import ConditionalOrder, ConditionalType, NewConditional, TriggerBy
from sandbox.engine.events import Event as VenueEvent
from sandbox.engine.exchange import Exchange
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.rejection import Rejected
from sandbox.engine.scenario import Scenario
from sandbox.engine.stepping import jump, step
from sandbox.engine.trading import amend, cancel, find_order, place
from sandbox.engine.triggers import cancel_conditional, find_conditional, place_conditional
from tests.rules.builders import NOW, a_policy, an_instrument
from tests.support.policies import in_force, put_in_force

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BOTS = ("ada", "bob", "cyd", "dan")
SIZES = {"BTCUSDT": Decimal("0.01"), "ETHUSDT": Decimal("0.1")}
DROPPED, DUPLICATED, SWAPPED, CUT = "dropped", "duplicated", "swapped", "cut"


@dataclass
class Request:
    """A judged request between a gate and the exchange, or its reply on the way back."""

    judge: Judge
    ruling: Ruling
    accepted: list[int] = field(default_factory=list)
    lost_reply: bool = False


class TradingWorld:
    """Everything of one seed. ``step`` does one random thing; ``settle`` lets everything come to rest."""

    def __init__(self, seed: int, url: str, data_dir: Path, *, faults: tuple[str, ...] = (), surveys: bool) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.happened: Counter[str] = Counter()
        self.exchange = Exchange(DEFAULT_INSTRUMENTS, seed=seed, scenario=Scenario.CALM, now_ms=1_795_478_400_000)
        self.hedged = seed % 3 == 2
        # A small wallet now and then: then the exchange liquidates.
        wallet = Decimal(30_000) if seed % 4 == 1 else Decimal(5_000_000)
        self.account = self.exchange.open_account("demo", wallet)
        self.account.hedge_mode = self.hedged
        self.frames: deque[dict[str, Any]] = deque()
        self.to_venue: list[Request] = []
        self.late: list[Request] = []
        self.to_gate: list[Request] = []
        self.faults, self.surveys = faults, surveys
        self.exchange.events.subscribe(self._hear_venue)
        self.desk = f"desk{seed}"
        self.warden = WardenStore(url, self.desk)
        self.book = Book("demo", owner=bot_of)
        self.keeper = Bookkeeper(book=self.book, desk=self.desk, store=self.warden, markets=self.markets)
        self.known: list[tuple[Event, bool]] = []
        self.unresolved = Unresolved(self, self.warden)
        self.stores = [GateStore(url, self.desk, policy_of=in_force, timeout_s=5.0) for _ in range(2)]
        self.journals = [Journal(data_dir) for _ in self.stores]
        fence = Fence.initialise(data_dir)
        policy = a_policy(PositionLimit(level="symbol:BTCUSDT", limit_quantity=Decimal(3)))
        put_in_force(url, self.desk, policy)
        self.judges = [
            Judge(store=store, fence=fence, journal=journal, policy=policy, now=lambda: NOW)
            for store, journal in zip(self.stores, self.journals, strict=True)
        ]
        self._reading: tuple[int, float, Account, Survey | None] | None = None
        self.clock = 0.0
        self._numbers = itertools.count(1)

    async def open(self) -> None:
        """The first survey, and prices."""
        await self.warden.begin_epoch()
        await self.warden.publish_instruments("binanceusdm", "1", {symbol: _listed(symbol) for symbol in SYMBOLS})
        for _ in range(3):
            await self._survey()
        await self._publish_markets()

    async def close(self) -> None:
        for store, journal in zip(self.stores, self.journals, strict=True):
            await store.aclose()
            journal.close()
        await self.warden.aclose()

    # One random thing

    async def step(self) -> None:
        """Do one random thing, then look."""
        things: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (30, self._ask),
            (22, self._reach_venue),
            (18, self._reach_gate),
            (4, self._execute_late),
            (8, self._move_market),
            (26, self._stream),
            (6, self._bots_read),
        ]
        if self.surveys:
            things.append((12, self._survey))
        (thing,) = self.chance.choices([each for _, each in things], [weight for weight, _ in things])
        self.clock += self.chance.random() / 10
        self.exchange.now_ms += self.chance.choice((0, 0, 1, 3))
        await thing()
        self.happened["steps"] += 1

    async def _ask(self) -> None:
        bot = self.chance.choice(BOTS)
        commands = tuple(self._command(bot) for _ in range(self.chance.choice((1, 1, 1, 1, 3))))
        if len(commands) > 1:
            # Only orders come in batches.
            commands = tuple(each for each in commands if isinstance(each, PlaceOrder) and _plain(each))
        if not commands:
            return
        judge = self.chance.choice(self.judges)
        name = f"d{next(self._numbers)}"
        subject = Subject(
            decision_id=name,
            desk=self.desk,
            bot=bot,
            account="demo",
            venue="binanceusdm",
            key_hint="1234",
            route="POST /fapi/v1/order",
        )
        request = JudgedRequest(
            kind=kind_of(commands),
            subject=subject,
            guard_key=f"pgk_{bot}",
            commands=with_client_ids(commands, name, tag("demo", bot)),
            replay_digest=name,
            replay_window_ms=5000,
        )
        ruling = await judge.judge(request)
        self.happened["allowed" if ruling.cleared else "refused"] += 1
        if ruling.cleared:
            self.to_venue.append(Request(judge, ruling))

    def _command(self, bot: str) -> Command:
        symbol = self.chance.choice(SYMBOLS)
        side = self.chance.choice((Side.BUY, Side.SELL))
        quantity = SIZES[symbol] * self.chance.randint(1, 40)
        leg = self.chance.choice((PositionSide.LONG, PositionSide.SHORT)) if self.hedged else PositionSide.BOTH
        resting = list(self.account.open_orders.values())
        waiting = list(self.account.open_conditionals.values())
        kind = self.chance.choices(
            ("limit", "market", "stop", "close", "cancel", "unwait", "amend"), (30, 14, 10, 12, 12, 6, 16)
        )[0]
        self.happened[kind] += 1
        if kind == "amend" and resting:
            order = self.chance.choice(resting)
            by_id = self.chance.random() < 0.5
            return AmendOrder(
                symbol=order.symbol,
                side=Side(order.side),
                quantity=SIZES[order.symbol] * self.chance.randint(1, 40),
                price=self._price(order.symbol, Side(order.side)),
                order_id=str(order.order_id) if by_id else None,
                client_order_id=None if by_id else order.client_order_id,
            )
        if kind == "cancel" and resting:
            order = self.chance.choice(resting)
            return CancelOrder(symbol=order.symbol, order_id=str(order.order_id))
        if kind == "unwait" and waiting:
            stop = self.chance.choice(waiting)
            return CancelOrder(symbol=stop.terms.symbol, order_id=str(stop.conditional_id), conditional=True)
        name = f"{bot}-{next(self._numbers)}"
        if kind == "close" and not self.hedged:
            return PlaceOrder(
                symbol=symbol,
                side=side,
                order_type=OrderType.MARKET,
                quantity=quantity,
                reduce_only=True,
                client_order_id=name,
            )
        if kind == "stop":
            limited = self.chance.random() < 0.5
            rising = self.chance.random() < 0.5
            takes_profit = (side is Side.BUY) != rising
            trigger = self._near(symbol, Decimal("1.004") if rising else Decimal("0.996"))
            order_type = (
                (OrderType.TAKE_PROFIT if takes_profit else OrderType.STOP)
                if limited
                else (OrderType.TAKE_PROFIT_MARKET if takes_profit else OrderType.STOP_MARKET)
            )
            return PlaceOrder(
                symbol=symbol,
                side=side,
                order_type=order_type,
                quantity=quantity,
                price=trigger if limited else None,
                trigger_price=trigger,
                position_side=leg,
                client_order_id=name,
            )
        limited = kind != "market"
        return PlaceOrder(
            symbol=symbol,
            side=side,
            order_type=OrderType.LIMIT if limited else OrderType.MARKET,
            quantity=quantity,
            price=self._price(symbol, side) if limited else None,
            position_side=leg,
            client_order_id=name,
        )

    async def _reach_venue(self) -> None:
        """The exchange gets a request, or never does, or answers that it does not know and executes it later."""
        if not self.to_venue:
            return
        request = self.to_venue.pop(self.chance.randrange(len(self.to_venue)))
        fate = self.chance.choices(("done", "lost", "late", "dropped reply"), (80, 5, 7, 8))[0]
        self.happened[fate] += 1
        if fate in ("done", "dropped reply"):
            self._execute(request)
        if fate == "late":
            self.late.append(request)
        request.lost_reply = fate != "done"
        self.to_gate.append(request)

    async def _execute_late(self) -> None:
        if self.late:
            self._execute(self.late.pop(self.chance.randrange(len(self.late))))

    def _execute(self, request: Request) -> None:
        for place_in_request, cleared in sorted(request.ruling.cleared.items()):
            try:
                self._obey(cleared.command)
            except Rejected:
                self.happened["rejected"] += 1
            else:
                request.accepted.append(place_in_request)

    def _obey(self, command: Command) -> None:
        match command:
            case PlaceOrder() if command.order_type.is_conditional:
                place_conditional(self.exchange, self.account, _conditional(command))
            case PlaceOrder():
                place(self.exchange, self.account, _new_order(command))
            case AmendOrder():
                number = int(command.order_id) if command.order_id else None
                order = find_order(self.account, command.symbol, number, command.client_order_id)
                price = command.price or Decimal(0)
                amend(self.exchange, self.account, order, engine.Side(command.side), command.quantity, price)
            case CancelOrder() if command.conditional:
                found = find_conditional(self.account, int(command.order_id or 0), None)
                cancel_conditional(self.exchange, self.account, found)
            case CancelOrder():
                cancel(self.exchange, find_order(self.account, command.symbol or "", int(command.order_id or 0), None))

    async def _reach_gate(self) -> None:
        if self.to_gate:
            await self._answer(self.to_gate.pop(self.chance.randrange(len(self.to_gate))))

    async def _answer(self, request: Request) -> None:
        outcome, accepted = Outcome.UNKNOWN, list[int]()
        if not request.lost_reply:
            outcome = Outcome.ACCEPTED if request.accepted else Outcome.REJECTED
            accepted = request.accepted
        await request.judge.settle(request.ruling, outcome, accepted, {"kind": "outcome"})

    async def _bots_read(self) -> None:
        """Bots that got no answer have read their orders, and may send more."""
        store = self.chance.choice(self.stores)
        if lost := await store.unreported("demo"):
            await store.forget_unreported("demo", lost)

    async def _move_market(self) -> None:
        symbol = self.chance.choice(SYMBOLS)
        if self.chance.random() < 0.5:
            move = Decimal(self.chance.randint(985, 1015)) / 1000
            jump(self.exchange, symbol, self._near(symbol, move))
        else:
            step(self.exchange)
        await self._publish_markets()

    def _hear_venue(self, event: VenueEvent) -> None:
        """What the exchange has to say goes on its way; with faults, not all of it arrives, or as it should."""
        for frame in user_frames(self.exchange, event):
            fault = self.chance.choice(self.faults) if self.faults and self.chance.random() < 0.04 else ""
            if fault:
                self.happened[fault] += 1
            if fault == DROPPED:
                continue
            if fault == CUT:
                self.frames.clear()
            self.frames.append(frame)
            if fault == DUPLICATED:
                self.frames.append(frame)
            if fault == SWAPPED and len(self.frames) > 1:
                self.frames[-1], self.frames[-2] = self.frames[-2], self.frames[-1]

    async def _stream(self) -> None:
        """Some frames arrive at the warden, and are published together."""
        await self._arrive(self.chance.randint(1, 6))

    async def _arrive(self, count: int) -> None:
        events = []
        while self.frames and len(events) < count:
            if (event := read_event(self.frames.popleft())) is not None:
                events.append(event)
        if events:
            self.happened["events"] += len(events)
            self.keeper.hear(events, self.clock)
            await self.keeper.publish(alive_at=NOW)

    # Rest

    async def settle(self) -> None:
        """Let everything arrive that is under way, and ask about what stays unknown."""
        for request in (*self.to_venue, *self.late):
            self._execute(request)
        self.to_gate += self.to_venue
        self.to_venue, self.late = [], []
        while self.to_gate:
            await self._answer(self.to_gate.pop())
        await self._arrive(len(self.frames))
        began = await self.warden.now_us()
        for second in range(0, 30, 2):
            answer = await self.unresolved.ask("demo", began + second * 1_000_000)
            if absent := [hold_id for hold_id, _ in answer.absent]:
                await self.keeper.publish(resolved=absent)

    async def _survey(self) -> None:
        """One step of a survey: begin and read the orders, read the positions, put both into the book."""
        match self._reading:
            case None:
                began_us, since = await self.warden.now_us(), self.clock
                self._reading = (began_us, since, self.truth(), None)
            case (began_us, since, orders, None):
                self._reading = (began_us, since, orders, self.read())
            case (began_us, since, orders, Survey() as found):
                account = replace(found.account, open_orders=orders.open_orders)
                self._reading = None
                self.happened["surveys"] += 1
                merged = await self.keeper.survey(replace(found, account=account), began_us=began_us, since=since)
                self.happened["healed"] += len(merged.healed)

    async def heal(self) -> None:
        """A survey of a quiet account, a while after the last event."""
        self._reading = None
        self.clock += 10
        began_us = await self.warden.now_us()
        # Asked a minute later than the last time, as far as anybody who asks can tell.
        answer = await self.unresolved.ask("demo", began_us + 60_000_000)
        await self.keeper.survey(self.read(), began_us=began_us, since=self.clock, resolved=answer.resolved)

    # What is true, and what the guard thinks

    def read(self) -> Survey:
        return Survey(
            account=self.truth(),
            symbols=None,
            wallets={"USDT": self.account.wallet},
            leg_ms={(leg.symbol, PositionSide(leg.position_side)): leg.updated_ms for leg in self.account.legs()},
        )

    def truth(self) -> Account:
        """The exchange's account in the guard's nouns."""
        conditionals = [_open_conditional(order) for order in self.account.open_conditionals.values()]
        return Account(
            name="demo",
            version=0,
            as_of=NOW,
            margin_balance=self.account.wallet
            + sum(
                (leg.unrealised(self.exchange.market(leg.symbol).mark_price) for leg in self.account.legs()),
                Decimal(0),
            ),
            available_balance=Decimal(1_000_000),
            hedged=self.hedged,
            positions=tuple(
                Position(
                    symbol=leg.symbol,
                    position_side=PositionSide(leg.position_side),
                    quantity=leg.quantity,
                    entry_price=leg.entry_price,
                    mark_price=self.exchange.market(leg.symbol).mark_price,
                )
                for leg in self.account.legs()
            ),
            open_orders=(*map(_open_order, self.account.open_orders.values()), *conditionals),
        )

    def bots(self) -> dict[tuple[str, str], str]:
        """Whose every open order is, by symbol and number: the exchange names what a conditional order becomes."""
        stops = {stop.conditional_id: stop.client_order_id for stop in self.account.conditionals}
        plain = {
            (order.symbol, str(order.order_id)): bot_of(order.client_order_id)
            or bot_of(stops.get(order.conditional_id, ""))
            for order in self.account.open_orders.values()
        }
        waiting = self.account.open_conditionals.values()
        return plain | {(stop.terms.symbol, str(stop.conditional_id)): bot_of(stop.client_order_id) for stop in waiting}

    async def guard(self) -> tuple[tuple[Hold, ...], Account]:
        """What a gate sees at this moment."""
        seen = await self.chance.choice(self.stores).look("demo")
        assert seen.account is not None
        return seen.holds, seen.account

    def exposures(self, account: Account, holds: tuple[Hold, ...] = ()) -> dict[str, Exposure]:
        found = worst_case(
            Snapshot(
                now=NOW,
                bot="",
                account=account,
                controls=Controls(generation=0),
                markets=self.markets(),
                holds=holds,
            )
        )
        return {symbol: each for symbol, each in found.items() if each.long_quantity or each.short_quantity}

    def markets(self) -> dict[str, Market]:
        return {
            symbol: Market(symbol=symbol, mark_price=self.exchange.market(symbol).mark_price, as_of=NOW)
            for symbol in SYMBOLS
        }

    # The venue's answers about single orders

    @property
    def venue_ms(self) -> int:
        return self.exchange.now_ms

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        if conditional:
            stop = find_conditional(self.account, None, client_order_id)
            return None if stop is None else _placed_conditional(stop)
        order = find_order(self.account, symbol, None, client_order_id)
        return None if order is None else _placed_order(order)

    async def order_by_id(self, symbol: str, order_id: str) -> PlacedOrder | None:
        order = find_order(self.account, symbol, int(order_id), None)
        return None if order is None else _placed_order(order)

    async def conditional_by_id(self, order_id: str) -> PlacedOrder | None:
        stop = find_conditional(self.account, int(order_id), None)
        return None if stop is None else _placed_conditional(stop)

    def _price(self, symbol: str, side: Side) -> Decimal:
        """A limit price around the mark: most rest, some take."""
        away = Decimal(self.chance.randint(-10, 25)) / 1000
        return self._near(symbol, 1 - away * side.sign)

    def _near(self, symbol: str, factor: Decimal) -> Decimal:
        market = self.exchange.market(symbol)
        return (market.mark_price * factor).quantize(market.instrument.tick)

    async def _publish_markets(self) -> None:
        await self.warden.publish_markets("binanceusdm", str(next(self._numbers)), self.markets())


def bot_of(client_order_id: str) -> str:
    """Bots name their orders ``bot-number`` here."""
    bot = client_order_id.partition("-")[0]
    return bot if bot in BOTS else ""


def _plain(order: PlaceOrder) -> bool:
    return not order.order_type.is_conditional and not order.reduce_only


def _listed(symbol: str) -> Instrument:
    return replace(an_instrument(symbol), quantity_max=Decimal(1_000_000), market_quantity_max=Decimal(1_000_000))


def _new_order(command: PlaceOrder) -> engine.NewOrder:
    assert command.quantity is not None
    return engine.NewOrder(
        symbol=command.symbol,
        side=engine.Side(command.side),
        order_type=engine.OrderType(command.order_type),
        quantity=command.quantity,
        price=command.price,
        position_side=engine.PositionSide(command.position_side),
        reduce_only=bool(command.reduce_only),
        client_order_id=command.client_order_id or "",
    )


def _conditional(command: PlaceOrder) -> NewConditional:
    return NewConditional(
        symbol=command.symbol,
        side=engine.Side(command.side),
        conditional_type=ConditionalType(command.order_type),
        quantity=command.quantity,
        trigger_price=command.trigger_price,
        price=command.price,
        position_side=engine.PositionSide(command.position_side),
        trigger_by=TriggerBy.MARK_PRICE,
        client_order_id=command.client_order_id or "",
    )


def _open_order(order: engine.Order) -> OpenOrder:
    return OpenOrder(
        symbol=order.symbol,
        side=Side(order.side),
        position_side=PositionSide(order.position_side),
        order_type=OrderType(order.order_type),
        leaves_quantity=order.leaves_quantity if order.open else Decimal(0),
        price=order.price or None,
        trigger_price=None,
        reduce_only=order.reduce_only,
        close_position=order.close_position,
        order_id=str(order.order_id),
        client_order_id=order.client_order_id,
        filled_quantity=order.filled_quantity,
    )


def _open_conditional(order: ConditionalOrder) -> OpenOrder:
    terms = order.terms
    return OpenOrder(
        symbol=terms.symbol,
        side=Side(terms.side),
        position_side=PositionSide(terms.position_side),
        order_type=OrderType(terms.conditional_type),
        leaves_quantity=terms.quantity if order.open else Decimal(0),
        price=terms.price,
        trigger_price=terms.trigger_price,
        reduce_only=terms.reduce_only,
        close_position=terms.close_position,
        order_id=str(order.conditional_id),
        client_order_id=order.client_order_id,
    )


def _placed_order(order: engine.Order) -> PlacedOrder:
    return PlacedOrder(order=_open_order(order), quantity=order.quantity, placed_ms=order.created_ms)


def _placed_conditional(order: ConditionalOrder) -> PlacedOrder:
    return PlacedOrder(
        order=_open_conditional(order),
        quantity=order.terms.quantity,
        placed_ms=order.created_ms,
        became=str(order.order.order_id) if order.order is not None else "",
    )


def state(account: Account) -> dict[str, Any]:
    """What must be equal when everything is at rest. Of orders that can only shrink a leg, the exchange trims the size
    without a word, and they are not counted."""
    return {
        "positions": {(each.symbol, each.position_side): each.quantity for each in account.positions},
        "orders": {
            (order.symbol, order.order_id): (order.leaves_quantity, order.price, order.filled_quantity)
            for order in account.open_orders
            if not order.reduce_only
        },
        "shrinking": {order.order_id for order in account.open_orders if order.reduce_only},
    }
