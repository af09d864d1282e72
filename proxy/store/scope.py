"""What a kill covers: a bot, an account, a venue or the desk. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Level(StrEnum):
    """What a scope names, the narrowest first."""

    BOT = "bot"
    ACCOUNT = "account"
    VENUE = "venue"
    DESK = "desk"

    @property
    def width(self) -> int:
        """Grows with what is covered."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a kill covers: one account, one venue, one bot on all its accounts, or, with nothing named, the desk."""

    account: str | None = None
    venue: str | None = field(default=None, kw_only=True)
    bot: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        names = [name for name in (self.account, self.venue, self.bot) if name is not None]
        if len(names) > 1:
            raise ValueError("a scope names one thing")
        # The name becomes part of a path.
        if any(_NAME.fullmatch(name) is None or not name.strip(".") for name in names):
            raise ValueError("the name of an account, venue or bot is 1 to 32 of A-Z a-z 0-9 . _ -")

    @classmethod
    def parse(cls, text: str) -> Scope:
        """``desk``, ``venue:NAME``, ``account:NAME`` or ``bot:NAME``; ValueError for anything else."""
        if text == Level.DESK:
            return cls()
        kind, _, name = text.partition(":")
        match kind:
            case Level.VENUE:
                return cls(venue=name)
            case Level.ACCOUNT:
                return cls(name)
            case Level.BOT:
                return cls(bot=name)
            case _:
                raise ValueError("a scope is 'desk', 'venue:NAME', 'account:NAME' or 'bot:NAME'")

    @property
    def level(self) -> Level:
        """What is named."""
        if self.bot is not None:
            return Level.BOT
        if self.account is not None:
            return Level.ACCOUNT
        return Level.DESK if self.venue is None else Level.VENUE

    @property
    def name(self) -> str:
        """The name, empty for the desk."""
        return self.bot or self.account or self.venue or ""

    @property
    def control(self) -> str:
        """Where the store keeps this scope's state.

        A killed bot has a field of its own: ``bot:NAME`` is what a rule made of it, which has degrees and is lifted
        otherwise (``proxy.kill.bot_stops``).
        """
        return f"killed:{self}" if self.level is Level.BOT else str(self)

    def covers(self, account: str, venue: str = "", bot: str | None = None) -> bool:
        """Whether a kill of this scope stops the whole of ``account``, or, where one is named, ``bot`` on it."""
        match self.level:
            case Level.DESK:
                return True
            case Level.VENUE:
                return self.venue == venue
            case Level.ACCOUNT:
                return self.account == account
            case Level.BOT:
                return self.bot == bot

    def __str__(self) -> str:
        return self.level.value if self.level is Level.DESK else f"{self.level.value}:{self.name}"


DESK: Final = Scope()


def part_in_words(scope: str, account: str) -> str:
    """What a kill of a scope, as it is spelled, covers of an account: the whole, or no more than a bot's part."""
    bot = bot_in(scope)
    return f"bot {bot} on {account}" if bot else account


def bot_in(scope: str) -> str:
    """The bot that a scope names, as it is spelled; empty for one that is wider."""
    kind, _, name = scope.partition(":")
    return name if kind == Level.BOT.value else ""
