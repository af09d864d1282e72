"""A policy whose rules are watched while the engine decides: which of them it asked of each command, and on what. Pure.

The engine itself does the deciding, so the rules told here are those that were asked, in the order they were asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Final

from proxy.reasons.left_out import RuleName, name_of
from rules.decision import Breach, Decision
from rules.engine import decide_batch
from rules.model import Command, Intent
from rules.policy import Asked, Bound, Policy
from rules.ramp import WHOLE
from rules.rule import Rule
from rules.snapshot import Snapshot

_FIELDS: Final = tuple(each.name for each in fields(Policy))


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One command as it was judged: the rules that are bound to it, those that were asked, and the picture they saw.

    Of a batch the picture holds the earlier items. A cancel is asked of by no gate, and seen on the picture as it came.
    """

    command: Command
    decision: Decision
    snapshot: Snapshot
    bound: Bound
    asked: frozenset[RuleName]


def decide_watched(commands: Sequence[Command], snapshot: Snapshot, policy: Policy) -> tuple[Watched, ...]:
    """What ``decide_batch`` decides, and whom it asked."""
    watching = _Watching(**{name: getattr(policy, name) for name in _FIELDS})
    object.__setattr__(watching, "items", [])
    decisions = decide_batch(commands, snapshot, watching)
    items = dict(enumerate(watching.items[: len(commands)]))
    if again := watching.items[len(commands) :]:
        # An entry fell, and what is none was judged once more without the entries.
        stays = (place for place, each in enumerate(decisions) if each.intent is not Intent.ENTRY)
        items |= dict(zip(stays, again, strict=True))
    return tuple(
        Watched(
            command=command,
            decision=decision,
            snapshot=item.snapshot or snapshot,
            bound=item.bound,
            asked=frozenset(item.asked),
        )
        for command, decision, item in zip(commands, decisions, items.values(), strict=True)
    )


class _Item:
    """What one command meets. Only who was asked is noted, and the picture of the first question: the later ones are
    the engine's search for a size that passes."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.asked: set[RuleName] = set()
        self.snapshot: Snapshot | None = None

    def watched(self, asked: Sequence[Asked]) -> tuple[Asked, ...]:
        return tuple(each._replace(check=self._noting(each.rule, each.check)) for each in asked)

    def _noting(
        self, rule: Rule, check: Callable[[Command, Snapshot], Breach | None]
    ) -> Callable[[Command, Snapshot], Breach | None]:
        def noted(command: Command, snapshot: Snapshot) -> Breach | None:
            self.asked.add(name_of(rule))
            self.snapshot = self.snapshot or snapshot
            return check(command, snapshot)

        return noted


class _Watching(Policy):
    """The engine asks what is bound to a command once for each, in sequence, and for some of a batch once more."""

    __slots__ = ("items",)
    items: list[_Item]

    def bound_to(self, *, account: str | None, bot: str, symbol: str | None, ramp: Decimal = WHOLE) -> Bound:
        bound = super().bound_to(account=account, bot=bot, symbol=symbol, ramp=ramp)
        item = _Item(bound)
        self.items.append(item)
        return replace(
            bound,
            gates=item.watched(bound.gates),
            for_exits=item.watched(bound.for_exits),
            for_entries=item.watched(bound.for_entries),
        )
