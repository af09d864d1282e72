"""When an account is surveyed: the whole of it in its time or in doubt, single symbols that moved unheard."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from typing import Final

from proxy.budget.pace import Pace

SYMBOL_SURVEYS_PER_MINUTE: Final = 40
"""Each costs about 12 weight a symbol (orders 1, conditional 1, positions 5, balance 5) of 2,400 a minute."""

DOUBT_SURVEYS_PER_MINUTE: Final = 8
DOUBT_PAUSE_S: Final = 10.0
"""Surveys of the whole account because the stream is in doubt; each costs about 120 weight."""

SETTLE_LAG_S: Final = 0.25
"""How far a venue's reads may trail its own acknowledgements. What moved is read back this much later."""

BUDGET_LOOK_S: Final = 1.0
"""How often a spent budget is looked at again."""


class SurveyPlan:
    """Due dates in monotonic time, within budgets. One task waits; others say what should be surveyed.

    ``turned`` hears how long each wait may last.
    """

    def __init__(
        self,
        every_s: float,
        turned: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = every_s
        self._turned = turned
        self._monotonic = monotonic
        self._whole_at = 0.0
        self._asked_meanwhile = math.inf
        self._moved: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._of_symbols = Pace(SYMBOL_SURVEYS_PER_MINUTE, monotonic)
        self._in_doubt = Pace(DOUBT_SURVEYS_PER_MINUTE, monotonic)

    @property
    def whole_is_due(self) -> bool:
        """Whether it is time to survey the whole account."""
        return self._monotonic() >= self._whole_at

    def soon(self) -> None:
        """The whole account, without waiting for its time; anew, where a survey of it is under way."""
        self._whole_by(self._monotonic())

    def in_doubt(self) -> None:
        """The whole account, at once while the budget of doubts lasts, and soon after that."""
        self._whole_by(self._monotonic() + (0.0 if self._in_doubt.take() else DOUBT_PAUSE_S))

    def moved(self, symbols: Iterable[str]) -> None:
        """These symbols, as soon as the venue's reads have caught up with what moved them."""
        self._moved |= dict.fromkeys(symbols, self._monotonic())
        self._wake.set()

    def begin_whole(self) -> None:
        """A survey of the whole account begins: it covers what moved long enough ago, and no doubt that comes now."""
        self._asked_meanwhile = math.inf
        for symbol in self._settled():
            del self._moved[symbol]

    def whole_done(self) -> None:
        """The next one is due in its time, or when it was asked for since this one began."""
        self._whole_at = min(self._asked_meanwhile, self._monotonic() + self._every_s)

    def begin_symbols(self) -> frozenset[str]:
        """The symbols to be surveyed now; none while their budget is spent."""
        settled = self._settled()
        if not settled or not self._of_symbols.take():
            return frozenset()
        for symbol in settled:
            del self._moved[symbol]
        return settled

    async def wait(self) -> None:
        """Until something is due, or somebody says that something may be."""
        self._wake.clear()
        now = self._monotonic()
        until = self._whole_at
        if self._moved:
            settled_at = min(self._moved.values()) + SETTLE_LAG_S
            until = min(until, settled_at if self._of_symbols.available() else now + BUDGET_LOOK_S)
        pause = max(0.0, until - now)
        self._turned(pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

    def _whole_by(self, at: float) -> None:
        self._whole_at = min(self._whole_at, at)
        self._asked_meanwhile = min(self._asked_meanwhile, at)
        self._wake.set()

    def _settled(self) -> frozenset[str]:
        before = self._monotonic() - SETTLE_LAG_S
        return frozenset(symbol for symbol, at in self._moved.items() if at <= before)
