"""Decide again what was decided, from the archive alone, and compare.

Decisions name the account, the instruments and the policy they were made on; those documents may be archived before
or after them, so they are looked up by name and version, never expected in order. What cannot be found did not agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from proxy.audit.documents import RecordSource
from proxy.audit.pictures import UNREADABLE, DocumentMissing, ParsePolicy, policies, resolved
from proxy.audit.words import in_words
from proxy.store.codec import build_command, build_decision, build_snapshot, plain
from rules.decision import Decision
from rules.model import Command
from rules.policy import Policy
from rules.snapshot import Snapshot

Decide = Callable[[tuple[Command, ...], Snapshot, Policy], tuple[Decision, ...]]

_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One decision that did not come out the same, in words."""

    id: str
    at: str
    words: str


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """``decisions`` = ``agreed`` + ``disagreed`` + ``missing``; the first few of the latter two are kept in words."""

    decisions: int = 0
    agreed: int = 0
    disagreed: int = 0
    missing: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Whether there were decisions, and every one came out as recorded."""
        return 0 < self.agreed == self.decisions


def replay(
    source: RecordSource,
    decide: Decide,
    parse_policy: ParsePolicy,
    *,
    policy: Policy | None = None,
    shown_max: int = _SHOWN_MAX,
) -> ReplayReport:
    """Replay every decision of ``source``, under ``policy`` instead of the recorded one when it is given."""
    report = ReplayReport()
    policy_of = policies(source, parse_policy)
    for record in source.decisions():
        report.decisions += 1
        try:
            words = _differences(record, source, decide, policy, policy_of)
        except DocumentMissing as missing:
            report.missing += 1
            _keep(report, record, str(missing), shown_max)
            continue
        if words:
            report.disagreed += 1
            _keep(report, record, words, shown_max)
        else:
            report.agreed += 1
    return report


def _differences(
    record: dict[str, Any],
    source: RecordSource,
    decide: Decide,
    override: Policy | None,
    policy_of: Callable[[str], Policy],
) -> str:
    """What came out differently, in words; empty when nothing did. Raises ``DocumentMissing``."""
    policy = override or policy_of(record["policy_version"])
    picture = resolved(record, source)
    try:
        snapshot = build_snapshot(picture)
        commands = tuple(build_command(command) for command in record["commands"])
        recorded = tuple(build_decision(decision) for decision in record["decisions"])
    except UNREADABLE as error:
        return f"the record cannot be read back: {type(error).__name__}: {error}"
    replayed = decide(commands, snapshot, policy)
    if override is not None:
        replayed = tuple(replace(decision, policy_version=record["policy_version"]) for decision in replayed)
    if replayed == recorded:
        return ""
    if len(replayed) != len(recorded):
        return f"{len(recorded)} decisions recorded, {len(replayed)} replayed"
    pairs = zip(record["commands"], recorded, replayed, strict=True)
    return "; ".join(_difference(command, then, now) for command, then, now in pairs if then != now)


def _difference(command: dict[str, Any], then: Decision, now: Decision) -> str:
    words = in_words(command)
    if (outcome := _outcome(then)) != (replayed := _outcome(now)):
        return f"{words}: recorded {outcome}, replayed {replayed}"
    names = [each.name for each in fields(Decision) if getattr(then, each.name) != getattr(now, each.name)]
    changed = ", ".join(f"{name} {plain(getattr(then, name))} -> {plain(getattr(now, name))}" for name in names)
    return f"{words}: same verdict, but {changed}"


def _outcome(decision: Decision) -> str:
    codes = " ".join(breach.code for breach in decision.breaches)
    return f"{decision.verdict.value} {codes}".strip()


def _keep(report: ReplayReport, record: dict[str, Any], words: str, shown_max: int) -> None:
    if len(report.disagreements) < shown_max:
        report.disagreements.append(Disagreement(id=record["id"], at=record["at"], words=words))
