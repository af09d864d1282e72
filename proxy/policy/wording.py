"""A rule's settings as a person reads them: names and values, without what is not set."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from proxy.policy.fields import fields_of
from rules.rule import Rule, show_exact


def settings_of(rule: Rule) -> tuple[tuple[str, str], ...]:
    """What an operator wrote, or the defaults that stand for it; ``enforcement`` and ``level`` are told elsewhere."""
    values = ((name, getattr(rule, name)) for name in fields_of(type(rule)) if name != "enforcement")
    return tuple((name, _said(value)) for name, value in values if value not in (None, (), {}))


def _said(value: object) -> str:
    if isinstance(value, Decimal):
        return show_exact(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
    if isinstance(value, tuple | frozenset):
        return ", ".join(sorted(map(_said, value)) if isinstance(value, frozenset) else map(_said, value))
    return str(value)
