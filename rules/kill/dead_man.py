"""Which symbols a venue's dead-man timer may stand on. Pure.

A timer cancels a symbol's resting orders when the guard is dead. What rests may be the stop of an open position, and a
position without its stop is worse than an order too many. Binance's ``countdownCancelAll`` takes plain orders; whether
it takes conditional ones too is documented nowhere (looked for in 2026-11), so it is taken to. So a timer stands on a
symbol only if no open position of it relies on stops, or if a watchdog on another host is on watch: then the guard's
death has closed the position before the timer runs out, and nothing is left for a stop to protect. A watchdog on the
guard's own host does not count: what kills the host kills both.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, TypeGuard

from rules.account import Account
from rules.ages import seconds
from rules.decision import Enforcement
from rules.intent import order_only_shrinks
from rules.kill.settings import KillSettings
from rules.market.maintenance_window import MaintenanceWindow
from rules.rule import Rule

FLATTEN_S: Final = 15
"""How long a watchdog may take from its decision to a flat book."""


def refresh_s(settings: KillSettings) -> float:
    """How often a timer is armed anew."""
    return settings.dead_man.countdown_s / 3


def relies_on_stops(symbol: str, account: Account) -> bool:
    """Whether an open leg of the symbol has conditional orders that can only shrink it."""
    if not any(leg.quantity for leg in account.legs(symbol)):
        return False
    return any(order.order_type.is_conditional and order_only_shrinks(order) for order in account.orders(symbol))


def may_stand(symbol: str, account: Account, settings: KillSettings, *, watched_from_elsewhere: bool) -> bool:
    """Whether a timer on the symbol strips no open position of its stop, whenever the guard dies."""
    if not relies_on_stops(symbol, account):
        return True
    # Armed anew after a third, a timer runs for at least two thirds from the guard's death on.
    left_s = settings.dead_man.countdown_s - refresh_s(settings)
    return watched_from_elsewhere and left_s >= settings.watchdog.silent_s + FLATTEN_S


def stops_timers(rule: Rule) -> TypeGuard[MaintenanceWindow]:
    """Whether no timer stands in the windows of this rule.

    What is only reported is not yet meant, and a bot's window says nothing of the others' orders.
    """
    enforced = isinstance(rule, MaintenanceWindow) and rule.enforcement is Enforcement.ENFORCE
    return enforced and not rule.level.startswith("bot:")


def in_maintenance(rules: Iterable[Rule], account: str, symbol: str, now: datetime) -> bool:
    """Whether the venue is, or is about to be, down as announced for this symbol of this account: then no timer can be
    armed anew in time."""
    levels = ("desk", f"account:{account}", f"symbol:{symbol}")
    return any(
        window.begins - seconds(rule.ahead_s) <= now < window.ends
        for rule in rules
        if stops_timers(rule) and rule.level in levels
        for window in rule.windows
    )
