"""One table of a policy becomes one rule, or everything that is wrong with it becomes known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec

from proxy.decoding import build
from proxy.policy.fields import Field, fields_of, items_of, kinds_of, table_of
from proxy.policy.places import Place
from proxy.policy.problems import Problems, meant, shown
from rules.ages import SPAN_MAX_S
from rules.catalog import GATES
from rules.decision import Enforcement
from rules.rule import Rule, Setting

_DIGITS_MAX: Final = 18
"""Digits before and after the point: what the guard's own grammar of numbers takes, and no exponent can blow up."""

_YEARS: Final = range(2000, 3000)
"""From these every span of a policy may be reckoned to and fro, and in any zone."""

T = TypeVar("T")

_WHERE: Final = re.compile(r" - at `\$.*`$")


def read_rule(
    rule_type: type[Rule],
    settings: Mapping[str, Any],
    *,
    level: str,
    place: Place,
    problems: Problems,
) -> Rule | None:
    """The rule of this table, or ``None`` when it is wrong: then ``problems`` has been told every reason."""
    if "enforcement" not in settings:
        problems.add(place, f'{shown(place)} needs enforcement = "enforce", "report" or "off"')
    rule = read_table(partial(rule_type, level=level), fields_of(rule_type), settings, place=place, problems=problems)
    if rule is not None and rule_type in GATES and rule.enforcement is not Enforcement.ENFORCE:
        problems.add((*place, "enforcement"), f"{shown(place)} {rule.rule_id} cannot be switched off or only report")
    return rule


def read_table(
    build: Callable[..., T],
    known: Mapping[str, Field],
    settings: Mapping[str, Any],
    *,
    place: Place,
    problems: Problems,
) -> T | None:
    """What ``build`` makes of a table whose keys are ``known``; ``None`` when it is wrong, and why has been told."""
    before = len(problems)
    problems.add_unknown(settings, sorted(known), place)
    for field in known.values():
        if field.required and field.name not in settings:
            about = f" ({field.setting.about})" if field.setting.about else ""
            problems.add(place, f"{shown(place)} needs {field.name}{about}")
    values = {}
    for name in filter(known.__contains__, settings):
        field = known[name]
        reader = _Reader(shown(place), problems)
        values[name] = reader.read(settings[name], field, (*place, name))
    if len(problems) > before:
        return None
    try:
        return build(**values)
    except (ValueError, ArithmeticError) as error:
        problems.add(place, f"{shown(place)} {error or type(error).__name__}")
        return None


class _Reader:
    """Reads one setting: looks at every value inside it, then builds it as the rule wants it."""

    def __init__(self, table: str, problems: Problems) -> None:
        self._table = table
        self._problems = problems

    def read(self, value: Any, field: Field, place: Place) -> Any:
        """The setting, or ``None`` when it is wrong and ``problems`` has been told."""
        before = len(self._problems)
        self._look(value, field.hint, place, field.name, field.setting)
        if len(self._problems) > before:
            return None
        try:
            return build(value, field.hint)
        except (msgspec.ValidationError, ValueError, ArithmeticError) as error:
            self._refuse(place, f"{field.name}: {_WHERE.sub('', str(error)) or type(error).__name__}")
            return None

    def _look(self, value: Any, hint: Any, place: Place, name: str, setting: Setting) -> None:
        if isinstance(value, dict) and (kind := table_of(hint)) is not None:
            self._look_at_table(value, kind, place, name)
        elif isinstance(value, dict | list):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in pairs:
                inner = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}"
                self._look(each, items_of(hint), (*place, key), inner, setting)
        elif (wrong := _wrong_with(value, kinds_of(hint), setting)) is not None:
            self._refuse(place, f"{name} {wrong}")

    def _look_at_table(self, table: dict[str, Any], kind: type, place: Place, name: str) -> None:
        known = fields_of(kind)
        for key, each in table.items():
            inner = f"{name}.{key}"
            if key not in known:
                self._refuse((*place, key), f'{name} has no "{key}"{meant(key, sorted(known))}')
            else:
                self._look(each, known[key].hint, (*place, key), inner, known[key].setting)
        for field in known.values():
            if field.required and field.name not in table:
                self._refuse(place, f"{name} needs {field.name}")

    def _refuse(self, place: Place, message: str) -> None:
        self._problems.add(place, f"{self._table} {message}")


def _wrong_with(value: object, kinds: tuple[Any, ...], setting: Setting) -> str | None:
    """What is wrong with a single value, whatever it is for; its type is the rule's business."""
    match value:
        case bool():
            return None
        case int() | Decimal():
            return _wrong_with_number(Decimal(value), setting, whole=int in kinds)
        case str():
            return _wrong_with_text(value, kinds)
        case datetime() if value.tzinfo is None:
            return "needs an offset, such as the Z of 2026-12-31T09:00:00Z"
        case datetime():
            return None if value.year in _YEARS else f"must be of the years {_YEARS[0]} to {_YEARS[-1]}"
        case date() | time():
            return "needs date, time and offset, such as 2026-12-31T09:00:00Z"
    return None


def _wrong_with_number(value: Decimal, setting: Setting, *, whole: bool) -> str | None:
    if not value.is_finite():
        return f"must be a plain number, not {value}"
    exponent = value.as_tuple().exponent
    if value.adjusted() >= _DIGITS_MAX or (isinstance(exponent, int) and exponent < -_DIGITS_MAX):
        return f"must be a number of at most {_DIGITS_MAX} digits before the point and {_DIGITS_MAX} after"
    if value <= 0 and not setting.zero_or_less:
        return f"must be above zero, not {value}"
    if whole and abs(value) > SPAN_MAX_S:
        return f"must be at most {SPAN_MAX_S}, not {value}"
    if setting.fraction and value > 1:
        return f"is a fraction, at most 1, not {value}"
    return None


def _wrong_with_text(text: str, kinds: tuple[Any, ...]) -> str | None:
    """A number in quotes would pass by the checks on numbers; ``"nan"`` and ``"Infinity"`` are no limits at all."""
    if str in kinds:
        return None
    if any(kind in (Decimal, int, float) for kind in kinds):
        return "must be a number without quotes"
    if datetime in kinds:
        return "must be a moment without quotes, such as 2026-12-31T09:00:00Z"
    words = [str(word) for kind in kinds for word in _words_of(kind)]
    if words and text not in words:
        return f'cannot be "{text}"{meant(text, words)}'
    return None


def _words_of(kind: Any) -> Iterable[Any]:
    """The words a setting is one of, where it is."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return kind if isinstance(kind, type) and issubclass(kind, StrEnum) else ()
