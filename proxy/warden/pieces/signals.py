"""Builds what forecasts on a venue: the hours' feed, the accounts' odds, and what publishes and scores both."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.accounts.markets import MarketKeeper
from proxy.exchange.market_reads import MarketReads
from proxy.signals.account_odds import AccountOdds
from proxy.signals.barrier import BarrierForecaster
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.hours import HourFeed
from proxy.signals.outcomes import has_held
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.service import SignalService
from proxy.signals.shelf import Shelf
from proxy.signals.slippage_live import SlippageLive
from proxy.warden.pieces.ground import Ground
from rules.account import Account


def build_signals(
    ground: Ground,
    venue: str,
    *,
    reads: MarketReads,
    market: MarketKeeper,
    conditions: ConditionsKeeper,
    accounts: Callable[[], Iterable[Account]],
    clock_offset_ms: Callable[[], int | None],
    board: Scoreboard,
) -> SignalService:
    """The signals of one venue. ``accounts`` are those on it, as they are now."""
    feed = HourFeed(
        reads=reads,
        shelf=Shelf(ground.settings.data_dir, venue),
        warm=ground.settings.signals_warm,
        make=_new_model,
        remake=BarrierForecaster.from_state,
        now=ground.now,
        clock_offset_ms=clock_offset_ms,
    )
    return SignalService(
        venue=venue,
        feed=feed,
        odds=AccountOdds(
            feed=feed,
            prices=market,
            has_held=lambda symbol, horizon_h: has_held(board, symbol, horizon_h),
            now=ground.now,
        ),
        slippage=SlippageLive(conditions=conditions, board=board, now=ground.now),
        conditions=conditions,
        accounts=accounts,
        board=board,
        store=ground.store,
        now=ground.now,
    )


def _new_model() -> BarrierForecaster:
    return BarrierForecaster(bar_hours=1.0)
