"""The kill's local truth: files whose existence stops this machine's gates. Standard library only.

``<data_dir>/kill/desk`` and ``kill/account.NAME`` are sentinels, never parsed. ``kill/epoch`` counts kills and re-arms;
a command judged under one number is never sent under another. Whatever is missing, damaged or unreadable means KILLED.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.disk import sync_directory

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_EPOCH_BYTES: Final = 8 + 4  # The number, big-endian, and its CRC-32.
_FIRST_GENERATION: Final = 1
# A reader can meet a writer's eight bytes half done; that lasts nanoseconds, damage stays.
_READS_MAX: Final = 5


class FenceCorrupt(Exception):
    """The epoch is missing or damaged: nothing may enter."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; entries stay stopped until the desk is re-armed")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scope:
    """What a kill covers: the whole desk (``account is None``) or one account."""

    account: str | None = None

    def __post_init__(self) -> None:
        # The name becomes part of a path.
        if self.account is not None and _NAME.fullmatch(self.account) is None:
            raise ValueError("an account's name is 1 to 32 of A-Z a-z 0-9 . _ -")

    @classmethod
    def parse(cls, text: str) -> Scope:
        """``desk`` or ``account:NAME``; ValueError for anything else."""
        if text == "desk":
            return cls()
        kind, _, name = text.partition(":")
        if kind != "account":
            raise ValueError("a scope is 'desk' or 'account:NAME'")
        return cls(name)

    def covers(self, account: str) -> bool:
        """Whether a kill of this scope stops ``account``."""
        return self.account is None or self.account == account

    def __str__(self) -> str:
        return "desk" if self.account is None else f"account:{self.account}"


DESK: Final = Scope()


class Fence:
    """Reader and writer of one data directory's kill files. Safe to use from several processes and threads."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "kill"
        self._epoch_path = self._directory / "epoch"
        self._desk_path = os.fspath(self._directory / "desk")
        self._account_prefix = os.fspath(self._directory / "account.")
        self._epoch = -1

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
        _write_epoch(nascent / "epoch", _FIRST_GENERATION)
        sync_directory(nascent)
        try:
            nascent.rename(fence._directory)
        except OSError:  # Somebody else was faster; theirs stands.
            (nascent / "epoch").unlink()
            nascent.rmdir()
        sync_directory(data_dir)
        return fence

    def generation(self) -> int:
        """The epoch as it is at this instant. FenceCorrupt when there is none to be believed.

        One ``pread`` on a descriptor held open, not a memory map: a map of a truncated file kills its reader by SIGBUS.
        """
        try:
            if self._epoch >= 0 and os.fstat(self._epoch).st_nlink == 0:
                # Deleted, or replaced when damage was mended: the path says which. A reader that took a mended epoch
                # for damage would carry a stop on that a person has just lifted.
                self._forget()
            if self._epoch < 0:
                self._epoch = os.open(self._epoch_path, os.O_RDONLY | os.O_CLOEXEC)
            return _read_epoch(self._epoch, self._epoch_path)
        except OSError as trouble:
            raise FenceCorrupt(self._epoch_path, f"the epoch cannot be read: {trouble.strerror}") from None

    def engaged(self, account: str) -> bool:
        """Whether entries of ``account`` are stopped on this machine: by desk, by account, or by damage."""
        try:
            self.generation()
        except FenceCorrupt:
            return True
        return _present(self._desk_path) or _present(self._account_prefix + account)

    def engage(self, scope: Scope) -> int:
        """Stop ``scope``: its sentinel first, on disk, then a new epoch. Pressing again is harmless. The generation."""
        with suppress(FileExistsError):
            self._directory.mkdir(mode=0o700, parents=True)
            sync_directory(self._directory.parent)
        self._put_sentinel(scope)
        with self._writing():
            try:
                return self._advance()
            except FenceCorrupt:
                # Damage has stopped everybody; mending the epoch for one account must not let the others loose.
                self._put_sentinel(DESK)
                return self._replace_epoch()

    def release(self, scope: Scope) -> int:
        """Re-arm ``scope`` alone; the other scopes' sentinels stay. Damage is mended by releasing the desk only."""
        with self._writing():
            try:
                generation = self._advance()
            except FenceCorrupt:
                if scope != DESK:
                    raise
                generation = self._replace_epoch()
            # Last, so that a crash before this line leaves the scope stopped.
            self._sentinel(scope).unlink(missing_ok=True)
            sync_directory(self._directory)
        return generation

    def scopes(self) -> frozenset[Scope]:
        """Everything stopped now. Damage reads as the desk."""
        try:
            self.generation()
            damaged = False
        except FenceCorrupt:
            damaged = True
        names: set[str] = set()
        with suppress(FileNotFoundError):
            names = {entry.name for entry in self._directory.iterdir()}
        accounts = {name.removeprefix("account.") for name in names if name.startswith("account.")}
        found = {Scope(name) for name in accounts if _NAME.fullmatch(name)}
        return frozenset(found | ({DESK} if damaged or "desk" in names else set()))

    def put_at(self, scope: Scope) -> float | None:
        """When a person, or a signal, put or touched this scope's sentinel, in seconds since 1970.

        ``None`` when there is none, and for one that a press wrote: that is dated 1970, for its job is under way.
        """
        try:
            return self._sentinel(scope).stat().st_mtime or None
        except OSError:
            return None

    def _sentinel(self, scope: Scope) -> Path:
        return Path(self._desk_path if scope.account is None else self._account_prefix + scope.account)

    def _put_sentinel(self, scope: Scope) -> None:
        path = self._sentinel(scope)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return sync_directory(self._directory)  # Whoever put it: that it is there is all there is to it.
        try:
            os.utime(descriptor, (0, 0))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return sync_directory(self._directory)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        descriptor = os.open(self._directory / "epoch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # Held for two fsyncs by whoever has it, never over anything else.
            yield
        finally:
            os.close(descriptor)

    def _advance(self) -> int:
        """The next generation, written in place: gates hold this very file open."""
        generation = self.generation() + 1
        descriptor = os.open(self._epoch_path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, _packed(generation), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return generation

    def _replace_epoch(self) -> int:
        """A new file in place of a damaged one. Its number must never have been used: microseconds outrun any count."""
        generation = time.time_ns() // 1000
        fresh = self._directory / "epoch.new"
        fresh.unlink(missing_ok=True)
        _write_epoch(fresh, generation)
        fresh.replace(self._epoch_path)
        sync_directory(self._directory)
        self._forget()
        return generation

    def _forget(self) -> None:
        if self._epoch >= 0:
            os.close(self._epoch)
            self._epoch = -1

    def __del__(self) -> None:
        self._forget()


def _packed(generation: int) -> bytes:
    number = generation.to_bytes(8, "big")
    return number + zlib.crc32(number).to_bytes(4, "big")


def _read_epoch(descriptor: int, path: Path) -> int:
    for _ in range(_READS_MAX):
        raw = os.pread(descriptor, _EPOCH_BYTES + 1, 0)
        if len(raw) == _EPOCH_BYTES and zlib.crc32(raw[:8]) == int.from_bytes(raw[8:], "big"):
            return int.from_bytes(raw[:8], "big")
    raise FenceCorrupt(path, "the epoch's checksum is wrong")


def _write_epoch(path: Path, generation: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _packed(generation))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _present(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - on the order path; building a Path costs more than the look.
    except FileNotFoundError:
        return False
    except OSError:
        return True  # What cannot be looked at counts as pressed.
    return True
