"""What the guard is about to send, as explanations of what will be seen on the venue. Pure.

A command explains itself once: an order by its client order id until it has been seen, a setting for as long as the
venue could still be about to do it, however late that is told. So a thief gains nothing by naming an order like an old
one of a bot's. Equal commands are counted: one that was refused takes nothing from its like that was sent.

An order is proven by its hold, too, and often before its command is told. Then its name is owed: the command, once it
is told, is that order's, and explains no further one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from proxy.recent import Recent
from rules.account import HeldOrder

Explanation = tuple[str, ...]

FORWARDED_MAX: Final = 20_000
"""Commands remembered; at the gates' usual pace many minutes of them."""

SETTINGS_S: Final = 30.0
"""How long a forwarded setting explains a change from then on: its request is given up after ten seconds, and the times
of when it was changed are the venue's."""

TOLD_MAX: Final = 50_000
"""Orders remembered by request: more than are forwarded in the minute of which a gate's journal tells again."""

ALIKE_MAX: Final = 100
"""Equal commands counted; of more than these the newest."""

COMMANDS: Final = {
    "order": "PlaceOrder",
    "amend": "AmendOrder",
    "leverage": "SetLeverage",
    "margin_mode": "SetMarginMode",
    "position_mode": "SetPositionMode",
    "asset_mode": "SetMultiAssetMode",
    "margin": "AdjustIsolatedMargin",
}
"""The type of the commands behind each kind of explanation; nothing that the guard forwards brings about any other."""

_ORDERS: Final = frozenset({"order"})
# What explains again when it is told again: an amend whose event came late is looked for in the journals.
_AGAIN: Final = frozenset({"amend"})


def order(client_order_id: str) -> Explanation:
    """An order of this name was placed."""
    return ("order", client_order_id)


def amend(symbol: object, named: str) -> Explanation:
    """The symbol's order of this client's or venue's id was amended."""
    return ("amend", str(symbol), named)


def setting(kind: str, *values: object) -> Explanation:
    """A setting was changed to these values."""
    return (kind, *(_spelled(value) for value in values))


class Forwarded:
    """Explanations of one account, each with when its commands were forwarded: the caller's seconds, oldest first.

    A request may be told more than once, by its intent, its hold and a gate's journal: of one that is named by its id
    each order counts once.
    """

    def __init__(self) -> None:
        self._at: Recent[Explanation, tuple[float, ...]] = Recent(FORWARDED_MAX)
        self._held: Recent[Explanation, str] = Recent(FORWARDED_MAX)
        self._owed: Recent[Explanation, tuple[float, ...]] = Recent(FORWARDED_MAX)
        self._told: Recent[tuple[str, Explanation], None] = Recent(TOLD_MAX)

    def add(self, commands: Iterable[Mapping[str, Any]], at: float, request_id: str = "") -> list[Explanation]:
        """Remember a request's commands as the audit writes them; what they explain that is new. Of an order that was
        remembered by its hold it is the same order, told late; one that is owed was explained already."""
        told = [each for command in commands for each in explanations(command)]
        told = [each for each in told if (request_id, each) not in self._told]
        if request_id:
            self._tell(request_id, told)
        found = [each for each in told if not self._was_owed(each)]
        for explanation in found:
            times = self._times(explanation)
            if self._held.get(explanation) in ("", request_id):
                self._held.drop(explanation)
                times = times[:-1]
            self._at.put(explanation, (*times, at)[-ALIKE_MAX:])
        return found

    def hold(self, held: HeldOrder, at: float, hold_id: str = "") -> Explanation:
        """Remember an order that the store holds exposure for, by the id of its request; what it explains."""
        explanation = order(held.client_order_id) if held.replaces is None else amend(held.symbol, held.replaces)
        times = self._times(explanation)
        if not times:
            self._held.put(explanation, hold_id)
        self._at.put(explanation, (*times[:-1], at))
        return explanation

    def remove(self, commands: Iterable[Mapping[str, Any]]) -> None:
        """These were refused: nothing that is seen comes of them. Of equal ones it is the newest."""
        for command in commands:
            for explanation in explanations(command):
                self._keep(explanation, self._times(explanation)[:-1])

    def explains(self, explanation: Explanation, at: float) -> bool:
        """Whether a command of the guard stands behind this. Each order of a name explains one.

        ``at`` is when it was brought about, or, where it was read, up to when it certainly was not: it may be told much
        later.
        """
        times = self._times(explanation)
        if not times:
            return False
        if explanation[0] in _ORDERS:
            self._keep(explanation, times[1:])
            if hold_id := self._held.get(explanation):
                self._tell(hold_id, [explanation])  # Its command, told late, explains no other order.
            self._held.drop(explanation)
            return True
        return at - times[-1] <= SETTINGS_S

    def owe(self, explanation: Explanation, at: float) -> None:
        """An order of this name was seen, and a hold alone stands behind it: its command is still to be told."""
        self._owed.put(explanation, (*(self._owed.get(explanation) or ()), at)[-ALIKE_MAX:])

    def heard(self, until: float) -> None:
        """Every command that was sent before then has been told: what is still owed since then never will be."""
        for explanation in self._owed:
            self._keep_owed(explanation, tuple(at for at in self._owed.get(explanation) or () if at > until))

    def _tell(self, request_id: str, told: Iterable[Explanation]) -> None:
        """Of a request these were told. An amend may be told again; a setting that is would explain for longer, also
        one that was refused."""
        for each in told:
            if each[0] not in _AGAIN:
                self._told.put((request_id, each), None)

    def _was_owed(self, explanation: Explanation) -> bool:
        """Whether this command's order was seen before it; one of its name is owed no more then."""
        times = self._owed.get(explanation) or ()
        self._keep_owed(explanation, times[1:])
        return bool(times)

    def _keep_owed(self, explanation: Explanation, times: tuple[float, ...]) -> None:
        if times:
            self._owed.put(explanation, times)
        else:
            self._owed.drop(explanation)

    def _times(self, explanation: Explanation) -> tuple[float, ...]:
        return self._at.get(explanation) or ()

    def _keep(self, explanation: Explanation, times: tuple[float, ...]) -> None:
        if times:
            self._at.put(explanation, times)
        else:
            self._at.drop(explanation)


def explanations(command: Mapping[str, Any]) -> Iterator[Explanation]:
    """What seeing this command carried out looks like. Nothing for commands that only cancel or read."""
    symbol = command.get("symbol")
    match command.get("type"):
        case "PlaceOrder":
            yield order(str(command.get("client_order_id")))
        case "AmendOrder":
            names = ("order_id", "client_order_id")
            yield from (amend(symbol, str(command[name])) for name in names if command.get(name))
        case "SetLeverage":
            yield setting("leverage", symbol, _number(command.get("leverage")))
        case "SetMarginMode":
            yield setting("margin_mode", symbol, command.get("margin_mode"))
        case "SetPositionMode":
            yield setting("position_mode", command.get("hedged"))
        case "SetMultiAssetMode":
            yield setting("asset_mode", command.get("enabled"))
        case "AdjustIsolatedMargin":
            yield setting("margin", symbol)


def _number(text: object) -> object:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return text


def _spelled(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
