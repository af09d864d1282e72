"""What may be written in a rule's table, read from the rule itself: names, types, meanings, defaults."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from rules.rule import Rule, Setting

_NO_SETTING: Final = Setting("")
_known: Final[dict[type, dict[str, Field]]] = {}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table. ``hint`` is its type without annotations; ``default`` counts only when not ``required``."""

    name: str
    hint: Any
    setting: Setting
    required: bool
    default: Any


def fields_of(kind: type) -> dict[str, Field]:
    """The fields of a rule, or of a dataclass within one. A rule's ``level`` is where its table stands, not a key."""
    if kind not in _known:
        _known[kind] = dict(_fields(kind))
    return _known[kind]


def _fields(kind: Any) -> Iterator[tuple[str, Field]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        # What is no part of a rule's value, such as what an expression was compiled to, is no key either.
        if (field.name == "level" and issubclass(kind, Rule)) or not field.compare:
            continue
        hint, setting = _unannotated(hints[field.name])
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        required = field.default is dataclasses.MISSING and not made
        yield field.name, Field(field.name, hint, setting or _NO_SETTING, required, default)


def kinds_of(hint: Any) -> tuple[Any, ...]:
    """The types a value may have, ``None`` left out."""
    hint, _ = _unannotated(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(kind for each in get_args(hint) if each is not type(None) for kind in kinds_of(each))
    return (hint,)


def items_of(hint: Any) -> Any:
    """The type of the items of a list, or of the values of a table; ``Any`` where it is not said."""
    for kind in kinds_of(hint):
        arguments = [each for each in get_args(kind) if each is not Ellipsis]
        if arguments and isinstance(get_origin(kind), type):
            return arguments[-1]
    return Any


def table_of(hint: Any) -> type | None:
    """The dataclass a nested table is built into, ``None`` for a table of free keys."""
    return next((kind for kind in kinds_of(hint) if dataclasses.is_dataclass(kind) and isinstance(kind, type)), None)


def _unannotated(hint: Any) -> tuple[Any, Setting | None]:
    if get_origin(hint) is not Annotated:
        return hint, None
    inner, *extras = get_args(hint)
    return inner, next((each for each in extras if isinstance(each, Setting)), None)
