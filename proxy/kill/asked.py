"""What a press owes: a note of who asked for it, and why, that stands until every account has its job.

``<data_dir>/kill/asked/SCOPE`` is written before the stop and taken away when the jobs are on disk. Where it still
stands and nobody is at it, whoever pressed came no further, and the warden goes on in that name. A stop without a note
nobody has pressed for: damage, a sentinel that the mirror carried over, what an older version left. Such a stop closes
nothing. A note that the disk does not take delays no kill. Standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.disk import give_folder_to_owner_of, give_to_owner_of
from proxy.store.fence import Scope

TEXT_LENGTH_MAX: Final = 500
_BYTES_MAX: Final = 16 * 1024

# No link of somebody else's is followed, and no pipe of his waited for: root may be the one who presses.
_WRITING: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who pressed, and why."""

    by: str
    reason: str


def fitting(text: str) -> str:
    """A person's words as the guard keeps them: one printable line. No kill waits for better ones."""
    line = "".join(each if each.isprintable() else " " for each in text).strip()
    return line[:TEXT_LENGTH_MAX] or "not given"


def note_asked(data_dir: Path, scope: Scope, asked: Asked) -> None:
    """Write a press down, in place of the last one of its scope. It is in the kernel's hands, not on the platter: the
    death of the process does not take it away, and the stop does not wait for the disk."""
    with suppress(OSError):
        write_note(_path(data_dir, scope), {"by": asked.by, "reason": asked.reason})


def write_note(path: Path, said: Mapping[str, object]) -> None:
    """One small file in ``kill/``, in the kernel's hands when this returns. Raises ``OSError``."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    give_folder_to_owner_of(path.parent.parent, path.parent)
    descriptor = os.open(path, _WRITING, 0o600)
    try:
        give_to_owner_of(path.parent, descriptor)
        if os.fstat(descriptor).st_nlink == 1:  # Its other name may be that of a file of root's.
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(said).encode())
    finally:
        os.close(descriptor)


def answered(data_dir: Path, scope: Scope) -> None:
    """Every account has its job, or the scope is let go: nothing is owed."""
    with suppress(OSError):
        _path(data_dir, scope).unlink()


def asked_of(data_dir: Path, scope: Scope) -> Asked | None:
    """The press of a scope that nothing has answered yet; ``None`` when there is none."""
    unread = Asked(by="somebody", reason="not given")
    try:
        with _path(data_dir, scope).open("rb") as file:
            raw = file.read(_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError:
        return unread
    try:
        said = json.loads(raw)
        return Asked(by=fitting(said["by"]), reason=fitting(said["reason"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return unread  # Cut short. That somebody pressed is certain all the same.


def asked_at(data_dir: Path, scope: Scope) -> float | None:
    """When the press that nothing has answered was noted, in seconds since 1970; ``None`` when there is none."""
    try:
        return _path(data_dir, scope).stat().st_mtime
    except OSError:
        return None


def noted(data_dir: Path) -> frozenset[Scope]:
    """Every scope with a note."""
    return scopes_noted(data_dir / "kill" / "asked")


def scopes_noted(folder: Path) -> frozenset[Scope]:
    """Every scope that a folder of notes has one of."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return frozenset()
    found = set()
    for name in names:
        with suppress(ValueError):  # Not one of ours.
            found.add(Scope.parse(name.replace(".", ":", 1)))
    return frozenset(found)


def _path(data_dir: Path, scope: Scope) -> Path:
    return data_dir / "kill" / "asked" / note_name(scope)


def note_name(scope: Scope) -> str:
    """The name of a scope's note in its folder."""
    return str(scope).replace(":", ".", 1)
