"""data_freshness: nothing that may add risk passes on what the guard does not know. A gate before other rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from rules.decision import Breach
from rules.intent import intent_of
from rules.model import AmendOrder, Command, Intent, PlaceOrder, SetLeverage, SetMarginMode
from rules.rule import Rule
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFreshness(Rule):
    """Refuse entries and settings while the account or a price they depend on is unknown or too old.

    Ages in seconds. Exits and cancels never wait for data. A time ahead of the guard's clock counts as its distance:
    a clock that jumped is no fresher than one that stopped.
    """

    rule_id: ClassVar[str] = "data_freshness"
    codes: ClassVar[Sequence[str]] = (
        "STORE_UNAVAILABLE",
        "ACCOUNT_UNKNOWN",
        "ACCOUNT_STALE",
        "ACCOUNT_FEED_STALE",
        "UNKNOWN_SYMBOL",
        "SYMBOL_NOT_TRADING",
        "MARKET_STALE",
    )

    account_age_max_s: int = 45
    mark_age_max_s: int = 10

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the account, the instrument or a needed mark price is unknown or stale."""
        if intent_of(command, snapshot) in (Intent.EXIT, Intent.CANCEL):
            return None
        if not snapshot.store_reachable:
            return self.breach(
                "STORE_UNAVAILABLE",
                "the guard cannot reserve exposure right now",
                advice="reduce-only orders and cancels pass",
            )
        account = snapshot.account
        if account is None:
            return self.breach("ACCOUNT_UNKNOWN", "the account has not been surveyed yet")
        age = abs(snapshot.now - account.as_of)
        if age > timedelta(seconds=self.account_age_max_s):
            return self._stale("ACCOUNT_STALE", "what is known of the account", age, self.account_age_max_s)
        if account.feed_stale:
            return self.breach(
                "ACCOUNT_FEED_STALE",
                "the account's private stream is down or has a gap, and no survey has been made since",
                advice="reduce-only orders and cancels pass; entries pass again after the next survey",
            )
        if not isinstance(command, PlaceOrder | AmendOrder | SetLeverage | SetMarginMode):
            return None
        instrument = snapshot.instruments.get(command.symbol)
        if instrument is None:
            return self.breach("UNKNOWN_SYMBOL", f"the venue lists no instrument {command.symbol}")
        if not isinstance(command, PlaceOrder | AmendOrder):
            return None
        if not instrument.trading:
            return self.breach("SYMBOL_NOT_TRADING", f"{command.symbol} is not open for trading")
        for symbol in (command.symbol, *(position.symbol for position in account.positions)):
            market = snapshot.markets.get(symbol)
            if market is None:
                return self.breach("MARKET_STALE", f"no mark price of {symbol} yet")
            age = abs(snapshot.now - market.as_of)
            if age > timedelta(seconds=self.mark_age_max_s):
                return self._stale("MARKET_STALE", f"the mark price of {symbol}", age, self.mark_age_max_s)
        return None

    def _stale(self, code: str, what: str, age: timedelta, limit_s: int) -> Breach:
        return self.breach(
            code,
            f"{what} is {age.total_seconds():.1f} s old",
            observed=f"{age.total_seconds():.1f} s",
            limit=f"{limit_s} s",
            advice="reduce-only orders and cancels pass",
        )
