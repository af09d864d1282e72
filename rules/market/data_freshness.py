"""data_freshness: nothing that may add risk passes on what the guard does not know. A gate before other rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final

from rules.ages import seconds
from rules.decision import Breach
from rules.instrument import PAR_ASSETS
from rules.intent import intent_of
from rules.model import ENTRY, AmendOrder, Command, Intent, PlaceOrder, SetLeverage, SetMarginMode
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot

_WAYS_OUT: Final = (Intent.EXIT, Intent.CANCEL)
_OF_A_SYMBOL: Final = (PlaceOrder, AmendOrder, SetLeverage, SetMarginMode)
_OF_ITS_WORTH: Final = (*ENTRY, SetLeverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFreshness(Rule):
    """Refuse entries and settings while the account or a price they depend on is unknown or too old.

    Ages in seconds. Exits and cancels never wait for data. A time ahead of the guard's clock counts as its distance:
    a clock that jumped is no fresher than one that stopped.

    Contracts quoted in anything but USDT, USDC, FDUSD or BUSD, such as ETHBTC, are refused: limits are in dollars, and
    what such a contract is worth in dollars the guard does not work out.
    """

    rule_id: ClassVar[str] = "data_freshness"
    codes: ClassVar[Mapping[str, str]] = {
        "DESK_TAKEN": "the store's desk of this name belongs to another guard",
        "STORE_UNAVAILABLE": "exposure cannot be reserved now",
        "ACCOUNT_UNKNOWN": "the account was not surveyed yet",
        "ACCOUNT_STALE": "the account was last known to be so too long ago",
        "ACCOUNT_FEED_STALE": "the private stream is down or has a gap, and the account has not been surveyed since",
        "INSTRUMENTS_UNKNOWN": "the exchange's list of symbols was not read yet, or the store has just lost it",
        "UNKNOWN_SYMBOL": "the exchange lists no such symbol, by exact spelling",
        "QUOTE_NOT_JUDGED": "the contract is not quoted in dollars, and limits of money would say nothing of it",
        "SYMBOL_NOT_TRADING": "the symbol is listed but closed",
        "MARKET_STALE": "a needed mark price is missing or too old",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 17(3)",
        "FIA 2024 drop copy",
    )
    example: ClassVar[str] = """
[desk.data_freshness]
enforcement = "enforce"
account_age_max_s = 30
"""

    account_age_max_s: Annotated[
        int,
        Setting(
            "seconds since the account was last known to be so: its last full survey began, or its private stream, "
            "unbroken since, last showed a sign of life",
            Looser.HIGHER,
        ),
    ] = 45
    mark_age_max_s: Annotated[
        int,
        Setting(
            "seconds since the mark price was asked for, of the order's symbol and of every open position",
            Looser.HIGHER,
        ),
    ] = 10

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the account, the instrument or a needed mark price is unknown or stale."""
        if intent_of(command, snapshot) in _WAYS_OUT:
            return None
        if snapshot.desk_taken:
            return self.breach(
                "DESK_TAKEN",
                "another guard has the desk of this name in the store",
                advice="reduce-only orders and cancels pass; give this guard a desk of its own in its settings",
            )
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
        if age > seconds(self.account_age_max_s):
            return self._stale("ACCOUNT_STALE", "what is known of the account", age, self.account_age_max_s)
        if account.feed_stale:
            return self.breach(
                "ACCOUNT_FEED_STALE",
                "the account's private stream is down or has a gap, and no survey has been made since",
                advice="reduce-only orders and cancels pass; entries pass again after the next survey",
            )
        if not isinstance(command, _OF_A_SYMBOL):
            return None
        if not snapshot.instruments_known:
            return self.breach(
                "INSTRUMENTS_UNKNOWN",
                "the exchange's list of symbols is not known yet",
                advice="reduce-only orders and cancels pass",
            )
        instrument = snapshot.instruments.get(command.symbol)
        if instrument is None:
            return self.breach("UNKNOWN_SYMBOL", f"the venue lists no instrument {command.symbol}")
        if isinstance(command, _OF_ITS_WORTH) and not instrument.at_par:
            return self.breach(
                "QUOTE_NOT_JUDGED",
                f"{command.symbol} is quoted in {instrument.quote_asset}, and limits are in dollars",
                observed=instrument.quote_asset,
                limit=", ".join(PAR_ASSETS),
                advice="reduce-only orders and cancels pass",
            )
        if not isinstance(command, ENTRY):
            return None
        if not instrument.trading:
            return self.breach("SYMBOL_NOT_TRADING", f"{command.symbol} is not open for trading")
        held = () if self._all_fresh(snapshot) else tuple(position.symbol for position in account.positions)
        for symbol in (command.symbol, *held):
            market = snapshot.markets.get(symbol)
            if market is None:
                return self.breach("MARKET_STALE", f"no mark price of {symbol} yet")
            age = abs(snapshot.now - market.as_of)
            if age > seconds(self.mark_age_max_s):
                return self._stale("MARKET_STALE", f"the mark price of {symbol}", age, self.mark_age_max_s)
        return None

    def _all_fresh(self, snapshot: Snapshot) -> bool:
        """Whether the marks of all open positions are known and fresh: as good as the oldest and the newest of them."""
        extremes, now = snapshot.standing("marks_as_of", _marks_as_of), snapshot.now
        if not extremes:
            return extremes is not None
        oldest, newest = extremes
        age_max = seconds(self.mark_age_max_s)
        return now - oldest <= age_max and newest - now <= age_max

    def _stale(self, code: str, what: str, age: timedelta, limit_s: int) -> Breach:
        return self.breach(
            code,
            f"{what} is {age.total_seconds():.1f} s old",
            observed=f"{age.total_seconds():.1f} s",
            limit=f"{limit_s} s",
            advice="reduce-only orders and cancels pass",
        )


def _marks_as_of(snapshot: Snapshot) -> tuple[datetime, datetime] | tuple[()] | None:
    """When the oldest and the newest mark of the account's positions were received; ``None`` when one is not known."""
    symbols = {position.symbol for position in snapshot.account.positions} if snapshot.account is not None else set()
    if not symbols <= snapshot.markets.keys():
        return None
    moments = [snapshot.markets[symbol].as_of for symbol in symbols]
    return (min(moments), max(moments)) if moments else ()
