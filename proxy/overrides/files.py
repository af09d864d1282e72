"""One small file for each override that has not ended: ``overrides/ID`` in the data directory, its events as JSON.

A file is replaced as a whole, so a crash leaves the events of before or those of after. It never grants anything by
itself: what a gate may use stands in the store.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from proxy.decoding import build
from proxy.disk import make_directory, remove_file, replace_file
from proxy.overrides.lifecycle import Event, Requested
from proxy.store.codec import dump, load, plain

log = logging.getLogger("perpguard.overrides")

OVERRIDE_ID: Final = re.compile(r"[0-9a-f]{10}")
_EVENTS: Final[dict[str, type]] = {event.__name__: event for event in get_args(Event)}


class OverrideFiles:
    """The files of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "overrides"

    def read(self) -> dict[str, tuple[Event, ...]]:
        """The events of every override that has not ended. A file that cannot be read grants nothing, and stays."""
        found: dict[str, tuple[Event, ...]] = {}
        for path in sorted(self._directory.glob("*")) if self._directory.is_dir() else ():
            if OVERRIDE_ID.fullmatch(path.name) is None:
                continue
            try:
                events = tuple(_event(each) for each in load(path.read_bytes()))
                if not events or not isinstance(events[0], Requested) or events[0].override_id != path.name:
                    raise ValueError("it does not begin with its own request")
            except (OSError, KeyError, TypeError, ValueError, msgspec.MsgspecError):
                log.error("the file of override %s cannot be read; it is void", path.name)
                continue
            found[path.name] = events
        return found

    def write(self, override_id: str, events: Sequence[Event]) -> None:
        """Keep the events, on disk when this returns. Raises ``OSError``; then the file is as it was."""
        make_directory(self._directory)
        content = dump([{"type": type(each).__name__, **plain(each)} for each in events])
        replace_file(self._directory / override_id, content)

    def remove(self, override_id: str) -> None:
        """Forget an override that has ended. Raises ``OSError``."""
        remove_file(self._directory / override_id)


def _event(value: dict[str, Any]) -> Event:
    content = dict(value)
    event: Event = build(content, _EVENTS[content.pop("type")])
    return event
