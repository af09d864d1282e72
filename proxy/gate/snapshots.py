"""Makes the snapshot of what the store tells: cut down to what concerns one request, its symbols and its bot."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime

from proxy.gate.ruling import JudgedRequest
from proxy.store.view import View
from rules.facts import AccountRecord, Conditions
from rules.model import TradingState
from rules.snapshot import Snapshot


def snapshot_of(request: JudgedRequest, view: View, *, now: datetime, stopped: bool, reachable: bool) -> Snapshot:
    """The picture the request is judged on. ``stopped`` is what the sentinel file of this machine says."""
    subject = request.subject
    asked = [symbol for command in request.commands if (symbol := getattr(command, "symbol", None)) is not None]
    symbols = set(asked)
    if view.account is not None:
        symbols.update(position.symbol for position in view.account.positions)
        symbols.update(order.symbol for order in view.account.open_orders)
        # Shares that net each other out leave no position, and are worth something all the same.
        symbols.update(share.symbol for share in view.account.shares if share.quantity != 0)
    symbols.update(order.symbol for hold in view.holds for order in hold.orders)
    controls = view.controls_for(account=subject.account, bot=subject.bot, symbols=asked)
    if stopped:
        # The file stops this gate even when the store, or its latch, does not say so.
        controls = replace(controls, account=TradingState.HALTED)
    return Snapshot(
        now=now,
        bot=subject.bot,
        account=view.account,
        controls=controls,
        instruments={symbol: view.instruments[symbol] for symbol in symbols & view.instruments.keys()},
        markets={symbol: view.markets[symbol] for symbol in symbols & view.markets.keys()},
        holds=view.holds,
        unreported=tuple(each for each in view.unreported if each.bot == subject.bot),
        tokens=view.tokens,
        anomaly=view.anomaly,
        store_reachable=reachable,
        attempts=tuple(each for each in view.attempts if each.hold_id != subject.decision_id),
        scores=view.scores,
        conditions=None if view.conditions is None else _conditions_of(view.conditions, set(asked), symbols),
        record=None if view.record is None else _record_of(view.record, subject.bot, symbols),
        overrides=tuple(each for each in view.overrides if each.bot == subject.bot),
    )


def _conditions_of(conditions: Conditions, asked: AbstractSet[str], symbols: AbstractSet[str]) -> Conditions:
    """The conditions of the symbols ``asked`` for, and the correlations between all ``symbols`` of the picture."""
    names = sorted(symbols)
    pairs = [f"{first}:{second}" for index, first in enumerate(names) for second in names[index + 1 :]]
    return replace(
        conditions,
        symbols={name: conditions.symbols[name] for name in sorted(asked & conditions.symbols.keys())},
        correlations={pair: rho for pair in pairs if (rho := conditions.correlations.get(pair)) is not None},
    )


def _record_of(record: AccountRecord, bot: str, symbols: AbstractSet[str]) -> AccountRecord:
    """The record with this bot alone, its experience with ``symbols`` and the forecasts for them."""
    own = record.bot(bot)
    return replace(
        record,
        bots=() if own is None else (replace(own, holdings=tuple(h for h in own.holdings if h.symbol in symbols)),),
        forecasts=tuple(each for each in record.forecasts if each.symbol == "" or each.symbol in symbols),
    )
