"""Decides recorded traffic again under another policy: which orders would flip, at what notional.

Every order is judged on the state that really was. Had an earlier one been refused, later positions would differ;
that is not known and not guessed at. A refusal under the rules that could be asked is certain, because no further
rule lets a refused order pass; where a rule had to be left out, a pass holds only as far as the others go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from proxy.audit.documents import RecordSource
from proxy.audit.pictures import UNREADABLE, DocumentMissing, ParsePolicy, policies, resolved
from proxy.audit.replay import Decide
from proxy.audit.words import in_words
from proxy.reasons.flips import Change, Flip, changes
from proxy.reasons.left_out import Judgeable, LeftOut, RuleName, judgeable, name_of
from proxy.reasons.tally import Tally
from proxy.store.codec import build_command, build_decision, build_snapshot
from rules.catalog import GATES
from rules.decision import Decision, Enforcement, Verdict
from rules.model import Command, Intent, symbol_of
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
        part, now = judged_as_far_as_recorded(parts(record["policy_version"]), decide, commands, snapshot, picture)
        _compare(report, record, snapshot, commands, then, now, part, flips_shown)
    return report


def judged_as_far_as_recorded(
    part: Judgeable, decide: Decide, commands: tuple[Command, ...], snapshot: Snapshot, picture: Mapping[str, Any]
) -> tuple[Judgeable, tuple[Decision, ...]]:
    """What ``part`` decides of recorded commands, without the rules that need what an older guard did not record.

    ``picture`` is the snapshot as it was recorded.
    """
    now = decide(commands, snapshot, part.policy)
    unrecorded = [fact for fact in _FACTS if fact not in picture]
    if unrecorded and (unfounded := _unfounded(part.policy, now, unrecorded)):
        part = part.without(unfounded)
        now = decide(commands, snapshot, part.policy)
    return part, now


def _judgeable_parts(new: Policy, policy_of: Callable[[str], Policy]) -> Callable[[str], Judgeable]:
    @lru_cache(maxsize=_POLICIES_KEPT)
    def part(version: str) -> Judgeable:
        try:
            return judgeable(new, policy_of(version))
        except DocumentMissing:
            return judgeable(new, None)

    return part


def _unfounded(policy: Policy, now: tuple[Decision, ...], unrecorded: list[str]) -> dict[RuleName, LeftOut]:
    """Rules that object only because a record of an older guard lacks what they need, or that it tells too little."""
    objecting = {
        (breach.rule_id, breach.level)
        for decision in now
        for breach in (*decision.breaches, *decision.would_deny, *decision.trimmed_by)
        if breach.code in (FACTS_UNKNOWN, RULE_FAILED)
    }
    return {
        name_of(rule): LeftOut(_LATER_FACTS, rule.enforcement is Enforcement.ENFORCE)
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
        in_part = any(each.enforced for each in missed.values())
        doubtful = doubtful or in_part
        report.left_out.update((f"{rule_id} ({level})", each.reason) for (rule_id, level), each in missed.items())
        if str(place) in withheld:
            continue  # What the guard could not send for reasons of its own is sent under no policy.
        for found in changes(old, fresh, snapshot):
            flip = Flip(
                change=found.change,
                id=str(record["id"]),
                at=str(record["at"]),
                bot=snapshot.bot,
                account=str(record["account"]),
                symbol=symbol_of(command) or "",
                command=in_words(record["commands"][place]),
                rule=found.breach.rule_id if found.breach is not None else "",
                code=found.breach.code if found.breach is not None else "",
                message=found.breach.message if found.breach is not None else "",
                notional=found.notional,
                in_part=in_part,
            )
            _count(report, flip, flips_shown)
    report.in_part += doubtful
    report.replayed += not doubtful


def _missed(command: Command, fresh: Decision, snapshot: Snapshot, part: Judgeable) -> dict[RuleName, LeftOut]:
    """The rules left out that might still have objected to what passes."""
    if fresh.verdict is Verdict.DENY or fresh.intent not in _CAN_BE_IN_DOUBT or not part.left_out:
        return {}
    levels = {"desk", f"bot:{snapshot.bot}", f"symbol:{getattr(command, 'symbol', None)}"}
    if snapshot.account is not None:
        levels.add(f"account:{snapshot.account.name}")
    return {name: each for name, each in part.left_out.items() if name[1] in levels}


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
