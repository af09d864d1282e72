"""Which rules apply to whom. A policy is a flat list of rules, each bound to one level; matching ones all apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from rules.catalog import CATALOG, EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.decision import Breach, Enforcement, Measure
from rules.flow.message_rate import MessageRate
from rules.kill.settings import KILL_DEFAULT, KillSettings
from rules.loosening import LOOSENING_DEFAULT, Loosening
from rules.model import Command
from rules.outside import OutsideActivity
from rules.position.reduce_only_exits import ReduceOnlyExits
from rules.ramp import WHOLE, ramped
from rules.resize import Resize
from rules.rule import Rule
from rules.snapshot import Snapshot

_PRECEDENCE = {rule_type: index for index, rule_type in enumerate(CATALOG.values())}


_KINDS = ("account", "bot", "symbol")


def _precedence(rule: Rule) -> tuple[int, str]:
    """The catalog's order; a desk's own rules come after it, by name."""
    return _PRECEDENCE.get(type(rule), len(_PRECEDENCE)), rule.rule_id


def _named(kind: str, rules: Sequence[Rule]) -> frozenset[str]:
    """The accounts, bots or symbols that have rules of their own."""
    levels = (rule.level.partition(":") for rule in rules)
    return frozenset(name for level, _, name in levels if level == kind)


class Asked(NamedTuple):
    """A rule with the two questions it is asked of every order, looked up once. ``measure`` is ``None`` if none."""

    rule: Rule
    check: Callable[[Command, Snapshot], Breach | None]
    measure: Callable[[Command, Snapshot], tuple[Measure, ...]] | None


def _asked(rule: Rule) -> Asked:
    return Asked(rule, rule.check, rule.measure if type(rule).measure is not Rule.measure else None)


@dataclass(frozen=True, slots=True)
class Bound:
    """The rules that one command meets, sorted by what they are for. Worked out once for all commands like it."""

    rules: tuple[Rule, ...]
    gates: tuple[Asked, ...]
    ownership: tuple[Rule, ...]
    for_exits: tuple[Asked, ...]
    for_entries: tuple[Asked, ...]
    forcing: tuple[ReduceOnlyExits, ...]
    rates: tuple[MessageRate, ...]

    @staticmethod
    def of(rules: tuple[Rule, ...]) -> Bound:
        """``rules``, which stand in order of precedence, by purpose."""
        ownership = tuple(rule for rule in rules if type(rule) in OWNERSHIP_RULES)
        after_gates = tuple(rule for rule in rules if type(rule) not in GATES)
        return Bound(
            rules=rules,
            gates=tuple(_asked(rule) for rule in rules if type(rule) in GATES),
            ownership=ownership,
            for_exits=tuple(_asked(rule) for rule in after_gates if type(rule) in (*EXIT_RULES, *OWNERSHIP_RULES)),
            for_entries=tuple(_asked(rule) for rule in after_gates if type(rule) not in EXIT_RULES),
            forcing=tuple(rule for rule in rules if isinstance(rule, ReduceOnlyExits) and rule.forces),
            rates=tuple(rule for rule in rules if isinstance(rule, MessageRate)),
        )

    def failing(self, error: Exception) -> Bound:
        """The same for exits and cancels; of entries, every rule now fails with ``error``, which refuses them."""

        def fail(command: Command, snapshot: Snapshot) -> Breach | None:
            raise error

        return replace(self, for_entries=tuple(Asked(each.rule, fail, None) for each in self.for_entries))


class _Known:
    """Room for what is worked out from a policy once; no part of its value."""

    __slots__ = ("bound", "looks_back_s", "named")

    bound: dict[tuple[str | None, str | None, str | None, Decimal], Bound]
    looks_back_s: int
    named: tuple[frozenset[str], frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Known):
    """The rules of a desk. ``version`` is the digest of the text it was read from; it stands in every decision.

    The gates and the exit collar are always present: where the text does not set them, their defaults apply, and a
    gate cannot be switched off. ``outside`` says what follows when an account moves without the guard, ``resizes``
    which bots' entries are sized down instead of refused, ``loosening`` what a looser policy needs to follow this one,
    ``kill`` how the desk is stopped and started again.
    """

    name: str
    owner: str
    version: str
    rules: tuple[Rule, ...]
    outside: tuple[OutsideActivity, ...] = ()
    resizes: tuple[Resize, ...] = ()
    loosening: Loosening = LOOSENING_DEFAULT
    kill: KillSettings = KILL_DEFAULT

    def __post_init__(self) -> None:
        for rule in self.rules:
            if type(rule) in GATES and rule.enforcement is not Enforcement.ENFORCE:
                raise ValueError(f"{rule.rule_id} cannot be switched off or only report")
        object.__setattr__(self, "bound", {})
        object.__setattr__(self, "named", tuple(_named(kind, self.rules) for kind in _KINDS))
        on = (rule for rule in self.rules if rule.enforcement is not Enforcement.OFF)
        object.__setattr__(self, "looks_back_s", max((rule.looks_back_s for rule in on), default=0))

    @property
    def named_bots(self) -> frozenset[str]:
        """The bots that have rules of their own."""
        return self.named[_KINDS.index("bot")]

    @property
    def attempts_window_s(self) -> int:
        """How far back any rule that is on looks at a bot's earlier attempts, in seconds; 0 when none does."""
        return self.looks_back_s

    def rules_for(self, *, account: str | None, bot: str, symbol: str | None) -> tuple[Rule, ...]:
        """The rules whose level matches, strictest precedence first. Rules that are off are left out."""
        return self.bound_to(account=account, bot=bot, symbol=symbol).rules

    def bound_to(self, *, account: str | None, bot: str, symbol: str | None, ramp: Decimal = WHOLE) -> Bound:
        """The same rules by purpose, with the fraction ``ramp`` of the limits that grow back after a re-arm.

        Remembered by those of the four levels that the policy names, so what bots ask for cannot make it grow; a ramp
        has at most a hundred steps.
        """
        accounts, bots, symbols = self.named
        asked = (
            account if account in accounts else None,
            bot if bot in bots else None,
            symbol if symbol in symbols else None,
        )
        bound = self.bound.get((*asked, ramp))
        if bound is None:
            levels = {"desk", *(f"{kind}:{name}" for kind, name in zip(_KINDS, asked, strict=True) if name is not None)}
            matching = [rule for rule in self.rules if rule.level in levels and rule.enforcement is not Enforcement.OFF]
            if ramp != WHOLE:
                matching = [ramped(rule, ramp) for rule in matching]
            bound = self.bound[(*asked, ramp)] = Bound.of(tuple(sorted(matching, key=_precedence)))
        return bound
