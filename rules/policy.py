"""Which rules apply to whom. A policy is a flat list of rules, each bound to one level; matching ones all apply."""

from __future__ import annotations

from dataclasses import dataclass

from rules.catalog import CATALOG, GATES
from rules.decision import Enforcement
from rules.outside import OutsideActivity
from rules.rule import Rule

_PRECEDENCE = {rule_type: index for index, rule_type in enumerate(CATALOG.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of a desk. ``version`` is the digest of the text it was read from; it stands in every decision.

    The gates and the exit collar are always present: where the text does not set them, their defaults apply, and a
    gate cannot be switched off. ``outside`` says what follows when an account moves without the guard.
    """

    name: str
    owner: str
    version: str
    rules: tuple[Rule, ...]
    outside: tuple[OutsideActivity, ...] = ()

    def __post_init__(self) -> None:
        for rule in self.rules:
            if type(rule) in GATES and rule.enforcement is not Enforcement.ENFORCE:
                raise ValueError(f"{rule.rule_id} cannot be switched off or only report")

    @property
    def attempts_window_s(self) -> int:
        """How far back any rule that is on looks at a bot's earlier attempts, in seconds; 0 when none does."""
        on = (rule for rule in self.rules if rule.enforcement is not Enforcement.OFF)
        return max((rule.looks_back_s for rule in on), default=0)

    def rules_for(self, *, account: str | None, bot: str, symbol: str | None) -> tuple[Rule, ...]:
        """The rules whose level matches, strictest precedence first. Rules that are off are left out."""
        levels = {"desk", f"bot:{bot}"}
        if account is not None:
            levels.add(f"account:{account}")
        if symbol is not None:
            levels.add(f"symbol:{symbol}")
        matching = [rule for rule in self.rules if rule.level in levels and rule.enforcement is not Enforcement.OFF]
        return tuple(sorted(matching, key=lambda rule: _PRECEDENCE[type(rule)]))
