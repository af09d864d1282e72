"""Account-wide calls of a bot that shares its account: cut down to what is its own.

Cancel-all would cancel everybody's orders, so it becomes cancels of the bot's own: those the venue shows as open now,
and those the guard still holds. An order's name says whose it is; of one that the venue named itself, its number does.
The venue's dead-man timer knows no owner, so the guard keeps one for each bot.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final, Protocol, TypeAlias

import msgspec

from proxy.decoding import decoder
from proxy.gate.answers import Answer, Virtual, refusal
from proxy.gate.dead_man import DeadManTimers
from proxy.gate.identity import Identity
from proxy.gate.views import Views
from proxy.store.gate_store import GateStore
from proxy.store.owners import order_field
from proxy.store.trouble import StoreUnavailable
from proxy.store.view import controls_for
from proxy.venues.binance import rejections
from proxy.venues.binance.client_ids import inward, is_guards
from proxy.venues.binance.replies import split_entries
from proxy.venues.binance.requests import BATCH_CANCELS_MAX, VenueRequest
from proxy.venues.binance.routes import Route, find_route
from rules.model import ArmDeadMan, CancelAll, CancelOrder

log = logging.getLogger("perpguard.gate")

CANCELS_MAX: Final = 400
"""Orders one cancel-all may cancel: Binance lets a symbol have 200 open orders and 10 conditional ones at a time."""


class Carry(Protocol):
    """Judges and sends one request in the venue's names, and answers it in them; ``virtual`` stands in for sending."""

    def __call__(self, request: VenueRequest, identity: Identity, virtual: Virtual | None = None) -> Awaitable[Answer]:
        """The answer; trouble outside is an answer too."""
        ...


Ask: TypeAlias = Callable[[VenueRequest, Identity], Awaitable[Answer]]
Kept: TypeAlias = Callable[[VenueRequest, Identity], Answer | None]

_ALL_DONE: Final = b'{"code":200,"msg":"The operation of cancel all open order is done."}'
_UNKNOWN_ORDER: Final = -2011
_OF_THESE_ORDERS: Final = frozenset({200, 400})
"""Statuses of what is said of the orders that were named. Any other (a ban, an answer that was lost) is said of the way
there, and would be said of the rest too."""

_KEPT_BACK: Final = frozenset({"VENUE_SILENCE", "VENUE_BUDGET_RESERVED"})
"""Of a batch these are said of every order in its place, and mean that the whole of it was not sent."""

_NOT_SENT: Final = rejections.exchange_not_reached().body()
_CODE: Final = re.compile(r"-?[0-9]{1,9}")


class _Listed(msgspec.Struct, frozen=True):
    orderId: int | None = None  # noqa: N815 - the venue's spelling
    clientOrderId: str = ""  # noqa: N815
    clientAlgoId: str = ""  # noqa: N815


class _Entry(msgspec.Struct, frozen=True):
    code: int | str | None = None


