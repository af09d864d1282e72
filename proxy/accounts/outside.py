"""Finds what happened on an account that did not come through the guard: a leaked key looks exactly like this. Pure.

What the guard forwards is known by name before it can arrive (the gate writes it ahead); what stood at the start is
adopted. Everything else is a suspicion, and a finding once a grace has passed in which a late record could still have
explained it, and once everything was heard that gates had written ahead by then. The venue's own doings, liquidation
and auto-deleveraging, are findings of their own kind.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from proxy.accounts import forwarded
from proxy.accounts.births import Birth
from proxy.accounts.findings import Activity, Finding
from proxy.accounts.forwarded import Explanation, Forwarded
from proxy.accounts.known_settings import KnownSettings, SettingsView
from proxy.accounts.merging import key_of
from proxy.exchange.events import LIQUIDATION_PREFIXES, AccountEvent, AlgoEvent, ConfigEvent, Event, OrderEvent
from proxy.exchange.payloads import SymbolConfig
from proxy.exchange.survey import OrderKey
from proxy.recent import Recent
from rules.account import HeldOrder, OpenOrder, Position, UnexplainedOrder
from rules.model import LegKey, MarginMode, PositionSide

GRACE_S: Final = 2.0
"""How long what the guard wrote ahead may trail the venue's own event. With the reads' pace it stays under 5 s."""

UNHEARD_S_MAX: Final = 10.0
"""How much longer a suspicion waits while what gates wrote ahead of it is not heard yet: with a busy machine or a store
that does not answer, the guard's own orders come before their records. A thief gains no more than that."""

ORDERS_MAX: Final = 50_000
"""Orders whose origin is remembered."""

SUSPICIONS_MAX: Final = 1_000
"""Further ones are dropped: by then the account has been reported many times over."""

