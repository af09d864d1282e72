"""Two policies beside each other: what the new one tightens, and what it loosens. Whatever is in doubt is loosened.

Each setting says itself which way is looser. When nothing is loosened, the new policy lets nothing through that the
old one refuses, but for bots that are sized down: to another size, which the old one would let through as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from proxy.policy.fields import fields_of
from rules.decision import Enforcement
from rules.kill.dead_man import stops_timers
from rules.kill.settings import KillSettings
from rules.loosening import Needs
from rules.outside import OutsideAction, OutsideActivity, outside_action
from rules.policy import Policy
from rules.resize import ResizeMode, trims
from rules.rule import Looser, Rule, Setting


class Direction(StrEnum):
    """Which way a change goes. NEUTRAL: it lets nothing more and nothing less through."""

    LOOSENED = "loosened"
    TIGHTENED = "tightened"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. ``level`` is ``policy`` for the head; ``setting`` is empty where a whole rule comes or goes."""

    direction: Direction
    level: str
    rule_id: str
    setting: str
    old: str
    new: str
    why: str = ""

    def __str__(self) -> str:
        place = " ".join(part for part in (self.level, self.rule_id, self.setting) if part)
        return f"{place}: {self.old} -> {self.new}{f' ({self.why})' if self.why else ''}"


_NOT_SET: Final = "not set"
_STRICTNESS: Final = (Enforcement.OFF, Enforcement.REPORT, Enforcement.ENFORCE)
_ORDER: Final = list(Direction)


