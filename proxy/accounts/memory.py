"""What the warden remembers of one account, whole: its results, its bots' conduct, its transfers. Pure.

Told of documents, events and audit records, it says the record that rules judge by. It is saved and taken up again as
it is, with the names of the decisions that are in it: a restart in the middle changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from proxy.accounts import conduct, performance, transfers
from proxy.accounts.conduct import Conduct
from proxy.accounts.performance import BotPast, Past
from proxy.accounts.track import Track, begun
from proxy.accounts.track import performance as performance_of
from proxy.accounts.transfers import Listing, Transfers
from proxy.exchange.events import AccountEvent, AlgoEvent, OrderEvent
from rules.account import Account
from rules.facts import AccountRecord, BotRecord, Forecast, Holding, Unprotected
from rules.snapshot import Market

BOTS_MAX: Final = 1_000
"""Bots of one account that are remembered; beyond it, new ones are not."""

DECISIONS_MAX: Final = 2_000
"""Decisions that are recognised by name when they are told again: four batches of the audit's stream. After a restart
more may be told again, which ``retold`` tells from new ones."""

_CANCELLED: Final = "CANCELED"

Value = Callable[[str, Decimal], Decimal]
"""An amount of an asset in quote currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything of one account. ``version`` grows with every record published.

    ``decisions`` names the newest decisions that are counted, oldest first, ``decided_at`` is when the newest was made.
    """

    account: str
    version: int
    transfers: Transfers
    past: Past = field(default_factory=Past)
    conducts: tuple[Conduct, ...] = ()
    decisions: tuple[str, ...] = ()
    decided_at: datetime | None = None


def empty(account: str) -> Memory:
    """Of an account nothing was ever remembered of."""
    return Memory(account=account, version=0, transfers=Transfers(since_ms=0))


def with_document(memory: Memory, account: Account, markets: Mapping[str, Market], reading: int) -> Memory:
    """The account was published, as the survey named ``reading`` and events since then have it."""
    past = performance.folded(memory.past, account, markets, reading)
    known = {each.bot for each in memory.conducts}
    for bot in past.bots:
        if bot.bot not in known:
            memory = _seen(memory, bot.bot, account.as_of)
    return replace(memory, past=past)


def with_transfers(memory: Memory, listing: Listing, value: Value, ahead: timedelta) -> Memory:
    """The venue's list of transfers was read. The venue's clock is ``ahead`` of the documents'."""
    counted, fresh = transfers.listed(memory.transfers, listing)
    past = memory.past
    for each in fresh:
        past = performance.transferred(past, value(each.asset, each.amount), _time(each.at_ms) - ahead)
    return replace(memory, transfers=counted, past=past)


def with_account_event(memory: Memory, event: AccountEvent, value: Value) -> Memory:
    """The stream told of balances, before the document that has them."""
    counted, fresh = transfers.heard(memory.transfers, event)
    past = memory.past
    for each in fresh:
        past = performance.transferred(past, value(each.asset, each.amount), None)
    return replace(memory, transfers=counted, past=past)


def with_fill(memory: Memory, event: OrderEvent, bot: str) -> Memory:
    """An order of the bot's was executed."""
    at = _time(event.at_ms)
    return _changed(_seen(memory, bot, at), bot, lambda each: conduct.filled(each, at))


def with_conditional(memory: Memory, event: AlgoEvent, bot: str) -> Memory:
    """A conditional order of the bot's is as the event says."""
    at = _time(event.at_ms)
    memory = _seen(memory, bot, at)
    if event.actual_order_id is not None:
        return _changed(memory, bot, lambda each: conduct.triggered(each, event.symbol))
    if event.status == _CANCELLED:
        return _changed(memory, bot, lambda each: conduct.cancelled(each, event.symbol, at))
    return memory


def with_decisions(memory: Memory, records: Iterable[Mapping[str, Any]]) -> Memory:
    """Decision records, in their order; one that is counted already, or of an unexpected shape, tells nothing."""
    told = [(record, at) for record in records if (at := moment_of(record)) is not None]
    # What was made after all that are counted is none of them: their names are looked through for late ones alone.
    is_late = memory.decided_at is None or any(at <= memory.decided_at for _, at in told)
    known = set(memory.decisions) if is_late else set()
    named, decided_at = [], memory.decided_at
    conducts = {each.bot: each for each in memory.conducts}
    for record, at in told:
        bot, name = record.get("bot"), record.get("id")
        if not isinstance(bot, str) or not bot or not isinstance(name, str) or name in known:
            continue
        known.add(name)
        named.append(name)
        decided_at = max(decided_at or at, at)
        if bot in conducts or len(conducts) < BOTS_MAX:
            conducts[bot] = conduct.decided(conducts.get(bot) or conduct.met(bot, at), record, at)
    if not named:
        return memory
    # Told together, they are named together: of two thousand names each would else make a tuple of its own.
    decisions = (*memory.decisions, *named)[-DECISIONS_MAX:]
    return replace(memory, conducts=tuple(conducts.values()), decisions=decisions, decided_at=decided_at)


def moment_of(record: Mapping[str, Any]) -> datetime | None:
    """When a decision was made, as its record says; ``None`` where it says nothing that can be read."""
    try:
        at = datetime.fromisoformat(str(record.get("at")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def record_of(
    memory: Memory, unprotected: Iterable[Unprotected] = (), forecasts: Iterable[Forecast] = ()
) -> AccountRecord | None:
    """The record as rules know it, as of the last document; ``None`` before there was one."""
    past = memory.past
    if past.track is None:
        return None
    return AccountRecord(
        account=memory.account,
        version=memory.version,
        as_of=past.track.at,
        performance=performance_of(past.track),
        bots=tuple(_bot_record(each, past.bot(each.bot), past.track) for each in memory.conducts),
        unprotected=tuple(unprotected),
        forecasts=tuple(forecasts),
    )


def _bot_record(known: Conduct, past: BotPast | None, account: Track) -> BotRecord:
    """A bot that sent orders and never had a share has made nothing, on the account's capital."""
    counts = known.counted(account.at)
    holdings = {each.symbol: each.holding for each in past.held} if past is not None else {}
    for symbol in known.proven:
        holdings[symbol] = replace(holdings.get(symbol, Holding(symbol=symbol)), conditional_proven=True)
    return BotRecord(
        bot=known.bot,
        first_seen=known.first_seen,
        clean_since=known.clean_since,
        orders=counts.orders,
        fills=counts.fills,
        refusals=counts.refusals,
        performance=performance_of(past.track if past is not None else begun(account.equity, account.at)),
        holdings=tuple(holdings[symbol] for symbol in sorted(holdings)),
    )


def _seen(memory: Memory, bot: str, at: datetime) -> Memory:
    """With the bot known, since when it was first seen."""
    if any(each.bot == bot for each in memory.conducts):
        return memory
    return replace(memory, conducts=(*memory.conducts, conduct.met(bot, at))[:BOTS_MAX])


def _changed(memory: Memory, bot: str, change: Callable[[Conduct], Conduct]) -> Memory:
    return replace(memory, conducts=tuple(change(each) if each.bot == bot else each for each in memory.conducts))


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
