"""TOML text -> Policy. A policy that cannot be read whole is not read at all.

[policy]
name = "solo"
owner = "risk@example.org"

[desk.max_leverage]                 # also [account.NAME.RULE], [bot.NAME.RULE], [symbol.NAME.RULE]
enforcement = "enforce"             # enforce | report | off, always written out
limit = 3

[desk.outside_activity]             # also [account.NAME.outside_activity]
action = "reduce"                   # alert | reduce | kill

[bot.grid.resize]                   # only for bots
mode = "trim"                       # refuse | trim

[desk.custom.no_weekend_shorts]     # at every level; proxy.custom_rules says what may be written
enforcement = "enforce"
expression = "order.side == 'BUY' || !(now.getDayOfWeek() in [0, 6])"
message = "no shorts over the weekend"
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.custom_rules import read_custom_rules
from proxy.packaged_rules import PackagedRuleRefused, packaged_rule, packaged_rule_ids
from rules.catalog import CATALOG, EXIT_RULES, GATES
from rules.custom import CUSTOM
from rules.outside import OutsideAction, OutsideActivity
from rules.policy import Policy
from rules.resize import Resize, ResizeMode
from rules.rule import Rule

_LEVELS: Final = ("account", "bot", "symbol")
_OUTSIDE: Final = "outside_activity"
_RESIZE: Final = "resize"
_POLICY_BYTES_MAX: Final = 1 << 20
# Correlations may be negative and a band may be zero; every other number in a policy is a limit above zero.
_MAY_BE_ZERO_OR_LESS: Final = frozenset({"default", "stress_floor", "hedge_credit", "tighten", "band"})


class PolicyError(Exception):
    """The policy text is wrong. The message names the place and what would be right."""


def load_policy(path: Path) -> Policy:
    """The policy in ``path``. Raises ``PolicyError`` naming the file."""
    return read_policy(path)[0]


def read_policy(path: Path) -> tuple[Policy, str]:
    """The policy in ``path`` and the very text it was read from. Raises ``PolicyError`` naming the file."""
    try:
        text = path.read_text(encoding="utf-8")
        return parse_policy(text), text
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise PolicyError(f"{path}: {error}") from error


def policy_digest(text: str) -> str:
    """The name a policy has in every decision: the start of the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_policy(text: str) -> Policy:
    """The policy written in ``text``. Raises ``PolicyError``."""
    if len(text) > _POLICY_BYTES_MAX:
        raise PolicyError("a policy is at most 1 MiB")
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"not TOML: {error}") from error
    _refuse_unknown(document, ("policy", "desk", *_LEVELS), "the top level")
    head = document.get("policy", {})
    if not isinstance(head, dict):
        raise PolicyError("[policy] must be a table")
    _refuse_unknown(head, ("name", "owner"), "[policy]")
    outside = tuple(_outside(document))
    for field in ("name", "owner"):
        if not isinstance(head.get(field), str) or not head[field].strip():
            raise PolicyError(f'[policy] needs {field} = "..."')
    try:
        return Policy(
            name=head["name"],
            owner=head["owner"],
            version=policy_digest(text),
            rules=_with_defaults(tuple(_rules(document))),
            outside=outside,
            resizes=tuple(_resizes(document)),
        )
    except ValueError as error:
        raise PolicyError(str(error)) from error


