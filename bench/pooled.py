"""What many symbols have in common: fits and prints ``proxy/signals/forecast/pooled.py``.

``python -m bench.pooled --ohlcv FILE --until 2021-12-01 > pooled.py``, hourly bars. A forecaster starts from these
numbers and leaves them as it sees its own symbol. Only bars before ``--until`` are used, so that a walk-forward after
it has seen nothing of its own future.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy.signals.backtest.reader import Bars, read_bars
from proxy.signals.forecast.features import COUNT, Features, measured
from proxy.signals.forecast.har import HORIZONS_H, HarByHorizon
from proxy.signals.forecast.hours import Hour
from proxy.signals.forecast.origins import Origin, Origins, Outcomes
from proxy.signals.forecast.pooled import POOLED
from proxy.signals.forecast.prior import Prior

Floats = NDArray[np.float64]

SETTLED_H = 30 * 24
"""A symbol's first month is left out: its averages are still young."""

LEVELS = np.array(
    [0.0002, 0.001, 0.005, 0.02, 0.05, *np.arange(0.1, 0.95, 0.1), 0.95, 0.98, 0.99, 0.995, 0.998, 0.9995, 0.9999]
)


def walked(bars: Bars, until: float, features: Features, har: HarByHorizon) -> Iterator[Outcomes]:
    """The outcomes of one symbol's forecasts, one hour after another."""
    origins, last_close = Origins(), None
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    for count, (ts, *row) in enumerate(zip(bars.ts.tolist(), *(each.tolist() for each in columns), strict=True)):
        if ts > until:
            return
        open_, high, low, close, volume = row
        number = int(ts // 3600) - 1
        hour = Hour(number=number, open=open_, high=high, low=low, close=close, volume=volume, bars=1, share=1.0)
        seen = measured(hour, last_close)
        last_close = hour.close
        regressors = features.learn(hour.number, seen)
        outcomes = origins.outcomes(hour, seen.variance)
        if outcomes is not None and len(outcomes.laws) == len(HORIZONS_H) and count > SETTLED_H:
            yield outcomes
            har.learn(outcomes.regressors, outcomes.log_variances)
        clock = features.season.log_factors_ahead(hour.number, HORIZONS_H)
        scales = 0.5 * (har.forecast(regressors) + clock + np.log(HORIZONS_H))
        origins.add(
            Origin(
                high=math.log(hour.high),
                low=math.log(hour.low),
                close=math.log(hour.close),
                variance=seen.variance,
                regressors=regressors,
                clock=clock,
                log_scales=scales,
            )
        )


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ohlcv", type=Path, nargs="+", required=True)
    parser.add_argument("--until", type=dt.date.fromisoformat, required=True)
    args = parser.parse_args()
    until = dt.datetime.combine(args.until, dt.time(), dt.UTC).timestamp()
    symbols = read_bars(args.ohlcv)
    found, hours = fitted(symbols, until)
    _print(found, len(symbols), hours, args.until)


def fitted(symbols: Sequence[Bars], until: float) -> tuple[Prior, int]:
    """What these symbols have in common before ``until``, and from how many hours that is known."""
    raw = replace(POOLED, regressor_means=np.zeros(COUNT - 1), regressor_spreads=np.ones(COUNT - 1))
    rows, targets, seasons, volume_seasons = [], [], [], []
    for bars in symbols:
        features = Features(raw)
        for outcomes in walked(bars, until, features, HarByHorizon(raw)):
            rows.append(outcomes.regressors)
            targets.append(outcomes.log_variances)
        state = features.state()
        seasons.append(np.array(state["season"]["daily"]))
        volume_seasons.append(np.array(state["volume_season"]["daily"]))
    regressors, outcomes_seen = np.array(rows), np.array(targets)
    plain = regressors[:, 0, 1:]
    means, spreads = plain.mean(axis=0), plain.std(axis=0)
    coefficients = [
        np.linalg.lstsq(
            np.column_stack([np.ones(len(rows)), (regressors[:, n, 1:] - means) / spreads]),
            outcomes_seen[:, n],
            rcond=None,
        )[0]
        for n in range(len(HORIZONS_H))
    ]
    begun = replace(
        POOLED,
        season=_centred(seasons),
        volume_season=_centred(volume_seasons),
        # The averages of log variance begin at their own pooled mean; those of volume at the symbol's first volume.
        averages=np.concatenate([np.repeat(means[:5].mean(), 5), np.repeat(means[5:7].mean(), 2), np.zeros(3)]),
        regressor_means=means,
        regressor_spreads=spreads,
        coefficients=np.array(coefficients),
    )
    laws = [each.laws for bars in symbols for each in walked(bars, until, Features(begun), HarByHorizon(begun))]
    spread = np.moveaxis(np.quantile(np.array(laws), LEVELS, axis=0), 0, -1)
    return replace(begun, levels=LEVELS, laws=spread), len(laws)


def _centred(tables: list[Floats]) -> Floats:
    table = np.mean(tables, axis=0)
    return np.asarray(table - (5 * table[0].mean() + 2 * table[1].mean()) / 7)


def _print(found: Prior, symbols: int, hours: int, until: dt.date) -> None:
    print(_HEAD.format(symbols=symbols, hours=hours, until=until))
    print("POOLED: Final = Prior(")
    for each in fields(Prior):
        values = np.round(getattr(found, each.name), 4 if each.name == "levels" else 3) + 0.0
        print(f"    {each.name}=np.array(")
        print(textwrap.fill(str(values.tolist()), 116, initial_indent=" " * 8, subsequent_indent=" " * 8))
        print("    ),")
    print(")")


_HEAD = '''"""What the perpetuals had in common before {until}: where the forecast of a new symbol begins.

Fitted by ``python -m bench.pooled`` to the hourly bars of {symbols} Binance USD-M perpetuals (data.binance.vision),
{hours:,} symbol hours.
"""

# fmt: off

from __future__ import annotations

from typing import Final

import numpy as np

from proxy.signals.forecast.prior import Prior
'''

if __name__ == "__main__":
    main()
