"""Account-wide calls of a bot that shares its account: cut down to what is its own.

Cancel-all would cancel everybody's orders, so it becomes cancels of the bot's own: those the venue shows as open now,
and those the guard still holds. The venue's dead-man timer knows no owner, so the guard keeps one for each bot.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol, TypeAlias

import msgspec

from proxy.decoding import decoder
from proxy.gate.answers import Answer, Virtual, refusal
from proxy.gate.dead_man import DeadManTimers
from proxy.gate.identity import Identity
from proxy.gate.views import Views
from proxy.store.gate_store import GateStore, StoreUnavailable
from proxy.venues.binance import rejections
from proxy.venues.binance.client_ids import inward
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

_ALL_DONE: Final = b'{"code":200,"msg":"The operation of cancel all open order is done."}'
_UNKNOWN_ORDER: Final = -2011
_CODE: Final = re.compile(r"-?[0-9]{1,9}")


class _Named(msgspec.Struct, frozen=True):
    clientOrderId: str = ""  # noqa: N815 - the venue's spelling
    clientAlgoId: str = ""  # noqa: N815


class _Entry(msgspec.Struct, frozen=True):
    code: int | str | None = None


_NAMED: Final = decoder(list[_Named])
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

    def __init__(self, views: Views, store: GateStore, ask: Ask) -> None:
        """``ask`` forwards a read and answers as the venue did."""
        self._views = views
        self._store = store
        self._ask = ask
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
        names = await self._own_names(command, table, identity)
        if len(names) > CANCELS_MAX:
            log.warning(
                "%s has %d orders of %s to cancel; it must ask again for the rest",
                identity.bot,
                len(names),
                command.symbol,
            )
        cancels = [
            CancelOrder(symbol=command.symbol, client_order_id=name, conditional=command.conditional)
            for name in sorted(names)[:CANCELS_MAX]
        ]
        answer = Answer(status=200, body=_ALL_DONE)
        for part in _parts(cancels, table.at_once):
            batch = VenueRequest(route=table.cancel, commands=part, is_batch=table.at_once > 1)
            answer = await carry(batch, identity)
            if not _cancelled(answer):
                return answer if answer.status != 200 else refusal(rejections.unknown_outcome(), answer.headers)
        if len(names) > CANCELS_MAX:
            return refusal(rejections.unknown_outcome(), answer.headers)
        return Answer(status=200, body=_ALL_DONE, headers=answer.headers)

    async def _own_names(self, command: CancelAll, table: _Table, identity: Identity) -> set[str]:
        """The client ids of the bot's orders: what the venue lists, and what may be on its way into that list.

        When the venue cannot be read, the guard's own picture of the book stands in for it.
        """
        held, known = await self._known(command, identity)
        answer = await self._ask(VenueRequest(route=table.listing, reads=(("symbol", command.symbol),)), identity)
        try:
            listed = _NAMED.decode(answer.body) if answer.status == 200 else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            listed = None
        if listed is None:
            log.warning("open orders of %s could not be read; the guard's own picture is cancelled", command.symbol)
            return held | known
        return held | {
            name for each in listed if inward(name := each.clientAlgoId or each.clientOrderId, identity.tag) is not None
        }

    async def _known(self, command: CancelAll, identity: Identity) -> tuple[set[str], set[str]]:
        """The bot's orders under way, and those of its that rest as far as the guard knows."""
        try:
            seen = await self._store.look(identity.account)
            holds, account = seen.holds, seen.account
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
        resting = {
            order.client_order_id
            for order in (account.open_orders if account is not None else ())
            if order.symbol == command.symbol
            and order.order_type.is_conditional is command.conditional
            and inward(order.client_order_id, identity.tag) is not None
        }
        return held - {""}, resting


def _row(method: str, name: str) -> Route:
    route = find_route(method, f"/fapi/v1/{name}")
    assert route is not None, name  # noqa: S101 - rows of our own table; a test walks them
    return route


def _parts(cancels: Sequence[CancelOrder], at_once: int) -> Iterator[tuple[CancelOrder, ...]]:
    waiting = iter(cancels)
    while part := tuple(islice(waiting, at_once)):
        yield part


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
