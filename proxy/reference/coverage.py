"""Which clauses a policy covers, by which rules, and which it does not: ``perpguard coverage``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proxy.reference.clauses import BY_THE_GUARD, CLAUSES
from rules.catalog import CATALOG
from rules.decision import Enforcement
from rules.policy import Policy
from rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How a policy stands to one clause. ``rules`` are ``RULE at LEVEL``; ``would`` names rules that could serve it."""

    clause: str
    asks: str
    rules: tuple[str, ...]
    reporting: tuple[str, ...]
    by_the_guard: str
    would: tuple[str, ...]

    @property
    def covered(self) -> bool:
        """Whether something that enforces serves the clause. A rule that only reports covers nothing."""
        return bool(self.rules or self.by_the_guard)


def coverage(policy: Policy) -> Iterator[Coverage]:
    """Every clause in the list's order."""
    for clause, asks in CLAUSES.items():
        serving = [rule for rule in policy.rules if clause in rule.serves]
        yield Coverage(
            clause=clause,
            asks=asks,
            rules=_named(serving, Enforcement.ENFORCE),
            reporting=_named(serving, Enforcement.REPORT),
            by_the_guard=BY_THE_GUARD.get(clause, ""),
            would=tuple(rule_id for rule_id, rule in CATALOG.items() if clause in rule.clauses),
        )


def _named(rules: Sequence[Rule], enforcement: Enforcement) -> tuple[str, ...]:
    return tuple(f"{rule.rule_id} at {rule.level}" for rule in rules if rule.enforcement is enforcement)


def coverage_table(policy: Policy, rows: Sequence[Coverage]) -> str:
    """The same for people: what is covered and by what, then what is not and which rules would."""
    lines = [f"policy {policy.name} ({policy.version}), owner {policy.owner}", ""]
    covered = [row for row in rows if row.covered]
    lines.append(f"covered: {len(covered)} of {len(rows)} clauses")
    for row in covered:
        by = [*row.rules, *([row.by_the_guard] if row.by_the_guard else [])]
        lines += [f"  {row.clause:38} {row.asks}", f"  {'':38} by {'; '.join(by)}"]
    lines += ["", "not covered"]
    for row in rows:
        if not row.covered:
            only = f"; only reported by {', '.join(row.reporting)}" if row.reporting else ""
            would = f"would be by {', '.join(row.would)}" if row.would else "no rule of this guard serves it"
            lines += [f"  {row.clause:38} {row.asks}", f"  {'':38} {would}{only}"]
    return "\n".join(lines)
