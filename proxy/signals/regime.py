"""The volatility regime: how likely the next day is a wild one by the symbol's own standard, without flickering. Pure.

Wild is a realised variance over the next day above the 80 % quantile of the trailing half year's days. The probability
is the forecaster's; what is said in words follows it with hysteresis, so that a value about one half is no news.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

ENTER: Final = 0.6
LEAVE: Final = 0.4
"""In words it is wild from a probability of 0.6 on, and until one of 0.4."""

WILD: Final = 0.8
"""The quantile of the past's daily variances above which a day is wild."""

WINDOW_H: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """``probability`` that the variance of the next day exceeds ``line``, and what is said of it.

    ``None`` while the history is too short to tell.
    """

    probability: float | None = None
    line: float | None = None
    is_wild: bool = False

    def moved(self, probability: float, line: float) -> Regime:
        """With the probability of now; what is said changes only when it is clearly another."""
        is_wild = probability >= ENTER or (self.is_wild and probability > LEAVE)
        return Regime(probability=probability, line=line, is_wild=is_wild)

    def unknown(self) -> Regime:
        """Nobody can tell; what was said last stands."""
        return replace(self, probability=None, line=None)
