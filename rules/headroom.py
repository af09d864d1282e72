"""The largest quantity that would pass: searched with the rules' own checks, so it is exact by construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from rules.decision import Breach, Enforcement
from rules.intent import intent_of
from rules.model import ENTRY, AmendOrder, Command, PlaceOrder
from rules.objections import RULE_FAILED, breaches_of, objections
from rules.overrides import override_reach, overrides_for
from rules.policy import Asked, Bound
from rules.rule import Rule
from rules.snapshot import Snapshot

NOTHING = Decimal(0)


def with_headroom(
    breaches: tuple[Breach, ...], rules: Sequence[Asked], command: Command, snapshot: Snapshot
) -> tuple[Breach, ...]:
    """Fill in, for each rule that depends on size, the largest quantity that it alone would pass."""
    if not breaches or not isinstance(command, ENTRY) or command.quantity is None:
        return breaches
    by_place = {(rule.rule_id, rule.level): rule for rule, _, _ in rules if rule.sized}
    return tuple(_with_headroom(each, by_place.get((each.rule_id, each.level)), command, snapshot) for each in breaches)


def _with_headroom(breach: Breach, rule: Rule | None, command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> Breach:
    if rule is None or breach.code == RULE_FAILED:
        return breach
    headroom = _largest_passing(command, snapshot, lambda trial: not breaches_of([rule], trial, snapshot))
    return replace(breach, headroom=headroom)


def overall_headroom(
    command: PlaceOrder | AmendOrder, enforced: Sequence[Breach], snapshot: Snapshot, bound: Bound, *, leave: bool
) -> Decimal | None:
    """The largest quantity that would pass every enforced rule now: zero when no size would, ``None`` without a size.

    ``None`` too where a rule stands in the way that names no size: a smaller order may pass it, and where that begins
    is not known. Not so a gate and a rule that failed: they let no size pass. ``leave`` says whether overrides count:
    one reaches up to its own size, also through a rule that knows none.
    """
    if command.quantity is None:
        return None
    reaches = {each.rule_id: override_reach(each, command, snapshot) if leave else NOTHING for each in enforced}
    searched = [
        rule
        for rule, _, _ in bound.for_entries
        if rule.enforcement is Enforcement.ENFORCE and (rule.sized or reaches.get(rule.rule_id, NOTHING) > 0)
    ]

    def passes(trial: PlaceOrder | AmendOrder) -> bool:
        return _pass(breaches_of(searched, trial, snapshot), trial, snapshot, leave)

    sized = {rule.rule_id for rule in searched}
    whole = _capped(command, [each for each in enforced if each.rule_id not in sized], reaches)
    way_out = forced(whole, snapshot, bound)
    if way_out is not whole and not objections(way_out, intent_of(way_out, snapshot), snapshot, bound).enforced:
        return whole.quantity  # With the flag put on it that much only closes, and limits on entries are no matter.
    largest = _largest_passing(_capped(command, enforced, reaches), snapshot, passes)
    if largest <= 0:
        return largest
    trial = forced(replace(command, quantity=largest), snapshot, bound)
    found = objections(trial, intent_of(trial, snapshot), snapshot, bound)
    if _pass(found.enforced, trial, snapshot, leave):
        return largest
    known = sized | {rule.rule_id for rule, _, _ in bound.gates}
    unknown = [each for each in found.enforced if each.headroom is None and each.rule_id not in known]
    return NOTHING if all(each.code == RULE_FAILED for each in unknown) else None


def forced(command: Command, snapshot: Snapshot, bound: Bound) -> Command:
    """``command`` with the reduce-only flag that a rule puts on it, or ``command`` itself."""
    for rule in bound.forcing:
        flagged = rule.forced(command, snapshot)
        if flagged is not None:
            return flagged
    return command


def _pass(breaches: Sequence[Breach], trial: Command, snapshot: Snapshot, leave: bool) -> bool:
    if not breaches:
        return True
    assert isinstance(trial, ENTRY)  # noqa: S101 - for the type alone: a trial keeps its command's
    return leave and overrides_for(breaches, trial, snapshot) is not None


def _largest_passing(
    command: PlaceOrder | AmendOrder, snapshot: Snapshot, passes: Callable[[PlaceOrder | AmendOrder], bool]
) -> Decimal:
    """The largest multiple of the lot size, at most the quantity asked for, that ``passes``.

    Sized rules are monotone in quantity, so a binary search over lots is exact; 12 integer and 18 fraction digits
    bound it to a hundred steps.
    """
    instrument = snapshot.instruments.get(command.symbol)
    if instrument is None or command.quantity is None:
        return NOTHING
    market = isinstance(command, PlaceOrder) and command.order_type.is_market
    step = instrument.market_step_size if market else instrument.step_size
    if step <= 0:
        return NOTHING  # A listing without a lot size: no size can be named.
    low, high = 0, int(instrument.floor_quantity(command.quantity, market=market) / step)
    while low < high:
        middle = (low + high + 1) // 2
        if passes(replace(command, quantity=middle * step)):
            low = middle
        else:
            high = middle - 1
    quantity = low * step
    minimum = instrument.market_quantity_min if market else instrument.quantity_min
    return quantity if quantity >= minimum else NOTHING


def _capped(
    command: PlaceOrder | AmendOrder, enforced: Sequence[Breach], reaches: dict[str, Decimal]
) -> PlaceOrder | AmendOrder:
    """The command at the largest size an unsized rule named (the venue's maximum, the position to close)."""
    caps = [
        max(breach.headroom, reaches[breach.rule_id])
        for breach in enforced
        if breach.headroom is not None and breach.headroom > 0
    ]
    if command.quantity is None or not caps:
        return command
    return replace(command, quantity=min(command.quantity, *caps))
