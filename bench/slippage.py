"""How good the adverse-move quantiles are: every next minute, both sides, walked forward over a file of minute bars.

Skill is the share of the pinball loss that the forecast takes away from a reference: the quantile of the first week
("static"), that of all minutes scored, known only afterwards ("hindsight"), and that of the last week, worked out anew
every day ("trailing"). The first week is not scored. A symbol's losses are taken over its reference's mean, so that a
wild one does not decide. Intervals are 90 %, resampling whole days of all symbols together.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from bench.ohlcv import Table, add_file, read
from proxy.signals.scores import Floats, day_block_interval, pinball_losses
from proxy.signals.slippage import BPS, METHOD, AdverseMoveForecaster

TAUS: Final = (0.5, 0.9, 0.99, 0.999)
WEEK: Final = 7 * 1_440
DAY: Final = 1_440
REFERENCES: Final = ("static", "hindsight", "trailing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.slippage", description=__doc__.partition("\n")[0])
    add_file(parser, "one-minute")
    args = parser.parse_args(arguments)
    found = {symbol: measure(*bars) for symbol, bars in read(args.ohlcv, 60).items() if len(bars[0]) > WEEK + DAY}
    if not found:
        print("bench.slippage: no symbol with more than eight days of minutes", file=sys.stderr)
        return 1
    print(report(found))
    return 0


class Scored:
    """One symbol: of each quantile, for both sides of every minute, the losses and whether it was exceeded."""

    def __init__(self, days: NDArray[np.int64], micros: float) -> None:
        self.days = days
        self.micros = micros
        self.losses: list[Floats] = []
        self.references: list[tuple[Floats, ...]] = []
        self.exceeded: list[NDArray[np.bool_]] = []


def measure(minutes: NDArray[np.int64], bars: Table) -> Scored:
    """Feed the forecaster bar by bar, and score what it said before each."""
    made = AdverseMoveForecaster()
    stated = np.empty((len(bars), len(TAUS)))
    began = time.perf_counter()
    for place, bar in enumerate(bars.tolist()):
        if place and minutes[place] != minutes[place - 1] + 1:
            made.gap()
        made.update(*bar)
        stated[place] = made.predict(TAUS)
    micros = (time.perf_counter() - began) / len(bars) * 1e6
    follows = np.diff(minutes) == 1
    closes = bars[:-1, 3]
    moves = np.maximum(np.stack([bars[1:, 1] / closes - 1, 1 - bars[1:, 2] / closes], axis=1), 0) * BPS
    scored = np.flatnonzero(follows & (np.arange(len(follows)) >= WEEK))
    came = moves[scored].ravel()
    found = Scored(np.repeat(minutes[scored + 1] // DAY, 2), micros)
    for place, tau in enumerate(TAUS):
        said = np.repeat(stated[scored, place], 2)
        static = np.full(len(came), np.quantile(moves[:WEEK], tau))
        hindsight = np.full(len(came), np.quantile(came, tau))
        trailing = np.repeat(_trailing(moves, tau)[scored], 2)
        found.losses.append(pinball_losses(said, came, tau))
        found.references.append(tuple(pinball_losses(each, came, tau) for each in (static, hindsight, trailing)))
        found.exceeded.append(came > said)
    return found


def report(found: Mapping[str, Scored]) -> str:
    """A Markdown table, the method, the machine and the date."""
    lines = [
        f"| quantile | minutes and sides | {' | '.join(f'skill, {each}' for each in REFERENCES)} | exceeded | "
        "exceeded, least and most of a symbol |",
        "|---|---|---|---|---|---|---|",
    ]
    days = np.concatenate([each.days for each in found.values()])
    for place, tau in enumerate(TAUS):
        cells = [f"{tau:.1%}", str(len(days))]
        for reference in range(len(REFERENCES)):
            cells.append(_skill(found, days, place, reference))
        exceeded = np.concatenate([each.exceeded[place] for each in found.values()]).astype(np.float64)
        interval = day_block_interval(days, np.stack([exceeded, np.ones(len(exceeded))], axis=1), _ratio)
        said = f"{exceeded.mean():.2%}"
        cells.append(said if interval is None else f"{said} ({interval.low:.2%} to {interval.high:.2%})")
        shares = [each.exceeded[place].mean() for each in found.values()]
        cells.append(f"{min(shares):.2%} to {max(shares):.2%}")
        lines.append(f"| {' | '.join(cells)} |")
    cost = f"{np.mean([each.micros for each in found.values()]):.0f} µs for a bar and four quantiles"
    said = f"{METHOD}; {len(found)} symbols; {cost}"
    return "\n".join((*lines, "", said, f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))


def _skill(found: Mapping[str, Scored], days: NDArray[np.int64], place: int, reference: int) -> str:
    means = [each.references[place][reference].mean() for each in found.values()]
    losses = np.concatenate([each.losses[place] / mean for each, mean in zip(found.values(), means, strict=True)])
    references = [each.references[place][reference] / mean for each, mean in zip(found.values(), means, strict=True)]
    parts = np.stack([losses, np.concatenate(references)], axis=1)
    said = f"{1 - parts[:, 0].sum() / parts[:, 1].sum():.3f}"
    interval = day_block_interval(days, parts, _skills)
    return said if interval is None else f"{said} ({interval.low:.3f} to {interval.high:.3f})"


def _trailing(moves: Table, tau: float) -> Floats:
    """The quantile of the week before, renewed every day; not a number in the first week."""
    found = np.full(len(moves), np.nan)
    for begin in range(WEEK, len(moves), DAY):
        found[begin : begin + DAY] = np.quantile(moves[begin - WEEK : begin], tau)
    return found


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[:, 0] / sums[:, 1])


def _skills(sums: Floats) -> Floats:
    return 1 - _ratio(sums)


if __name__ == "__main__":
    sys.exit(main())
