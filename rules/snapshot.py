"""The state a command is judged on: one immutable picture, complete enough to be replayed years later.

Nothing here is fetched: the gate assembles it from the store's one round trip. ``account is None`` says that the
guard does not know the account; then nothing that adds risk may pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeVar

from rules.account import Account, Attempt, HeldOrder, Hold, OpenOrder, Position, Share, UnreportedOrder
from rules.derived import MISSING, Derived, room
from rules.facts import AccountRecord, Conditions, Override, Score
from rules.instrument import Instrument
from rules.model import TradingState
from rules.usual import UsualOrders

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market(Derived):
    """Prices of one symbol. ``as_of`` is when the guard received them.

    ``bid_quantity`` and ``ask_quantity`` stand at the touch, in base units. ``funding_rate`` is what a long pays to
    shorts at ``next_funding_at``, as a fraction of notional; negative when the short pays.
    """

    symbol: str
    mark_price: Decimal
    as_of: datetime
    bid_price: Decimal | None = None
    ask_price: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask_quantity: Decimal | None = None
    last_price: Decimal | None = None
    index_price: Decimal | None = None
    funding_rate: Decimal | None = None
    next_funding_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Trading states of the levels above this command, and whether a kill is running over it.

    ``generation`` counts kills and re-arms; a command judged under one generation is never sent under another.
    ``ramp`` is the fraction of its limits of size that a level has after a re-arm, the smallest of the levels; 1 when
    none was re-armed lately.
    """

    generation: int
    desk: TradingState = TradingState.ACTIVE
    venue: TradingState = TradingState.ACTIVE
    account: TradingState = TradingState.ACTIVE
    bot: TradingState = TradingState.ACTIVE
    symbol: TradingState = TradingState.ACTIVE
    kill_running: bool = False
    ramp: Decimal = Decimal(1)

    @property
    def strictest(self) -> TradingState:
        """The state that counts: the strictest of the five levels."""
        if self.desk is self.venue is self.account is self.bot is self.symbol:
            return self.desk
        levels = (self.desk, self.venue, self.account, self.bot, self.symbol)
        return max(levels, key=lambda state: state.severity)


class _Asked(Derived):
    """Room for what every rule wants: the command asked about last and its own worst case (``held_order``), and how
    far away the warden's memory of the account is (``fresh_record``)."""

    __slots__ = ("asked", "held", "record_age")

    asked: object
    held: HeldOrder | None
    record_age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(_Asked):
    """Everything a decision may depend on.

    ``holds`` are the reservations made before this command's own, ``unreported`` the bot's own orders whose answer it
    never got. ``tokens`` maps a rate-limit scope to its balance
    just before this command, ``anomaly`` is the bot's anomaly score (0 = usual, 1 = nothing like its history).
    ``instruments_known`` is false when the venue's list is not there at all, so that nothing says what is in it.
    ``store_reachable`` is false when this picture is the last one known: then others' holds are not in it;
    ``desk_taken`` says that the store was not asked, because its desk is another guard's.
    ``attempts`` are the bot's own earlier entries on this account, oldest first and bounded. ``scores`` maps
    ``bot:NAME``, ``account:NAME`` and ``desk`` to their anomaly scores. ``conditions`` and ``record`` are the slower
    facts, cut down to what concerns this command; ``None`` when there are none. ``overrides`` are those not used up.
    ``usual`` is what orders of the bot are usual, cut down to the symbols asked for.
    """

    now: datetime
    bot: str
    account: Account | None
    controls: Controls
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    instruments_known: bool = True
    markets: Mapping[str, Market] = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()
    unreported: tuple[UnreportedOrder, ...] = ()
    tokens: Mapping[str, Decimal] = field(default_factory=dict)
    anomaly: float = 0.0
    store_reachable: bool = True
    desk_taken: bool = False
    attempts: tuple[Attempt, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)
    conditions: Conditions | None = None
    record: AccountRecord | None = None
    overrides: tuple[Override, ...] = ()
    usual: UsualOrders | None = None

    def last(self, work: Callable[[K, Snapshot], T], asked: K) -> T:
        """What ``work`` finds of ``asked`` in this snapshot; that of the very last one asked about is remembered.

        All rules ask of one command before any asks of the next, so remembering one is enough.
        """
        derived = room(self)
        known = derived.get(work)
        if known is None or known[0] is not asked:
            known = derived[work] = asked, work(asked, self)
        found: T = known[1]
        return found

    def standing(self, name: str, work: Callable[[Snapshot], T]) -> T:
        """What ``work`` finds in the account and in the markets and instruments of the account's symbols.

        It is kept with the account, so that the next orders find it until any of these changes. ``work`` may use
        nothing else of the snapshot: no hold, no clock, and the bot only when ``name`` names it.
        """
        known = self.once("(standing)", _standing)
        found: T = known.get(name, MISSING)
        if found is MISSING:
            found = known[name] = work(self)
        return found


def _standing(snapshot: Snapshot) -> dict[str, Any]:
    """What is known of the account as it stands: nothing yet, when it or what it is seen by has changed."""
    account = snapshot.account
    if account is None:
        return {}
    kept, look_up = room(account), account.once("(look up)", _look_up)
    try:
        seen_by = look_up(snapshot.markets), look_up(snapshot.instruments)
    except KeyError:  # Something of it is not known, and the others may change all the same.
        symbols = _symbols(account)
        seen_by = tuple(map(snapshot.markets.get, symbols)), tuple(map(snapshot.instruments.get, symbols))
    if kept.get("(seen by)") != seen_by:
        kept["(seen by)"], kept["(standing)"] = seen_by, {}
    standing: dict[str, Any] = kept["(standing)"]
    return standing


def _look_up(account: Account) -> Callable[[Mapping[str, Any]], Any]:
    """Finds what a mapping has for the account's symbols. Raises ``KeyError`` when it lacks one."""
    symbols = _symbols(account)
    return itemgetter(*symbols) if symbols else _nothing


def _nothing(_: Mapping[str, Any]) -> None:
    """Of no symbol there is nothing to know."""


def _symbols(account: Account) -> tuple[str, ...]:
    parts: tuple[Sequence[Position | OpenOrder | Share], ...] = (account.positions, account.open_orders, account.shares)
    return tuple({each.symbol: None for part in parts for each in part})
