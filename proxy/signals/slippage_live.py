"""What rules are told of the cost of orders, and how the adverse moves stated behind it have held.

Every quarter of an hour what the next minute may do to a buyer and to a seller goes to the scoreboard; the minute's
candle says what it did. What a walk through the book adds is held against fills (``proxy.signals.fills``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from proxy.exchange.market_payloads import Candle
from proxy.signals.book_walk import NOBODY
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.minute_moves import MINUTE_MS, MinuteMoves
from proxy.signals.outcomes import Board
from proxy.signals.scoreboard.stated import Stated
from proxy.signals.slippage import BPS, METHOD
from rules.facts import Forecast

SLIPPAGE: Final = "slippage"
HORIZON_H: Final = 1 / 60
TAUS: Final = (0.5, 0.9, 0.99)
MINUTE_S: Final = 60
EVERY_S: Final = 900

SYMBOLS_MAX: Final = 10
"""Of so many of the measured symbols, the most important first, rules are told what orders cost: each is nine forecasts
in a record."""


class SlippageLive:
    """One venue's. ``forecasts`` is what rules are told, as it was last worked out."""

    def __init__(self, *, conditions: ConditionsKeeper, board: Board, now: Callable[[], datetime]) -> None:
        self._conditions = conditions
        self._board = board
        self._now = now
        self._quarters: dict[str, int] = {}
        self.forecasts: tuple[Forecast, ...] = ()

    async def work_out(self) -> None:
        """All of it anew. About a millisecond of work for each symbol, with the loop's turn between them."""
        found: list[Forecast] = []
        facts = self._conditions.measuring.facts
        for symbol, known in tuple(facts.items())[:SYMBOLS_MAX]:
            held = known.moves.forecaster.is_warm and self._has_held(symbol)
            stated = known.slippage_forecasts(self._now())
            found += [replace(each, reliable=held and _has_seen_a_book(each)) for each in stated]
            await asyncio.sleep(0)
        self.forecasts = tuple(found)

    def score(self) -> None:
        """State what is due of every symbol, and tell the outcomes that its minutes decide."""
        now_s = int(self._now().timestamp())
        facts = self._conditions.measuring.facts
        self._quarters = {symbol: at for symbol, at in self._quarters.items() if symbol in facts}
        for symbol, known in facts.items():
            as_of = _end_s(known.moves.recent[-1]) if known.moves.recent else 0
            if as_of + MINUTE_S > now_s and self._quarters.get(symbol) != as_of // EVERY_S:
                self._quarters[symbol] = as_of // EVERY_S
                self._board.state(statements(symbol, known.moves, as_of))
        self._resolve(now_s)

    def _resolve(self, now_s: int) -> None:
        facts = self._conditions.measuring.facts
        for stated in self._board.due(now_s):
            known = facts.get(stated.symbol) if stated.signal == SLIPPAGE else None
            outcome = _outcome(stated, known.moves.recent) if known is not None else None
            if outcome is not None:
                self._board.resolve(stated, outcome)

    def _has_held(self, symbol: str) -> bool:
        return self._board.card(SLIPPAGE, symbol, HORIZON_H).status == "reliable"


def statements(symbol: str, moves: MinuteMoves, as_of: int) -> Iterator[Stated]:
    """What the minute after ``as_of``, the end of the last one known, may do; in basis points, either side alike.

    Where most minutes move nothing a quantile is zero itself: a little more would seem too wide, however honest.
    """
    forecaster = moves.forecaster
    for tau, bps in zip(TAUS, forecaster.predict(TAUS), strict=True):
        for side in ("buy", "sell"):
            yield Stated(
                signal=SLIPPAGE,
                symbol=symbol,
                horizon_h=HORIZON_H,
                as_of=as_of,
                until=as_of + MINUTE_S,
                key=f"{side}:tau:{tau:g}",
                kind="quantile",
                value=bps if bps > forecaster.like_none_bps else 0.0,
                reference=_usual(moves.recent, side, tau),
                method=METHOD,
            )


def _usual(recent: Iterable[Candle], side: str, tau: float) -> float | None:
    """The same quantile of the last minutes as they were; ``None`` with too few for it."""
    candles = tuple(recent)
    moves = sorted(_move(one, other, side) for one, other in pairwise(candles))
    return moves[int(tau * len(moves))] if len(moves) >= 2 / (1 - tau) else None


def _outcome(stated: Stated, recent: Iterable[Candle]) -> float | None:
    """``None`` while the minute, or the one before it, is not among those known."""
    by_end = {_end_s(each): each for each in recent}
    before, after = by_end.get(stated.as_of), by_end.get(stated.until)
    return _move(before, after, stated.key.partition(":")[0]) if before is not None and after is not None else None


def _move(before: Candle, after: Candle, side: str) -> float:
    """How far the price ran against this side after a close, in basis points, never below zero."""
    extreme = float((after.high if side == "buy" else after.low) / before.close) - 1
    return max(0.0, extreme if side == "buy" else -extreme) * BPS


def _end_s(candle: Candle) -> int:
    return (candle.open_ms + MINUTE_MS) // 1_000


def _has_seen_a_book(stated: Forecast) -> bool:
    """Without a quantity it is the adverse move alone, the least that an order can cost, and nobody may build on it;
    except for a book on a side of which nobody stands."""
    return stated.quantity is not None or stated.probability == NOBODY
