"""leverage_temperature: when funding and open interest say that leverage is crowded, positions stay small or closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import HeldOrder
from rules.decision import Breach, Measure
from rules.exposure import held_order, notional_after
from rules.facts import Condition
from rules.fresh import fresh_condition
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageTemperature(Rule):
    """Refuse entries of a symbol whose leverage is crowded: temperature 0 is usual, 1 as extreme as its history.

    At or above `limit` every entry is refused. With `warn_at` and `limit_notional` the room shrinks on the way there:
    above `warn_at` the position on the entry's side, everything pending counted as filled, may reach
    `limit_notional` * (`limit` - temperature) / (`limit` - `warn_at`). Both sides of the market are held to it, since
    a squeeze follows a crowd as often as a rout. The temperature describes how crowded the market is; no predictive
    value over volatility was measured, so this is a matter of taste for risk and no forecast.
    """

    rule_id: ClassVar[str] = "leverage_temperature"
    codes: ClassVar[Mapping[str, str]] = {
        "LEVERAGE_TEMPERATURE_AT_LIMIT": "the temperature has reached `limit`",
        "POSITION_ABOVE_TEMPERATURE_LIMIT": "the position could pass what the temperature leaves of `limit_notional`",
        FACTS_UNKNOWN: "the temperature or the account is not known or too old",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.leverage_temperature]
enforcement = "enforce"
limit = 0.95
warn_at = 0.8
limit_notional = 20000
"""
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("temperature, above 0 up to 1; refused from here on", Looser.HIGHER)]
    warn_at: Annotated[Decimal | None, Setting("temperature below `limit`; needs `limit_notional`", Looser.HIGHER)] = (
        None
    )
    limit_notional: Annotated[
        Decimal | None, Setting("quote currency at `warn_at`, shrinking to nothing at `limit`", Looser.HIGHER)
    ] = None
    facts_age_max_s: Annotated[int, Setting("seconds since the temperature was measured", Looser.HIGHER)] = 900

    def __post_init__(self) -> None:
        if not 0 < self.limit <= 1:
            raise ValueError("leverage_temperature: limit must lie above 0 and not above 1")
        if (self.warn_at is None) is not (self.limit_notional is None):
            raise ValueError("leverage_temperature: warn_at and limit_notional need each other")
        if self.warn_at is not None and self.warn_at >= self.limit:
            raise ValueError("leverage_temperature: warn_at must lie below limit")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse at the limit, and before it what would not fit into the room that is left."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        temperature = self._temperature(order, snapshot)
        if temperature is None:
            return self.unknown(f"the leverage temperature of {order.symbol}")
        if temperature >= self.limit:
            return self.breach(
                "LEVERAGE_TEMPERATURE_AT_LIMIT",
                f"the leverage temperature of {order.symbol} is {show(temperature)}",
                observed=show(temperature),
                limit=show(self.limit),
                advice="reduce-only orders and cancels pass",
            )
        if self.warn_at is None or self.limit_notional is None or temperature <= self.warn_at:
            return None
        room = self.limit_notional * (self.limit - temperature) / (self.limit - self.warn_at)
        return self._over(order, snapshot, temperature, room)

    def _over(self, order: HeldOrder, snapshot: Snapshot, temperature: Decimal, room: Decimal) -> Breach | None:
        notional = notional_after(order, snapshot)
        if notional is None:
            return self.unknown(f"what the {order.symbol} position is worth")
        if notional <= room:
            return None
        return self.breach(
            "POSITION_ABOVE_TEMPERATURE_LIMIT",
            f"{order.symbol} position could reach {show(notional)} at a leverage temperature of {show(temperature)}",
            observed=show(notional),
            limit=show(room),
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The temperature the entry was judged at."""
        order = held_order(command, snapshot)
        if order is None:
            return ()
        condition = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        return condition.found(self._measures) if condition is not None else ()

    def _measures(self, condition: Condition) -> tuple[Measure, ...]:
        temperature = condition.temperature
        return (self.measured("temperature", show(temperature), "0 to 1"),) if temperature is not None else ()

    def _temperature(self, order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
        condition = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        return condition.temperature if condition is not None else None