def compare(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Every difference, loosenings first."""
    changes = (*_head(old, new), *_outside(old, new), *_resizes(old, new), *_kill(old, new), *_rules(old, new))
    return tuple(sorted(changes, key=lambda change: _ORDER.index(change.direction)))


def loosened(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes that somebody else must agree to."""
    return tuple(change for change in changes if change.direction is Direction.LOOSENED)


def _head(old: Policy, new: Policy) -> Iterator[Change]:
    for field, before, after in (("name", old.name, new.name), ("owner", old.owner, new.owner)):
        if before != after:
            yield _change(Direction.NEUTRAL, "policy", "", field, before, after)
    was, now = old.loosening, new.loosening
    if was.needs is not now.needs:
        stricter = now.needs is Needs.TWO_PEOPLE
        direction = Direction.TIGHTENED if stricter else Direction.LOOSENED
        yield _change(direction, "policy", "", "loosening", was.needs, now.needs)
    elif was.delay_s != now.delay_s:
        direction = Direction.TIGHTENED if now.delay_s > was.delay_s else Direction.LOOSENED
        yield _change(direction, "policy", "", "loosening_delay_s", was.delay_s, now.delay_s)


def _outside(old: Policy, new: Policy) -> Iterator[Change]:
    """What holds in effect is compared: a table that says what holds without it changes nothing."""
    levels = {table.level for table in (*old.outside, *new.outside)} | {"desk"}
    for level in sorted(levels):
        before, after = _action_at(old.outside, level), _action_at(new.outside, level)
        if before is not after:
            direction = Direction.TIGHTENED if after.severity > before.severity else Direction.LOOSENED
            yield _change(direction, level, "outside_activity", "action", before, after)


def _action_at(tables: tuple[OutsideActivity, ...], level: str) -> OutsideAction:
    """What holds for the accounts of a level. No account's table, whatever its name, may stand in for the desk's."""
    kind, _, account = level.partition(":")
    if kind == "desk":
        tables = tuple(table for table in tables if table.level == "desk")
    return outside_action(tables, account)


def _resizes(old: Policy, new: Policy) -> Iterator[Change]:
    """A bot whose entries are sized down gets through what would have been refused whole."""
    for level in sorted({table.level for table in (*old.resizes, *new.resizes)}):
        bot = level.partition(":")[2]
        before, after = trims(old.resizes, bot), trims(new.resizes, bot)
        if before is not after:
            words = {True: ResizeMode.TRIM, False: ResizeMode.REFUSE}
            direction = Direction.LOOSENED if after else Direction.TIGHTENED
            yield _change(direction, level, "resize", "mode", words[before], words[after])


def _kill(old: Policy, new: Policy) -> Iterator[Change]:
    """What holds in effect, table by table."""
    for table in fields_of(KillSettings):
        before, after = getattr(old.kill, table), getattr(new.kill, table)
        for name, field in fields_of(type(before)).items():
            was, now = getattr(before, name), getattr(after, name)
            if was != now:
                yield _change(_direction(was, now, field.setting), "kill", table, name, was, now)


def _rules(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = _by_place(old), _by_place(new)
    for place in sorted(before.keys() | after.keys()):
        was, now = before.get(place), after.get(place)
        if was is None and now is not None:
            changes = _added(now)
        elif was is not None and now is None:
            changes = _removed(was)
        elif was is not None and now is not None:
            changes = _changed(was, now)
        else:
            continue
        if now is not None and stops_timers(now) and old.kill.dead_man.enabled:
            yield from map(_without_timers, changes)
        else:
            yield from changes


def _without_timers(change: Change) -> Change:
    """What lets less in at the gate lets orders rest without the venue's dead-man timer: either way is looser."""
    if change.direction is not Direction.TIGHTENED:
        return change
    why = "no dead-man timer of the exchange stands in a maintenance"
    return replace(change, direction=Direction.LOOSENED, why=why)


def _by_place(policy: Policy) -> dict[tuple[str, str], Rule]:
    return {(rule.level, rule.rule_id): rule for rule in policy.rules}


def _added(rule: Rule) -> Iterator[Change]:
    if rule.enforcement is Enforcement.OFF:
        yield _change(Direction.NEUTRAL, rule.level, rule.rule_id, "", "no rule", rule.enforcement)
    elif rule.permits():
        why = "it may let through what is refused without it"
        yield _change(Direction.LOOSENED, rule.level, rule.rule_id, "", "no rule", rule.enforcement, why)
    else:
        yield _change(Direction.TIGHTENED, rule.level, rule.rule_id, "", "no rule", rule.enforcement)


def _removed(rule: Rule) -> Iterator[Change]:
    direction = Direction.NEUTRAL if rule.enforcement is Enforcement.OFF else Direction.LOOSENED
    yield _change(direction, rule.level, rule.rule_id, "", rule.enforcement, "no rule")


def _changed(old: Rule, new: Rule) -> Iterator[Change]:
    was, now = old.enforcement, new.enforcement
    if was is not now:
        stricter = _STRICTNESS.index(now) > _STRICTNESS.index(was)
        direction = Direction.TIGHTENED if stricter and not new.permits() else Direction.LOOSENED
        yield _change(direction, new.level, new.rule_id, "enforcement", was, now)
    yield from compare_rules(old, new)


def compare_rules(old: Rule, new: Rule) -> tuple[Change, ...]:
    """The differences of two rules of one kind, their enforcement aside."""
    return tuple(_settings(old, new))


def _settings(old: Rule, new: Rule) -> Iterator[Change]:
    for name, field in fields_of(type(old)).items():
        before, after = getattr(old, name), getattr(new, name)
        if name == "enforcement" or before == after:
            continue
        direction = _direction(before, after, field.setting)
        why = "either way may be looser" if field.setting.looser is Looser.NEITHER else ""
        if old.enforcement is Enforcement.OFF:
            # What was off let everything through; what becomes of it is told by the change of its enforcement.
            direction, why = Direction.NEUTRAL, ""
        yield _change(direction, new.level, new.rule_id, name, before, after, why)


def _direction(old: Any, new: Any, setting: Setting) -> Direction:
    """Which way a setting went, the two not being equal. What cannot be compared is loosened."""
    looser = setting.looser
    if looser is Looser.NEITHER:
        return Direction.LOOSENED
    if old is None or new is None:
        return Direction.TIGHTENED if old is None else Direction.LOOSENED
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _direction_of_tables(old, new, setting)
    if isinstance(old, tuple | list | frozenset) and isinstance(new, tuple | list | frozenset):
        more, fewer = any(each not in old for each in new), any(each not in new for each in old)
        higher, lower = more, fewer
    elif isinstance(old, StrEnum) and isinstance(new, StrEnum) and type(old) is type(new):
        words = list(type(old))
        higher, lower = words.index(new) > words.index(old), words.index(new) < words.index(old)
    elif isinstance(old, int | Decimal | datetime) and isinstance(new, int | Decimal | datetime):
        higher, lower = new > old, new < old  # type: ignore[operator]  # both are numbers, or both are moments
    else:
        return Direction.LOOSENED
    if not higher and not lower:
        return Direction.NEUTRAL  # The same names in another order.
    loosens = higher if looser is Looser.HIGHER else lower
    return Direction.LOOSENED if loosens else Direction.TIGHTENED


def _direction_of_tables(old: Mapping[str, Any], new: Mapping[str, Any], setting: Setting) -> Direction:
    """An entry that comes or goes limits by itself, or falls back on something this file does not know."""
    if old.keys() != new.keys() and not (setting.each_limits and old.keys() <= new.keys()):
        return Direction.LOOSENED
    ways = {_direction(old[key], new[key], setting) for key in old if old[key] != new[key]}
    return Direction.LOOSENED if Direction.LOOSENED in ways else Direction.TIGHTENED


def _change(
    direction: Direction, level: str, rule_id: str, setting: str, old: object, new: object, why: str = ""
) -> Change:
    return Change(
        direction=direction,
        level=level,
        rule_id=rule_id,
        setting=setting,
        old=_words(old),
        new=_words(new),
        why=why,
    )


def _words(value: object) -> str:
    match value:
        case None:
            return _NOT_SET
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat()
        case Mapping():
            return "{" + ", ".join(f"{key} = {_words(each)}" for key, each in sorted(value.items())) + "}"
        case tuple() | list():
            return "[" + ", ".join(map(_words, value)) + "]"
        case frozenset():
            return "[" + ", ".join(sorted(map(_words, value))) + "]"
    return str(value)
