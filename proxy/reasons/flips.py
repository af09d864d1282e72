"""What becomes of a recorded command under another policy, where that is something else than it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from rules.decision import Breach, Decision, Verdict
from rules.exposure import held_order, order_value
from rules.model import AmendOrder, Command, PlaceOrder
from rules.snapshot import Snapshot


class Change(StrEnum):
    """What becomes of a command under the new policy, where that is something else than it was."""

    REFUSED = "refused"
    ALLOWED = "allowed"
    RESIZED = "resized"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Changed:
    """One change, the breach that refuses now or refused then, and the notional it concerns (``None``: unknown)."""

    change: Change
    breach: Breach | None
    notional: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One command that comes out otherwise. ``rule`` and ``code`` are what refuses it now, or refused it then.

    ``notional`` is in quote currency, ``None`` where nobody can say; of a resized order it is what is added or taken
    away. ``in_part`` says that it passes only as far as the rules go that could be asked.
    """

    change: Change
    id: str
    at: str
    bot: str
    account: str
    symbol: str
    command: str
    rule: str
    code: str
    message: str
    notional: Decimal | None
    in_part: bool


def changes(old: Decision, fresh: Decision, snapshot: Snapshot) -> Iterator[Changed]:
    """What is otherwise, by what, and at what notional."""
    if old.verdict is not fresh.verdict:
        if fresh.verdict is Verdict.DENY:
            yield Changed(Change.REFUSED, _first(fresh.breaches), _value(old.effective, snapshot))
        else:
            yield Changed(Change.ALLOWED, _first(old.breaches), _value(fresh.effective, snapshot))
    if fresh.verdict is Verdict.DENY:
        return
    if old.verdict is fresh.verdict and _size(old) != _size(fresh):
        before, after = _value(old.effective, snapshot), _value(fresh.effective, snapshot)
        added = None if before is None or after is None else after - before
        yield Changed(Change.RESIZED, _first((*fresh.trimmed_by, *old.trimmed_by)), added)
    # A limit may stand at several levels and be broken at each; the order is still one.
    for breach in {(each.rule_id, each.code): each for each in reversed(fresh.would_deny)}.values():
        yield Changed(Change.REPORTED, breach, _value(fresh.effective, snapshot))


def _first(breaches: Sequence[Breach]) -> Breach | None:
    return breaches[0] if breaches else None


def _size(decision: Decision) -> Decimal | None:
    order = decision.effective
    return order.quantity if isinstance(order, PlaceOrder | AmendOrder) else None


def _value(command: Command, snapshot: Snapshot) -> Decimal | None:
    """Notional in quote currency: as the rules count an entry, an exit at its price or the mark."""
    if not isinstance(command, PlaceOrder | AmendOrder) or command.quantity is None:
        return None
    market = snapshot.markets.get(command.symbol)
    if (held := held_order(command, snapshot)) is not None:
        return order_value(held, snapshot) or None
    price = command.price or (market.mark_price if market is not None else None)
    return None if price is None else command.quantity * price
