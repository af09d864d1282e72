"""The correlations of a venue's symbols as they are published: the forecast for the next day, with its band. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from typing import Final

import numpy as np

from proxy.signals.closes import Closes
from proxy.signals.correlation import forecast

HORIZON_H: Final = 24


@dataclass(frozen=True, slots=True)
class Correlations:
    """``"AAA:BBB"``, names in order, to the forecast correlation and to the ends of its 95 % band."""

    rho: Mapping[str, Decimal] = field(default_factory=dict)
    bands: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


def correlations_of(closes: Mapping[str, Closes], until_ms: int) -> Correlations:
    """Of every pair that could be measured, from full hours up to ``until_ms``. Pairs that could not are left out."""
    names = sorted(closes)
    series = [closes[name].hourly_returns(until_ms) for name in names]
    table = np.full((max(map(len, series), default=0), len(names)), np.nan)
    for column, each in enumerate(series):
        # All end in the same hour; the younger begin later.
        if each:
            table[-len(each) :, column] = each
    found = forecast(table, HORIZON_H)
    rho, bands = {}, {}
    for first, second in combinations(range(len(names)), 2):
        if not found.known[first, second]:
            continue
        pair = f"{names[first]}:{names[second]}"
        rho[pair] = _exact(found.matrix[first, second])
        bands[pair] = _exact(found.lower95[first, second]), _exact(found.upper95[first, second])
    return Correlations(rho, bands)


def _exact(rho: float) -> Decimal:
    return Decimal(f"{rho:.4f}")
