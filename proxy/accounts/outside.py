"""Finds what happened on an account that did not come through the guard: a leaked key looks exactly like this. Pure.

What the guard forwards is known by name before it can arrive (the gate writes it ahead); what stood at the start is
adopted. Everything else is a suspicion, and a finding once a grace has passed in which a late record could still have
explained it, and once everything was heard that gates had written ahead by then. The venue's own doings, liquidation
and auto-deleveraging, are findings of their own kind, and so is that more happened at once than is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Protocol

from proxy.accounts import forwarded
from proxy.accounts.account_changes import AccountChange, AccountChanges
from proxy.accounts.births import Birth
from proxy.accounts.compared_legs import ComparedLegs
from proxy.accounts.compared_legs import Counted as ComparedCounted
from proxy.accounts.findings import Activity, Finding
from proxy.accounts.forced import Counted as ForcedCounted
from proxy.accounts.forced import ForcedOrders
from proxy.accounts.forwarded import Explanation, Forwarded
from proxy.accounts.known_settings import SettingsView
from proxy.accounts.merging import key_of
from proxy.accounts.suspicions import Suspicion, Suspicions
from proxy.exchange.events import AccountEvent, AlgoEvent, ConfigEvent, Event, OrderEvent
from proxy.exchange.payloads import SymbolConfig
from proxy.exchange.survey import OrderKey
from proxy.recent import Recent
from rules.account import HeldOrder, OpenOrder, Position, UnexplainedOrder

GRACE_S: Final = 2.0
"""How long what the guard wrote ahead may trail the venue's own event. With the reads' pace it stays under 5 s."""

UNHEARD_S_MAX: Final = 10.0
"""How much longer a suspicion waits while what gates wrote ahead of it is not heard yet: with a busy machine or a store
that does not answer, the guard's own orders come before their records. A thief gains no more than that."""

ORDERS_MAX: Final = 50_000
"""Orders whose origin is remembered."""

UNEXPLAINED_MAX: Final = 1_000
"""Orders named in a document; that there are more is said by one without an id."""

_MORE: Final = UnexplainedOrder(symbol="", order_id="", conditional=False, client_order_id="", detail="more")


class Counted(ForcedCounted, ComparedCounted, Protocol):
    """The positions as the events so far add up to them: the account's ``Shares``."""


