"""What the rules say of themselves, as pages: ``perpguard rules`` and the generated parts of the documentation."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from proxy.venues.binance.rejections import for_breach
from rules.catalog import CATALOG, ENTRY_RULES, EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.decision import Breach
from rules.rule import FACTS_UNKNOWN, Rule, Setting

_MEETS: Final = (
    (GATES, "A gate: judged before the others, never switched off."),
    (EXIT_RULES, "Met by exits."),
    (OWNERSHIP_RULES, "Met by everything, exits and cancels among them."),
    (ENTRY_RULES, "Met by entries, amends and settings."),
)
_HOW_LOOSER: Final = {"higher": "higher", "lower": "lower", "neither": "depends"}


def rules_part() -> str:
    """The generated part of ``docs/rules.md``: every rule in order of precedence."""
    return "\n".join(rule_page(rule) for rule in CATALOG.values())


def rule_page(rule: type[Rule]) -> str:
    """One rule: what it does, its settings, its codes, what it serves, an example."""
    parts = [f"## `{rule.rule_id}`\n", f"{_meets(rule)} {_prose(rule)}\n"]
    settings = list(_settings(rule))
    if settings:
        parts += ["| setting | unit; meaning | default | looser when |", "|---|---|---|---|"]
        parts += [*(f"| {' | '.join(cells)} |" for cells in settings), ""]
    else:
        parts += ["No settings.\n"]
    parts += ["| code | meaning |", "|---|---|"]
    parts += [*(f"| `{code}` | {meaning} |" for code, meaning in rule.codes.items()), ""]
    if rule.sized:
        parts += ["A refusal names the largest quantity that this rule would pass.\n"]
    if rule.clauses:
        parts += [f"Serves {', '.join(rule.clauses)}.\n"]
    if rule.example:
        parts += ["```toml", rule.example.strip(), "```\n"]
    return "\n".join(parts)


def rules_json(rule_id: str | None) -> str:
    """The same for programs: one rule, or all of them in order of precedence."""
    rules = CATALOG.values() if rule_id is None else (CATALOG[rule_id],)
    listed = [
        {
            "id": rule.rule_id,
            "about": f"{_meets(rule)} {_prose(rule)}",
            "settings": [
                dict(zip(("name", "about", "default", "looser"), row, strict=True)) for row in _settings(rule)
            ],
            "codes": dict(rule.codes),
            "sized": rule.sized,
            "clauses": list(rule.clauses),
            "example": rule.example.strip(),
        }
        for rule in rules
    ]
    return json.dumps(listed, indent=2)


def codes_part() -> str:
    """The generated part of ``docs/codes.md``: every code of a rule and how the venue's dialect carries it."""
    rows = ["| code | HTTP | Binance | ccxt | rule | meaning |", "|---|---|---|---|---|---|"]
    seen: dict[str, list[str]] = {}
    for rule in CATALOG.values():
        for code in rule.codes:
            seen.setdefault(code, []).append(rule.rule_id)
    for code, rule_ids in seen.items():
        answer = for_breach(Breach(rule_id=rule_ids[0], code=code, message=""))
        named = f"`{rule_ids[0]}`" if len(rule_ids) == 1 else "several"
        meaning = CATALOG[rule_ids[0]].codes[code]
        if code == FACTS_UNKNOWN:
            named, meaning = "many", "what the rule needs is not known, or no longer; exits and cancels pass"
        raised = _raised_by_ccxt(answer.code, answer.msg)
        rows.append(f"| `{code}` | {answer.status} | {answer.code} | {raised} | {named} | {meaning} |")
    return "\n".join(rows) + "\n"


def _raised_by_ccxt(code: int, message: str) -> str:
    """The exception of ccxt for a refusal; a test asks ccxt itself."""
    by_code = {-1015: "RateLimitExceeded", -2011: "OrderNotFound", -1121: "BadSymbol"}
    return by_code.get(code, "PermissionDenied" if "no operation privilege" in message else "InvalidOrder")


def _meets(rule: type[Rule]) -> str:
    return next(words for rules, words in _MEETS if rule in rules)


def _prose(rule: type[Rule]) -> str:
    """The docstring for readers of a page: one line a paragraph, single backticks."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(rule.__doc__ or ""))
    return "\n\n".join(" ".join(each.split()) for each in paragraphs).replace("``", "`")


def _settings(rule: type[Rule]) -> Iterator[tuple[str, str, str, str]]:
    hints = get_type_hints(rule, include_extras=True)
    for field in dataclasses.fields(rule):
        if field.name in ("enforcement", "level"):
            continue
        setting = next(each for each in get_args(hints[field.name]) if isinstance(each, Setting))
        about = setting.about.replace("|", "\\|") + _choices(hints[field.name])
        yield f"`{field.name}`", about, _default(field), _HOW_LOOSER[setting.looser.value]


def _choices(hint: Any) -> str:
    kind = _enum_in(get_args(hint)[0])
    return "" if kind is None else f" ({', '.join(each.value for each in kind)})"


def _enum_in(kind: Any) -> type[StrEnum] | None:
    """The enumeration behind a field's type, whether optional or in a tuple."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    if get_origin(kind) in (Union, UnionType, tuple):
        return next((found for each in get_args(kind) if (found := _enum_in(each)) is not None), None)
    return None


def _default(field: dataclasses.Field[Any]) -> str:
    """As TOML spells it."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    match value:
        case dataclasses.MISSING:
            return "required"
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case str():
            return f'`"{value}"`'
        case tuple() | dict():
            plain = [each.value if isinstance(each, StrEnum) else each for each in value]
            return f"`{plain}`".replace("'", '"') if value else "empty"
        case _:
            return f"{value}"
