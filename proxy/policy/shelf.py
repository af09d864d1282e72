"""Where policies lie in the data directory: the active one, and those that wait for somebody.

``policy/active.toml`` is the text that is in force, ``policy/pending/DIGEST.json`` a proposal. Every file is replaced
whole and on the disk before the call returns, so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from proxy.disk import replace_file, sync_directory
from proxy.store.codec import build, dump, load, plain

_DIGEST: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A looser policy that waits. ``base`` is the digest it was compared with; ``by`` is empty while nobody stands for
    it: it was found in the settings' file. ``at`` is when somebody proposed it, or when it was found."""

    digest: str
    base: str
    text: str
    by: str
    reason: str
    at: datetime


class Shelf:
    """The policy files of one data directory. Every method raises ``OSError`` for trouble with the disk."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "policy"

    @property
    def active_path(self) -> Path:
        """Where the active policy is; it need not be there."""
        return self._directory / "active.toml"

    def activate(self, text: str) -> None:
        """Make ``text`` the active policy."""
        self._write(self.active_path, text.encode())

    def proposals(self) -> tuple[Proposal, ...]:
        """What waits, oldest first. A file that is no proposal is none: only this class writes there."""
        found = []
        for path in (self._directory / "pending").glob("*.json"):
            try:
                found.append(build(load(path.read_bytes()), Proposal))
            except (msgspec.DecodeError, msgspec.ValidationError, FileNotFoundError):
                continue
        return tuple(sorted(found, key=lambda each: (each.at, each.digest)))

    def keep(self, proposal: Proposal) -> None:
        """Keep a proposal, in place of an earlier one of the same text."""
        self._write(self._pending(proposal.digest), dump(plain(proposal)) + b"\n")

    def drop(self, digest: str) -> None:
        """Forget a proposal."""
        path = self._pending(digest)
        path.unlink(missing_ok=True)
        sync_directory(path.parent)

    def _pending(self, digest: str) -> Path:
        if _DIGEST.fullmatch(digest) is None:  # It becomes part of a path.
            raise ValueError("a digest is sixteen of 0-9 a-f")
        return self._directory / "pending" / f"{digest}.json"

    def _write(self, path: Path, content: bytes) -> None:
        for directory in (self._directory, path.parent):
            if not directory.is_dir():
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_directory(directory.parent)
        replace_file(path, content)
