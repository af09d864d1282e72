"""TOML text -> Policy. A policy that cannot be read whole is not read at all; all that is wrong is told at once.

[policy]
name = "solo"
owner = "risk@example.org"
loosening = "two-people"            # or "delay", of loosening_delay_s (default 3600)

[desk.max_leverage]                 # also [account.NAME.RULE], [bot.NAME.RULE], [symbol.NAME.RULE]
enforcement = "enforce"             # enforce | report | off, always written out
limit = 3

[desk.outside_activity]             # also [account.NAME.outside_activity]
action = "reduce"                   # alert | reduce | kill

[bot.grid.resize]                   # only for bots
mode = "trim"                       # refuse | trim

[kill.rearm]                        # how the desk is stopped and started again: rules.kill.settings
needs = "two-people"                # two-people | delay

[desk.custom.no_weekend_shorts]     # at every level; proxy.policy.custom_rules says what may be written
enforcement = "enforce"
expression = "order.side == 'BUY' || !(now.getDayOfWeek() in [0, 6])"
message = "no shorts over the weekend"
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from proxy.policy.custom_rules import read_custom_rules
from proxy.policy.packaged_rules import PackagedRuleRefused, packaged_rule, packaged_rule_ids
from proxy.policy.places import Place
from proxy.policy.printable import check_names, check_printable
from proxy.policy.problems import PolicyError, Problem, Problems, shown
from proxy.policy.side_tables import KILL, OUTSIDE, RESIZE, read_kill, read_outside, read_resizes
from proxy.policy.tables import read_rule
from rules.catalog import CATALOG, EXIT_RULES, GATES
from rules.custom import CUSTOM, CustomRule
from rules.loosening import DELAY_DEFAULT_S, DELAY_MAX_S, DELAY_MIN_S, Loosening, Needs
from rules.policy import Policy
from rules.rule import Rule

__all__ = ["POLICY_LENGTH_MAX", "PolicyError", "load_policy", "parse_policy", "policy_digest", "read_policy"]

POLICY_LENGTH_MAX: Final = 256 * 1024
"""Characters. A large policy has some thousand; a gate reads a new one between two orders."""

_LEVELS: Final = ("account", "bot", "symbol")
_TOML_LINE: Final = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")


def load_policy(path: Path) -> Policy:
    """The policy in ``path``. Raises ``PolicyError`` naming the file."""
    return read_policy(path)[0]


def read_policy(path: Path) -> tuple[Policy, str]:
    """The policy in ``path`` and the very text it was read from. Raises ``PolicyError`` naming the file."""
    try:
        text = path.read_bytes().decode("utf-8")  # Ends of lines and all: its digest is its name.
        return parse_policy(text), text
    except PolicyError as error:
        raise PolicyError(*error.problems, file=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PolicyError(f"cannot be read: {reason}", file=str(path)) from error


def policy_digest(text: str) -> str:
    """The name a policy has in every decision: the start of the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_policy(text: str) -> Policy:
    """The policy written in ``text``. Raises ``PolicyError``."""
    document = _document(text)
    problems = Problems(text)
    check_printable(document, problems)
    problems.add_unknown(document, ("policy", KILL, "desk", *_LEVELS), ())
    name, owner, loosening = _head(document.get("policy", {}), problems)
    rules = tuple(_rules(document, problems))
    _check_custom_names(rules, problems)
    outside = tuple(read_outside(document, problems))
    resizes = tuple(read_resizes(document, problems))
    kill = read_kill(document, problems)
    problems.raise_any()
    return Policy(
        name=name,
        owner=owner,
        version=policy_digest(text),
        rules=_with_defaults(rules),
        outside=outside,
        resizes=resizes,
        kill=kill,
        loosening=loosening,
    )


def _document(text: str) -> dict[str, Any]:
    if len(text) > POLICY_LENGTH_MAX:
        raise PolicyError(f"a policy has at most {POLICY_LENGTH_MAX} characters")
    check_names(text)
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError) as error:
        # Besides its own error the reader lets through those of numbers that are far too long.
        words = str(error) or type(error).__name__
        raise PolicyError(Problem(f"not TOML: {_TOML_LINE.sub('', words)}", _line_in(words, text))) from error
    except RecursionError:
        raise PolicyError("not TOML: nested too deeply") from None


def _line_in(words: str, text: str) -> int | None:
    """The line that the TOML reader's own words name."""
    found = _TOML_LINE.search(words)
    if found is None:
        return None
    return int(found[1]) if found[1] else len(text.splitlines())


def _head(head: object, problems: Problems) -> tuple[str, str, Loosening]:
    """Name, owner and what loosening needs; whatever, when ``problems`` has been told."""
    place: Place = ("policy",)
    if not isinstance(head, dict):
        problems.add(place, "[policy] must be a table")
        return "", "", Loosening()
    problems.add_unknown(head, ("name", "owner", "loosening", "loosening_delay_s"), place)
    for field, such_as in (("name", "solo"), ("owner", "risk@desk.example")):
        if not isinstance(head.get(field), str) or not head[field].strip():
            problems.add((*place, field), f'[policy] needs {field} = "...", such as "{such_as}"')
    return _text(head, "name"), _text(head, "owner"), _loosening(head, problems)


