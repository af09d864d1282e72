"""Every rule of the catalog, with settings drawn from what its fields' types and meanings allow.

Nothing here names a rule: what is added to the catalog is met by every property from then on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from proxy.policy.reading import parse_policy
from rules.catalog import CATALOG, ENTRY_RULES, EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.decision import Enforcement
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from rules.rule import Looser, Rule, Setting
from tests.rules.builders import NOW

LEVELS = ("desk", "account:demo", "bot:demo-bot", "symbol:BTCUSDT", "bot:somebody-else")
_SYMBOLS = ("BTCUSDT", "ETHUSDT", "DOGEUSDT")
_FRACTIONS = ("0.001", "0.01", "0.05", "0.1", "0.25", "0.5", "0.8", "0.95", "1")
_NUMBERS = ("2", "5", "20", "150", "1000", "10000", "50000", "150000", "400000")
_SPANS = (1, 2, 3, 5, 10, 40, 60, 120, 300, 3600, 86_400, 90_000)

_decimals = st.sampled_from([*_FRACTIONS, *_NUMBERS]).map(Decimal)
_fractions = st.sampled_from(_FRACTIONS).map(Decimal)
_money = st.one_of(st.sampled_from(_NUMBERS).map(Decimal), st.integers(1, 400_000).map(Decimal))


@cache
def _values(kind: Any, name: str) -> st.SearchStrategy[Any] | None:
    """Values of a field's type; ``None`` where only the rule's example knows what stands there."""
    if get_origin(kind) in (Union, UnionType):
        parts = [_values(each, name) for each in get_args(kind) if each is not NoneType]
        known = [each for each in parts if each is not None]
        return st.none() | st.one_of(known) if known else None
    if kind is Decimal:
        money = any(word in name for word in ("notional", "limit", "quantity", "full", "start", "gross"))
        fraction = any(
            word in name for word in ("share", "band", "floor", "rho", "default", "credit", "tighten", "_at")
        )
        return _fractions if fraction else _money if money else _decimals
    if kind is int:
        return st.sampled_from(_SPANS)
    if kind is bool:
        return st.booleans()
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    if get_origin(kind) is tuple and isinstance(get_args(kind)[0], type) and issubclass(get_args(kind)[0], StrEnum):
        return st.lists(st.sampled_from(get_args(kind)[0]), min_size=1, max_size=4, unique=True).map(tuple)
    if get_origin(kind) in (Mapping, dict) and get_args(kind) == (str, Decimal):
        pair = st.sampled_from(["BTCUSDT:ETHUSDT", "DOGEUSDT:BTCUSDT"])
        return st.dictionaries(pair, st.integers(-100, 100).map(lambda percent: Decimal(percent) / 100), max_size=2)
    if get_origin(kind) in (Mapping, dict) and get_args(kind) == (str, datetime):
        at = st.integers(-3, 3).map(lambda hours: NOW + timedelta(hours=hours))
        return st.dictionaries(st.sampled_from(_SYMBOLS), at, max_size=2)
    return None


@cache
def settings_of(rule: type[Rule]) -> dict[str, tuple[Any, Setting]]:
    """Type and meaning of each of a rule's own fields."""
    hints = get_type_hints(rule, include_extras=True)
    own = [field.name for field in dataclasses.fields(rule) if field.name not in ("enforcement", "level")]
    return {
        name: (get_args(hints[name])[0], next(each for each in get_args(hints[name]) if isinstance(each, Setting)))
        for name in own
    }


@cache
def an_example(rule: type[Rule]) -> Rule | None:
    """The rule as its own example writes it."""
    if not rule.example:
        return None
    policy = parse_policy(f'[policy]\nname = "p"\nowner = "o"\n{rule.example}')
    return next(each for each in policy.rules if type(each) is rule)


