"""decide(): one command, one snapshot, one policy, one decision. Pure: the audit replays it years later.

Gates first, then every rule; the first enforced breach is what the bot is told, all of them are kept. Sizes that
would pass are searched with the rules' own checks, so the headroom is exact by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from rules.catalog import EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.decision import _SEAL, Breach, Cleared, Decision, Enforcement, Verdict
from rules.exposure import held_order
from rules.intent import intent_of
from rules.model import AmendOrder, Command, Intent, PlaceOrder
from rules.policy import Policy
from rules.position.reduce_only_exits import ReduceOnlyExits
from rules.rule import Rule
from rules.snapshot import Attempt, Hold, HoldStatus, OpenOrder, Snapshot

OWN_HOLD = "own"
"""Names the holds a batch makes for its own earlier items while it is judged in sequence."""

_WAYS_OUT: Final = (Intent.EXIT, Intent.CANCEL)


def decide(command: Command, snapshot: Snapshot, policy: Policy) -> Decision:
    """Judge one command. Never raises: a rule that fails becomes a breach that refuses."""
    rules = policy.rules_for(
        account=snapshot.account.name if snapshot.account is not None else None,
        bot=snapshot.bot,
        symbol=getattr(command, "symbol", None),
    )
    effective, advice = _force_reduce_only(command, snapshot, rules)
    intent = intent_of(effective, snapshot)
    if intent is Intent.CANCEL:
        ownership = [rule for rule in rules if type(rule) in OWNERSHIP_RULES]
        return _decision(effective, intent, snapshot, policy, _breaches(ownership, effective, snapshot, intent), advice)
    breaches, wanted = _objections(effective, intent, snapshot, rules)
    breaches = _with_headroom(breaches, wanted, effective, snapshot)
    return _decision(effective, intent, snapshot, policy, breaches, advice, rules)


def decide_batch(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> tuple[Decision, ...]:
    """Judge commands in sequence, each on a snapshot that holds the earlier ones.

    Entries stand or fall together: if one is refused, all are. Exits and cancels go in any case.
    """
    decisions: list[Decision] = []
    running = snapshot
    for command in commands:
        decision = decide(command, running, policy)
        decisions.append(decision)
        running = _after(decision, running)
    refused = [d for d in decisions if d.intent is Intent.ENTRY and d.verdict is Verdict.DENY]
    if not refused or len(decisions) == 1:
        return tuple(decisions)
    first = refused[0].breaches[0]
    return tuple(
        _fell_together(d, first) if d.intent is Intent.ENTRY and d.verdict is Verdict.ALLOW else d for d in decisions
    )


def clear(decision: Decision) -> Cleared[Command]:
    """The clearance an upstream sender demands. Raises ``ValueError`` for a refused command."""
    if decision.verdict is not Verdict.ALLOW:
        raise ValueError("a refused command is never cleared")
    return Cleared(decision.effective, _SEAL)


def _force_reduce_only(command: Command, snapshot: Snapshot, rules: Iterable[Rule]) -> tuple[Command, tuple[str, ...]]:
    for rule in rules:
        if isinstance(rule, ReduceOnlyExits) and (forced := rule.forced(command, snapshot)) is not None:
            return forced, ("reduce-only flag added by the guard",)
    return command, ()


def _objections(
    command: Command, intent: Intent, snapshot: Snapshot, rules: Sequence[Rule]
) -> tuple[tuple[Breach, ...], list[Rule]]:
    """What the gates object to, or else what the rules for this intent do; and those rules."""
    gates = [rule for rule in rules if type(rule) in GATES]
    breaches = _breaches(gates, command, snapshot, intent)
    if any(breach.enforcement is Enforcement.ENFORCE for breach in breaches):
        return breaches, []
    wanted = [rule for rule in rules if type(rule) not in GATES and _concerns(rule, intent)]
    return (*breaches, *_breaches(wanted, command, snapshot, intent)), wanted


def _concerns(rule: Rule, intent: Intent) -> bool:
    return type(rule) in OWNERSHIP_RULES or (type(rule) in EXIT_RULES) is (intent is Intent.EXIT)


def _breaches(
    rules: Iterable[Rule], command: Command, snapshot: Snapshot, intent: Intent = Intent.ENTRY
) -> tuple[Breach, ...]:
    found: list[Breach] = []
    for rule in rules:
        try:
            breach = rule.check(command, snapshot)
        except Exception as error:  # Law 4: a rule that crashes refuses new risk, never the way out, never the guard.
            breach = Breach(
                rule_id=rule.rule_id,
                code="RULE_FAILED",
                message=f"the rule could not be evaluated ({type(error).__name__})",
                level=rule.level,
                enforcement=Enforcement.REPORT if intent in _WAYS_OUT else Enforcement.ENFORCE,
            )
        if breach is not None:
            found.append(breach)
    return tuple(found)


def _with_headroom(
    breaches: tuple[Breach, ...], rules: Sequence[Rule], command: Command, snapshot: Snapshot
) -> tuple[Breach, ...]:
    """Fill in, for each rule that depends on size, the largest quantity that it alone would pass."""
    if not isinstance(command, PlaceOrder | AmendOrder) or command.quantity is None:
        return breaches
    sized = {(rule.rule_id, rule.level): rule for rule in rules if rule.sized}
    filled = []
    for breach in breaches:
        rule = sized.get((breach.rule_id, breach.level))
        if rule is None or breach.code == "RULE_FAILED":
            filled.append(breach)
            continue
        headroom = _largest_passing([rule], command, snapshot)
        filled.append(replace(breach, headroom=headroom))
    return tuple(filled)


def _largest_passing(rules: Sequence[Rule], command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> Decimal:
    """The largest multiple of the lot size, at most the quantity asked for, that all ``rules`` pass.

    Sized rules are monotone in quantity, so a binary search over lots is exact; 12 integer and 18 fraction digits
    bound it to a hundred steps.
    """
    instrument = snapshot.instruments.get(command.symbol)
    if instrument is None or command.quantity is None:
        return Decimal(0)
    market = isinstance(command, PlaceOrder) and command.order_type.is_market
    step = instrument.market_step_size if market else instrument.step_size
    if step <= 0:
        return Decimal(0)  # A listing without a lot size: no size can be named.
    low, high = 0, int(instrument.floor_quantity(command.quantity, market=market) / step)
    while low < high:
        middle = (low + high + 1) // 2
        trial = replace(command, quantity=middle * step)
        if _breaches(rules, trial, snapshot):
            high = middle - 1
        else:
            low = middle
    quantity = low * step
    minimum = instrument.market_quantity_min if market else instrument.quantity_min
    return quantity if quantity >= minimum else Decimal(0)


def _decision(
    command: Command,
    intent: Intent,
    snapshot: Snapshot,
    policy: Policy,
    breaches: tuple[Breach, ...],
    advice: tuple[str, ...],
    rules: Sequence[Rule] = (),
) -> Decision:
    enforced = tuple(breach for breach in breaches if breach.enforcement is Enforcement.ENFORCE)
    return Decision(
        verdict=Verdict.DENY if enforced else Verdict.ALLOW,
        intent=intent,
        effective=command,
        policy_version=policy.version,
        snapshot_version=snapshot.account.version if snapshot.account is not None else None,
        breaches=enforced,
        would_deny=tuple(breach for breach in breaches if breach.enforcement is Enforcement.REPORT),
        advice=(*advice, *(breach.advice for breach in enforced if breach.advice)),
        headroom=_overall_headroom(command, intent, enforced, snapshot, rules),
    )


def _overall_headroom(
    command: Command, intent: Intent, enforced: Sequence[Breach], snapshot: Snapshot, rules: Sequence[Rule]
) -> Decimal | None:
    """The largest quantity that would pass every enforced rule now: zero when no size would."""
    if not enforced or intent is not Intent.ENTRY or not isinstance(command, PlaceOrder | AmendOrder):
        return None
    if command.quantity is None:
        return None
    sized = [rule for rule in rules if rule.sized and rule.enforcement is Enforcement.ENFORCE]
    largest = _largest_passing(sized, _capped(command, enforced), snapshot)
    if largest <= 0:
        return largest
    trial, _ = _force_reduce_only(replace(command, quantity=largest), snapshot, rules)
    objections, _ = _objections(trial, intent_of(trial, snapshot), snapshot, rules)
    refused = any(breach.enforcement is Enforcement.ENFORCE for breach in objections)
    return Decimal(0) if refused else largest


def _capped(command: PlaceOrder | AmendOrder, enforced: Sequence[Breach]) -> PlaceOrder | AmendOrder:
    """The command at the largest size an unsized rule named (the venue's maximum, the position to close)."""
    caps = [breach.headroom for breach in enforced if breach.headroom is not None and breach.headroom > 0]
    if command.quantity is None or not caps:
        return command
    return replace(command, quantity=min(command.quantity, *caps))


def _after(decision: Decision, snapshot: Snapshot) -> Snapshot:
    """The snapshot as the next item of a batch must see it: this entry held, its message counted; this exit resting."""
    if decision.verdict is Verdict.DENY:
        return snapshot
    if decision.intent is Intent.EXIT:
        return _with_exit(decision.effective, snapshot)
    if decision.intent is not Intent.ENTRY:
        return snapshot
    order = held_order(decision.effective, snapshot)
    orders = (order,) if order is not None else ()
    hold = Hold(
        hold_id=OWN_HOLD,
        bot=snapshot.bot,
        sequence=len(snapshot.holds),
        status=HoldStatus.PENDING,
        orders=orders,
    )
    tokens = {scope: balance - 1 for scope, balance in snapshot.tokens.items()}
    tried = Attempt(at=snapshot.now, hold_id=OWN_HOLD, orders=orders)
    return replace(snapshot, holds=(*snapshot.holds, hold), tokens=tokens, attempts=(*snapshot.attempts, tried))


def _with_exit(command: Command, snapshot: Snapshot) -> Snapshot:
    if not isinstance(command, PlaceOrder) or snapshot.account is None:
        return snapshot
    resting = OpenOrder(
        symbol=command.symbol,
        side=command.side,
        position_side=command.position_side,
        order_type=command.order_type,
        leaves_quantity=command.quantity,
        price=command.price,
        trigger_price=command.trigger_price,
        reduce_only=True,
        close_position=command.close_position,
        order_id=OWN_HOLD,
        client_order_id=command.client_order_id or "",
        bot=snapshot.bot,
    )
    account = replace(snapshot.account, open_orders=(*snapshot.account.open_orders, resting))
    return replace(snapshot, account=account)


def _fell_together(decision: Decision, first: Breach) -> Decision:
    breach = Breach(
        rule_id=first.rule_id,
        code="BATCH_REFUSED",
        message=f"another entry of this batch was refused: {first.code}",
        level=first.level,
    )
    return replace(decision, verdict=Verdict.DENY, breaches=(breach,))
