"""The kill's local truth: files whose existence stops this machine's gates. Standard library only.

``<data_dir>/kill/desk``, ``kill/venue.NAME``, ``kill/account.NAME`` and ``kill/bot.NAME`` are sentinels, never parsed:
four latches that know nothing of each other. ``kill/epoch`` counts kills and re-arms and names the scopes that were
stopped by a press, so that a sentinel that is lost stops all the same; a command judged under one number is never sent
under another. Whatever is missing, damaged or unreadable means KILLED.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from proxy.disk import sync_directory
from proxy.store.epoch import Epoch, EpochFile, FenceCorrupt, create, fitting

__all__ = ["DESK", "Fence", "FenceCorrupt", "Level", "Scope"]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_FIRST_GENERATION: Final = 1


class Level(StrEnum):
    """What a scope names, the narrowest first."""

    BOT = "bot"
    ACCOUNT = "account"
    VENUE = "venue"
    DESK = "desk"

    @property
    def width(self) -> int:
        """Grows with what is covered."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a kill covers: one account, one venue, one bot on all its accounts, or, with nothing named, the desk."""

    account: str | None = None
    venue: str | None = field(default=None, kw_only=True)
    bot: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        names = [name for name in (self.account, self.venue, self.bot) if name is not None]
        if len(names) > 1:
            raise ValueError("a scope names one thing")
        # The name becomes part of a path.
        if any(_NAME.fullmatch(name) is None or not name.strip(".") for name in names):
            raise ValueError("the name of an account, venue or bot is 1 to 32 of A-Z a-z 0-9 . _ -")

    @classmethod
    def parse(cls, text: str) -> Scope:
        """``desk``, ``venue:NAME``, ``account:NAME`` or ``bot:NAME``; ValueError for anything else."""
        if text == Level.DESK:
            return cls()
        kind, _, name = text.partition(":")
        match kind:
            case Level.VENUE:
                return cls(venue=name)
            case Level.ACCOUNT:
                return cls(name)
            case Level.BOT:
                return cls(bot=name)
            case _:
                raise ValueError("a scope is 'desk', 'venue:NAME', 'account:NAME' or 'bot:NAME'")

    @property
    def level(self) -> Level:
        """What is named."""
        if self.bot is not None:
            return Level.BOT
        if self.account is not None:
            return Level.ACCOUNT
        return Level.DESK if self.venue is None else Level.VENUE

    @property
    def name(self) -> str:
        """The name, empty for the desk."""
        return self.bot or self.account or self.venue or ""

    @property
    def control(self) -> str:
        """Where the store keeps this scope's state.

        A killed bot has a field of its own: ``bot:NAME`` is what a rule made of it, which has degrees and is lifted
        otherwise (``proxy.kill.bot_stops``).
        """
        return f"killed:{self}" if self.level is Level.BOT else str(self)

    def covers(self, account: str, venue: str = "", bot: str | None = None) -> bool:
        """Whether a kill of this scope stops the whole of ``account``, or, where one is named, ``bot`` on it."""
        match self.level:
            case Level.DESK:
                return True
            case Level.VENUE:
                return self.venue == venue
            case Level.ACCOUNT:
                return self.account == account
            case Level.BOT:
                return self.bot == bot

    def __str__(self) -> str:
        return self.level.value if self.level is Level.DESK else f"{self.level.value}:{self.name}"


DESK: Final = Scope()