_MARGIN_TYPE_CHANGE: Final = "MARGIN_TYPE_CHANGE"
_MARGIN_TRANSFER: Final = "MARGIN_TRANSFER"
# Money that leaves the account. What comes in (DEPOSIT) endangers nobody.
_WITHDRAWALS: Final = frozenset({"WITHDRAW", "ASSET_TRANSFER"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A finding that a record of the guard, written before ``seen``, may still explain, by any one of
    ``explanations``."""

    finding: Finding
    seen: float
    due: float
    explanations: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class _Leg:
    """A leg that a survey found different: from what was counted then."""

    symbol: str
    position_side: PositionSide
    counted: Decimal


class Counted(Protocol):
    """The positions as the events so far add up to them: the account's ``Shares``."""

    def leg(self, symbol: str, position_side: PositionSide) -> Decimal:
        """The signed position of a leg."""
        ...

    def legs(self) -> Iterable[LegKey]:
        """Every leg that ever moved."""
        ...

    def filled_by(self, symbol: str, order_id: str) -> Decimal:
        """How much of an order is counted."""
        ...


class OutsideDetector:
    """Watches one account. Times are the caller's seconds, all of one clock that never steps."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._forwarded = Forwarded()
        self._known: Recent[OrderKey, None] = Recent(ORDERS_MAX)
        self._forced: Recent[OrderKey, None] = Recent(ORDERS_MAX)
        self._reported: Recent[Hashable, None] = Recent(ORDERS_MAX)
        self._suspicions: dict[Hashable, Suspicion] = {}
        self._legs: dict[Hashable, _Leg] = {}
        self._settings = KnownSettings()
        self._adopted = False

    @property
    def suspicions(self) -> tuple[Suspicion, ...]:
        """What is not explained yet, for whoever can still look it up."""
        return tuple(self._suspicions.values())

    @property
    def strange(self) -> frozenset[str]:
        """Symbols of plain orders that nothing explains yet."""
        keys = (key[1] for key in self._suspicions if isinstance(key, tuple) and key[0] is Activity.ORDER)
        return frozenset(symbol for symbol, _, conditional in keys if not conditional)

    @property
    def unexplained(self) -> tuple[UnexplainedOrder, ...]:
        """The orders among them."""
        return tuple(
            UnexplainedOrder(
                symbol=key[1][0],
                order_id=key[1][1],
                conditional=key[1][2],
                client_order_id=each.finding.client_order_id,
                detail=each.finding.detail,
            )
            for key, each in self._suspicions.items()
            if isinstance(key, tuple) and key[0] is Activity.ORDER
        )

    @property
    def settings(self) -> SettingsView:
        """What the venue has set for the account's symbols, as last read or told."""
        return self._settings.view

    def doubt(self, orders: Iterable[UnexplainedOrder], at: float) -> None:
        """Of these an earlier warden had not found out whose they are. To be told before ``adopt``."""
        for order in orders:
            key = (order.symbol, order.order_id, order.conditional)
            self._placed(key, order.client_order_id, order.detail, False, at)

    def adopt(self, orders: Iterable[OpenOrder]) -> None:
        """What stands at the start, or what an earlier warden last published, is taken as it is, except what is
        doubted."""
        self._adopted = True
        for key in map(key_of, orders):
            if (Activity.ORDER, key) not in self._suspicions:
                self._known.put(key, None)

    @property
    def has_adopted(self) -> bool:
        """Whether it was told what stood at the start."""
        return self._adopted

    def forwarded(self, commands: Iterable[Mapping[str, Any]], at: float, request_id: str = "") -> None:
        """The guard is about to send these commands, as its audit writes them; they explain what they bring about. Of a
        request that is named each order does so once, however often it is told."""
        for explanation in self._forwarded.add(commands, at, request_id):
            self._explain(explanation, at)

    def held(self, orders: Iterable[HeldOrder], at: float, request_id: str = "") -> None:
        """The store holds exposure for these: the guard sent them, or is about to."""
        for order in orders:
            self._explain(self._forwarded.hold(order, at, request_id), at)

    def refused(self, commands: Iterable[Mapping[str, Any]]) -> None:
        """The guard did not send these after all, or the venue did not take them; they explain nothing."""
        self._forwarded.remove(commands)

    def saw(self, event: Event, known: bool, at: float) -> None:
        """The private stream told this. ``known`` says that a hold of the guard, or its own kill, stands behind it.

        It counts at an order's first event only: an order nobody knew then is not known for having been seen since.
        """
        match event:
            case OrderEvent() if event.is_forced and self._is_forced(event, event.quantity):
                self._report_forced(event, event.quantity, at)
            case OrderEvent():
                self._order(event, known, at)
            case AlgoEvent():
                key = (event.symbol, event.algo_id, True)
                detail = f"conditional {event.side} {event.order_type}, id {event.client_order_id}"
                self._placed(key, event.client_order_id, detail, known, at)
                if event.actual_order_id is not None:
                    self._born(key, event.actual_order_id)
            case AccountEvent():
                self._account(event, at)
            case ConfigEvent():
                self._config(event, at)

    def own(self, key: OrderKey, client_order_id: str, at: float) -> None:
        """A hold of the guard stood behind this order, which is proof of itself: a survey may have shown it before its
        event came, and long before what the gate wrote ahead is heard."""
        if key not in self._known:  # Else its name was used up, or is owed, when it came to be known.
            self._forwarded.owe(forwarded.order(client_order_id), at)
        self._settle(key)

    def surveyed(self, orders: Iterable[OpenOrder], at: float) -> None:
        """The venue shows these orders; nobody may have announced them."""
        for order in orders:
            detail = f"{order.side} {order.order_type}, id {order.client_order_id}"
            self._placed(key_of(order), order.client_order_id, detail, False, at)

    def ended(self, orders: Iterable[OpenOrder], at: float) -> None:
        """The venue shows these orders of the past, after what they filled was counted."""
        for order in orders:
            if order.client_order_id.startswith(LIQUIDATION_PREFIXES) and self._is_forced(order, order.filled_quantity):
                self._report_forced(order, order.filled_quantity, at)
            else:
                self.surveyed((order,), at)

    def born(self, birth: Birth, at: float) -> None:
        """The venue says that a conditional order became a plain one: whose the one is, the other is."""
        key = (birth.symbol, birth.conditional_id, True)
        self._placed(key, birth.client_order_id, f"conditional, id {birth.client_order_id}", False, at)
        self._born(key, birth.order_id)

    def compared(self, positions: Iterable[Position], at: float) -> None:
        """The venue shows these legs, after everything that orders explain was counted. What differs is a suspicion."""
        found = {(each.symbol, each.position_side): each.quantity for each in positions}
        suspected = {(leg.symbol, leg.position_side) for leg in self._legs.values()}
        for symbol, position_side in sorted({*found, *suspected, *self._counted.legs()}):
            self._leg(symbol, position_side, found.get((symbol, position_side), Decimal(0)), at)

    def mode(self, hedged: bool, at: float) -> None:
        """The position mode was read; the first reading is adopted."""
        if self._settings.hedged not in (None, hedged):
            detail = "hedge mode now" if hedged else "one-way mode now"
            self._changed(Activity.POSITION_MODE, "", detail, forwarded.setting("position_mode", hedged), at)
        self._settings.hedged = hedged

    def configured(self, configs: Mapping[str, SymbolConfig], began: float, at: float) -> None:
        """The venue's settings by symbol, read from ``began`` on. The first reading is adopted."""
        for change in self._settings.read(configs, began):
            if change.after.leverage != change.before.leverage:
                self._leverage(change.symbol, change.after.leverage, at)
            if change.after.margin_mode is not change.before.margin_mode:
                self._margin_mode(change.symbol, change.after.margin_mode, at)

    def findings(self, at: float, heard: float) -> tuple[Finding, ...]:
        """What nothing has explained within the grace; each is given once. ``heard`` is the time up to which everything
        was heard that gates have written ahead."""
        self._forwarded.heard(heard)
        due = [
            key
            for key, suspicion in self._suspicions.items()
            if suspicion.due <= at and (suspicion.seen <= heard or suspicion.due + UNHEARD_S_MAX <= at)
        ]
        found = []
        for key in due:
            finding = self._suspicions.pop(key).finding
            leg = self._legs.pop(key, None)
            if leg is not None and self._counted.leg(leg.symbol, leg.position_side) != leg.counted:
                continue  # Events have moved the leg since it was read; the next survey compares again.
            if finding.activity in (Activity.ORDER, Activity.FILL):
                self._reported.put(key, None)
            found.append(finding)
        return tuple(found)

    def _order(self, event: OrderEvent, known: bool, at: float) -> None:
        detail = f"{event.side} {event.quantity:f} {event.order_type}, id {event.client_order_id}"
        symbol, order = event.symbol, (event.symbol, event.order_id, False)
        self._placed(order, event.client_order_id, detail, known, at)
        if order not in self._known:
            if event.execution == "TRADE":
                filled = f"{event.side} {event.filled_quantity:f} filled, id {event.client_order_id}"
                key, explanation = (Activity.FILL, order), forwarded.order(event.client_order_id)
                self._suspect(key, Activity.FILL, symbol, filled, explanation, at=at)
        elif event.execution == "AMENDMENT":
            # A bot may name the order by either of its ids.
            explanations = [forwarded.amend(symbol, name) for name in (event.order_id, event.client_order_id)]
            if not any(self._forwarded.explains(each, at) for each in explanations):
                amended = (Activity.AMEND, order, event.sent_ms)
                self._suspect(amended, Activity.AMEND, symbol, detail, *explanations, at=at)

    def _placed(self, key: OrderKey, client_order_id: str, detail: str, known: bool, at: float) -> None:
        """An order stands at the venue; is it ours?"""
        if key in self._known:
            self._known.put(key, None)  # It may rest for longer than it takes a busy desk to send as many as are kept.
            return
        explanation = forwarded.order(client_order_id)
        first = (Activity.ORDER, key) not in self._suspicions and (Activity.ORDER, key) not in self._reported
        # Asked first: an order behind which a hold stands uses its name up like any other.
        if self._forwarded.explains(explanation, at):
            self._settle(key)
        elif known and first:
            self._forwarded.owe(explanation, at)
            self._settle(key)
        else:
            self._suspect((Activity.ORDER, key), Activity.ORDER, key[0], detail, explanation, at=at)

    def _born(self, conditional: OrderKey, order_id: str) -> None:
        if conditional in self._known:
            self._settle((conditional[0], order_id, False))

    def _settle(self, key: OrderKey) -> None:
        """The order is the guard's own."""
        self._known.put(key, None)
        for activity in (Activity.ORDER, Activity.FILL):
            self._suspicions.pop((activity, key), None)

    def _is_forced(self, order: OrderEvent | OpenOrder, quantity: Decimal) -> bool:
        """The venue only ever closes. Anyone may name an order like the venue's own; one that opens is not."""
        # What the order itself has been counted for already is put back: this may be told late.
        filled = order.side.sign * self._counted.filled_by(order.symbol, order.order_id)
        position = self._counted.leg(order.symbol, order.position_side) - filled
        closes = position * order.side.sign < 0 and quantity <= abs(position)
        return (order.symbol, order.order_id, False) in self._forced or closes

    def _report_forced(self, order: OrderEvent | OpenOrder, quantity: Decimal, at: float) -> None:
        name = (order.symbol, order.order_id, False)
        if name not in self._forced:
            self._forced.put(name, None)
            finding = Finding(
                activity=Activity.FORCED,
                subject=order.symbol,
                detail=f"the venue closes: {order.side} {quantity:f}, id {order.client_order_id}",
            )
            explanation = (str(Activity.FORCED), order.symbol, order.order_id)
            # No record of the guard explains what the venue does of itself: nothing is waited for.
            self._suspicions[Activity.FORCED, name] = Suspicion(
                finding=finding, seen=float("-inf"), due=at, explanations=(explanation,)
            )

    def _leg(self, symbol: str, position_side: PositionSide, quantity: Decimal, at: float) -> None:
        counted = self._counted.leg(symbol, position_side)
        key = (Activity.POSITION, symbol, position_side)
        if quantity == counted:
            self._suspicions.pop(key, None)
            self._legs.pop(key, None)
            return
        detail = f"{position_side} is {quantity:f}, what the guard saw adds up to {counted:f}"
        self._suspect(key, Activity.POSITION, symbol, detail, (str(Activity.POSITION), symbol, position_side), at=at)
        self._legs[key] = _Leg(symbol, position_side, counted)

    def _account(self, event: AccountEvent, at: float) -> None:
        if event.reason == _MARGIN_TYPE_CHANGE:
            for leg in event.positions:
                if self._settings.told(leg.symbol, at, margin_mode=leg.margin_mode):
                    self._margin_mode(leg.symbol, leg.margin_mode, at)
        elif event.reason == _MARGIN_TRANSFER:
            symbol = event.positions[0].symbol if event.positions else ""
            explanation = forwarded.setting("margin", symbol)
            self._changed(Activity.MARGIN, symbol, "margin of an isolated position changed", explanation, at)
        elif event.reason in _WITHDRAWALS:
            moved = ", ".join(f"{-balance.change:f} {balance.asset}" for balance in event.balances)
            self._changed(Activity.WITHDRAWAL, "", f"{moved} left the account", ("withdrawal",), at)

    def _config(self, event: ConfigEvent, at: float) -> None:
        symbol, leverage = event.symbol, event.leverage
        if symbol is not None and leverage is not None and self._settings.told(symbol, at, leverage=leverage):
            self._leverage(symbol, leverage, at)
        if event.multi_assets is not None:
            detail = "multi-assets margin on" if event.multi_assets else "multi-assets margin off"
            explanation = forwarded.setting("asset_mode", event.multi_assets)
            self._changed(Activity.ASSET_MODE, "", detail, explanation, at)

    def _leverage(self, symbol: str, leverage: Decimal, at: float) -> None:
        explanation = forwarded.setting("leverage", symbol, leverage)
        self._changed(Activity.LEVERAGE, symbol, f"leverage is {leverage:f} now", explanation, at)

    def _margin_mode(self, symbol: str, mode: MarginMode, at: float) -> None:
        explanation = forwarded.setting("margin_mode", symbol, mode)
        self._changed(Activity.MARGIN_MODE, symbol, f"margin mode is {mode} now", explanation, at)

    def _changed(self, activity: Activity, symbol: str, detail: str, explanation: Explanation, at: float) -> None:
        if not self._forwarded.explains(explanation, at):
            self._suspect(explanation, activity, symbol, detail, explanation, at=at)

    def _suspect(
        self, key: Hashable, activity: Activity, subject: str, detail: str, *explanations: Explanation, at: float
    ) -> None:
        if key in self._suspicions or key in self._reported or len(self._suspicions) >= SUSPICIONS_MAX:
            return
        named = explanations[0][1] if activity is Activity.ORDER else ""
        finding = Finding(activity=activity, subject=subject, detail=detail, client_order_id=named)
        self._suspicions[key] = Suspicion(finding=finding, seen=at, due=at + GRACE_S, explanations=explanations)

    def _explain(self, explanation: Explanation, at: float) -> None:
        """A record came late: what it explains is no suspicion any more. Of the orders of a name that is the one seen
        first; a conditional order and what it became may share a name."""
        explained = [key for key, suspicion in self._suspicions.items() if explanation in suspicion.explanations]
        if explained:
            self._forwarded.explains(explanation, at)  # Once: an order's name is used up by that.
        orders: dict[bool, OrderKey] = {}
        for key in explained:
            if isinstance(key, tuple) and key[0] in (Activity.ORDER, Activity.FILL):
                order: OrderKey = key[1]
                if orders.setdefault(order[2], order) == order:
                    self._settle(order)
            else:
                self._suspicions.pop(key, None)
