"""What the guard is about to send, as explanations of what will be seen on the venue. Pure.

A command explains itself once: an order by its client order id until it has been seen, a setting for as long as the
venue could still be about to tell of it. So a thief gains nothing by naming an order like an old one of a bot's.
Equal commands are counted: one that was refused takes nothing from its like that was sent.
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
"""How long a forwarded setting explains a change: its request is given up after ten seconds, its event may trail."""

ALIKE_MAX: Final = 100
"""Equal commands counted; of more than these the newest."""

_ORDERS: Final = frozenset({"order"})


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
    """Explanations of one account, each with when its commands were forwarded: the caller's seconds, oldest first."""

    def __init__(self) -> None:
        self._at: Recent[Explanation, tuple[float, ...]] = Recent(FORWARDED_MAX)
        self._held: Recent[Explanation, None] = Recent(FORWARDED_MAX)

    def add(self, commands: Iterable[Mapping[str, Any]], at: float) -> list[Explanation]:
        """Remember commands as the audit writes them; what they explain. Of an order that was remembered by its hold it
        is the same order, told late."""
        found = [each for command in commands for each in explanations(command)]
        for explanation in found:
            times = self._times(explanation)
            if explanation in self._held:
                self._held.drop(explanation)
                times = times[:-1]
            self._at.put(explanation, (*times, at)[-ALIKE_MAX:])
        return found

    def hold(self, held: HeldOrder, at: float) -> Explanation:
        """Remember an order that the store holds exposure for; what it explains."""
        explanation = order(held.client_order_id) if held.replaces is None else amend(held.symbol, held.replaces)
        times = self._times(explanation)
        if not times:
            self._held.put(explanation, None)
        self._at.put(explanation, (*times[:-1], at))
        return explanation

    def remove(self, commands: Iterable[Mapping[str, Any]]) -> None:
        """These were refused: nothing that is seen comes of them. Of equal ones it is the newest."""
        for command in commands:
            for explanation in explanations(command):
                self._keep(explanation, self._times(explanation)[:-1])

    def explains(self, explanation: Explanation, at: float) -> bool:
        """Whether a command of the guard stands behind this. Each order of a name explains one."""
        times = self._times(explanation)
        if not times:
            return False
        if explanation[0] in _ORDERS:
            self._keep(explanation, times[1:])
            return True
        return at - times[-1] <= SETTINGS_S

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