class OutsideDetector:
    """Watches one account. Times are the caller's seconds, all of one clock that never steps."""

    def __init__(self, counted: Counted) -> None:
        self._forwarded = Forwarded()
        self._known: Recent[OrderKey, None] = Recent(ORDERS_MAX)
        self._became: Recent[OrderKey, OrderKey] = Recent(ORDERS_MAX)
        self._forced = ForcedOrders(counted)
        self._reported: Recent[Hashable, None] = Recent(ORDERS_MAX)
        self._suspicions = Suspicions()
        self._legs = ComparedLegs(counted)
        self._changes = AccountChanges()
        self._adopted = self._begun = False
        # What was heard before: the bookkeeper tells of it with the survey that is adopted, or after.
        self._early: set[Event] = set()

    @property
    def suspicions(self) -> tuple[Suspicion, ...]:
        """What is not explained yet, for whoever can still look it up."""
        return tuple(each for _, each in self._suspicions)

    @property
    def strange(self) -> frozenset[str]:
        """Symbols of plain orders that nothing explains yet."""
        return self.strange_by(float("inf"))

    def strange_by(self, due: float) -> frozenset[str]:
        """Symbols of those of them that are found then, if nothing explains them."""
        return frozenset(key[0] for key, each in self._orders() if each.due <= due and not key[2])

    @property
    def unexplained(self) -> tuple[UnexplainedOrder, ...]:
        """The orders among them. Where not all can be named, the last one has no id."""
        found = [
            UnexplainedOrder(
                symbol=key[0],
                order_id=key[1],
                conditional=key[2],
                client_order_id=each.finding.client_order_id,
                detail=each.finding.detail,
            )
            for key, each in islice(self._orders(), UNEXPLAINED_MAX + 1)
        ]
        return (*found[:UNEXPLAINED_MAX], _MORE) if len(found) > UNEXPLAINED_MAX else tuple(found)

    @property
    def settings(self) -> SettingsView:
        """What the venue has set for the account's symbols, as last read or told."""
        return self._changes.settings

    def doubt(self, orders: Iterable[UnexplainedOrder], at: float) -> None:
        """Of these an earlier warden had not found out whose they are. To be told before ``adopt``."""
        for order in orders:
            key = (order.symbol, order.order_id, order.conditional)
            if order == _MORE:
                self._overlook(at)
            else:
                self._placed(key, order.client_order_id, order.detail, False, at)

    def adopt(self, orders: Iterable[OpenOrder]) -> None:
        """What stands at the start, or what an earlier warden last published, is taken as it is, except what is
        doubted."""
        self._adopted = self._begun = True
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

    def hear(self, event: Event, at: float) -> None:
        """The private stream told this, and nothing of it is counted yet; ``saw`` follows once it is published.

        What is heard before anything was read or adopted is adopted: it happened before the guard knew the account, and
        before any entry could pass.
        """
        if isinstance(event, OrderEvent):
            self._forced.judge(event)
        if not self._begun and len(self._early) < ORDERS_MAX:
            self._early.add(event)
            self._adopt_early(event, at)

    def overlooked(self, at: float) -> None:
        """More was heard than is told by ``saw``."""
        if self._begun:
            self._overlook(at)

    def saw(self, event: Event, known: bool, at: float, late_s: float = 0.0) -> None:
        """The private stream told this, ``late_s`` seconds after it happened. ``known`` says that a hold of the guard,
        or its own kill, stands behind it.

        It counts at an order's first event only: an order nobody knew then is not known for having been seen since.
        """
        if event in self._early:
            return
        self._early.clear()
        match event:
            case OrderEvent() if (event.symbol, event.order_id, False) in self._forced:
                self._report_forced(event, event.quantity, at)
            case OrderEvent():
                self._order(event, known, at, late_s)
            case AlgoEvent():
                key = (event.symbol, event.algo_id, True)
                detail = f"conditional {event.side} {event.order_type}, id {event.client_order_id}"
                self._placed(key, event.client_order_id, detail, known, at)
                if event.actual_order_id is not None:
                    self._born(key, event.actual_order_id)
            case AccountEvent() | ConfigEvent():
                self._changed(self._changes.told(event, at, at - late_s), at)

    def own(self, key: OrderKey, client_order_id: str, at: float) -> None:
        """A hold of the guard stood behind this order, which is proof of itself: a survey may have shown it before its
        event came, and long before what the gate wrote ahead is heard."""
        if key not in self._known:  # Else its name was used up, or is owed, when it came to be known.
            self._forwarded.owe(forwarded.order(client_order_id), at)
        self._settle(key)

    def surveyed(
        self, orders: Iterable[OpenOrder], at: float, is_known: Callable[[str], bool] = lambda name: False
    ) -> None:
        """The venue lists these orders and no others; nobody may have announced them. ``is_known`` says of a name that
        the order is a kill's."""
        listed = tuple(orders)
        self._forced.standing(map(key_of, listed))
        self._shown(listed, at, is_known)

    def _shown(self, orders: Iterable[OpenOrder], at: float, is_known: Callable[[str], bool]) -> None:
        for order in orders:
            detail = f"{order.side} {order.order_type}, id {order.client_order_id}"
            self._placed(key_of(order), order.client_order_id, detail, is_known(order.client_order_id), at)

    def ending(self, order: OpenOrder) -> None:
        """The venue shows this order of the past, and what it filled is about to be counted; ``ended`` follows."""
        self._forced.judge(order)

    def ended(self, orders: Iterable[OpenOrder], at: float) -> None:
        """The venue shows these orders of the past, after what they filled was counted."""
        for order in orders:
            if key_of(order) in self._forced:
                self._report_forced(order, order.filled_quantity, at)
            else:
                self._shown((order,), at, lambda name: False)

    def born(self, birth: Birth, at: float) -> None:
        """The venue says that a conditional order became a plain one: whose the one is, the other is."""
        key = (birth.symbol, birth.conditional_id, True)
        self._placed(key, birth.client_order_id, f"conditional, id {birth.client_order_id}", False, at)
        self._born(key, birth.order_id)

    def compared(self, positions: Iterable[Position], at: float) -> None:
        """The venue shows these legs, after everything that orders explain was counted. What differs is a suspicion."""
        for leg in self._legs.compare(positions):
            key = (Activity.POSITION, leg.symbol, leg.position_side)
            if leg.shown == leg.counted:
                self._suspicions.drop(key)
            else:
                detail = f"{leg.position_side} is {leg.shown:f}, what the guard saw adds up to {leg.counted:f}"
                self._suspect(key, Activity.POSITION, leg.symbol, detail, at=at)

    def mode(self, hedged: bool, at: float) -> None:
        """The position mode was read, with the whole account; the first reading is adopted."""
        self._begun = True
        self._changed(self._changes.mode(hedged, at), at)

    def configured(self, configs: Mapping[str, SymbolConfig], began: float, at: float) -> None:
        """The venue's settings by symbol, read from ``began`` on. The first reading is adopted."""
        self._changed(self._changes.configured(configs, began), at)

    def findings(self, at: float, heard: float) -> tuple[Finding, ...]:
        """What nothing has explained within the grace; each is given once. ``heard`` is the time up to which everything
        was heard that gates have written ahead."""
        self._forwarded.heard(heard)
        found = []
        for key, suspicion in self._suspicions:
            if suspicion.due > at or (suspicion.seen > heard and suspicion.due + UNHEARD_S_MAX > at):
                continue
            self._suspicions.drop(key)
            if isinstance(key, tuple) and key[0] is Activity.POSITION and self._legs.moved(*key[1:]):
                continue  # The next survey compares again.
            if suspicion.finding.activity in (Activity.ORDER, Activity.FILL):
                self._reported.put(key, None)
            found.append(suspicion.finding)
        return tuple(found)

    def _orders(self) -> Iterator[tuple[OrderKey, Suspicion]]:
        for key, suspicion in self._suspicions:
            if isinstance(key, tuple) and key[0] is Activity.ORDER:
                yield key[1], suspicion

    def _adopt_early(self, event: Event, at: float) -> None:
        match event:
            case OrderEvent():
                self._adopt_one((event.symbol, event.order_id, False), event.client_order_id, at)
            case AlgoEvent():
                key = (event.symbol, event.algo_id, True)
                self._adopt_one(key, event.client_order_id, at)
                if event.actual_order_id is not None:
                    self._born(key, event.actual_order_id)
            case AccountEvent() | ConfigEvent():
                self._changed(self._changes.told(event, at, at), at)

    def _adopt_one(self, key: OrderKey, client_order_id: str, at: float) -> None:
        """It explains no further one, if it was a bot's."""
        name = forwarded.order(client_order_id)
        if key not in self._known and not self._forwarded.explains(name, at):
            self._forwarded.owe(name, at)
        self._known.put(key, None)

    def _order(self, event: OrderEvent, known: bool, at: float, late_s: float) -> None:
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
            if not any(self._forwarded.explains(each, at - late_s) for each in explanations):
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
        plain = (conditional[0], order_id, False)
        if conditional in self._known:
            self._settle(plain)
        else:
            self._became.put(conditional, plain)

    def _settle(self, key: OrderKey) -> None:
        """The order is the guard's own, and so is what it became."""
        self._known.put(key, None)
        for activity in (Activity.ORDER, Activity.FILL):
            self._suspicions.drop((activity, key))
        plain = self._became.get(key)
        if plain is not None:
            self._became.drop(key)
            self._settle(plain)

    def _report_forced(self, order: OrderEvent | OpenOrder, quantity: Decimal, at: float) -> None:
        key = (Activity.FORCED, (order.symbol, order.order_id, False))
        if key not in self._reported:
            self._reported.put(key, None)
            finding = Finding(
                activity=Activity.FORCED,
                subject=order.symbol,
                detail=f"the venue closes: {order.side} {quantity:f}, id {order.client_order_id}",
            )
            # No record of the guard explains what the venue does of itself: nothing is waited for.
            suspicion = Suspicion(finding=finding, seen=float("-inf"), due=at, explanations=())
            self._suspicions.put(key, suspicion)

    def _changed(self, changes: Iterable[AccountChange], at: float) -> None:
        for each in changes:
            if self._begun and not self._forwarded.explains(each.explanation, each.since):
                self._suspect(each.explanation, each.activity, each.subject, each.detail, each.explanation, at=at)

    def _suspect(
        self, key: Hashable, activity: Activity, subject: str, detail: str, *explanations: Explanation, at: float
    ) -> None:
        if key in self._suspicions or key in self._reported:
            return
        if self._suspicions.full:
            self._overlook(at)
            return
        named = explanations[0][1] if activity is Activity.ORDER else ""
        finding = Finding(activity=activity, subject=subject, detail=detail, client_order_id=named)
        told_apart = tuple(dict.fromkeys(explanations))  # An order's id may be its name.
        suspicion = Suspicion(finding=finding, seen=at, due=at + GRACE_S, explanations=told_apart)
        self._suspicions.put(key, suspicion)

    def _overlook(self, at: float) -> None:
        """What is not looked at may be a stranger's, and no survey tells of it later: what it filled is counted."""
        if Activity.OVERLOOKED not in self._suspicions:
            finding = Finding(
                activity=Activity.OVERLOOKED, subject="", detail="more happened at once than is looked at"
            )
            suspicion = Suspicion(finding=finding, seen=float("-inf"), due=at + GRACE_S, explanations=())
            self._suspicions.put(Activity.OVERLOOKED, suspicion)

    def _explain(self, explanation: Explanation, at: float) -> None:
        """A record came late: what it explains is no suspicion any more. Of the orders of a name that is the one seen
        first; a conditional order and what it became may share a name."""
        explained = self._suspicions.explained_by(explanation)
        if explained:
            self._forwarded.explains(explanation, at)  # Once: an order's name is used up by that.
        orders: dict[bool, OrderKey] = {}
        for key in explained:
            if isinstance(key, tuple) and key[0] in (Activity.ORDER, Activity.FILL):
                order: OrderKey = key[1]
                if orders.setdefault(order[2], order) == order:
                    self._settle(order)
            else:
                self._suspicions.drop(key)
