"""The last day in one look a minute: anomaly, and for each account leverage, odds of liquidation, nearness to a limit.

It is for the console's charts and for nothing else: no rule reads it, and what a full disk or a crash takes of it is
gone. A minute costs one short line in a file, so that a restart keeps the picture; the file is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from proxy.console.history_plane import HistoryView
from proxy.decoding import decoder
from proxy.disk import make_directory, replace_file

log = logging.getLogger("perpguard.control")

EVERY_S: Final = 60.0
KEPT: Final = 1_440
"""A day of minutes."""
SERIES_MAX: Final = 400
"""More accounts than that are not charted."""
_LINE_BYTES_MAX: Final = 64 * 1024


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was seen at one moment, in seconds since 1970."""

    at: float
    values: dict[str, float]


_LOOK: Final = decoder(Look)


class History:
    """The ring and its file. ``look`` says what there is to see now; it looks at memory alone."""

    def __init__(self, data_dir: Path, look: Callable[[], Mapping[str, float]], now: Callable[[], datetime]) -> None:
        self._path = data_dir / "console" / "history.jsonl"
        self._look = look
        self._now = now
        self._kept: deque[Look] = deque(maxlen=KEPT)
        self._lines = 0

    async def run(self) -> None:
        """Look once a minute, for ever."""
        await asyncio.to_thread(self.load)
        while True:
            await asyncio.to_thread(self._keep, self.take())
            await asyncio.sleep(EVERY_S)

    async def history(self) -> HistoryView:
        """The last day. A series that began or ended within it has nothing outside its time."""
        names = sorted({name for look in self._kept for name in look.values})
        return HistoryView(
            every_s=EVERY_S,
            at=[look.at for look in self._kept],
            series={name: [look.values.get(name) for look in self._kept] for name in names},
        )

    def load(self) -> None:
        """Take up what an earlier process kept. Lines that cannot be read, a torn last one among them, are left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as trouble:
            log.warning("the history of the charts cannot be read: %s", trouble.strerror)
            return
        self._lines = len(lines)
        oldest = self._now().timestamp() - KEPT * EVERY_S
        self._kept.extend(look for look in _looks(lines[-KEPT:]) if look.at >= oldest)

    def take(self) -> Look:
        """Look now, and keep it in memory."""
        seen = ((name, value) for name, value in self._look().items() if math.isfinite(value))
        look = Look(self._now().timestamp(), {name: round(value, 6) for name, value in list(seen)[:SERIES_MAX]})
        self._kept.append(look)
        return look

    def _keep(self, look: Look) -> None:
        try:
            make_directory(self._path.parent)
            if self._lines >= 2 * KEPT:
                replace_file(self._path, b"".join(msgspec.json.encode(each) + b"\n" for each in self._kept))
                self._lines = len(self._kept)
                return
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(look) + b"\n")
            self._lines += 1
        except OSError as trouble:
            log.warning("the history of the charts cannot be kept: %s", trouble.strerror)


def _looks(lines: Iterable[bytes]) -> Iterable[Look]:
    for line in lines:
        if len(line) <= _LINE_BYTES_MAX:
            try:
                yield _LOOK.decode(line)
            except msgspec.DecodeError:  # Torn by a crash; the next minute is whole again.
                continue
