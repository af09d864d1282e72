"""The alerts on disk, so that a warden that is started anew neither forgets one nor tells it all again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from proxy.alerts.lifecycle import State
from proxy.decoding import build
from proxy.disk import make_directory, replace_file
from proxy.store.codec import dump, load, plain

BYTES_MAX: Final = 4 * 1024 * 1024
"""Far more than the most that may be open, over and held."""


class ShelfDamaged(Exception):
    """The file is there and cannot be understood."""


class Shelf:
    """The file ``alerts/state.json`` of one data directory. One writer at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "alerts" / "state.json"

    def read(self) -> State:
        """The alerts of before; none where there is no file. Raises ``ShelfDamaged``."""
        try:
            with self._path.open("rb") as file:
                content = file.read(BYTES_MAX + 1)
        except FileNotFoundError:
            return State()
        except OSError as trouble:
            raise ShelfDamaged(f"{self._path} cannot be read: {trouble.strerror}") from trouble
        if len(content) > BYTES_MAX:
            raise ShelfDamaged(f"{self._path} is larger than it can be")
        try:
            return build(load(content), State)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise ShelfDamaged(f"{self._path} is damaged") from None

    def write(self, state: State) -> None:
        """Keep the alerts as they are now. Raises ``OSError``."""
        make_directory(self._path.parent)
        replace_file(self._path, dump(plain(state)))
