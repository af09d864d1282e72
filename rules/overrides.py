"""Which leave lets an order pass a rule that refused it, and up to which size (RTS 6 art. 15(6)).

An override serves one order of one bot, symbol and side, once; the gate uses it up before it sends. What keeps the
guard sure of its ground is never overridden: the gates, whose a position is, and a rule that could not be evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from rules.catalog import GATES, OWNERSHIP_RULES
from rules.decision import Breach
from rules.facts import Override
from rules.model import AmendOrder, PlaceOrder
from rules.snapshot import Snapshot

_NEVER: Final = frozenset(rule.rule_id for rule in (*GATES, *OWNERSHIP_RULES))


def overrides_for(
    breaches: Iterable[Breach], command: PlaceOrder | AmendOrder, snapshot: Snapshot
) -> tuple[Override, ...] | None:
    """The overrides that together let ``command`` pass all of ``breaches``, in their order; ``None`` if they do not.

    Of several for one rule the one that expires first is used. Breaches of one rule at several levels need one only.
    """
    found: dict[str, Override] = {}
    for breach in breaches:
        if breach.rule_id in found and breach.code != "RULE_FAILED":
            continue
        fitting = [each for each in _leave(breach, command, snapshot) if _covers(each, command)]
        if not fitting:
            return None
        found[breach.rule_id] = min(fitting, key=lambda each: (each.expires_at, each.override_id))
    return tuple(found.values())


def override_reach(breach: Breach, command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> Decimal:
    """The largest quantity at which an override lets an order like ``command`` pass ``breach``; zero when none does."""
    return max((each.quantity_max for each in _leave(breach, command, snapshot)), default=Decimal(0))


def _leave(breach: Breach, command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> Iterator[Override]:
    """The overrides of the breached rule that are for orders like ``command``, whatever its size."""
    if not isinstance(command, PlaceOrder) or breach.rule_id in _NEVER or breach.code == "RULE_FAILED":
        return iter(())
    return (
        each
        for each in snapshot.overrides
        if (each.rule_id, each.bot, each.symbol, each.side)
        == (breach.rule_id, snapshot.bot, command.symbol, command.side)
        and snapshot.now < each.expires_at
    )


def _covers(override: Override, command: PlaceOrder | AmendOrder) -> bool:
    return command.quantity is not None and command.quantity <= override.quantity_max
