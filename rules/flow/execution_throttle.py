"""execution_throttle: a bot that enters again and again is halted until a named person lets it go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from rules.account import HeldOrder
from rules.ages import seconds
from rules.attempts import MARGIN_S, reaches_back
from rules.decision import Breach
from rules.exposure import held_order
from rules.model import Command, TradingState
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot

EXECUTIONS_MAX: Final = 150
"""Well below what is remembered of a bot, so that refusals between its entries cannot hide the count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionThrottle(Rule):
    """Halt a bot that tries one entry more than ``executions`` on one symbol and side within ``window_s`` seconds.

    It catches the loop that buys, and buys, and buys: each order is small enough for every other limit. All entries
    and amends that were not refused count, filled or not; exits and cancels do not. The entry is refused and the bot
    halted: exits and cancels pass, entries stay refused, also after the window, until a named person lets it go on;
    then the count starts anew. At least the last 190 entries of a bot are remembered, refused ones among them: while
    the window holds more than are remembered, entries are refused, without halting the bot, until it holds fewer.
    """

    rule_id: ClassVar[str] = "execution_throttle"
    codes: ClassVar[Mapping[str, str]] = {
        "EXECUTIONS_ABOVE_LIMIT": "the bot repeats itself and is halted; a named person must let it go on",
        FACTS_UNKNOWN: "the bot has tried more entries within the window than are remembered",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(3)",
        "FIA 2024 repeated automated execution",
    )
    example: ClassVar[str] = """
[bot.grid.execution_throttle]
enforcement = "enforce"
executions = 20
window_s = 60
"""

    executions: Annotated[int, Setting("entries on one symbol and side, at most 150", Looser.HIGHER)]
    window_s: Annotated[int, Setting("seconds", Looser.LOWER)]

    def __post_init__(self) -> None:
        if not 1 <= self.executions <= EXECUTIONS_MAX or self.window_s < 1:
            raise ValueError(f"execution_throttle needs executions from 1 to {EXECUTIONS_MAX} and window_s >= 1")

    @property
    def looks_back_s(self) -> int:
        """All of the window."""
        return self.window_s + MARGIN_S

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse, and halt the bot, when this entry is one too many."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        count = self._tried(order, snapshot)
        if count < self.executions:
            if reaches_back(snapshot, self.window_s):
                return None
            return self.unknown(f"all that the bot sent within {self.window_s} s")
        return self.breach(
            "EXECUTIONS_ABOVE_LIMIT",
            f"{count} entries to {order.side.value} {order.symbol} within {self.window_s} s; the bot is halted",
            observed=str(count),
            limit=f"{self.executions} within {self.window_s} s",
            advice="reduce-only orders and cancels pass; a named person must let the bot go on",
            stops_bot=TradingState.HALTED,
        )

    def _tried(self, order: HeldOrder, snapshot: Snapshot) -> int:
        """``like`` and ``attempts_within``, written out: a busy bot comes with hundreds of attempts."""
        since, symbol, side, count = snapshot.now - seconds(self.window_s), order.symbol, order.side, 0
        for attempt in snapshot.attempts:
            if attempt.at >= since and not attempt.refused:
                for each in attempt.orders:
                    if each.symbol == symbol and each.side is side:
                        count += 1
        return count
