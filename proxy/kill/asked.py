"""What a press on the command line says of itself: who, and why. Standard library only.

``<data_dir>/kill/asked/SCOPE`` is evidence and nothing else: where the command comes no further, whoever takes its
press up can say in whose name. One that cannot be written delays no kill.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.store.fence import Scope

TEXT_LENGTH_MAX: Final = 500
_BYTES_MAX: Final = 16 * 1024


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
    """Write a press down, in place of the last one of its scope."""
    path = _path(data_dir, scope)
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps({"by": asked.by, "reason": asked.reason}).encode())
        finally:
            os.close(descriptor)


def last_asked(data_dir: Path, scope: Scope, since: float) -> Asked | None:
    """Who pressed a scope last since a moment, in seconds since 1970; ``None`` when nobody has said so."""
    path = _path(data_dir, scope)
    try:
        if path.stat().st_mtime < since:
            return None
        with path.open("rb") as file:
            said = json.loads(file.read(_BYTES_MAX))
        return Asked(by=fitting(said["by"]), reason=fitting(said["reason"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _path(data_dir: Path, scope: Scope) -> Path:
    return data_dir / "kill" / "asked" / str(scope).replace(":", ".", 1)