def _with_defaults(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The gates and the exit collar apply even when a policy does not mention them."""
    present = {type(rule) for rule in rules if rule.level == "desk"}
    missing = tuple(rule() for rule in (*GATES, *EXIT_RULES) if rule not in present)
    return (*missing, *rules)


def _rules(document: Mapping[str, Any]) -> Iterator[Rule]:
    yield from _level_rules("desk", document.get("desk", {}), "desk")
    for level in _LEVELS:
        names = document.get(level, {})
        if not isinstance(names, dict):
            raise PolicyError(f"[{level}] must hold tables [{level}.NAME.RULE]")
        for name, tables in names.items():
            yield from _level_rules(f"{level}:{name}", tables, f"{level}.{name}")


def _outside(document: Mapping[str, Any]) -> Iterator[OutsideActivity]:
    """The tables of the one setting that is no rule of an order; found where ``_rules`` will look for rules."""
    accounts = document.get("account", {})
    levels = {"desk": document.get("desk", {})}
    if isinstance(accounts, dict):
        levels |= {f"account:{name}": tables for name, tables in accounts.items()}
    for level, tables in levels.items():
        if not isinstance(tables, dict) or _OUTSIDE not in tables:
            continue
        place = f"[{level.replace(':', '.')}.{_OUTSIDE}]"
        settings = tables[_OUTSIDE]
        if not isinstance(settings, dict):
            raise PolicyError(f"{place} must be a table")
        _refuse_unknown(settings, ("action",), place)
        if settings.get("action") not in list(OutsideAction):
            raise PolicyError(f'{place} needs action = "alert", "reduce" or "kill"')
        yield OutsideActivity(level=level, action=OutsideAction(settings["action"]))


def _resizes(document: Mapping[str, Any]) -> Iterator[Resize]:
    """The tables that say which bots' entries are sized down; found where ``_rules`` will look for rules."""
    for name, tables in document.get("bot", {}).items():
        if not isinstance(tables, dict) or _RESIZE not in tables:
            continue
        place = f"[bot.{name}.{_RESIZE}]"
        settings = tables[_RESIZE]
        if not isinstance(settings, dict):
            raise PolicyError(f"{place} must be a table")
        _refuse_unknown(settings, ("mode",), place)
        if settings.get("mode") not in list(ResizeMode):
            raise PolicyError(f'{place} needs mode = "refuse" or "trim"')
        yield Resize(level=f"bot:{name}", mode=ResizeMode(settings["mode"]))


def _level_rules(level: str, tables: object, place: str) -> Iterator[Rule]:
    if not isinstance(tables, dict):
        raise PolicyError(f"[{place}] must hold tables [{place}.RULE]")
    if level == "desk" or level.startswith("account:"):
        tables = {name: settings for name, settings in tables.items() if name != _OUTSIDE}
    if level.startswith("bot:"):
        tables = {name: settings for name, settings in tables.items() if name != _RESIZE}
    if CUSTOM in tables:
        try:
            yield from read_custom_rules(tables[CUSTOM], level)
        except ValueError as error:
            raise PolicyError(f"[{place}.{CUSTOM}] {error}") from error
        tables = {name: settings for name, settings in tables.items() if name != CUSTOM}
    if not tables.keys() <= CATALOG.keys():
        _refuse_unknown(tables, (*CATALOG, *packaged_rule_ids()), f"[{place}]")
    for rule_id, settings in tables.items():
        if not isinstance(settings, dict):
            raise PolicyError(f"[{place}.{rule_id}] must be a table")
        yield _rule(rule_id, settings, level, f"[{place}.{rule_id}]")


def _rule(rule_id: str, settings: dict[str, Any], level: str, place: str) -> Rule:
    rule_type = CATALOG.get(rule_id) or _packaged(rule_id, place)
    fields = {field.name for field in dataclasses.fields(rule_type)} - {"level"}
    _refuse_unknown(settings, tuple(sorted(fields)), place)
    if "enforcement" not in settings:
        raise PolicyError(f'{place} needs enforcement = "enforce", "report" or "off"')
    _refuse_quoted_numbers(rule_type, settings, place)
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            continue
        if not Decimal(value).is_finite() or (value <= 0 and name not in _MAY_BE_ZERO_OR_LESS):
            raise PolicyError(f"{place} {name} must be above zero, not {value}")
    try:
        return msgspec.convert({**settings, "level": level}, rule_type)
    except (msgspec.ValidationError, ValueError, ArithmeticError) as error:
        raise PolicyError(f"{place} {error or type(error).__name__}") from error


def _packaged(rule_id: str, place: str) -> type[Rule]:
    try:
        rule_type = packaged_rule(rule_id)
    except PackagedRuleRefused as refused:
        raise PolicyError(f"{place} {refused}") from refused
    if rule_type is None:
        raise PolicyError(f"{place} is no rule any more: its package was taken away")
    return rule_type


def _refuse_quoted_numbers(rule_type: type[Rule], settings: Mapping[str, Any], place: str) -> None:
    """A number in quotes would pass by the checks on numbers; ``"nan"`` and ``"Infinity"`` are no limits at all."""
    for field in dataclasses.fields(rule_type):
        value = settings.get(field.name)
        values = value.values() if isinstance(value, dict) else (value,)
        if "Decimal" in str(field.type) and any(isinstance(each, str) for each in values):
            raise PolicyError(f"{place} {field.name} must be a number without quotes")
        if isinstance(value, dict) and any(isinstance(each, Decimal) and not each.is_finite() for each in values):
            raise PolicyError(f"{place} {field.name} must hold plain numbers")


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(known)}"
            raise PolicyError(f'{place} has no "{name}"{hint}')
