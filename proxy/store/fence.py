"""The kill's local truth: files whose existence stops this machine's gates. Standard library only.

``<data_dir>/kill/desk``, ``kill/venue.NAME``, ``kill/account.NAME`` and ``kill/bot.NAME`` are sentinels, never parsed:
four latches that know nothing of each other. ``kill/epoch`` counts kills and re-arms and names the scopes that were
stopped by a press, so that a sentinel that is lost stops all the same; a command judged under one number is never sent
under another. Whatever is missing, damaged or unreadable means KILLED.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from proxy.disk import sync_directory
from proxy.store.epoch import GENERATION_MAX, Epoch, EpochFile, FenceCorrupt, create, fitting
from proxy.store.scope import DESK, Level, Scope

__all__ = ["DESK", "Fence", "FenceCorrupt", "Level", "Scope"]

_FIRST_GENERATION: Final = 1

_USED: Final = ("guard.id", "audit/audit.anchor", "policy/active.toml")
"""A guard that ran has left these in its data directory; folders of such names may be a person's."""


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
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
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

    @classmethod
    def resume(cls, data_dir: Path) -> Fence:
        """For a guard that starts. A new directory gets its first state; one that has been used and whose ``kill/`` is
        gone is stopped, for what was stopped there nobody knows any more (``initialise`` is how a person says so)."""
        fence = cls(data_dir)
        if fence.is_lost:
            fence.engage(DESK)
        return cls.initialise(data_dir)

    @property
    def is_lost(self) -> bool:
        """Whether the directory has been used and has no ``kill/``."""
        data_dir = self._directory.parent
        return not self._directory.exists() and any((data_dir / name).exists() for name in _USED)

    def generation(self) -> int:
        """The epoch as it is at this instant. FenceCorrupt when there is none to be believed."""
        return self._epoch.read().generation

    def engaged(self, account: str, venue: str = "", bot: str = "") -> bool:
        """Whether entries are stopped on this machine: by desk, venue, account or bot, or by damage.

        On the order path. Four looks at files that are not there cost some microseconds (``bench/kill_fence.py``), so
        that a sentinel dropped by hand stops the very next write, not the one after the next comparison of the truths.
        """
        return self.passes(account, venue, bot) is None

    def passes(self, account: str, venue: str = "", bot: str = "") -> int | None:
        """The epoch's generation when nothing on this machine stops entries, else ``None``: both in one look."""
        try:
            epoch = self._epoch.read()
        except FenceCorrupt:
            return None
        levels, paths = _looked_at(self._root, account, venue, bot)
        if not epoch.stopped.isdisjoint(levels) or any(map(_present, paths)):
            return None
        return epoch.generation

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

    def outrun(self, generation: int) -> int:
        """Raise the epoch above a number that is in use already, where it is not; what is stopped stays so. The
        generation.

        One that no fence can have is not heeded. Raises ``FenceCorrupt`` or ``OSError``.
        """
        with self._writing():
            known = self._epoch.read(patient=True)
            if not known.generation < generation <= GENERATION_MAX:
                return known.generation
            self._epoch.write(Epoch(generation + 1, known.stopped))
            return generation + 1

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

    def put_at(self, scope: Scope) -> float | None:
        """When a person, or a signal, put or touched this scope's sentinel, in seconds since 1970.

        ``None`` when there is none, and for one that a press wrote: that is dated 1970, for its job is under way.
        """
        try:
            return self._sentinel(scope).stat().st_mtime or None
        except OSError:
            return None

    def stopped_at(self, scope: Scope) -> float | None:
        """When this scope's sentinel was really put, whatever it is dated; ``None`` when there is none."""
        try:
            return self._sentinel(scope).stat().st_ctime
        except OSError:
            return None

    def _sentinel(self, scope: Scope) -> Path:
        return self._directory / str(scope).replace(":", ".", 1)

    def _put_sentinel(self, scope: Scope) -> None:
        """Put a press's sentinel whole: seen between its making and its dating, it would count as put by hand, and
        whoever watches for those would press once more."""
        path, aside = self._sentinel(scope), self._directory / f".put.{os.getpid()}.{time.monotonic_ns()}"
        try:
            _dated(aside)
            path.hardlink_to(aside)
        except FileExistsError:
            pass  # Whoever put it: that it is there is all there is to it.
        except OSError:
            # A file system without links, a disk without room for two: a second press is better than none.
            with suppress(FileExistsError):
                _dated(path)
        finally:
            aside.unlink(missing_ok=True)
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


def _dated(path: Path) -> None:
    """Make a file that is dated 1970, on disk. Raises ``FileExistsError`` or another ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.utime(descriptor, (0, 0))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
