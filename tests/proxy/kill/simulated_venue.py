"""A venue that lies, delays and forgets, drawn from a seed. It stands where ``VenueHands`` stands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from proxy.exchange.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.exchange.way_out_payloads import CloseReport
from proxy.kill.hands import Reading
from rules.kill.events import CancelStep, CloseStep, Fee, Fill
from rules.kill.legs import BookLevel, LotSize, OpenLeg, OrderKind, RestingOrder
from rules.model import PositionSide

LOT = LotSize(step=Decimal("0.1"), quantity_min=Decimal("0.1"), quantity_max=Decimal(10))
LIMIT_LOT = LotSize(step=Decimal("0.1"), quantity_min=Decimal("0.1"), quantity_max=Decimal(50))
MARK = Decimal(100)
FEE = Decimal("0.0005")
# Entries sent before the press may still arrive, but not later than the calm is watched.
IN_FLIGHT_SECONDS_MAX = 4.0


@dataclass(slots=True)
class Conditional:
    symbol: str
    order_id: str
    quantity: Decimal


class SimulatedVenue:
    """One account. ``heals_at`` is when faults stop; before, every call meets one with probability ``fault_share``.

    ``levels`` is what stands on either side of every book: distance from the mark as a fraction, and quantity, whole
    again with every order. ``quiet`` leaves the account as empty as it is made, for tests that fill it themselves.
    ``on_close`` sees every close as it arrives, before the venue looks at it, and may refuse it. ``away`` names the
    lists that cannot be read now: "orders", "conditional orders", "algo orders", "positions".
    """

    def __init__(
        self,
        seed: int,
        *,
        fault_share: float = 0.2,
        heals_at: float = 25.0,
        name: str = "main",
        quiet: bool = False,
        hedged: bool | None = None,
    ) -> None:
        self.name = name
        self.chance = random.Random(seed)
        self.fault_share = fault_share
        self.loop = asyncio.get_running_loop()
        self.heals_at = self.loop.time() + heals_at
        self.banned_until = 0.0
        self.called_while_banned = 0
        self.levels: list[tuple[str, str]] = [("0.0005", "20"), ("0.003", "200")]
        self.halted: set[str] = set()
        self.away: set[str] = set()
        self.on_close: Callable[[CloseStep], None] = lambda _: None
        drawn = self.chance.random() < 0.4
        self.hedged = drawn if hedged is None else hedged
        self.positions: dict[tuple[str, PositionSide], Decimal] = {}
        self.plain: dict[str, str] = {}
        self.conditionals: list[Conditional] = []
        self.algos: dict[str, str] = {}
        self.client_ids: set[str] = set()
        self.sent: list[CloseStep] = []
        self.filled: dict[str, Decimal] = {}
        self.flips = 0
        self.faults: list[str] = []
        self.reads = {True: 0, False: 0}
        self._late: set[asyncio.Task[None]] = set()
        if not quiet:
            self._populate()

    def _populate(self) -> None:
        for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")[: self.chance.randint(1, 3)]:
            for side in (PositionSide.LONG, PositionSide.SHORT) if self.hedged else (PositionSide.BOTH,):
                quantity = Decimal(self.chance.randint(1, 350)) / 10
                self.positions[symbol, side] = -quantity if self._short(side) else quantity
            for number in range(self.chance.randint(0, 3)):
                self.plain[f"{symbol}-{number}"] = symbol
            for number in range(self.chance.randint(0, 2)):
                self.conditionals.append(Conditional(symbol, f"c{symbol}-{number}", Decimal(2)))
            if self.chance.random() < 0.3:
                self.start_twap(symbol)
            if self.chance.random() < 0.5:
                self.later(self.chance.uniform(0, IN_FLIGHT_SECONDS_MAX), self.enter, symbol)
        for conditional in self.conditionals:
            if self.chance.random() < 0.5:
                self.later(self.chance.uniform(0, 3), self.trigger, conditional)

    def _short(self, side: PositionSide) -> bool:
        return side is PositionSide.SHORT or (side is PositionSide.BOTH and self.chance.random() < 0.5)

    @property
    def flat(self) -> bool:
        return not self.plain and not self.conditionals and not self.algos and not any(self.positions.values())

    async def survey(self, *, orders: bool = True) -> Reading:
        self.reads[orders] += 1
        await self._arrive(reading=True)
        algos = tuple(RestingOrder(symbol=symbol, order_id=order) for order, symbol in self.algos.items())
        conditional = tuple(RestingOrder(symbol=each.symbol, order_id=each.order_id) for each in self.conditionals)
        await asyncio.sleep(self.chance.uniform(0.005, 0.05))
        plain = tuple(RestingOrder(symbol=symbol, order_id=order) for order, symbol in self.plain.items())
        await asyncio.sleep(self.chance.uniform(0.005, 0.05))
        legs = tuple(self._leg(*key, quantity) for key, quantity in self.positions.items() if quantity)
        if not orders:
            return Reading(plain_orders=(), conditional_orders=(), positions=legs, complete=False)
        away = tuple(
            what for what in ("orders", "conditional orders", "algo orders", "positions") if self._is_away(what)
        )
        return Reading(
            plain_orders=() if "orders" in away else plain,
            conditional_orders=() if "conditional orders" in away else conditional,
            algo_orders=() if "algo orders" in away else algos,
            positions=() if "positions" in away else legs,
            unread=tuple(f"{what}: down" for what in away),
        )

    def _is_away(self, what: str) -> bool:
        return what in self.away or self.fault(f"{what} unread")

    def _leg(self, symbol: str, side: PositionSide, quantity: Decimal) -> OpenLeg:
        sign = 1 if quantity > 0 else -1
        return OpenLeg(
            symbol=symbol,
            position_side=side,
            quantity=quantity,
            mark_price=MARK,
            trading=symbol not in self.halted,
            market_lot=LOT,
            limit_lot=LIMIT_LOT,
            tick_size=Decimal("0.01"),
            price_floor=MARK * Decimal("0.95"),
            price_cap=MARK * Decimal("1.05"),
            book=tuple(BookLevel(MARK * (1 - Decimal(away) * sign), Decimal(size)) for away, size in self.levels),
        )

    async def cancel(self, step: CancelStep) -> None:
        await self._arrive(reading=True)
        if self.fault("cancel answered OK, did nothing"):
            return
        match step.kind:
            case OrderKind.CONDITIONAL:
                self.conditionals = [each for each in self.conditionals if each.symbol != step.symbol]
            case OrderKind.PLAIN:
                self.plain = {order: symbol for order, symbol in self.plain.items() if symbol != step.symbol}
            case OrderKind.ALGO:
                self.algos = {order: symbol for order, symbol in self.algos.items() if order not in step.order_ids}
        if self.fault("cancel done, answer lost"):
            raise VenueUnavailable("lost")

    async def close(self, step: CloseStep, client_order_id: str) -> CloseReport:
        assert client_order_id not in self.client_ids, "a client order id used twice"
        assert len(client_order_id) <= 36
        self.client_ids.add(client_order_id)
        self.sent.append(step)
        await self._arrive(reading=False)
        self.on_close(step)
        if step.leg.symbol in self.halted:
            raise VenueRefused(-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")
        held = self.positions.get((step.leg.symbol, step.leg.position_side), Decimal(0))
        too_much = step.leg.position_side is not PositionSide.BOTH and step.quantity > abs(held)
        if too_much or held * step.side.sign >= 0 or self.fault("close refused"):
            raise VenueRefused(-2022, "ReduceOnly Order is rejected.")
        if self.fault("close executed late"):
            self.later(self.chance.uniform(0, 5), self.execute, step, step.quantity, client_order_id)
            raise OutcomeUnknown("timeout")
        share = Decimal(self.chance.randint(1, 9)) / 10 if self.fault("close filled in part") else Decimal(1)
        filled = self.execute(step, self.liquidity(step) * share, client_order_id)
        if self.fault("close executed, answer lost"):
            raise OutcomeUnknown("503")
        return self._report(client_order_id, filled)

    async def tally(
        self, closes: Sequence[tuple[CloseStep, str]], symbols: Sequence[str], since: datetime
    ) -> tuple[tuple[Fill, ...], tuple[Fee, ...]]:
        await self._arrive(reading=True)
        fills = tuple(
            Fill(
                symbol=step.leg.symbol,
                client_order_id=name,
                order_id=f"o{name}" if name in self.filled else None,
                quantity=self.filled.get(name, Decimal(0)),
                average_price=MARK if name in self.filled else None,
            )
            for step, name in closes
        )
        fees = (
            Fee(order_id=f"o{name}", amount=quantity * MARK * FEE, asset="USDT")
            for name, quantity in self.filled.items()
        )
        return fills, tuple(fees)

    def liquidity(self, step: CloseStep) -> Decimal:
        """What of a close the book would fill; a market order that finds nobody is refused, as Binance does."""
        sign = -step.side.sign
        prices = ((MARK * (1 - Decimal(away) * sign), Decimal(size)) for away, size in self.levels)
        there = sum(
            (size for price, size in prices if step.price is None or price * sign >= step.price * sign), Decimal(0)
        )
        if not there and step.price is None:
            raise VenueRefused(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
        return min(there, step.quantity)

    def _report(self, name: str, filled: Decimal) -> CloseReport:
        return CloseReport(
            order_id=f"o{name}",
            status="FILLED",
            filled_quantity=filled,
            average_price=MARK if filled else None,
            venue_time=None,
        )

    async def _arrive(self, *, reading: bool) -> None:
        await asyncio.sleep(self.chance.uniform(0.005, 0.08))
        now = self.loop.time()
        if now < self.banned_until:
            self.called_while_banned += 1
            raise VenueThrottled(418, self.banned_until - now)
        if self.fault("429", 0.3):
            raise VenueThrottled(429, self.chance.choice((0.5, 1.0, 2.0)))
        if self.fault("418", 0.1):
            self.banned_until = now + 5
            raise VenueThrottled(418, 5)
        if self.fault("slow, then nothing"):
            await asyncio.sleep(self.chance.uniform(1, 5))
            raise VenueUnavailable("timeout") if reading else OutcomeUnknown("timeout")

    def fault(self, kind: str, weight: float = 1.0) -> bool:
        if self.loop.time() >= self.heals_at or self.chance.random() >= self.fault_share * weight:
            return False
        self.faults.append(kind)
        return True

    def execute(self, step: CloseStep, quantity: Decimal, name: str) -> Decimal:
        """Reduce-only, as the venue does it: never more than is there, and only against the leg's own side."""
        key = (step.leg.symbol, step.leg.position_side)
        held = self.positions.get(key, Decimal(0))
        if held * step.side.sign >= 0:
            return Decimal(0)
        quantity = min(quantity.quantize(LOT.step), abs(held))
        self.positions[key] = held + quantity * step.side.sign
        self.filled[name] = self.filled.get(name, Decimal(0)) + quantity
        if self.positions[key] * held < 0:
            self.flips += 1
        return quantity

    def enter(self, symbol: str) -> None:
        side = PositionSide.LONG if self.hedged else PositionSide.BOTH
        self.positions[symbol, side] = self.positions.get((symbol, side), Decimal(0)) + 1

    def trigger(self, conditional: Conditional) -> None:
        if conditional in self.conditionals:  # It reopens what was closed, unless it was cancelled in time.
            self.conditionals.remove(conditional)
            self.enter(conditional.symbol)

    def start_twap(self, symbol: str) -> None:
        """Places a piece every second for as long as it lives, half of them resting."""
        order_id = f"t{symbol}-{len(self.algos)}"
        self.algos[order_id] = symbol

        def work() -> None:
            if order_id in self.algos:
                if self.chance.random() < 0.5:
                    self.plain[f"{order_id}-{self.chance.random()}"] = symbol
                else:
                    self.enter(symbol)
                self.later(1.0, work)

        self.later(0.7, work)

    def later(self, seconds: float, act: Callable[..., Any], *args: object) -> None:
        async def late() -> None:
            await asyncio.sleep(seconds)
            act(*args)

        task = asyncio.ensure_future(late())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
