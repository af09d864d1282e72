"""What a bot hears of an account it shares: its own orders, and its own part of every position.

The venue's stream knows one position a leg, so under isolation an ACCOUNT_UPDATE that an order brought about is kept
back until it is known whose fill it was, and then told to that bot alone, with the bot's share in it: the share the
guard knew when the bot connected, and the bot's own fills since. What moves shares without an own fill (liquidation,
a healed gap) is taken over from the guard's book by ``refresh``.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from proxy.gate.views import Views
from proxy.venues.binance.client_ids import inward, restore, tag
from proxy.venues.binance.values import plain
from rules.account import Account

QUIET_S: Final = 2.0
"""For this long after an own fill the guard's book may not have it yet, and is not believed over the stream."""

CONDITIONALS_MAX: Final = 1_000
"""Own conditional orders whose plain orders are recognised."""

Leg: TypeAlias = tuple[str, str]
"""Symbol and position side, as the stream spells them."""

_EXECUTED: Final = frozenset({"TRADE", "CALCULATED"})
_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class _Ear:
    """What one bot has heard. ``shares`` is signed quantity and average entry by leg; ``None`` until it is known."""

    tag: str
    shares: dict[Leg, tuple[Decimal, Decimal]] | None = None
    filled_s: float = float("-inf")
    kept_back: dict[str, Any] | None = None
    plain_orders: OrderedDict[int, None] = field(default_factory=OrderedDict)
    last: tuple[bytes, tuple[bytes, ...]] = (b"", ())


class EventViews:
    """The stream views of one gate process."""

    def __init__(self, views: Views, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._views = views
        self._monotonic = monotonic
        self._ears: dict[tuple[str, str], _Ear] = {}

    async def refresh(self, account: str) -> None:
        """Take over the shares the guard knows. Called before a bot's socket is accepted, and now and then."""
        if not any(name == account and self._views.isolates(account, bot) for name, bot in self._ears):
            return
        known = await self._views.shared_account(account)
        if known is None:
            return
        for (name, bot), ear in self._ears.items():
            if name == account and self._monotonic() - ear.filled_s > QUIET_S:
                ear.shares = _shares_of(known, bot)

    async def begin(self, account: str, bot: str, *, anew: bool = False) -> None:
        """A bot is about to listen: know its shares first. ``anew`` when it has not been listening until now."""
        before = self._ears.get((account, bot))
        if before is not None and not anew:
            await self.refresh(account)
            return
        ear = _Ear(tag(account, bot))
        if self._views.isolates(account, bot) and (known := await self._views.shared_account(account)) is not None:
            ear.shares = _shares_of(known, bot)
        if self._ears.get((account, bot)) is before:  # Else another socket of the bot came first, and hears already.
            self._ears[account, bot] = ear

    def show(self, account: str, event: bytes, bot: str) -> tuple[bytes, ...]:
        """The frames a bot gets for one event of its account: none, one, or an update of the account and the fill."""
        ear = self._ear(account, bot)
        if not self._views.isolates(account, bot):
            return (restore(event, ear.tag),)
        if ear.last[0] is event:
            return ear.last[1]  # A bot with two sockets hears it twice; it is counted once.
        told = tuple(restore(frame, ear.tag) for frame in self._isolated(event, ear))
        ear.last = event, told
        return told

    def _ear(self, account: str, bot: str) -> _Ear:
        return self._ears.setdefault((account, bot), _Ear(tag(account, bot)))

    def _isolated(self, event: bytes, ear: _Ear) -> tuple[bytes, ...]:
        content = msgspec.json.decode(event)
        match content.get("e"):
            case "ORDER_TRADE_UPDATE":
                return self._order(event, content["o"], ear)
            case "TRADE_LITE":
                return (event,) if _owns(ear, content) else ()
            case "ALGO_UPDATE":
                return _conditional(event, content["o"], ear)
            case "ACCOUNT_UPDATE":
                if content["a"].get("m") == "ORDER":
                    ear.kept_back = content
                    return ()
                return (_account_update(content, ear, ()),)
            case _:
                return (event,)

    def _order(self, event: bytes, order: Mapping[str, Any], ear: _Ear) -> tuple[bytes, ...]:
        if not _owns(ear, order):
            return ()
        if order["x"] not in _EXECUTED:
            return (event,)
        ear.filled_s = self._monotonic()
        leg = (order["s"], order["ps"])
        _fold(ear, leg, order)
        if ear.kept_back is None:
            return (event,)
        return _account_update(ear.kept_back, ear, (leg,)), event


def _owns(ear: _Ear, order: Mapping[str, Any]) -> bool:
    return inward(order["c"], ear.tag) is not None or order["i"] in ear.plain_orders


def _conditional(event: bytes, order: Mapping[str, Any], ear: _Ear) -> tuple[bytes, ...]:
    if inward(order["caid"], ear.tag) is None:
        return ()
    if order.get("ai"):
        # The plain order it became may bear a name of the venue's own.
        ear.plain_orders[int(order["ai"])] = None
        while len(ear.plain_orders) > CONDITIONALS_MAX:
            ear.plain_orders.popitem(last=False)
    return (event,)


def _fold(ear: _Ear, leg: Leg, order: Mapping[str, Any]) -> None:
    """Book an own fill: the average entry moves as the share grows, stays as it shrinks, begins anew as it turns."""
    if ear.shares is None:
        return
    had, entry = ear.shares.get(leg, (_ZERO, _ZERO))
    price, filled = Decimal(order["L"]), Decimal(order["l"]) * (1 if order["S"] == "BUY" else -1)
    has = had + filled
    if had * filled >= 0:
        entry = (had * entry + filled * price) / has if has else _ZERO
    elif had * has <= 0:
        entry = price if has else _ZERO
    ear.shares[leg] = has, entry


def _account_update(content: Mapping[str, Any], ear: _Ear, touched: tuple[Leg, ...]) -> bytes:
    """The update with the bot's share in its legs; legs the bot has no part in, and did not touch, are left out."""
    shares = ear.shares if ear.shares is not None else {}
    legs = []
    for row in content["a"].get("P", ()):
        leg = (row["s"], row["ps"])
        quantity, entry = shares.get(leg, (_ZERO, _ZERO))
        if ear.shares is None or (quantity == 0 and leg not in touched):
            continue
        own = {"pa": plain(quantity), "ep": plain(entry), "up": plain(quantity * (_mark(row, entry) - entry))}
        legs.append(row | own)
    return msgspec.json.encode({**content, "a": {**content["a"], "P": legs}})


def _mark(row: Mapping[str, Any], entry: Decimal) -> Decimal:
    """The mark the venue valued the leg at; what was paid, where the leg is flat and says none."""
    amount = Decimal(row["pa"])
    return Decimal(row["ep"]) + Decimal(row["up"]) / amount if amount else entry


def _shares_of(account: Account, bot: str) -> dict[Leg, tuple[Decimal, Decimal]]:
    return {
        (share.symbol, share.position_side.value): (share.quantity, share.entry_price)
        for share in account.shares
        if share.bot == bot and share.quantity != 0
    }
