"""How an account's odds of liquidation have held: books opened anew every 32 hours of the past, and what came.

Four books of the symbols of a file, equally large legs: five longs each on a margin of its own, and on one balance five
longs, longs against shorts, and one long. Beside what joint history says stand the sum of the legs' odds and what they
would come to if legs were independent. No look-ahead: the forecasters are fed hour by hour.
`python -m bench.account_odds --ohlcv FILE --symbols A,B,C,D,E`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from proxy.signals import scores
from proxy.signals.backtest.reader import Bars, read_bars
from proxy.signals.barrier import BarrierForecaster
from proxy.signals.bars import HOUR_S, Bar
from proxy.signals.joint import HORIZONS_H, JointHistory
from proxy.signals.legs import Book, Leg, Tiers
from proxy.signals.liquidation import AccountForecast, account_forecast, leg_forecast
from proxy.signals.marginals import law_of
from proxy.signals.symbol_forecast import SymbolForecast

EVERY_H = 32
WARM_H = 180 * 24
SIZE = 1_000.0
RATE = 0.01
TIERS = Tiers(np.array([0.0]), np.array([RATE]), np.array([0.0]))
DISTANCES = (0.04, 0.06, 0.08)
"""What the book, or each isolated leg, can lose before its end, as a fraction of one leg; by turns."""


class Walk:
    """Symbols fed with the same hours, and the books opened on them."""

    def __init__(self, bars: list[Bars]) -> None:
        common = sorted(set.intersection(*(set(each.ts.tolist()) for each in bars)))
        rows = {each.symbol: dict(zip(each.ts.tolist(), range(len(each.ts)), strict=True)) for each in bars}
        self.ends = np.array(common)
        self.prices = {}
        for each in bars:
            table = np.array([each.open, each.high, each.low, each.close])
            self.prices[each.symbol] = table[:, [rows[each.symbol][end] for end in common]]
        self.history = JointHistory()
        self.symbols = {name: SymbolForecast(name, BarrierForecaster(1.0), self.history) for name in self.prices}
        self.found: dict[tuple[str, int], list[tuple[float, float, float, float, float]]] = {}

    def run(self) -> None:
        """Feed every hour; after half a year open books every few hours."""
        for n, end in enumerate(self.ends):
            for name, each in self.symbols.items():
                each.feed(Bar(int(end), *(float(price) for price in self.prices[name][:, n])))
            if n >= WARM_H and int(end) // HOUR_S % EVERY_H == 0 and n + HORIZONS_H[-1] < len(self.ends):
                self._open(n, DISTANCES[int(end) // HOUR_S // EVERY_H % len(DISTANCES)])

    def _open(self, n: int, distance: float) -> None:
        names = sorted(self.symbols)
        signs = {"isolated": [1] * 5, "longs": [1] * 5, "hedged": [1, -1, 1, -1, 1], "one": [1]}
        for kind, sides in signs.items():
            chosen = names[: len(sides)]
            # Longs fall together; a hedge loses by what its legs differ.
            free = SIZE * distance * (1 if kind in ("isolated", "one") else 5 if kind == "longs" else 2)
            balance = free + RATE * SIZE * len(sides)
            legs = tuple(
                self._leg(name, n, sign, distance, kind == "isolated") for name, sign in zip(chosen, sides, strict=True)
            )
            book = Book(account="main", balance=balance, legs=legs)
            self._judge(kind, n, book)

    def _leg(self, name: str, n: int, sign: int, distance: float, isolated: bool) -> Leg:
        mark = float(self.prices[name][3, n])
        return Leg(
            symbol=name,
            position_side="BOTH",
            quantity=sign * SIZE / mark,
            mark=mark,
            distance=distance,
            together=distance,
            isolated=isolated,
            backing=SIZE * (distance + RATE) if isolated else 0.0,
            tiers=TIERS,
        )

    def _judge(self, kind: str, n: int, book: Book) -> None:
        names = [leg.symbol for leg in book.legs]
        models = {name: self.symbols[name].forecasters for name in names}
        legs = [leg_forecast(leg, book, models[leg.symbol], None) for leg in book.legs]
        laws = {name: law_of(models[name]) for name in names}
        scales = {name: self.symbols[name].scales for name in names}
        found = account_forecast(book, legs, self.history.common(names), scales, laws, None)
        for place, hours in enumerate(HORIZONS_H):
            stated = _stated(kind, found, place)
            each = np.array([leg.odds[place].probability for leg in legs])
            alone = float(1 - np.prod(1 - each))
            day = float(self.ends[n] // 86_400)
            row = (day, stated, self._came(kind, n, hours, book), min(1.0, float(each.sum())), alone)
            self.found.setdefault((kind, hours), []).append(row)

    def _came(self, kind: str, n: int, hours: int, book: Book) -> float:
        ahead = slice(n + 1, n + 1 + hours)
        if kind == "isolated":
            fallen = [self.prices[leg.symbol][2, ahead].min() / leg.mark - 1 for leg in book.legs]
            return float(any(-move >= leg.distance for move, leg in zip(fallen, book.legs, strict=True)))
        free = np.full(hours, np.inf)
        for look in (1, 2, 3):
            prices = np.array([self.prices[leg.symbol][look, ahead] for leg in book.legs])
            sizes, marks = (np.array([[getattr(leg, part)] for leg in book.legs]) for part in ("quantity", "mark"))
            left = book.balance + (sizes * (prices - marks)).sum(axis=0) - RATE * (np.abs(sizes) * prices).sum(axis=0)
            free = np.minimum(free, left)
        return float(free.min() <= 0)


def _stated(kind: str, found: AccountForecast, place: int) -> float:
    return (found.any_leg if kind == "isolated" else found.cross)[place].probability


def main() -> None:
    """Print a line for each book and horizon."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ohlcv", type=Path, nargs="+", required=True)
    parser.add_argument("--symbols", required=True)
    args = parser.parse_args()
    walk = Walk(read_bars(args.ohlcv, frozenset(args.symbols.split(","))))
    walk.run()
    print(f"{'book':<10}{'hours':>6}{'n':>7}{'stated':>9}{'came':>9}{'sum':>9}{'apart':>9}{'skill':>8}  interval")
    for (kind, hours), rows in walk.found.items():
        days, stated, came, summed, alone = np.array(rows).T
        usual = np.full(len(came), came.mean())
        losses = [scores.squared_errors(each, came) for each in (stated, usual)]
        interval = scores.skill_interval(days, *losses)
        skill = scores.brier_skill(stated, usual, came)
        shown = f"[{interval.low:.3f}, {interval.high:.3f}]" if interval is not None else ""
        means = "".join(f"{each.mean():>9.4f}" for each in (stated, came, summed, alone))
        print(f"{kind:<10}{hours:>6}{len(came):>7}{means}{skill if skill is not None else 0.0:>8.3f}  {shown}")


if __name__ == "__main__":
    main()
