"""One small file for each bot that a rule has stopped: ``kill/bots/NAME`` in the data directory.

A file stops its bot by being there, whatever it holds; what it holds says how far, and why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from proxy.decoding import build
from proxy.disk import sync_directory
from proxy.store.codec import dump, load, plain
from rules.model import TradingState

log = logging.getLogger("perpguard.kill")

_BOT: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStop:
    """How far a bot is stopped, by which rule (empty: not known), and why in words."""

    state: TradingState
    rule: str
    reason: str


def is_bot(name: str) -> bool:
    """Whether a bot can bear this name: it becomes part of a path."""
    return _BOT.fullmatch(name) is not None and name.strip(".") != ""


class BotFiles:
    """The files of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "kill" / "bots"

    def read(self) -> dict[str, BotStop]:
        """Every stopped bot. One whose file cannot be read is halted, and its file mended."""
        found = {}
        for path in self._directory.glob("*") if self._directory.is_dir() else ():
            if not is_bot(path.name):
                continue
            try:
                found[path.name] = build(load(path.read_bytes()), BotStop)
            except (OSError, msgspec.DecodeError, msgspec.ValidationError):
                log.error("the file of bot:%s cannot be read; it stays halted", path.name)
                found[path.name] = BotStop(state=TradingState.HALTED, rule="", reason="its file cannot be read")
                with contextlib.suppress(OSError):  # It halts its bot as it is; the next look tries again.
                    self.write(path.name, found[path.name])
        return found

    def write(self, bot: str, stop: BotStop) -> None:
        """Keep a stop, on disk when this returns. Raises ``OSError``; a file half written stops the bot too."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / bot, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, dump(plain(stop)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(self._directory)

    def remove(self, bot: str) -> None:
        """Forget a stop. Raises ``OSError``; then it stands."""
        (self._directory / bot).unlink(missing_ok=True)
        if self._directory.is_dir():
            sync_directory(self._directory)
