"""What a kill needs of settings that cannot be read as they should: a slip in a line about a port closes no position.

Wherever else settings are wrong at start, nothing starts. A kill takes what is right in them, and where they do not say
where a venue is, the venue's usual addresses. It says what it left out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import PydanticBaseSettingsSource

from proxy.settings import Settings

_NEEDED: Final = ("desk", "store_url", "store_url_file", "store_timeout_s", "policy", "venues", "accounts")


class _OfTheFile(Settings):
    """The environment may be what is wrong."""

    @classmethod
    def settings_customise_sources(cls, *sources: Any, **more: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        """What it is made with, and nothing else."""
        return (more["init_settings"],)


def settings_at_hand(config: Path | None, data_dir: Path, environment: Mapping[str, str]) -> tuple[Settings, str]:
    """Settings made of what can be read, and in words what is taken instead of the rest."""
    values = _read(config)
    left_out: list[str] = []
    for name in ("store_url", "store_url_file"):
        if given := environment.get(f"PERPGUARD_{name.upper()}"):
            values[name] = given
    while True:
        try:
            settings = _OfTheFile(**values)
            break
        except ValidationError as error:
            for each in error.errors():
                left_out.append(".".join(map(str, each["loc"])))
                _drop(values, each["loc"])
    venues = dict(Settings.model_fields["venues"].default)
    usual = sorted(name for name in venues if getattr(settings.venues.get(name), "url", None) is None)
    changed = {"data_dir": data_dir, "venues": venues | dict(settings.venues)}
    said = [f"not understood: {', '.join(left_out)}"] if left_out else []
    said += [f"going to the usual address of {', '.join(usual)}"] if usual else []
    return settings.model_copy(update=changed), "; ".join(said)


def _read(config: Path | None) -> dict[str, Any]:
    """The lines of the file that a kill needs; nothing of one that cannot be read."""
    if config is None:
        return {}
    try:
        values = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    found: dict[str, Any] = {name: values[name] for name in _NEEDED if name in values}
    for name in ("policy", "store_url_file"):
        if isinstance(found.get(name), str):
            found[name] = str(config.parent / found[name])
    return found


def _drop(values: dict[str, Any], place: tuple[int | str, ...]) -> None:
    """Take out what stands at a place; where that is not to be found, the whole setting."""
    within: Any = values
    for name in place[:-1]:
        within = within.get(name) if isinstance(within, dict) else None
    if isinstance(within, dict) and place[-1] in within:
        del within[place[-1]]
    else:
        values.pop(str(place[0]), None)
