"""Decides recorded traffic again under another policy: which orders would flip, at what notional.

Every order is judged on the state that really was. Had an earlier one been refused, later positions would differ;
that is not known and not guessed at. A refusal under the rules that could be asked is certain, because no further
rule lets a refused order pass; where a rule had to be left out, a pass holds only as far as the others go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from proxy.audit.documents import RecordSource
from proxy.audit.pictures import UNREADABLE, DocumentMissing, ParsePolicy, policies, resolved
from proxy.audit.replay import Decide
from proxy.audit.words import in_words
from proxy.policy.left_out import Judgeable, RuleName, judgeable, name_of
from proxy.policy.tally import Tally
from proxy.store.codec import build_command, build_decision, build_snapshot
from rules.catalog import GATES
from rules.decision import Breach, Decision, Verdict
from rules.exposure import held_order, order_value
from rules.model import AmendOrder, Command, Intent, PlaceOrder
from rules.objections import RULE_FAILED
from rules.policy import Policy
from rules.rule import FACTS_UNKNOWN
from rules.snapshot import Snapshot

FLIPS_SHOWN: Final = 50
"""Flips kept in words unless asked otherwise; the sums count them all."""

_POLICIES_KEPT: Final = 64
_FACTS: Final = ("conditions", "record", "scores", "attempts")
_LATER_FACTS: Final = "needs facts that were not recorded then"
_CAN_BE_IN_DOUBT: Final = (Intent.ENTRY, Intent.CONFIG)


class Change(StrEnum):
    """What becomes of a command under the new policy, where that is something else than it was."""

    REFUSED = "refused"
    ALLOWED = "allowed"
    RESIZED = "resized"
    REPORTED = "reported"


_Found = tuple[Change, Breach | None, Decimal | None]


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


@dataclass(slots=True, kw_only=True)
class PolicyReplay:
    """What a replay found. ``decisions`` = ``replayed`` + ``in_part`` + the sum of ``not_replayed``.

    ``in_part`` are requests of which something passes that a rule left out might have refused. ``reported`` are
    orders that pass and that the new policy's rules in report mode object to, each under every such rule.
    """

    policy_version: str
    decisions: int = 0
    replayed: int = 0
    in_part: int = 0
    not_replayed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_change: Tally = field(default_factory=Tally)
    by_rule: Tally = field(default_factory=Tally)
    by_bot: Tally = field(default_factory=Tally)
    by_symbol: Tally = field(default_factory=Tally)
    reported: Tally = field(default_factory=Tally)
    flips: list[Flip] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether every decision was replayed whole and none comes out otherwise."""
        return self.replayed == self.decisions and not self.by_change


def replay_policy(
    source: RecordSource,
    decide: Decide,
    parse_policy: ParsePolicy,
    new: Policy,
    *,
    flips_shown: int = FLIPS_SHOWN,
) -> PolicyReplay:
    """Judge the decisions of ``source`` under ``new``. One record in memory at a time."""
    report = PolicyReplay(policy_version=new.version)
    parts = _judgeable_parts(new, policies(source, parse_policy))
    for record in source.decisions():
        report.decisions += 1
        try:
            picture = resolved(record, source)
            snapshot = build_snapshot(picture)
            commands = tuple(build_command(command) for command in record["commands"])
            then = tuple(build_decision(decision) for decision in record["decisions"])
        except DocumentMissing as missing:
            report.not_replayed[f"its {missing.kind} document is not in the archive"] += 1
            continue
        except UNREADABLE as error:
            report.not_replayed[f"the record cannot be read back ({type(error).__name__})"] += 1
            continue
        part = parts(record["policy_version"])
        now = decide(commands, snapshot, part.policy)
        unrecorded = [fact for fact in _FACTS if fact not in picture]
        if unrecorded and (unfounded := _unfounded(part.policy, now, unrecorded)):
            part = part.without(unfounded)
            now = decide(commands, snapshot, part.policy)
        _compare(report, record, snapshot, commands, then, now, part, flips_shown)
    return report


def _judgeable_parts(new: Policy, policy_of: Callable[[str], Policy]) -> Callable[[str], Judgeable]:
    @lru_cache(maxsize=_POLICIES_KEPT)
    def part(version: str) -> Judgeable:
        try:
            return judgeable(new, policy_of(version))
        except DocumentMissing:
            return judgeable(new, None)

    return part


