"""What is asked for and what is coming back: one file a scope, ``kill/rearming/SCOPE``, on disk before it counts.

A file is its own digest and JSON. One that is damaged stops its scope: nobody knows how far it had come.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from proxy.decoding import build
from proxy.disk import make_directory, remove_file, replace_file
from proxy.store.codec import dump, load, plain
from proxy.store.fence import DESK, Scope
from rules.kill.rearming import Rearming

log = logging.getLogger("perpguard.kill")

_UPCOMING: Final = ".next"
_DAMAGED: Final = ".damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One scope's state, and the kill generation it was asked for under: any later press is another generation."""

    state: Rearming
    generation: int


class RearmFiles:
    """The files of one data directory. One writer."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "kill" / "rearming"

    def read(self) -> tuple[dict[Scope, Kept], frozenset[Scope]]:
        """Every scope's state, and the scopes whose file is damaged, which is set aside by ``remove``.

        A file whose name says nothing concerns the desk. Raises ``OSError``.
        """
        found: dict[Scope, Kept] = {}
        damaged: set[Scope] = set()
        for path in self._paths():
            scope = _scope(path.name)
            kept = _read(path.read_bytes())
            if scope is None or kept is None:
                damaged.add(scope or DESK)
                if scope is None:
                    path.rename(path.with_name(path.name + _DAMAGED))
            else:
                found[scope] = kept
        return found, frozenset(damaged)

    def asked_under(self, generation: int) -> bool:
        """Whether anything is asked for, or just opening, under this kill generation: what has come back has an older
        one. What is damaged asks for nothing. Raises ``OSError``."""
        return any(kept is not None and kept.generation == generation for kept in map(_read_if_there, self._paths()))

    def write(self, scope: Scope, kept: Kept) -> None:
        """Keep a state, on disk when this returns. Raises ``OSError``."""
        make_directory(self._directory)
        content = dump(plain(kept))
        replace_file(self._path(scope), hashlib.sha256(content).hexdigest().encode() + b"\n" + content)

    def remove(self, scope: Scope) -> None:
        """Forget a scope. Raises ``OSError``."""
        remove_file(self._path(scope))

    def _paths(self) -> list[Path]:
        listed = self._directory.iterdir() if self._directory.is_dir() else ()
        return sorted(path for path in listed if path.suffix not in (_UPCOMING, _DAMAGED))

    def _path(self, scope: Scope) -> Path:
        return self._directory / str(scope).replace(":", ".", 1)


def _scope(name: str) -> Scope | None:
    with suppress(ValueError):
        return Scope.parse(name.replace(".", ":", 1))
    return None


def _read_if_there(path: Path) -> Kept | None:
    with suppress(FileNotFoundError):  # Opened, or taken back, since it was listed.
        return _read(path.read_bytes())
    return None


def _read(raw: bytes) -> Kept | None:
    digest, _, content = raw.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        return None
    with suppress(msgspec.DecodeError, msgspec.ValidationError):
        return build(load(content), Kept)
    return None  # Written by a version that knew other words: as good as damaged.
