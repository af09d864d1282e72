"""A venue that lies, delays and forgets, drawn from a seed. It stands where ``VenueHands`` stands."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from decimal import Decimal

from proxy.accounts.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.kill.hands import Reading
from rules.kill.events import CancelStep, CloseStep, OpenLeg, RestingOrder
from rules.model import PositionSide

LIMITS = {"step_size": Decimal("0.1"), "quantity_min": Decimal("0.1"), "quantity_max": Decimal(10)}
# Entries sent before the press may still arrive, but not later than the calm is watched.
IN_FLIGHT_SECONDS_MAX = 4.0


@dataclass(slots=True)
class Conditional:
    symbol: str
    order_id: str
    quantity: Decimal


class SimulatedVenue:
    """One account. ``heals_at`` is when faults stop; before, every call meets one with probability ``fault_share``."""

    def __init__(self, seed: int, *, fault_share: float = 0.2, heals_at: float = 25.0, name: str = "main") -> None:
        self.name = name
        self.chance = random.Random(seed)
        self.fault_share = fault_share
        self.loop = asyncio.get_running_loop()
        self.heals_at = self.loop.time() + heals_at
        self.banned_until = 0.0
        self.called_while_banned = 0
        self.hedged = self.chance.random() < 0.4
        self.positions: dict[tuple[str, PositionSide], Decimal] = {}
        self.plain: dict[str, str] = {}
        self.conditionals: list[Conditional] = []
        self.client_ids: set[str] = set()
        self.flips = 0
        self.faults: list[str] = []
        self._late: set[asyncio.Task[None]] = set()
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
            if self.chance.random() < 0.5:
                self._later(self.chance.uniform(0, IN_FLIGHT_SECONDS_MAX), self._entry, symbol)
        for conditional in self.conditionals:
            if self.chance.random() < 0.5:
                self._later(self.chance.uniform(0, 3), self._trigger, conditional)

    def _short(self, side: PositionSide) -> bool:
        return side is PositionSide.SHORT or (side is PositionSide.BOTH and self.chance.random() < 0.5)

    @property
    def flat(self) -> bool:
        return not self.plain and not self.conditionals and not any(self.positions.values())

    async def survey(self) -> Reading:
        await self._arrive(reading=True)
        conditional = tuple(RestingOrder(symbol=each.symbol, order_id=each.order_id) for each in self.conditionals)
        await asyncio.sleep(self.chance.uniform(0.005, 0.05))
        plain = tuple(RestingOrder(symbol=symbol, order_id=order) for order, symbol in self.plain.items())
        await asyncio.sleep(self.chance.uniform(0.005, 0.05))
        legs = tuple(
            OpenLeg(symbol=symbol, position_side=side, quantity=quantity, **LIMITS)
            for (symbol, side), quantity in self.positions.items()
            if quantity
        )
        return Reading(plain_orders=plain, conditional_orders=conditional, positions=legs)

    async def cancel(self, step: CancelStep) -> None:
        await self._arrive(reading=True)
        if self._fault("cancel answered OK, did nothing"):
            return
        if step.conditional:
            self.conditionals = [each for each in self.conditionals if each.symbol != step.symbol]
        else:
            self.plain = {order: symbol for order, symbol in self.plain.items() if symbol != step.symbol}
        if self._fault("cancel done, answer lost"):
            raise VenueUnavailable("lost")

    async def close(self, step: CloseStep, client_order_id: str) -> None:
        assert client_order_id not in self.client_ids, "a client order id used twice"
        assert len(client_order_id) <= 36
        self.client_ids.add(client_order_id)
        await self._arrive(reading=False)
        if self._fault("close refused"):
            raise VenueRefused(-2022, "ReduceOnly Order is rejected.")
        if self._fault("close executed late"):
            self._later(self.chance.uniform(0, 5), self._execute, step, step.quantity)
            raise OutcomeUnknown("timeout")
        if self._fault("close filled in part"):
            self._execute(step, step.quantity * self.chance.randint(1, 9) / 10)
            return
        self._execute(step, step.quantity)
        if self._fault("close executed, answer lost"):
            raise OutcomeUnknown("503")

    async def _arrive(self, *, reading: bool) -> None:
        await asyncio.sleep(self.chance.uniform(0.005, 0.08))
        now = self.loop.time()
        if now < self.banned_until:
            self.called_while_banned += 1
            raise VenueThrottled(418, self.banned_until - now)
        if self._fault("429", 0.3):
            raise VenueThrottled(429, self.chance.choice((0.5, 1.0, 2.0)))
        if self._fault("418", 0.1):
            self.banned_until = now + 5
            raise VenueThrottled(418, 5)
        if self._fault("slow, then nothing"):
            await asyncio.sleep(self.chance.uniform(1, 5))
            raise VenueUnavailable("timeout") if reading else OutcomeUnknown("timeout")

    def _fault(self, kind: str, weight: float = 1.0) -> bool:
        if self.loop.time() >= self.heals_at or self.chance.random() >= self.fault_share * weight:
            return False
        self.faults.append(kind)
        return True

    def _execute(self, step: CloseStep, quantity: Decimal) -> None:
        """Reduce-only, as the venue does it: never more than is there, and only against the leg's own side."""
        key = (step.leg.symbol, step.leg.position_side)
        held = self.positions.get(key, Decimal(0))
        if held * step.side.sign >= 0:
            return
        quantity = min(quantity.quantize(Decimal("0.1")), abs(held))
        self.positions[key] = held + quantity * step.side.sign
        if self.positions[key] * held < 0:
            self.flips += 1

    def _entry(self, symbol: str) -> None:
        side = PositionSide.LONG if self.hedged else PositionSide.BOTH
        self.positions[symbol, side] = self.positions.get((symbol, side), Decimal(0)) + 1

    def _trigger(self, conditional: Conditional) -> None:
        if conditional in self.conditionals:  # It reopens what was closed, unless it was cancelled in time.
            self.conditionals.remove(conditional)
            self._entry(conditional.symbol)

    def _later(self, seconds: float, act: object, *args: object) -> None:
        async def late() -> None:
            await asyncio.sleep(seconds)
            act(*args)  # type: ignore[operator]

        task = asyncio.ensure_future(late())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
