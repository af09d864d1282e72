"""Makes the snapshot of what the store tells: cut down to what concerns one request, its symbols and its bot."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from msgspec import structs

from proxy.gate.ruling import JudgedRequest
from proxy.store.view import View, controls_for
from rules.account import Account
from rules.attempts import MARGIN_S
from rules.derived import Derived
from rules.facts import AccountRecord, Conditions
from rules.model import TradingState, symbol_of
from rules.snapshot import Controls, Snapshot
from rules.usual import UsualOrders

D = TypeVar("D", bound=Derived)

CLOCKS_AGREE: Final = timedelta(seconds=MARGIN_S / 2)
"""So far apart may the store's clock and this host's be for nothing to be dated anew: rules are given that much more of
a bot's earlier entries, and the answer takes a part of it."""

CUTS_MAX: Final = 64
"""Cuts kept of one document. What is asked for is up to the bots; beyond this all are made anew."""


def snapshot_of(
    request: JudgedRequest, view: View, *, now: datetime, stopped: bool, reachable: bool, taken: bool = False
) -> Snapshot:
    """The picture the request is judged on. ``stopped`` is what the sentinel file of this machine says."""
    subject = request.subject
    asked = _asked(request)
    known = view.account.found(_symbols_of) if view.account is not None else ()
    symbols = frozenset((*asked, *known, *(order.symbol for hold in view.holds for order in hold.orders)))
    return Snapshot(
        now=now,
        bot=subject.bot,
        account=view.account,
        controls=controls_of(request, view.controls, stopped=stopped),
        instruments={symbol: view.instruments[symbol] for symbol in symbols & view.instruments.keys()},
        instruments_known=bool(view.instruments),
        markets={symbol: view.markets[symbol] for symbol in symbols & view.markets.keys()},
        holds=view.holds,
        unreported=tuple(each for each in view.unreported if each.bot == subject.bot),
        tokens=view.tokens,
        anomaly=view.anomaly,
        store_reachable=reachable,
        desk_taken=taken,
        attempts=tuple(each for each in view.attempts if each.hold_id != subject.decision_id),
        scores=view.scores,
        conditions=None if view.conditions is None else _conditions_of(view.conditions, frozenset(asked), symbols),
        record=None if view.record is None else _record_of(view.record, subject.bot, symbols),
        overrides=tuple(each for each in view.overrides if each.bot == subject.bot),
        usual=None if view.usual is None else _usual_of(view.usual, frozenset(asked)),
    )


def by_our_clock(view: View, now: datetime) -> View:
    """The view, with the bot's earlier entries dated as if this host's clock, which shows ``now``, had been the
    store's: rules hold them against ours."""
    if view.told_at is None or not view.attempts or abs(ahead := view.told_at - now) <= CLOCKS_AGREE:
        return view
    return structs.replace(view, attempts=tuple(replace(each, at=each.at - ahead) for each in view.attempts))


def controls_of(request: JudgedRequest, fields: Mapping[str, str], *, stopped: bool) -> Controls:
    """What stops the request. The sentinel file does, even when the store, or its latch, does not say so."""
    subject = request.subject
    asked = _asked(request)
    controls = controls_for(fields, account=subject.account, bot=subject.bot, symbols=asked, venue=subject.venue)
    return replace(controls, account=TradingState.HALTED) if stopped else controls


def _asked(request: JudgedRequest) -> list[str]:
    """The symbols that the request's commands name."""
    return [symbol for command in request.commands if (symbol := symbol_of(command)) is not None]


def _symbols_of(account: Account) -> frozenset[str]:
    """The symbols that an account has something of."""
    return frozenset(
        (
            *(position.symbol for position in account.positions),
            *(order.symbol for order in account.open_orders),
            # Shares that net each other out leave no position, and are worth something all the same.
            *(share.symbol for share in account.shares if share.quantity != 0),
        )
    )


def _conditions_of(conditions: Conditions, asked: frozenset[str], symbols: frozenset[str]) -> Conditions:
    """The conditions of the symbols ``asked`` for, and the correlations between all ``symbols`` of the picture."""
    return _cut(conditions, (asked, symbols), lambda whole: _cut_conditions(whole, asked, symbols))


def _record_of(record: AccountRecord, bot: str, symbols: frozenset[str]) -> AccountRecord:
    """The record with this bot alone, its experience with ``symbols`` and the forecasts for them."""
    return _cut(record, (bot, symbols), lambda whole: whole.concerning(bot, symbols))


def _usual_of(usual: UsualOrders, asked: frozenset[str]) -> UsualOrders:
    """What is usual of the symbols ``asked`` for."""
    return _cut(usual, asked, lambda whole: _cut_usual(whole, asked))


def _cut(document: D, name: Hashable, work: Callable[[D], D]) -> D:
    """A published document serves many requests of the same kind: its cuts are kept with it, and go when it does."""
    cuts: dict[Hashable, Any] = document.found(_no_cuts)
    known: D | None = cuts.get(name)
    if known is not None:
        return known
    if len(cuts) >= CUTS_MAX:
        cuts.clear()
    made = work(document)
    cuts[name] = made
    return made


def _no_cuts(_: Derived) -> dict[Hashable, Any]:
    return {}


def _cut_conditions(conditions: Conditions, asked: frozenset[str], symbols: frozenset[str]) -> Conditions:
    names = sorted(symbols)
    pairs = [f"{first}:{second}" for index, first in enumerate(names) for second in names[index + 1 :]]
    return replace(
        conditions,
        symbols={name: conditions.symbols[name] for name in sorted(asked & conditions.symbols.keys())},
        correlations={pair: rho for pair in pairs if (rho := conditions.correlations.get(pair)) is not None},
        correlation_bands={
            pair: band for pair in pairs if (band := conditions.correlation_bands.get(pair)) is not None
        },
    )


def _cut_usual(usual: UsualOrders, asked: frozenset[str]) -> UsualOrders:
    return replace(
        usual,
        sizes=tuple(each for each in usual.sizes if each.symbol in asked),
        symbols=tuple(symbol for symbol in usual.symbols if symbol in asked),
    )