_LISTED: Final = decoder(list[_Listed])
_ENTRIES: Final = decoder(_Entry | list[_Entry])


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows a cancel-all is made of, plain or conditional."""

    listing: Route
    cancel: Route
    at_once: int

    @classmethod
    def of(cls, conditional: bool) -> _Table:
        if conditional:
            return cls(_row("GET", "openAlgoOrders"), _row("DELETE", "algoOrder"), 1)
        return cls(_row("GET", "openOrders"), _row("DELETE", "batchOrders"), BATCH_CANCELS_MAX)


class SharedAccount:
    """Carries the account-wide calls of bots that are kept to their own part."""

    def __init__(self, views: Views, store: GateStore, ask: Ask, kept: Kept = lambda *_: None) -> None:
        """``ask`` forwards a read and answers as the venue did; ``kept`` is the answer to one where the rest of the
        venue's budget is the kill's."""
        self._views = views
        self._store = store
        self._ask = ask
        self._kept = kept
        self._timers = DeadManTimers(store)

    def concerns(self, request: VenueRequest, identity: Identity) -> bool:
        """Whether this call reaches beyond the bot that makes it, or sets the timer that the guard itself keeps."""
        if any(isinstance(command, ArmDeadMan) for command in request.commands) and self._views.keeps_timers:
            return True
        wide = any(isinstance(command, CancelAll | ArmDeadMan) for command in request.commands)
        return wide and self._views.isolates(identity.account, identity.bot)

    async def carry(self, request: VenueRequest, identity: Identity, carry: Carry) -> Answer:
        """Answer an account-wide call in the venue's own shape."""
        (command,) = request.commands
        if not isinstance(command, CancelAll):
            return await carry(request, identity, self._timers.arm)
        table = _Table.of(command.conditional)
        cancels = await self._own_orders(command, table, identity)
        if isinstance(cancels, Answer):
            return cancels
        if len(cancels) > CANCELS_MAX:
            log.warning(
                "%s has %d orders of %s to cancel; it must ask again for the rest",
                identity.bot,
                len(cancels),
                command.symbol,
            )
        return await self._cancel(cancels, table, identity, carry)

    async def _cancel(self, cancels: Sequence[CancelOrder], table: _Table, identity: Identity, carry: Carry) -> Answer:
        """Cancel them part by part. An order that will not go keeps none of the others."""
        answer = Answer(status=200, body=_ALL_DONE)
        failed: Answer | None = None
        sent = False
        for part in _parts(cancels[:CANCELS_MAX], table.at_once):
            batch = VenueRequest(route=table.cancel, commands=part, is_batch=table.at_once > 1)
            answer = _as_one(await carry(batch, identity))
            if not _cancelled(answer):
                failed = failed or answer
                if answer.body == _NOT_SENT or answer.status not in _OF_THESE_ORDERS:
                    break
            sent = True
        if failed is not None and failed.status != 200 and not (sent and _stayed_here(failed)):
            return failed
        if _kept_back(answer):
            # When to come again, and no header that calls the whole of it a refusal.
            headers = {name: text for name, text in answer.headers.items() if name.lower() == "retry-after"}
            return refusal(rejections.unknown_outcome(), headers)
        if failed is not None or len(cancels) > CANCELS_MAX:
            return refusal(rejections.unknown_outcome(), answer.headers)
        return Answer(status=200, body=_ALL_DONE, headers=answer.headers)

    async def _own_orders(self, command: CancelAll, table: _Table, identity: Identity) -> list[CancelOrder] | Answer:
        """Cancels of the bot's orders: of what the venue lists, and of what may be on its way into that list.

        When the venue cannot be read, the guard's own picture of the book stands in for it. While a kill runs the list
        leaves it its part of the venue's budget, as its cancels do; then this is the refusal.
        """
        held, known, kill_running = await self._known(command, identity)
        listing = VenueRequest(route=table.listing, reads=(("symbol", command.symbol),))
        if kill_running and (kept := self._kept(listing, identity)) is not None:
            return kept
        answer = await self._ask(listing, identity)
        try:
            rows = _LISTED.decode(answer.body) if answer.status == 200 else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            rows = None
        if rows is None:
            log.warning("open orders of %s could not be read; the guard's own picture is cancelled", command.symbol)
            resting = known
        else:
            resting = [
                (each.clientAlgoId or each.clientOrderId, "" if each.orderId is None else str(each.orderId))
                for each in rows
            ]
        # A close that the kill makes for this bot alone has its tag too, and is the guard's.
        resting = [(name, number) for name, number in resting if not is_guards(name)]
        names = held | {name for name, _ in resting if inward(name, identity.tag) is not None}
        unnamed = {number for name, number in resting if name not in names and number}
        numbers = set() if command.conditional else await self._own_numbers(unnamed, command.symbol, identity)
        return [
            *(
                CancelOrder(symbol=command.symbol, client_order_id=name, conditional=command.conditional)
                for name in sorted(names)
            ),
            *(CancelOrder(symbol=command.symbol, order_id=number) for number in sorted(numbers)),
        ]

    async def _own_numbers(self, numbers: Iterable[str], symbol: str, identity: Identity) -> set[str]:
        """Those of plain orders under another name that a conditional order of the bot's turned into."""
        fields = {order_field(symbol, number): number for number in numbers}
        try:
            owners = await self._store.owners(identity.account, list(fields))
        except StoreUnavailable:
            return set()  # Nor does the bot see them then.
        return {fields[field] for field, bot in owners.items() if bot == identity.bot}

    async def _known(self, command: CancelAll, identity: Identity) -> tuple[set[str], list[tuple[str, str]], bool]:
        """The names of the bot's orders under way; name and number of all that rest as far as the guard knows; and
        whether a kill of this bot's scope runs."""
        kill_running = False
        try:
            seen = await self._store.look(identity.account)
            holds, account = seen.holds, seen.account
            kill_running = controls_for(
                seen.controls,
                account=identity.account,
                bot=identity.bot,
                symbols=(command.symbol,),
                venue=identity.venue,
            ).kill_running
        except StoreUnavailable:
            holds, account = (), await self._views.shared_account(identity.account)
        held = {
            order.client_order_id
            for hold in holds
            for order in hold.orders
            if hold.bot == identity.bot
            and (order.symbol, order.conditional) == (command.symbol, command.conditional)
            and order.replaces is None
        }
        resting = [
            (order.client_order_id, order.order_id)
            for order in (account.open_orders if account is not None else ())
            if order.symbol == command.symbol and order.order_type.is_conditional is command.conditional
        ]
        return held - {""}, resting, kill_running


def _row(method: str, name: str) -> Route:
    route = find_route(method, f"/fapi/v1/{name}")
    assert route is not None, name  # noqa: S101 - rows of our own table; a test walks them
    return route


def _parts(cancels: Sequence[CancelOrder], at_once: int) -> Iterator[tuple[CancelOrder, ...]]:
    """As many as go in one request: the venue takes a list of names or a list of numbers."""
    for _, alike in groupby(cancels, lambda cancel: cancel.order_id is None):
        while part := tuple(islice(alike, at_once)):
            yield part


def _as_one(answer: Answer) -> Answer:
    """The answer to a part; where all of it was kept back, as one request is told so."""
    entries = split_entries(answer.body) if _kept_back(answer) else None
    return Answer(status=429, body=entries[0], headers=answer.headers) if entries else answer


def _kept_back(answer: Answer) -> bool:
    return answer.headers.get("X-Guard-Code") in _KEPT_BACK


def _stayed_here(answer: Answer) -> bool:
    """Whether it says that nothing was sent: true of its part alone, where another one was."""
    return answer.body == _NOT_SENT or _kept_back(answer)


def _cancelled(answer: Answer) -> bool:
    """Whether every order is gone; that one was gone before is no failure."""
    try:
        entries = _ENTRIES.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return all(_says_gone(entry.code) for entry in (entries if isinstance(entries, list) else [entries]))


def _says_gone(code: int | str | None) -> bool:
    """A word that is no number says nothing of the kind."""
    if isinstance(code, str):
        return _CODE.fullmatch(code) is not None and _says_gone(int(code))
    return code is None or code >= 0 or code == _UNKNOWN_ORDER
