"""Who a scope covers, and with which hands each is made flat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from proxy.kill.bot_hands import BotHands
from proxy.kill.hands import AccountHands
from proxy.refused import Refused
from proxy.store.fence import Level, Scope

BotHandsOf = Callable[[str, str], AccountHands]
"""The hands for a bot's own part of an account: bot, account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The accounts of one desk: their hands, the venue each is on, and which bots trade which (pairs of both).

    ``newcomers`` are the accounts, and their venues, that the vault has got since this process began: it has no hands
    for them.

    ``_kept`` are the hands that are kept to a bot's part. They stay the same as long as this process lives: they
    remember what they closed until the shares show it, and the silence that the venue demanded.
    """

    hands: Mapping[str, AccountHands]
    venues: Mapping[str, str]
    traders: Callable[[], Iterable[tuple[str, str]]]
    bot_hands: BotHandsOf
    newcomers: Callable[[], Mapping[str, str]] = dict
    _kept: dict[tuple[str, str], BotHands] = field(default_factory=dict, init=False, repr=False, compare=False)

    def accounts(self, scope: Scope) -> tuple[str, ...]:
        """The accounts that a kill of ``scope`` makes flat, or a bot's part of."""
        if scope.bot is not None:
            traded = {account for bot, account in self.traders() if bot == scope.bot}
            return tuple(name for name in self.hands if name in traded)
        return tuple(name for name in self.hands if self.covers(scope, name))

    def covered(self, scope: Scope) -> tuple[AccountHands, ...]:
        """The hands of all that a kill of ``scope`` makes flat."""
        return tuple(self.hand(scope, account) for account in self.accounts(scope))

    def hand(self, scope: Scope, account: str) -> AccountHands:
        """The hands for one of the accounts of ``scope``."""
        if scope.bot is None:
            return self.hands[account]
        # Asked for anew each time: whether an account is all one bot's, the policy may change.
        hands = self.bot_hands(scope.bot, account)
        return self._kept.setdefault((scope.bot, account), hands) if isinstance(hands, BotHands) else hands

    def covers(self, scope: Scope, account: str, bot: str | None = None) -> bool:
        """Whether a kill of ``scope`` stops an account, or a bot on it."""
        return scope.covers(account, self.venue(account), bot)

    def venue(self, account: str) -> str:
        """The venue an account is on, empty for one that is not ours."""
        return self.venues.get(account) or self.newcomers().get(account, "")

    def in_vault(self) -> Mapping[str, str]:
        """The venue of every account that the vault has now, and of those that this process began with."""
        return {**self.newcomers(), **self.venues}

    def knows(self, scope: Scope) -> bool:
        """Whether there is such an account, venue or bot."""
        known: Mapping[Level, Collection[str]] = {
            Level.DESK: ("",),
            Level.VENUE: set(self.venues.values()),
            Level.ACCOUNT: self.venues,
            Level.BOT: {bot for bot, _ in self.traders()},
        }
        return scope.name in known[scope.level]

    def parsed(self, text: str, besides: Callable[[], Collection[Scope]] = tuple) -> Scope:
        """The scope that somebody wrote. Raises ``Refused`` for what is none, and for one that names nothing
        this desk has, unless it is among ``besides``, which are looked at for such a one alone."""
        try:
            scope = Scope.parse(text)
        except ValueError as error:
            raise Refused(str(error)) from error
        if not self.knows(scope) and scope not in besides():
            raise Refused(f"no such {scope.level.value}")
        return scope