class Fence:
    """Reader and writer of one data directory's kill files. Safe to use from several processes and threads."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "kill"
        self._root = os.fspath(self._directory)
        self._epoch = EpochFile(self._directory / "epoch")

    @classmethod
    def initialise(cls, data_dir: Path) -> Fence:
        """Write the first state. On what is already there it never clears a kill; damage becomes a kill of the desk."""
        fence = cls(data_dir)
        if fence._directory.exists():
            try:
                fence.generation()
            except FenceCorrupt:
                fence.engage(DESK)
            return fence
        data_dir.mkdir(parents=True, exist_ok=True)
        # Made aside and renamed whole: a crash halfway must not look like an initialised directory that lost its epoch.
        nascent = data_dir / f".kill.{os.getpid()}.{time.monotonic_ns()}"
        nascent.mkdir(mode=0o700)
        create(nascent / "epoch", Epoch(_FIRST_GENERATION))
        (nascent / "epoch.lock").touch(mode=0o600)  # Now: a press on a full disk could not make it.
        sync_directory(nascent)
        try:
            nascent.rename(fence._directory)
        except OSError:  # Somebody else was faster; theirs stands.
            for path in nascent.iterdir():
                path.unlink()
            nascent.rmdir()
        sync_directory(data_dir)
        return fence

    def generation(self) -> int:
        """The epoch as it is at this instant. FenceCorrupt when there is none to be believed."""
        return self._epoch.read().generation

    def engaged(self, account: str, venue: str = "", bot: str = "") -> bool:
        """Whether entries are stopped on this machine: by desk, venue, account or bot, or by damage.

        On the order path. Four looks at files that are not there cost some microseconds (``bench/kill_fence.py``), so
        that a sentinel dropped by hand stops the very next write, not the one after the next comparison of the truths.
        """
        try:
            stopped = self._epoch.read().stopped
        except FenceCorrupt:
            return True
        levels, paths = _looked_at(self._root, account, venue, bot)
        return not stopped.isdisjoint(levels) or any(map(_present, paths))

    def engage(self, scope: Scope) -> int:
        """Stop ``scope``: its sentinel first, on disk, then a new epoch. Pressing again is harmless. The generation.

        Raises ``OSError`` when neither could be written: a disk too full for a new file still takes the epoch.
        """
        unwritten: OSError | None = None
        try:
            with suppress(FileExistsError):
                self._directory.mkdir(mode=0o700, parents=True)
                sync_directory(self._directory.parent)
            self._put_sentinel(scope)
        except OSError as trouble:
            unwritten = trouble
        with self._writing():
            try:
                known = self._epoch.read(patient=True)
            except FenceCorrupt:
                if unwritten is not None:
                    raise unwritten from None
                # Damage has stopped everybody; mending the epoch for one account must not let the others loose.
                self._put_sentinel(DESK)
                return self._epoch.replace(frozenset(map(str, self._sentinels())))
            return self._advance(known, known.stopped | {str(scope)})

    def release(self, scope: Scope) -> int:
        """Re-arm ``scope`` alone; the other scopes' sentinels stay. Damage is mended by releasing the desk only."""
        with self._writing():
            try:
                known = self._epoch.read(patient=True)
            except FenceCorrupt:
                if scope != DESK:
                    raise
                generation = self._epoch.replace(frozenset(map(str, self._sentinels() - {DESK})))
            else:
                generation = self._advance(known, known.stopped - {str(scope)})
            # Last, so that a crash before this line leaves the scope stopped.
            self._sentinel(scope).unlink(missing_ok=True)
            sync_directory(self._directory)
        return generation

    def scopes(self) -> frozenset[Scope]:
        """Everything stopped now. Damage reads as the desk."""
        return self.recorded() | self._sentinels()

    def stands(self, scope: Scope) -> bool:
        """Whether ``scope`` itself is stopped for good: its sentinel is there, and the epoch names it."""
        try:
            named = str(scope) in self._epoch.read().stopped
        except FenceCorrupt:
            return False
        return named and self._sentinel(scope).exists()

    def recorded(self) -> frozenset[Scope]:
        """What the epoch itself names, whether or not its sentinel is there. Damage reads as the desk."""
        try:
            return frozenset(map(Scope.parse, self._epoch.read(patient=True).stopped))
        except FenceCorrupt:
            return frozenset({DESK})

    def by_hand(self) -> frozenset[Scope]:
        """Sentinels that the epoch does not name, though it has room: somebody dropped the file."""
        try:
            stopped = self._epoch.read(patient=True).stopped
        except FenceCorrupt:
            return frozenset()
        found = (scope for scope in self._sentinels() if str(scope) not in stopped)
        return frozenset(scope for scope in found if str(scope) in fitting(stopped | {str(scope)}))

    def _sentinels(self) -> frozenset[Scope]:
        names: set[str] = set()
        with suppress(FileNotFoundError, NotADirectoryError):
            names = {entry.name for entry in self._directory.iterdir()}
        found = set()
        for name in names:
            with suppress(ValueError):  # The epoch, its lock, the jobs: no sentinels.
                found.add(Scope.parse(name.replace(".", ":", 1)))
        return frozenset(found)

    def _sentinel(self, scope: Scope) -> Path:
        return self._directory / str(scope).replace(":", ".", 1)

    def _put_sentinel(self, scope: Scope) -> None:
        descriptor = os.open(self._sentinel(scope), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(self._directory)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        descriptor = os.open(self._directory / "epoch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # Held for two fsyncs by whoever has it, never over anything else.
            yield
        finally:
            os.close(descriptor)

    def _advance(self, known: Epoch, stopped: frozenset[str]) -> int:
        generation = known.generation + 1
        self._epoch.write(Epoch(generation, stopped))
        return generation


@lru_cache(maxsize=4096)
def _looked_at(root: str, account: str, venue: str, bot: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scopes that stop an order, as text, and their sentinels."""
    named = {Level.VENUE: venue, Level.ACCOUNT: account, Level.BOT: bot}
    levels = ("desk", *(f"{level}:{name}" for level, name in named.items() if name))
    return levels, tuple(f"{root}/{level.replace(':', '.', 1)}" for level in levels)


def _present(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - on the order path; building a Path costs more than the look.
    except FileNotFoundError:
        return False
    except OSError:
        return True  # What cannot be looked at counts as pressed.
    return True
