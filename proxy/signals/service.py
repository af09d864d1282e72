"""The live signals of one venue: hours in, forecasts out, every one of them on the scoreboard.

Four loops: one asks the venue for hours, one works the accounts out, one the cost of orders, one publishes it all for
people. Rules get their forecasts with the account's record. None of them holds the loop for more than some
milliseconds; what takes longer works on copies in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.signals.account_odds import AccountOdds
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.hours import HourFeed
from proxy.signals.joint import HORIZONS_H, CommonHours, Extremes
from proxy.signals.liquidation import METHOD
from proxy.signals.outcomes import SIGNALS, Board, due_horizons, resolve, statements
from proxy.signals.signals_state import AccountSignals, SignalsState, SymbolSignals
from proxy.signals.slippage_live import SlippageLive
from proxy.signals.symbol_forecast import SymbolForecast
from proxy.store.client import STORE_TROUBLE
from rules.account import Account
from rules.facts import Forecast

log = logging.getLogger("perpguard.signals")

ODDS_EVERY_S: Final = 3.0
SLIPPAGE_EVERY_S: Final = 5.0
PUBLISH_EVERY_S: Final = 5.0
AWAITED_EVERY: Final = timedelta(minutes=1)
FOLLOWED_MAX: Final = 60
"""Symbols whose hours are asked for: as many as the budget reads once a minute."""

IDLE_S: Final = 0.25
TROUBLE_PAUSE_S: Final = 5.0


class Publisher(Protocol):
    """The part of the store that the signals need."""

    async def publish_signals(self, venue: str, version: str, state: object) -> None:
        """Make this what people are shown."""


class AwaitingBoard(Board, Protocol):
    """A scoreboard that says what it still waits for."""

    def awaited(self, signals: Sequence[str]) -> list[str]:
        """The symbols of which forecasts of these signals wait for their outcome."""


class SignalService:
    """One venue's. ``accounts`` are its accounts as they are now."""

    def __init__(
        self,
        *,
        venue: str,
        feed: HourFeed,
        odds: AccountOdds,
        slippage: SlippageLive,
        conditions: ConditionsKeeper,
        accounts: Callable[[], Iterable[Account]],
        board: AwaitingBoard,
        store: Publisher,
        now: Callable[[], datetime],
    ) -> None:
        self._venue = venue
        self._feed = feed
        self._odds = odds
        self._slippage = slippage
        self._conditions = conditions
        self._accounts = accounts
        self._board = board
        self._store = store
        self._now = now
        self._awaited: list[str] = []
        self._awaited_at: datetime | None = None

    async def run(self) -> None:
        """Run for ever. While the venue or the store is away the forecasts age, and rules judge their age."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._run_hours())
            loops.create_task(self._run_odds())
            loops.create_task(self._run_slippage())
            loops.create_task(self._run_publishing())

    def forecasts(self, account: str) -> tuple[Forecast, ...]:
        """What rules are told of one account."""
        return (*self._odds.forecasts(account), *self._slippage.forecasts)

    def state(self) -> SignalsState:
        """Everything as it is now."""
        conditions = self._conditions
        return SignalsState(
            venue=self._venue,
            at=self._now(),
            symbols=tuple(self._symbol(each) for each in self._feed.known.values()),
            accounts=tuple(
                AccountSignals(as_of=each.as_of, method=METHOD, forecast=each.forecast)
                for each in self._odds.found.values()
            ),
            correlations={pair: float(rho) for pair, rho in conditions.correlations.rho.items()},
            correlations_as_of=conditions.correlations_as_of,
        )

    def followed(self) -> tuple[str, ...]:
        """The symbols whose hours are asked for: those that are measured, then those of which a forecast waits for its
        outcome. A position that was liquidated is gone, and its symbol with it, but the odds of it were stated.
        """
        now = self._now()
        if self._awaited_at is None or abs(now - self._awaited_at) >= AWAITED_EVERY:
            self._awaited, self._awaited_at = self._board.awaited(SIGNALS), now
        return tuple(dict.fromkeys((*self._conditions.measuring.facts, *self._awaited)))[:FOLLOWED_MAX]

    async def score(self, closed: SymbolForecast) -> None:
        """Hours of a symbol have closed: state what is foreseen now, and tell the outcomes they decide.

        Of a symbol that is only waited for nothing more is stated, or it would be waited for without end.
        """
        if closed.symbol in self._conditions.measuring.facts:
            common = self._feed.history.common([closed.symbol])
            past = await asyncio.to_thread(_extremes, common, due_horizons(closed))
            self._board.state(statements(closed, self._odds.legs_of(closed.symbol), past))
        resolve(self._board, self._feed.history, int(self._now().timestamp()))

    def _symbol(self, each: SymbolForecast) -> SymbolSignals:
        condition = self._conditions.condition(each.symbol)
        temperature = condition.temperature if condition is not None else None
        return SymbolSignals(
            symbol=each.symbol,
            as_of=each.asked_at,
            method=each.model.METHOD,
            hours=each.model.samples,
            cold=not each.model.is_warm,
            alarmed=len(each.forecasters) > 1,
            volatility={str(hours): scale for hours, scale in zip(HORIZONS_H, each.scales, strict=True)},
            wild=each.regime.probability,
            is_wild=each.regime.high,
            temperature=None if temperature is None else 100 * float(temperature),
        )

    async def _run_hours(self) -> None:
        await self._feed.tidy()
        while True:
            pause = 0.0
            try:
                await self._feed.follow(self.followed())
                closed = await self._feed.read_next()
                if closed is None:
                    pause = IDLE_S
                else:
                    await self.score(closed)
            except VenueThrottled as trouble:
                log.warning("hours of %s: %s", self._venue, trouble)
                pause = trouble.retry_after
            except VenueTrouble as trouble:
                log.warning("hours of %s cannot be read: %s", self._venue, trouble)
                pause = TROUBLE_PAUSE_S
            await asyncio.sleep(pause)

    async def _run_odds(self) -> None:
        while True:
            await self._odds.work_out(self._accounts())
            await asyncio.sleep(ODDS_EVERY_S)

    async def _run_slippage(self) -> None:
        while True:
            await self._slippage.work_out()
            self._slippage.score()
            await asyncio.sleep(SLIPPAGE_EVERY_S)

    async def _run_publishing(self) -> None:
        while True:
            try:
                state = self.state()
                await self._store.publish_signals(self._venue, state.at.isoformat(), state)
            except STORE_TROUBLE as trouble:
                log.warning("signals of %s cannot be published: %s", self._venue, type(trouble).__name__)
            await asyncio.sleep(PUBLISH_EVERY_S)


def _extremes(common: CommonHours, horizons: Iterable[int]) -> dict[int, Extremes]:
    return {horizon: common.extremes(horizon) for horizon in horizons}
