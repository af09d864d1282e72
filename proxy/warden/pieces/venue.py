"""Builds what the warden has once for a venue, however many accounts trade there: prices, clock, what is measured."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.accounts.budget_keeper import BudgetKeeper
from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.venue_clock import VenueClock
from proxy.exchange.market_payloads import Depth
from proxy.exchange.venue_account import VenueAccount
from proxy.ledger.mark_keeper import MarkKeeper
from proxy.ledger.marks import marks_path
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.service import SignalService
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.hands import Hands, VenueMeter
from proxy.warden.pieces.signals import build_signals
from rules.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePieces:
    """What keeps the facts of one venue. ``depth`` reads one book."""

    market: MarketKeeper
    clock: VenueClock
    conditions: ConditionsKeeper
    signals: SignalService
    marks: MarkKeeper
    budget: BudgetKeeper
    depth: Callable[[str], Awaitable[Depth]]

    def loops(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs for as long as the warden does."""
        return (
            self.market.run(),
            self.clock.run(),
            self.conditions.run(),
            self.signals.run(),
            self.marks.run(),
            self.budget.run(),
        )


def build_venues(
    ground: Ground,
    hands: Mapping[str, Hands],
    keepers: Mapping[str, AccountKeeper],
    meters: Mapping[str, VenueMeter],
    board: Scoreboard,
) -> dict[str, VenuePieces]:
    """The pieces of every venue that an account is on. ``keepers``, by account, may be filled later."""
    by_venue: dict[str, list[VenueAccount]] = {}
    for pair in hands.values():
        by_venue.setdefault(pair.key.venue, []).extend((pair.feed, pair.kill))
    return {venue: _build_venue(ground, venue, each, keepers, meters[venue], board) for venue, each in by_venue.items()}


def _build_venue(
    ground: Ground,
    venue: str,
    hands: Sequence[VenueAccount],
    keepers: Mapping[str, AccountKeeper],
    metered: VenueMeter,
    board: Scoreboard,
) -> VenuePieces:
    """Reads go through the venue's first account; how far its clock is off concerns them all."""
    reads = hands[0]

    def adjust(offset_ms: int) -> None:
        metered.time.adjust(offset_ms)
        for each in hands:
            each.adjust_clock(offset_ms)

    market = MarketKeeper(
        venue=venue,
        hands=reads,
        store=ground.store,
        document=ground.scribe.document,
        now=ground.now,
        every_s=ground.settings.markets_every_s,
        answered=lambda ms: conditions.latency.read(time.monotonic(), ms),
    )
    clock = VenueClock(
        venue=venue, ask=reads.server_time, store=ground.store, adjust=adjust, record=ground.scribe.event
    )
    conditions = ConditionsKeeper(
        venue=venue,
        reads=reads.public,
        prices=market,
        store=ground.store,
        held=lambda: _held(keeper for keeper in keepers.values() if keeper.venue == venue),
        clock_offset_ms=lambda: clock.offset_ms,
        now=ground.now,
    )
    signals = build_signals(
        ground,
        venue,
        reads=reads.public,
        market=market,
        conditions=conditions,
        accounts=lambda: _surveyed(keeper for keeper in keepers.values() if keeper.venue == venue),
        clock_offset_ms=lambda: clock.offset_ms,
        board=board,
    )
    marks = MarkKeeper(
        venue=venue,
        path=marks_path(ground.settings.data_dir),
        reads=reads.public,
        symbols=lambda: conditions.symbols,
        markets=lambda: market.markets,
        now=ground.now,
    )
    ground.closing.push_async_callback(marks.aclose)
    budget = BudgetKeeper(
        venue=venue,
        meter=metered.meter,
        store=ground.store,
        limits=reads.rate_limits,
        accounts=lambda: _surveyed(keeper for keeper in keepers.values() if keeper.venue == venue),
        instruments=lambda: market.instruments,
        addresses=ground.settings.kill_addresses,
        settings=lambda: ground.policy().kill.reserve,
    )
    return VenuePieces(
        market=market,
        clock=clock,
        conditions=conditions,
        signals=signals,
        marks=marks,
        budget=budget,
        depth=reads.public.depth,
    )


def _surveyed(keepers: Iterable[AccountKeeper]) -> list[Account]:
    return [keeper.account for keeper in keepers if keeper.account is not None]


def _held(keepers: Iterable[AccountKeeper]) -> tuple[str, ...]:
    """The symbols with a position, then those with an open order: a crowd of these pushes no position out."""
    accounts = _surveyed(keepers)
    positions = {each.symbol for account in accounts for each in account.positions}
    resting = {each.symbol for account in accounts for each in account.open_orders}
    return (*sorted(positions), *sorted(resting - positions))
