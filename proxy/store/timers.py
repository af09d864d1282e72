"""Dead-man timers of bots on shared accounts, as the store keeps them: set by gates, run by the warden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TIMERS_MAX: Final = 200
"""Symbols a bot may have a timer on at once."""

LEASE_S: Final = 3.0
"""How long a timer that ran out is its warden's; a living one says again and again that it still has it."""


@dataclass(frozen=True, slots=True)
class DeadManTimer:
    """Whose orders go, and of which symbol."""

    bot: str
    symbol: str

    @property
    def field(self) -> str:
        """Where it stands in the hash. A bot's name holds no bar."""
        return f"{timer_prefix(self.bot)}{self.symbol}"

    @classmethod
    def of(cls, field: str) -> DeadManTimer:
        """The timer of a field."""
        bot, _, symbol = field.partition("|")
        return cls(bot, symbol)


def timer_prefix(bot: str) -> str:
    """What every field of a bot begins with."""
    return f"{bot}|"
