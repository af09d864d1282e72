"""The tables that are no rule of an order: those that stand where rules do, one word each, and those of the kill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from proxy.policy.fields import fields_of, table_of
from proxy.policy.places import Place
from proxy.policy.problems import Problems, meant, shown
from proxy.policy.tables import read_table
from rules.kill.settings import KILL_DEFAULT, KillSettings
from rules.outside import OutsideAction, OutsideActivity
from rules.resize import Resize, ResizeMode

OUTSIDE: Final = "outside_activity"
RESIZE: Final = "resize"
KILL: Final = "kill"

Word = TypeVar("Word", bound=StrEnum)


def read_outside(document: Mapping[str, Any], problems: Problems) -> Iterator[OutsideActivity]:
    """``outside_activity`` of the desk and of accounts."""
    for level, place, settings in _tables(document, OUTSIDE, ("desk", "account")):
        action = _word(settings, "action", OutsideAction, place, problems)
        if action is not None:
            yield OutsideActivity(level=level, action=action)


def read_resizes(document: Mapping[str, Any], problems: Problems) -> Iterator[Resize]:
    """``resize`` of bots."""
    for level, place, settings in _tables(document, RESIZE, ("bot",)):
        mode = _word(settings, "mode", ResizeMode, place, problems)
        if mode is not None:
            yield Resize(level=level, mode=mode)


def read_kill(document: Mapping[str, Any], problems: Problems) -> KillSettings:
    """The ``[kill.*]`` tables. What is wrong is told, and has its defaults."""
    tables, known = document.get(KILL, {}), fields_of(KillSettings)
    if not isinstance(tables, dict):
        problems.add((KILL,), f"[{KILL}] must hold tables [{KILL}.NAME]")
        return KILL_DEFAULT
    problems.add_unknown(tables, sorted(known), (KILL,))
    found = {}
    for name in filter(known.__contains__, tables):
        place, kind = (KILL, name), table_of(known[name].hint)
        assert kind is not None, name  # noqa: S101 - every field of KillSettings is a table
        if not isinstance(tables[name], dict):
            problems.add(place, f"{shown(place)} must be a table")
        elif (table := read_table(kind, fields_of(kind), tables[name], place=place, problems=problems)) is not None:
            found[name] = table
    return KillSettings(**found)


def _tables(document: Mapping[str, Any], name: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, Place, object]]:
    """The tables of this name: level, place and what stands there. What is no table at all is told by its reader."""
    for kind in kinds:
        named = document.get(kind, {})
        levels = {kind: named} if kind == "desk" else named
        if not isinstance(levels, dict):
            continue
        for key, tables in levels.items():
            if isinstance(tables, dict) and name in tables:
                level, place = (kind, (kind,)) if kind == "desk" else (f"{kind}:{key}", (kind, key))
                yield level, (*place, name), tables[name]


def _word(settings: object, key: str, words: type[Word], place: Place, problems: Problems) -> Word | None:
    if not isinstance(settings, dict):
        problems.add(place, f"{shown(place)} must be a table")
        return None
    problems.add_unknown(settings, (key,), place)
    given = settings.get(key)
    if given in list(words):
        return words(given)
    known = [f'"{word}"' for word in words]
    listed = f"{', '.join(known[:-1])} or {known[-1]}"
    hint = meant(given, list(words)) if isinstance(given, str) else ""
    problems.add((*place, key), f"{shown(place)} needs {key} = {listed}{hint}")
    return None
