"""Works out every account's odds of liquidation, and says them as the forecasts that rules read.

A forecast's ``as_of`` is the oldest of what it rests on: the account, the marks of its legs, the hours of their
symbols. So when a feed stops nothing has to notice it: the forecasts grow old, and rules judge their age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from proxy.signals.hours import HourFeed
from proxy.signals.joint import HORIZONS_H
from proxy.signals.legs import Book, book_of
from proxy.signals.liquidation import AccountForecast, LegForecast, Odds, account_forecast, leg_forecast
from proxy.signals.marginals import law_of
from proxy.signals.outcomes import OwnedLeg
from rules.account import Account
from rules.facts import Forecast
from rules.instrument import Instrument
from rules.snapshot import Market

LIQUIDATION: Final = "liquidation"

LEGS_A_TURN: Final = 4
"""Legs worked out before the loop goes round: one or two milliseconds of work."""


class Prices(Protocol):
    """The venue's prices and contracts, as ``MarketKeeper`` has them."""

    markets: dict[str, Market]
    instruments: dict[str, Instrument]


@dataclass(frozen=True, slots=True)
class Found:
    """One account's odds, the book they are of, and the moment they hold for."""

    as_of: datetime
    book: Book
    forecast: AccountForecast


class AccountOdds:
    """The accounts of one venue, ``found`` by account. An account without legs, or of none of whose symbols hours are
    known, is not in it: then nothing is stated. Nor is anything of a leg whose distance, or whose hours, are not known;
    the odds of the account are then those of its others, and cold."""

    def __init__(
        self, *, feed: HourFeed, prices: Prices, has_held: Callable[[str, int], bool], now: Callable[[], datetime]
    ) -> None:
        """``has_held`` says of a symbol and a horizon in hours whether such forecasts have held so far."""
        self._feed = feed
        self._has_held = has_held
        self._prices = prices
        self._now = now
        self.found: dict[str, Found] = {}

    def legs_of(self, symbol: str) -> list[OwnedLeg]:
        """The legs in one symbol, as they were last worked out."""
        return [
            OwnedLeg(account, leg)
            for account, each in self.found.items()
            for leg in each.book.legs
            if leg.symbol == symbol
        ]

    async def work_out(self, accounts: Iterable[Account]) -> None:
        """All of these accounts anew, and no others. Some tens of milliseconds each, in a thread but for a few."""
        listed = {account.name: account for account in accounts}
        self.found = {name: each for name, each in self.found.items() if name in listed}
        for account in listed.values():
            found = await self._work_out(account)
            if found is None:
                self.found.pop(account.name, None)
            else:
                self.found[account.name] = found

    def forecasts(self, account: str) -> tuple[Forecast, ...]:
        """What rules are told: each leg's odds, and the account's: the worse of any leg's and the cross balance's."""
        found = self.found.get(account)
        if found is None:
            return ()
        forecast = found.forecast
        legs = [
            each
            for leg in forecast.legs
            for each in self._stated(leg.symbol, leg.odds, found.as_of, () if leg.cold else (leg.symbol,))
        ]
        symbols = () if forecast.cold else tuple({leg.symbol for leg in forecast.legs})
        return (*legs, *self._stated("", worse(forecast), found.as_of, symbols))

    def _stated(
        self, symbol: str, odds: Iterable[Odds], as_of: datetime, rests_on: Collection[str]
    ) -> Iterator[Forecast]:
        """``rests_on`` are the symbols whose forecasts must have held for these to be reliable; none: they are cold."""
        for each in odds:
            measured = next((h for h in HORIZONS_H if each.horizon_h <= h), HORIZONS_H[-1])
            yield Forecast(
                name=LIQUIDATION,
                as_of=as_of,
                probability=each.probability,
                horizon_s=max(1, round(each.horizon_h * 3_600)),
                symbol=symbol,
                reliable=bool(rests_on) and all(self._has_held(name, measured) for name in rests_on),
            )

    async def _work_out(self, account: Account) -> Found | None:
        book = book_of(account, self._prices.markets, self._prices.instruments)
        held = {leg.symbol for leg in book.legs}
        # Taken once: while others have their turn, the feed may drop a symbol.
        known = {symbol: self._feed.known[symbol] for symbol in sorted(held) if self._feed.is_caught_up(symbol)}
        ends = {symbol: until for symbol, each in known.items() if (until := each.known_until()) is not None}
        symbols = list(ends)
        if not symbols:
            return None
        as_of = self._as_of(account, held, ends.values())
        # Safe in a thread: it gets copies, and values that nobody changes.
        common = self._feed.history.common(symbols)
        funding = {symbol: self._hours_to_funding(symbol) for symbol in held}
        legs: list[LegForecast] = []
        for place, leg in enumerate(book.legs, start=1):
            forecasters = known[leg.symbol].forecasters if leg.symbol in ends else ()
            legs.append(leg_forecast(leg, book, forecasters, funding[leg.symbol]))
            if place % LEGS_A_TURN == 0:
                await asyncio.sleep(0)
        laws = {}
        for symbol in symbols:
            await asyncio.sleep(0)
            laws[symbol] = law_of(known[symbol].forecasters)
        scales = {symbol: known[symbol].scales for symbol in symbols}
        next_funding = min((hours for hours in funding.values() if hours is not None), default=None)
        forecast = await asyncio.to_thread(account_forecast, book, legs, common, scales, laws, next_funding)
        return Found(as_of, book, forecast)

    def _as_of(self, account: Account, symbols: Iterable[str], ends: Iterable[datetime]) -> datetime:
        """``ends`` are those of the hours that are known."""
        markets = (self._prices.markets.get(symbol) for symbol in symbols)
        return min(self._now(), account.as_of, *ends, *(each.as_of for each in markets if each is not None))

    def _hours_to_funding(self, symbol: str) -> float | None:
        market = self._prices.markets.get(symbol)
        if market is None or market.next_funding_at is None:
            return None
        left = market.next_funding_at - self._now()
        return left / timedelta(hours=1) if left > timedelta(0) else None


def worse(forecast: AccountForecast) -> tuple[Odds, ...]:
    """For each horizon the larger of any leg's odds and those of the cross balance."""
    if not forecast.cross:
        return forecast.any_leg
    pairs = zip(forecast.any_leg, forecast.cross, strict=True)
    return tuple(max(pair, key=lambda odds: odds.probability) for pair in pairs)