def _text(head: Mapping[str, Any], field: str) -> str:
    """What is no text has been told; a number there may be one that cannot even be written out."""
    value = head.get(field)
    return value if isinstance(value, str) else ""


def _loosening(head: Mapping[str, Any], problems: Problems) -> Loosening:
    needs, delay_s = head.get("loosening", Needs.DELAY), head.get("loosening_delay_s", DELAY_DEFAULT_S)
    if needs not in list(Needs):
        problems.add(("policy", "loosening"), '[policy] loosening is "two-people" or "delay"')
        return Loosening()
    if type(delay_s) is not int or not DELAY_MIN_S <= delay_s <= DELAY_MAX_S:
        words = f"a whole number of seconds from {DELAY_MIN_S} to {DELAY_MAX_S}"
        problems.add(("policy", "loosening_delay_s"), f"[policy] loosening_delay_s is {words}")
        return Loosening()
    if needs == Needs.TWO_PEOPLE and "loosening_delay_s" in head:
        problems.add(("policy", "loosening_delay_s"), "[policy] loosening_delay_s says nothing where two people decide")
    return Loosening(needs=Needs(needs), delay_s=delay_s)


def _with_defaults(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The gates and the exit collar apply even when a policy does not mention them."""
    present = {type(rule) for rule in rules if rule.level == "desk"}
    missing = tuple(rule() for rule in (*GATES, *EXIT_RULES) if rule not in present)
    return (*missing, *rules)


def _rules(document: Mapping[str, Any], problems: Problems) -> Iterator[Rule]:
    yield from _level_rules("desk", document.get("desk", {}), ("desk",), problems)
    for level in _LEVELS:
        names = document.get(level, {})
        if not isinstance(names, dict):
            problems.add((level,), f"[{level}] must hold tables [{level}.NAME.RULE]")
            continue
        for name, tables in names.items():
            if not name:
                # Nothing that trades has it, and what reads a level takes "account:" for the desk.
                problems.add((level, name), f"{shown((level, name))} names no {level}: the name is empty")
                continue
            yield from _level_rules(f"{level}:{name}", tables, (level, name), problems)


def _level_rules(level: str, tables: object, place: Place, problems: Problems) -> Iterator[Rule]:
    if not isinstance(tables, dict):
        problems.add(place, f"{shown(place)} must hold tables {shown((*place, 'RULE'))}")
        return
    others = {OUTSIDE} if place[0] in ("desk", "account") else {RESIZE} if place[0] == "bot" else set()
    if CUSTOM in tables:
        yield from _custom_rules(tables[CUSTOM], level, (*place, CUSTOM), problems)
    tables = {name: settings for name, settings in tables.items() if name not in {CUSTOM, *others}}
    if not tables.keys() <= CATALOG.keys():
        problems.add_unknown(tables, (*CATALOG, *packaged_rule_ids()), place)
    for rule_id, settings in tables.items():
        where = (*place, rule_id)
        rule_type = CATALOG.get(rule_id) or _packaged(rule_id, where, problems)
        if rule_type is None:
            continue
        if not isinstance(settings, dict):
            problems.add(where, f"{shown(where)} must be a table")
            continue
        rule = read_rule(rule_type, settings, level=level, place=where, problems=problems)
        if rule is not None:
            yield rule


def _custom_rules(tables: object, level: str, place: Place, problems: Problems) -> Iterator[Rule]:
    """A desk's own rules, one at a time, so that each tells what is wrong with it."""
    parts = [(place, tables)]
    if isinstance(tables, dict):
        parts = [((*place, name), {name: settings}) for name, settings in tables.items()]
    for where, part in parts:
        try:
            yield from read_custom_rules(part, level)
        except ValueError as error:
            problems.add(where, f"{shown(place)} {error}")


def _check_custom_names(rules: Sequence[Rule], problems: Problems) -> None:
    """An override names one rule. Of two that an order may meet, one name must not stand for both.

    Those of two bots, say, are never met by one order.
    """
    first: dict[str, Rule] = {}
    for rule in rules:
        if not isinstance(rule, CustomRule):
            continue
        other = first.setdefault(rule.name, rule)
        kind, _, name = rule.level.partition(":")
        if kind != other.level.partition(":")[0]:
            place: Place = (kind, name, CUSTOM, rule.name) if name else (kind, CUSTOM, rule.name)
            words = f"has the name of another rule, at {other.level}, and an override would lift both"
            problems.add(place, f"{shown(place)} {words}: give it one of its own")


def _packaged(rule_id: str, place: Place, problems: Problems) -> type[Rule] | None:
    """The rule of an installed package; ``None`` when there is none, which has been told, or it cannot be used."""
    try:
        return packaged_rule(rule_id)
    except PackagedRuleRefused as refused:
        problems.add(place, f"{shown(place)} {refused}")
        return None