@st.composite
def rules_of(draw: st.DrawFn, rule: type[Rule]) -> Rule:
    """One rule, somewhere, with some settings. What it would not take at start is not drawn."""
    example = an_example(rule)
    fields: dict[str, Any] = {}
    for name, (kind, _) in settings_of(rule).items():
        values = _values(kind, name)
        if example is not None and (values is None or draw(st.integers(0, 3)) == 0):
            fields[name] = getattr(example, name)
        elif values is not None:
            fields[name] = draw(values)
    gate = rule in GATES
    fields["level"] = draw(st.sampled_from(LEVELS))
    fields["enforcement"] = Enforcement.ENFORCE if gate else draw(st.sampled_from([Enforcement.ENFORCE, *Enforcement]))
    try:
        return rule(**fields)
    except (ValueError, ArithmeticError):
        pass
    assert example is not None, f"{rule.rule_id} has no example, and these settings are none: {fields}"
    try:
        return replace(example, level=fields["level"], enforcement=fields["enforcement"])
    except ValueError:  # Some rules stand at some levels only.
        return replace(example, enforcement=fields["enforcement"])


def _any_of(rules: tuple[type[Rule], ...]) -> st.SearchStrategy[Rule]:
    return st.one_of([rules_of(rule) for rule in rules])


def _requires(rule: Rule) -> bool:
    return not (isinstance(rule, ReduceOnlyExits) and rule.mode is ExitMode.FORCE)


SIZED = tuple(rule for rule in ENTRY_RULES if rule.sized)

sized_rules = _any_of(SIZED)
entry_rules = _any_of((*ENTRY_RULES, *(gate for gate in GATES if settings_of(gate)))).filter(_requires)
"""Every rule that can only object."""
exit_collars = _any_of(EXIT_RULES)
own_shares = _any_of(OWNERSHIP_RULES)
forcing = rules_of(ReduceOnlyExits).map(lambda rule: replace(rule, mode=ExitMode.FORCE))
all_rules = st.one_of(entry_rules, exit_collars, own_shares, forcing)


def enforced(rule: Rule) -> Rule:
    """The rule where it meets every order, so far as it may stand there."""
    try:
        return replace(rule, enforcement=Enforcement.ENFORCE, level="desk")
    except ValueError:
        return replace(rule, enforcement=Enforcement.ENFORCE)  # Some rules stand at some levels only.


def rule_lists(each: st.SearchStrategy[Rule], most: int = 5) -> st.SearchStrategy[list[Rule]]:
    """A rule stands at most once at a level, as in a policy file."""
    return st.lists(each, max_size=most, unique_by=lambda rule: (rule.rule_id, rule.level))


@st.composite
def tightened(draw: st.DrawFn) -> tuple[Rule, Rule]:
    """A rule, and the same with one setting drawn to where its meaning says that less passes."""
    rule = draw(_any_of(tuple(CATALOG.values())))
    directed = [
        (name, setting.looser)
        for name, (kind, setting) in settings_of(type(rule)).items()
        if setting.looser is not Looser.NEITHER and _is_number(getattr(rule, name), kind)
    ]
    if not directed:
        return rule, replace(rule, enforcement=Enforcement.ENFORCE)
    name, looser = draw(st.sampled_from(directed))
    tighter = _moved(draw, rule, name, getattr(rule, name), looser)
    return (rule, tighter) if tighter is not None else (rule, replace(rule, enforcement=Enforcement.ENFORCE))


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, int | Decimal) or (value is None and {int, Decimal, bool} & set(get_args(kind)) != set())


def _moved(draw: st.DrawFn, rule: Rule, name: str, value: Any, looser: Looser) -> Rule | None:
    """The rule with this setting tighter, ``None`` where it cannot be."""
    share = draw(st.integers(1, 99)) / Decimal(100)
    match value:
        case bool():
            tighter: Any = looser is Looser.LOWER
        case None:  # An optional limit that is not set is the loosest of all.
            tighter = draw(_money.filter(lambda number: number > 1))
        case int():
            tighter = max(1, int(value * share)) if looser is Looser.HIGHER else value + draw(st.integers(1, 100))
        case Decimal():
            tighter = value * share if looser is Looser.HIGHER else value + (1 - value) * share
            if looser is Looser.LOWER and value >= 1:
                tighter = value / share
        case _:
            return None
    try:
        return replace(rule, **{name: tighter})
    except (ValueError, ArithmeticError):
        return None
