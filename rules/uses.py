"""How much of a policy's limits an account uses as it stands: the rules' own arithmetic, asked without an order.

Only limits that are enforced and that size an account's book are among them; of several on the same thing the strictest
counts, as it would for an order. It is for people to look at: nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from rules.decision import Enforcement, Use
from rules.exposure import worst_case
from rules.policy import Policy
from rules.ramp import WHOLE
from rules.rule import Rule
from rules.snapshot import Snapshot


def uses_of(policy: Policy, snapshot: Snapshot, bots: Iterable[str], ramp: Decimal = WHOLE) -> tuple[Use, ...]:
    """The uses in the order of the policy's rules, the account's before those of its symbols and of its ``bots``.

    ``ramp`` is the fraction of the limits that grow back after a re-arm. An unknown account uses nothing.
    """
    if snapshot.account is None:
        return ()
    strictest: dict[tuple[str, str, str, str], Use] = {}
    for bot in ("", *sorted(policy.named_bots.intersection(bots))):
        picture, asked = replace(snapshot, bot=bot), dict[int, tuple[Rule, tuple[Use, ...]]]()
        for symbol in (None, *sorted(worst_case(snapshot))):
            bound = policy.bound_to(account=snapshot.account.name, bot=bot, symbol=symbol, ramp=ramp)
            for use in _uses(bound.rules, picture, symbol or "", asked):
                owner = use.level if use.level.startswith("bot:") else ""
                key = use.rule_id, use.name, use.symbol, owner
                if key not in strictest or _share(use) > _share(strictest[key]):
                    strictest[key] = use
    return tuple(strictest.values())


def _uses(
    rules: Iterable[Rule], snapshot: Snapshot, symbol: str, asked: dict[int, tuple[Rule, tuple[Use, ...]]]
) -> Iterator[Use]:
    """What concerns the account when ``symbol`` is empty, else what concerns that symbol. A rule is asked once."""
    for rule in rules:
        if rule.enforcement is not Enforcement.ENFORCE:
            continue
        if id(rule) not in asked:  # Kept beside its answer, so that no other rule can have its id.
            asked[id(rule)] = rule, rule.uses(snapshot)
        of_its_own = rule.level.startswith("symbol:")
        yield from (use for use in asked[id(rule)][1] if use.symbol == symbol or (of_its_own and not use.symbol))


def _share(use: Use) -> Decimal:
    """Of limits on the same thing the one used most is the strictest; one of nothing is stricter than all."""
    if use.limit > 0:
        return use.observed / use.limit
    return Decimal("Infinity")
