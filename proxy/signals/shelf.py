"""Where the forecasts' state is kept across restarts: one file a symbol in the data directory. Blocks for the disk.

What cannot be read is said and begins anew from the venue's own history: it costs minutes, and nothing rests on it.
"""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.disk import make_directory, replace_file
from proxy.store.codec import dump, load

log = logging.getLogger("perpguard.signals")

KEPT_S: Final = 30 * 86_400
"""A symbol nobody was interested in for a month begins anew."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Shelf:
    """The files of one venue."""

    def __init__(self, data_dir: Path, venue: str) -> None:
        self._folder = data_dir / "signals" / venue

    def read(self, symbol: str) -> dict[str, Any] | None:
        """What was kept of a symbol, ``None`` when nothing can be had."""
        path = self._path(symbol)
        if path is None:
            return None
        try:
            found = load(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as trouble:
            log.warning("the forecasts of %s begin anew: %s", symbol, trouble)
            return None
        return found if isinstance(found, dict) else None

    def write(self, symbol: str, state: dict[str, Any]) -> None:
        """Keep it; that it cannot be is said."""
        path = self._path(symbol)
        if path is None:
            return
        try:
            make_directory(self._folder)
            replace_file(path, dump(state))
        except OSError as trouble:
            log.error("the forecasts of %s cannot be saved: %s", symbol, trouble.strerror)

    def tidy(self) -> None:
        """Take away what was not written for a month."""
        before = time.time() - KEPT_S
        try:
            for path in self._folder.glob("*.json"):
                if path.stat().st_mtime < before:
                    path.unlink()
        except OSError as trouble:
            log.warning("old forecasts cannot be taken away: %s", trouble.strerror)

    def _path(self, symbol: str) -> Path | None:
        # The venue names symbols, and some in letters of other scripts: those are not kept.
        return self._folder / f"{symbol}.json" if _NAME.fullmatch(symbol) else None
