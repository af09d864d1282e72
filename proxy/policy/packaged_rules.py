"""Rules that come as packages: what an installed distribution offers under the entry-point group ``perpguard.rules``.

An entry point's name is the rule's id, its object a subclass of ``rules.rule.Rule``, written as the rules of the
catalog are. It is loaded only when a policy names it, and judges entries, amends and settings, never exits or cancels.
Whoever installs a package trusts it as the guard itself: its code runs in the gate.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final, get_type_hints

from rules.catalog import CATALOG
from rules.custom import CUSTOM
from rules.rule import Rule, Setting

GROUP: Final = "perpguard.rules"

_RULE_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{2,63}")
_TAKEN: Final = frozenset({*CATALOG, CUSTOM, "outside_activity", "resize", "RULE_FAILED"})


class PackagedRuleRefused(ValueError):
    """A packaged rule cannot be used. The message names the rule, its package and what is wrong."""


def packaged_rule_ids() -> tuple[str, ...]:
    """The ids that installed packages offer; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def packaged_rule(rule_id: str) -> type[Rule] | None:
    """The rule of that id, ``None`` when no package offers one. Raises ``PackagedRuleRefused``."""
    points = tuple(entry_points(group=GROUP, name=rule_id))
    if not points:
        return None
    if len(points) > 1:
        packages = " and ".join(sorted(map(_package, points)))
        raise PackagedRuleRefused(f"{rule_id} is offered by {packages}: uninstall all but one")
    (point,) = points
    try:
        found = point.load()
    except Exception as error:  # Somebody else's code: whatever it raises, the guard does not start without its rule.
        raise PackagedRuleRefused(f"{_named(point)} cannot be imported: {type(error).__name__}: {error}") from error
    wrong = _wrong_with(found, rule_id)
    if wrong:
        raise PackagedRuleRefused(f"{_named(point)} {wrong}")
    rule: type[Rule] = found
    return rule


def _wrong_with(found: object, rule_id: str) -> str:
    """Why this is no rule of that id; empty when it is one."""
    if not (isinstance(found, type) and issubclass(found, Rule) and dataclasses.is_dataclass(found)):
        return "is no dataclass derived from rules.rule.Rule"
    if rule_id in _TAKEN or not _RULE_ID.fullmatch(rule_id):
        return "has an id that is taken, or is not of small letters, digits and underscores"
    if getattr(found, "rule_id", None) != rule_id:
        return f"calls itself {getattr(found, 'rule_id', None)!r}"
    if found.check is Rule.check:
        return "has no check"
    if not vars(found)["__dataclass_params__"].frozen:
        return "is not frozen: a rule must not remember anything"
    codes = getattr(found, "codes", None)
    if not isinstance(codes, Mapping) or not codes or not all(_CODE.fullmatch(str(code)) for code in codes):
        return "needs codes: a mapping of CODES_IN_CAPITALS to their meaning"
    return _wrong_with_settings(found)


def _wrong_with_settings(rule: type[Rule]) -> str:
    own = {field.name for field in dataclasses.fields(rule)} - {field.name for field in dataclasses.fields(Rule)}
    try:
        hints = get_type_hints(rule, include_extras=True)
    except (NameError, TypeError) as error:
        return f"has settings whose types cannot be read: {error}"
    bare = sorted(
        name for name in own if not any(isinstance(each, Setting) for each in getattr(hints[name], "__metadata__", ()))
    )
    return f"needs Annotated[..., Setting(...)] for {', '.join(bare)}" if bare else ""


def _named(point: EntryPoint) -> str:
    return f"{point.name} of package {_package(point)}"


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
