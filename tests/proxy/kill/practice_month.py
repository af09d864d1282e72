"""An account on the practice exchange's engine, in virtual time, watched by the triggers as the warden watches it.

The engine keeps margin, funding, fees, fills and liquidations; the guard's own record, volatility, outside detector,
anomaly score and trigger watch look at it. Time is coarse: a tick moves every price by what that much weather would,
at once, which is harsher than a walk there. All but the first minute of a run is a function of the seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import Any

from proxy.accounts import memory as memories
from proxy.accounts.outside import OutsideDetector
from proxy.accounts.outside_watch import Found
from proxy.exchange.troubles import VenueUnavailable
from proxy.kill.watch import Sources, TriggerWatch
from proxy.kill.witness import evidence_of, found_orders
from proxy.signals.anomaly import AnomalyScorer
from proxy.signals.evidence.event import OrderEvent
from proxy.signals.levels import account_score
from proxy.signals.published import published
from proxy.signals.volatility import hourly_volatility
from proxy.signals.watch import Held
from proxy.venues.binance import client_ids
from rules.account import Account, HeldOrder, OpenOrder, Position
from rules.facts import Condition, Score
from rules.instrument import Instrument, MarginTier
from rules.kill.evidence import Evidence
from rules.kill.settings import Triggers
from rules.model import MarginMode, OrderType, PositionSide, Side
from rules.snapshot import Market
from sandbox.engine.account import Account as Customer
from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import charge_funding
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.margin import cross_state, liquidation_price, unrealised
from sandbox.engine.model import MarginMode as VenueMarginMode
from sandbox.engine.model import NewOrder
from sandbox.engine.model import OrderType as VenueOrderType
from sandbox.engine.model import Side as VenueSide
from sandbox.engine.rejection import Rejected
from sandbox.engine.scenario import STEP_MS, Scenario, moved, shock, weather
from sandbox.engine.stepping import begin, jump
from sandbox.engine.trading import place

NAME, BOT = "solo", "grid"
BALANCE = Decimal(10_000)
BEGINS = datetime(2026, 11, 1, 0, 0, 30, tzinfo=UTC)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
TAG = client_ids.tag(NAME, BOT)
COARSE_S = 10
BAR_S = 300
BARS_KEPT = 288
ESTIMATE_EVERY_BARS = 3


@dataclass
class Pressed:
    """The kill desk as the watch sees it: remembers what was pressed and when."""

    now: Callable[[], datetime]
    reduced: list[tuple[datetime, str]] = field(default_factory=list)
    killed: list[tuple[datetime, str]] = field(default_factory=list)

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        self.reduced.append((self.now(), reason))
        return True

    async def close(self, account: str, by: str, reason: str) -> bool:
        self.killed.append((self.now(), reason))
        return True

    def stopped(self, account: str) -> bool:
        return bool(self.killed)


class Counted:
    """Legs need no counting here: what moves them is told by orders."""

    def leg(self, symbol: str, position_side: PositionSide) -> Decimal:
        return Decimal(0)

    def legs(self) -> Iterable[tuple[str, PositionSide]]:
        return ()

    def filled_by(self, symbol: str, order_id: str) -> Decimal:
        return Decimal(0)


class PracticeMonth:
    """The world. ``feed_away``: the guard hears nothing of the account; ``venue_away``: nor do the kill's hands."""

    def __init__(self, triggers: Triggers, *, seed: int, tick_s: float) -> None:
        listed = [each for each in DEFAULT_INSTRUMENTS if each.symbol in SYMBOLS]
        self.now = self.began = BEGINS
        self.tick_s = tick_s
        self.chance = random.Random(seed)
        self.exchange = Exchange(listed, seed=seed, scenario=Scenario.CALM, now_ms=int(BEGINS.timestamp() * 1000))
        self.customer: Customer = self.exchange.open_account(NAME, BALANCE)
        self.instruments = {each.symbol: _instrument(each) for each in listed}
        self.markets: dict[str, Market] = {}
        self.feed_away = self.venue_away = False
        self.drift_per_hour = Decimal(0)
        self.audit: list[tuple[str, dict[str, Any]]] = []
        self.pressed = Pressed(lambda: self.now)
        self._sent = 0
        self._bars: dict[str, list[float]] = {symbol: [] for symbol in SYMBOLS}
        self._bar_at = BEGINS
        self._bar_count = 0
        self._volatility: dict[str, Decimal | None] = {}
        self._memory = memories.empty(NAME)
        self._book: Account | None = None
        self._version = 0
        self._detector = OutsideDetector(Counted())
        self._detector.adopt(())
        self._found: list[Found] = []
        self._scorer, self._score = AnomalyScorer(NAME), Held()
        owner = lambda name: client_ids.owner(name, {TAG: BOT})  # noqa: E731
        self.watch = TriggerWatch(
            account=NAME,
            sources=Sources(
                evidence=self._evidence,
                unrecorded=lambda: found_orders(self._found, owner)[0],
                outside=lambda: found_orders(self._found, owner)[1],
                read=self._read,
                ask_store=self._ask_store,
            ),
            settings=lambda: triggers,
            response=self.pressed,
            record=self._record,
            now=lambda: self.now,
        )

    @property
    def stopped(self) -> bool:
        """Whether the watch has pressed the button."""
        return bool(self.pressed.killed)

    @property
    def liquidated(self) -> bool:
        """Whether the exchange had to close anything itself."""
        return bool(self.customer.liquidations)

    def equity(self) -> Decimal:
        """What the account is worth at the exchange."""
        return self.customer.wallet + sum((unrealised(self.exchange, leg) for leg in self.customer.legs()), Decimal(0))

    def begin(self, scenario: Scenario) -> None:
        """Another script of the weather, from the next tick on."""
        begin(self.exchange, scenario)

    async def tick(self) -> None:
        """One tick of weather, then what the guard makes of it: as many looks as confirm whatever is there to see."""
        self._move()
        self._hear()
        await self.watch.look()
        for _ in range(4 if self.tick_s > COARSE_S else 0):
            if not self.watch.suspects:
                break
            self.now += timedelta(seconds=2)
            self._hear()
            await self.watch.look()

    def trade(
        self, symbol: str, side: VenueSide, notional: Decimal, *, recorded: bool = True, own: bool = True
    ) -> bool:
        """One market order of the bot's. ``recorded``: the guard wrote it ahead; ``own``: it bears the guard's mark."""
        self._sent += 1
        name = client_ids.outward(f"o{self._sent}", TAG) if own else f"x-{self._sent}"
        market = self.exchange.market(symbol)
        market.depth.refill()
        step = market.instrument.lot_step
        quantity = (notional / market.mark_price / step).to_integral_value(ROUND_DOWN) * step
        if recorded:
            held = HeldOrder(
                symbol=symbol,
                side=Side(side.value),
                position_side=PositionSide.BOTH,
                quantity=quantity,
                price=None,
                client_order_id=name,
            )
            self._detector.held([held], self._seconds)
            self.conduct(notional, refused=False)
        order = NewOrder(
            symbol=symbol, side=side, order_type=VenueOrderType.MARKET, quantity=quantity, client_order_id=name
        )
        try:
            placed = place(self.exchange, self.customer, order)
        except Rejected:
            return False
        shown = OpenOrder(
            symbol=symbol,
            side=Side(side.value),
            position_side=PositionSide.BOTH,
            order_type=OrderType.MARKET,
            leaves_quantity=placed.leaves_quantity,
            price=None,
            trigger_price=None,
            reduce_only=False,
            close_position=False,
            order_id=str(placed.order_id),
            client_order_id=name,
        )
        self._detector.surveyed([shown], self._seconds)
        return True

    def conduct(self, notional: Decimal, *, refused: bool) -> None:
        """The anomaly score sees one order of the bot's."""
        event = OrderEvent(ts=self._seconds, type="new", notional=float(notional), rejected=refused)
        value = published(self._scorer.score(event))
        self._score = self._score.aged(self._seconds).raised(value, self._scorer.explain)

    def isolate(self, symbol: str, leverage: int) -> None:
        """The symbol's next position has its own margin."""
        self.customer.on(symbol).margin_mode = VenueMarginMode.ISOLATED
        self.customer.on(symbol).leverage = leverage

    def trade_modestly(self) -> None:
        """About once in two hours: towards a target of at most half the account on a symbol, either way."""
        if self.chance.random() >= self.tick_s / 7200:
            return
        symbol = self.chance.choice(SYMBOLS)
        wanted = Decimal(self.chance.randint(-45, 45)) / 100 * BALANCE
        market = self.exchange.market(symbol)
        held = sum((leg.quantity for leg in self.customer.legs(symbol)), Decimal(0)) * market.mark_price
        change = wanted - held
        if abs(change) >= 150:
            side = VenueSide.BUY if change > 0 else VenueSide.SELL
            self.trade(symbol, side, min(abs(change), Decimal(2_500)))

    @property
    def _seconds(self) -> float:
        return self.now.timestamp()

    def _move(self) -> None:
        self.now += timedelta(seconds=self.tick_s)
        exchange, steps = self.exchange, int(self.tick_s * 1000) // STEP_MS
        exchange.now_ms = int(self.now.timestamp() * 1000)
        exchange.steps += steps
        terms = weather(exchange.scenario, exchange.steps - exchange.scenario_began - 1)
        assert terms is not None
        drift = (1 + terms.drift) ** steps - 1 + self.drift_per_hour * Decimal(self.tick_s) / 3600
        terms = replace(terms, drift=drift, volatility=terms.volatility * Decimal(math.sqrt(steps)))
        common = shock(exchange.chance)
        for market in exchange.markets.values():
            volatility = market.instrument.volatility_per_year
            price = moved(market.index_price, volatility, common, shock(exchange.chance), terms)
            market.jump(price, None)
        jump(exchange, market.instrument.symbol, price)  # Once for all of them: triggers, liquidations, candles.
        charge_funding(exchange, exchange.funded_ms)
        exchange.funded_ms = exchange.now_ms
        self._measure()

    def _measure(self) -> None:
        """Five-minute closes, and the volatility they come to."""
        if self.now - self._bar_at < timedelta(seconds=BAR_S):
            return
        self._bar_at = self.now
        self._bar_count += 1
        held = {leg.symbol for leg in self.customer.legs()}
        for symbol, closes in self._bars.items():
            closes.append(math.log(self.exchange.market(symbol).mark_price))
            del closes[: -BARS_KEPT - 1]
            if symbol in held and (self.tick_s < BAR_S / 10 or self._bar_count % ESTIMATE_EVERY_BARS == 0):
                estimate = hourly_volatility([later - earlier for earlier, later in pairwise(closes)])
                self._volatility[symbol] = None if estimate.now is None else Decimal(str(estimate.now))

    def _hear(self) -> None:
        """What stream, surveys and record keeper bring the warden."""
        self.markets = {
            symbol: Market(symbol=symbol, mark_price=market.mark_price, as_of=self.now)
            for symbol, market in self.exchange.markets.items()
        }
        self._score = self._score.aged(self._seconds)
        findings = self._detector.findings(self._seconds, heard=self._seconds)
        self._found += [Found(at=self.now, finding=each) for each in findings]
        del self._found[:-100]
        if self.feed_away:
            return
        self._version += 1
        self._book = self._account()
        self._memory = memories.with_document(self._memory, self._book, self.markets, self._version)

    def _evidence(self, now: datetime) -> Evidence:
        return evidence_of(
            NAME,
            account=self._book,
            record=memories.record_of(self._memory),
            markets=self.markets,
            instruments=self.instruments,
            condition_of=lambda symbol: Condition(
                symbol=symbol, as_of=self._bar_at, volatility=self._volatility.get(symbol)
            ),
            anomaly=account_score(NAME, {BOT: Score(value=self._score.value)}, [(BOT, NAME)]).value,
            now=now,
        )

    async def _read(self) -> Account:
        if self.venue_away:
            raise VenueUnavailable("no answer")
        return self._account()

    async def _ask_store(self) -> None:
        return None

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.audit.append((what, detail))

    def _account(self) -> Account:
        """As the venue would show it."""
        return Account(
            name=NAME,
            version=self._version,
            as_of=self.now,
            margin_balance=self.equity(),
            available_balance=max(Decimal(0), cross_state(self.exchange, self.customer).balance),
            hedged=False,
            positions=tuple(
                Position(
                    symbol=leg.symbol,
                    position_side=PositionSide.BOTH,
                    quantity=leg.quantity,
                    entry_price=leg.entry_price,
                    mark_price=self.exchange.market(leg.symbol).mark_price,
                    liquidation_price=liquidation_price(self.exchange, self.customer, leg) or None,
                    margin_mode=MarginMode.ISOLATED if self.customer.isolated(leg.symbol) else MarginMode.CROSS,
                    leverage=Decimal(self.customer.on(leg.symbol).leverage),
                    isolated_margin=leg.isolated_wallet if self.customer.isolated(leg.symbol) else None,
                )
                for leg in self.customer.legs()
            ),
        )


def _instrument(listed: Any) -> Instrument:
    """The contract as the guard reads it."""
    return Instrument(
        symbol=listed.symbol,
        base_asset=listed.base,
        quote_asset=listed.quote,
        trading=True,
        tick_size=listed.tick,
        step_size=listed.lot_step,
        quantity_min=listed.lot_step,
        quantity_max=listed.quantity_max,
        market_step_size=listed.lot_step,
        market_quantity_min=listed.lot_step,
        market_quantity_max=listed.market_quantity_max,
        notional_min=listed.notional_min,
        tiers=tuple(
            MarginTier(
                notional_floor=tier.notional_floor,
                notional_cap=tier.notional_cap,
                leverage_max=Decimal(tier.leverage_max),
                maintenance_rate=tier.maintenance_rate,
                maintenance_amount=tier.deduction,
            )
            for tier in listed.tiers
        ),
    )
