"""What a kill needs of settings that cannot be read as they should: a slip in a line about a port closes no position.

Wherever else settings are wrong at start, nothing starts. A kill takes what is right in them, in the file and in the
environment, and says what it left out. Two things it does not guess: where something was said of venues and cannot be
read, the usual address may be another exchange; and the latch of a desk that nobody named would stop another desk.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

from proxy.settings import Settings

_NEEDED: Final = ("desk", "store_url", "store_url_file", "store_timeout_s", "policy", "venues", "accounts")
_PREFIX: Final = "perpguard_"

_Place = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """``settings`` to go by, and in words what is taken instead of what could not be read.

    ``doubt`` is what was said of venues and could not be read, empty where nothing was: the settings then lack every
    venue without an address. ``knows_desk`` is false where the desk may have another name than they say.
    """

    settings: Settings
    said: str = ""
    doubt: str = ""
    knows_desk: bool = True


class _OfTheFile(Settings):
    """The environment may be what is wrong."""

    @classmethod
    def settings_customise_sources(cls, *sources: Any, **more: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        """What it is made with, and nothing else."""
        return (more["init_settings"],)


def settings_at_hand(config: Path | None, data_dir: Path, environment: Mapping[str, str]) -> AtHand:
    """Settings made of what can be read."""
    written, trouble = _written(config)
    values: dict[str, Any] = {name: written[name] for name in _NEEDED if name in written}
    unread = _read_over(values, environment)
    settings, dropped = _made_of(values)
    left_out = [*unread, *(".".join(map(str, place)) for place in dropped)]
    strange = sorted(written.keys() - Settings.model_fields.keys())

    doubts = [trouble] if trouble else []
    doubts += [each for each in left_out if each.lower().removeprefix(_PREFIX).startswith("venues")]
    doubts += [name for name in strange if _may_be_of_venues(written[name])]
    venues = {name: venue for name, venue in settings.venues.items() if venue.url is not None or not doubts}
    usual = sorted(name for name, venue in venues.items() if venue.url is None)

    mislaid = [*strange, *(str(place[-1]) for place in dropped)]
    knows_desk = "desk" in values or not (trouble or get_close_matches("desk", mislaid))
    said = [f"not understood: {', '.join(left_out)}"] if left_out else []
    said += [f"going to the usual address of {', '.join(usual)}"] if usual else []
    said += [] if knows_desk else ["telling no store: the desk's name cannot be read"]
    return AtHand(
        settings=settings.model_copy(update={"data_dir": data_dir, "venues": venues}),
        said="; ".join(said),
        doubt=", ".join(doubts),
        knows_desk=knows_desk,
    )


def _written(config: Path | None) -> tuple[dict[str, Any], str]:
    """The settings file, its paths made whole, or why it cannot be read."""
    if config is None:
        return {}, ""
    try:
        written = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as trouble:
        return {}, f"{config} ({type(trouble).__name__})"
    for name in ("policy", "store_url_file"):
        if isinstance(written.get(name), str):
            written[name] = str(config.parent / written[name])
    return written, ""


def _may_be_of_venues(value: object) -> bool:
    """Whether something of a name that is no setting's may say where a venue is."""
    return isinstance(value, dict) or "http" in str(value)


def _read_over(values: dict[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Lay the environment over ``values``, as it is over any settings, one variable after the other. Those that cannot
    be read. An empty one counts as absent, as compose files write it, unless it is a part of a setting: then somebody
    meant to say something."""
    source = EnvSettingsSource(Settings)
    unread = []
    for variable in sorted(environment):
        name = variable.lower().removeprefix(_PREFIX).partition("__")[0]
        if not variable.lower().startswith(_PREFIX) or name not in _NEEDED:
            continue
        if not environment[variable] and "__" not in variable:
            continue
        source.env_vars = {variable.lower(): environment[variable]}
        field = Settings.model_fields[name]
        try:
            found, _, is_complex = source.get_field_value(field, name)
            _lay_over(values, {name: source.prepare_field_value(name, field, found, is_complex)})
        except (ValueError, RecursionError):
            unread.append(variable)
    return unread


def _lay_over(values: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        under = values.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            _lay_over(under, value)
        else:
            values[name] = value


def _made_of(values: dict[str, Any]) -> tuple[Settings, list[_Place]]:
    """Settings of what is right in ``values``, and what was taken out of those."""
    dropped: list[_Place] = []
    while True:
        try:
            return _OfTheFile(**values), dropped
        except ValidationError as error:
            # Found before any is taken out: two may be within one.
            for place in dict.fromkeys(_innermost(values, each["loc"]) for each in error.errors()):
                _drop(values, place)
                dropped.append(place)


def _innermost(values: Mapping[str, Any], place: _Place) -> _Place:
    """The innermost setting with a name on the way to a place: of a list, the whole list."""
    within: Any = values
    named = 0
    for name in place:
        if not isinstance(within, dict) or name not in within:
            break
        within, named = within[name], named + 1
    return place[: max(named, 1)]


def _drop(values: dict[str, Any], place: Sequence[int | str]) -> None:
    within: Any = values
    for name in place[:-1]:
        within = within.get(name, {})
    within.pop(place[-1], None)