def _unfounded(policy: Policy, now: tuple[Decision, ...], unrecorded: list[str]) -> dict[RuleName, str]:
    """Rules that object only because a record of an older guard lacks what they need, or that it tells too little."""
    objecting = {
        (breach.rule_id, breach.level)
        for decision in now
        for breach in (*decision.breaches, *decision.would_deny, *decision.trimmed_by)
        if breach.code in (FACTS_UNKNOWN, RULE_FAILED)
    }
    return {
        name_of(rule): _LATER_FACTS
        for rule in policy.rules
        if type(rule) not in GATES and (name_of(rule) in objecting or (rule.looks_back_s and "attempts" in unrecorded))
    }


def _compare(
    report: PolicyReplay,
    record: dict[str, Any],
    snapshot: Snapshot,
    commands: tuple[Command, ...],
    then: tuple[Decision, ...],
    now: tuple[Decision, ...],
    part: Judgeable,
    flips_shown: int,
) -> None:
    withheld: Mapping[str, Any] = record.get("withheld") or {}
    doubtful = False
    for place, (command, old, fresh) in enumerate(zip(commands, then, now, strict=True)):
        missed = _missed(command, fresh, snapshot, part)
        doubtful = doubtful or bool(missed)
        report.left_out.update((f"{rule_id} ({level})", reason) for (rule_id, level), reason in missed.items())
        if str(place) in withheld:
            continue  # What the guard could not send for reasons of its own is sent under no policy.
        for change, breach, notional in _flips(old, fresh, snapshot):
            flip = Flip(
                change=change,
                id=str(record["id"]),
                at=str(record["at"]),
                bot=snapshot.bot,
                account=str(record["account"]),
                symbol=getattr(command, "symbol", None) or "",
                command=in_words(record["commands"][place]),
                rule=breach.rule_id if breach is not None else "",
                code=breach.code if breach is not None else "",
                message=breach.message if breach is not None else "",
                notional=notional,
                in_part=bool(missed),
            )
            _count(report, flip, flips_shown)
    report.in_part += doubtful
    report.replayed += not doubtful


def _missed(command: Command, fresh: Decision, snapshot: Snapshot, part: Judgeable) -> dict[RuleName, str]:
    """The rules left out that might still have refused what passes."""
    if fresh.verdict is Verdict.DENY or fresh.intent not in _CAN_BE_IN_DOUBT or not part.left_out:
        return {}
    levels = {"desk", f"bot:{snapshot.bot}", f"symbol:{getattr(command, 'symbol', None)}"}
    if snapshot.account is not None:
        levels.add(f"account:{snapshot.account.name}")
    return {name: reason for name, reason in part.left_out.items() if name[1] in levels}


def _flips(old: Decision, fresh: Decision, snapshot: Snapshot) -> Iterator[_Found]:
    """What is otherwise, by what, and at what notional."""
    if old.verdict is not fresh.verdict:
        if fresh.verdict is Verdict.DENY:
            yield Change.REFUSED, fresh.breaches[0], _value(old.effective, snapshot)
        else:
            yield Change.ALLOWED, old.breaches[0], _value(fresh.effective, snapshot)
    if fresh.verdict is Verdict.DENY:
        return
    if old.verdict is fresh.verdict and _size(old) != _size(fresh):
        before, after = _value(old.effective, snapshot), _value(fresh.effective, snapshot)
        added = None if before is None or after is None else after - before
        yield Change.RESIZED, next(iter((*fresh.trimmed_by, *old.trimmed_by)), None), added
    # A limit may stand at several levels and be broken at each; the order is still one.
    for breach in {(each.rule_id, each.code): each for each in reversed(fresh.would_deny)}.values():
        yield Change.REPORTED, breach, _value(fresh.effective, snapshot)


def _size(decision: Decision) -> Decimal | None:
    order = decision.effective
    return order.quantity if isinstance(order, PlaceOrder | AmendOrder) else None


def _count(report: PolicyReplay, flip: Flip, flips_shown: int) -> None:
    if flip.change is Change.REPORTED:
        report.reported.add((flip.rule, flip.code), flip.notional)
        return
    report.by_change.add((flip.change.value,), flip.notional)
    report.by_rule.add((flip.change.value, flip.rule, flip.code), flip.notional)
    report.by_bot.add((flip.change.value, flip.bot), flip.notional)
    report.by_symbol.add((flip.change.value, flip.symbol), flip.notional)
    if len(report.flips) < flips_shown:
        report.flips.append(flip)


def _value(command: Command, snapshot: Snapshot) -> Decimal | None:
    """Notional in quote currency: as the rules count an entry, an exit at its price or the mark."""
    if not isinstance(command, PlaceOrder | AmendOrder) or command.quantity is None:
        return None
    market = snapshot.markets.get(command.symbol)
    if (held := held_order(command, snapshot)) is not None:
        return order_value(held, snapshot) or None
    price = command.price or (market.mark_price if market is not None else None)
    return None if price is None else command.quantity * price
