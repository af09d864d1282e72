"""What is an account's own and every way to trade has: sizes, pace, symbols, the week, and how they change."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from sandbox.orderflow.market import Market

MessageType = Literal["new", "amend", "cancel"]
Side = Literal["buy", "sell"]


class Action(NamedTuple):
    """What a bot sends, before the venue has answered. `notional` in quote currency; `distance_bps` from the mark,
    above zero on the aggressive side; a cancel has those of the order that it takes away."""

    ts: float
    type: MessageType
    symbol: str
    side: Side
    notional: float
    distance_bps: float


class Bot(Protocol):
    """A way to trade, with its state."""

    def minute(self, at: int) -> Iterable[Action]:
        """What it sends because of minute `at`, in any order; some of it may come minutes later."""

    def restarted(self, at: int) -> Iterable[Action]:
        """What it sends first when it comes back after a deploy or a pause."""


@dataclass(slots=True, kw_only=True)
class Habits:
    """The settings of one account.

    `spare`: symbols it may take up later. `notional`: the usual size of an order; `dispersion`: standard deviation of
    its logarithm. `weekend`: activity on Saturdays and Sundays over that of weekdays. `pace` and `width` multiply how
    often it acts and how far from the mark; deploys change them. `multiples`: size of a symbol's orders over the usual.
    """

    rng: random.Random
    market: Market
    symbols: list[str]
    spare: list[str]
    notional: float
    dispersion: float
    weekend: float = 1.0
    pace: float = 1.0
    width: float = 1.0
    multiples: dict[str, float] = field(default_factory=dict)

    def size(self, symbol: str) -> float:
        """The notional of an order, as lots make it uneven."""
        rng = self.rng
        multiple = self.multiples.get(symbol)
        if multiple is None:
            multiple = self.multiples[symbol] = math.exp(rng.gauss(0, 0.25))
        return self.notional * multiple * math.exp(self.dispersion * rng.gauss(0, 1) + 0.003 * rng.gauss(0, 1))

    def second(self, at: int) -> float:
        """When minute `at` begins, unix seconds."""
        return self.market.start + 60.0 * at

    def moments(self, at: int, mean: float) -> list[float]:
        """Random moments of minute `at`, `mean` of them on average, in order."""
        begin = self.second(at)
        return sorted(begin + 60 * self.rng.random() for _ in range(poisson(self.rng, mean)))

    def unrest(self, symbol: str, at: int) -> float:
        """How restless the symbol has been just before minute `at`; 1 is usual."""
        return self.market.tapes[symbol].unrest[at]

    def week(self, at: int) -> float:
        """Activity as the day of the week has it."""
        return self.weekend if weekday(self.second(at)) >= 5 else 1.0

    def deploy(self) -> None:
        """A new version: the same bot with slightly other settings."""
        rng = self.rng
        self.notional *= math.exp(rng.gauss(0, 0.12))
        self.pace = min(max(self.pace * math.exp(rng.gauss(0, 0.12)), 0.6), 1.7)
        self.width = min(max(self.width * math.exp(rng.gauss(0, 0.1)), 0.7), 1.5)

    def take_up_symbol(self) -> None:
        """Trade one symbol more, while there are spare ones."""
        if self.spare:
            self.symbols.append(self.spare.pop())

    def next_day(self) -> None:
        """Sizes follow the account's equity a little from day to day."""
        self.notional *= math.exp(self.rng.gauss(0, 0.012))


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson number (Knuth 1969, by products); above 30 its normal approximation."""
    if mean <= 0:
        return 0
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    floor, product, count = math.exp(-mean), rng.random(), 0
    while product > floor:
        product *= rng.random()
        count += 1
    return count


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    """Between `low` and `high`, as many below the geometric mean as above it."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def opposite(side: Side) -> Side:
    """The other side."""
    return "sell" if side == "buy" else "buy"


def hour(ts: float) -> float:
    """Hour of the day, UTC, with its fraction."""
    return ts % 86_400 / 3600


def weekday(ts: float) -> int:
    """0 for Monday to 6 for Sunday; 1970 began on a Thursday."""
    return int(ts // 86_400 + 3) % 7


def spread_out(
    actions: Iterable[tuple[MessageType, str, Side, float, float]], ts: float, gap: float
) -> Iterator[Action]:
    """The actions one after another, `gap` seconds apart, from `ts` on."""
    for number, action in enumerate(actions):
        yield Action(ts + number * gap, *action)
