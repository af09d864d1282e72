"""One symbol's forecasts, fed by its closed hours: first passage, volatility, the regime of the next day. No I/O.

Between two closes the hour under way is looked at too: once it has moved far by its own forecast, a copy of the
forecaster that takes it for closed is asked as well, and whoever asks takes the worse of both. So a crash counts within
a minute, and not at the next full hour.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.bars import HOUR_S, Bar
from proxy.signals.joint import HORIZONS_H, Hour, JointHistory
from proxy.signals.regime import VolatilityRegime

LATE: Final = timedelta(minutes=5)
"""An hour that is not here so long after its end is missing: from then on the forecasts grow old."""

MOVED_FAR: Final = 2.0
"""The range of the hour under way, in forecast standard deviations, from which on it is looked at."""

_SCALE_LEAST: Final = 1e-6


class HoursAhead(ValueError):
    """Hours that have not been yet: every true one until then would count as known, and nothing be learned."""


class SymbolForecast:
    """One symbol. ``feed`` takes its closed hours in their order, ``look`` the one that is under way."""

    def __init__(self, symbol: str, model: BarrierForecaster, history: JointHistory) -> None:
        self.symbol = symbol
        self.model = model
        self.regime = VolatilityRegime()
        self.last: Bar | None = None
        self.asked_at: datetime | None = None
        self._history = history
        self._alarmed: tuple[Bar, BarrierForecaster] | None = None

    @property
    def forecasters(self) -> list[BarrierForecaster]:
        """Those whose worse answer counts."""
        return [self.model] if self._alarmed is None else [self.model, self._alarmed[1]]

    @property
    def scales(self) -> list[float]:
        """The forecast volatility for each of ``HORIZONS_H``, the highest of the forecasters."""
        return [max(_SCALE_LEAST, *(each.scale(h) for each in self.forecasters)) for h in HORIZONS_H]

    def feed(self, bar: Bar) -> None:
        """An hour has closed; one that is not later than the last is passed over. Less than a millisecond."""
        if self.last is not None and bar.end <= self.last.end:
            return
        follows = self.last is not None and bar.end == self.last.end + HOUR_S
        before = self.last.close if self.last is not None and follows else bar.open
        self.model.update(bar.end, bar.open, bar.high, bar.low, bar.close, 0.0)
        self.regime.observe(self.model)
        low, high, close = (math.log(price / before) for price in (bar.low, bar.high, bar.close))
        scales = tuple(max(_SCALE_LEAST, self.model.scale(h)) for h in HORIZONS_H)
        self._history.add(self.symbol, bar.number, Hour(min(low, 0.0), max(high, 0.0), close, scales))
        self.last, self._alarmed = bar, None

    def look(self, bar: Bar) -> None:
        """The hour under way, as far as it has come."""
        self._alarmed = None
        if math.log(bar.high / bar.low) <= MOVED_FAR * self.model.scale(1):
            return
        alarmed = copy.deepcopy(self.model)
        alarmed.update(bar.end, bar.open, bar.high, bar.low, bar.close, 0.0)
        self._alarmed = bar, alarmed

    def known_until(self) -> datetime | None:
        """Up to when its hours are as complete as they can be; ``None`` before the first."""
        if self.last is None:
            return None
        return datetime.fromtimestamp(self.last.end + HOUR_S, UTC) + LATE

    def state(self) -> dict[str, Any]:
        """Everything to take up again, as plain data."""
        return {
            "method": self.model.METHOD,
            "last": list(self.last) if self.last is not None else None,
            "regime": self.regime.state(),
            "model": self.model.state(),
            "hours": self._history.state(self.symbol),
        }

    def restore(self, state: Mapping[str, Any], model: BarrierForecaster, *, until: float) -> None:
        """Take up what ``state`` holds; ``model`` was made of its own part. Raises as ``JointHistory.restore`` does,
        and ``HoursAhead`` when the last hour ends after ``until``, seconds since 1970."""
        last = None if state["last"] is None else Bar(*state["last"])
        if last is not None and last.end > until:
            raise HoursAhead
        regime = VolatilityRegime.from_state(state["regime"])
        self._history.restore(self.symbol, state["hours"])
        self.model, self.regime, self.last = model, regime, last
