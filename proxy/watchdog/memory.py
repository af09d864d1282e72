"""What a watchdog must not forget when its own process dies: that it is on watch, and on which terms.

The file ``watchdog/on-watch`` in its data directory says so by being there. One that cannot be read is an alarm and no
watch: flattening a desk whose guard may have said goodbye is worse than a watchdog that waits to hear it once more.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from proxy.decoding import build
from proxy.disk import sync_directory
from proxy.store.codec import dump, load, plain
from proxy.watchdog.beat import Terms

log = logging.getLogger("perpguard.watchdog")


class Memory:
    """The file of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "watchdog" / "on-watch"
        self._known: Terms | None = None

    def recall(self) -> Terms | None:
        """The terms of a watch that an earlier process did not end."""
        try:
            self._known = build(load(self._path.read_bytes()), Terms)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            log.error("%s cannot be read; not on watch until the guard is heard", self._path)
            return None
        return self._known

    def keep(self, terms: Terms | None) -> None:
        """On watch on these terms, or (``None``) not any more. A disk that fails costs the next process its memory."""
        if terms == self._known:
            return
        try:
            if terms is None:
                self._path.unlink(missing_ok=True)
            else:
                self._write(dump(plain(terms)))
            sync_directory(self._path.parent)
        except OSError as trouble:
            log.error("that this watchdog is on watch is not on disk: %s", trouble.strerror)
        self._known = terms

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self._path)
