"""Where policies lie in the data directory: the active one, and those that wait for somebody.

``policy/active.toml`` is the text that is in force, ``policy/active.digest`` which one the guard put there,
``policy/pending/DIGEST.json`` a proposal. Every file is replaced whole and on the disk before the call returns, so a
crash leaves the old one or the new one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from proxy.decoding import build
from proxy.disk import FileIdentity, identity_of, make_directory, remove_file, replace_file
from proxy.policy.reading import POLICY_LENGTH_MAX, policy_digest
from proxy.store.codec import dump, load, plain

if TYPE_CHECKING:
    from proxy.settings import Settings

_DIGEST: Final = re.compile(r"[0-9a-f]{16}")
_PROPOSAL_BYTES_MAX: Final = 4 * POLICY_LENGTH_MAX + 64 * 1024
"""A text in UTF-8, and what stands around it."""


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
        self._read: dict[Path, tuple[FileIdentity, Proposal | None]] = {}

    @property
    def active_path(self) -> Path:
        """Where the active policy is; it need not be there."""
        return self._directory / "active.toml"

    def activate(self, text: str) -> None:
        """Make ``text`` the active policy, and remember that it was done here; where the disk does not take it, what
        was active is again what is remembered, else the next start took it for somebody's edit."""
        before = self.activated()
        try:
            self.vouch(policy_digest(text))
            self._write(self.active_path, text.encode())
        except OSError:
            with suppress(OSError):  # The first trouble is raised; if this fails too, the next start tells of an edit.
                if before:
                    self.vouch(before)
                else:
                    remove_file(self._digest_path)
            raise

    def vouch(self, digest: str) -> None:
        """Remember which text is active. Before the text itself: one that is not there was not kept, and is told."""
        self._write(self._digest_path, f"{digest}\n".encode())

    def activated(self) -> str:
        """The digest of what was made active last; empty when nothing says so."""
        try:
            words = self._digest_path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""
        return words if _DIGEST.fullmatch(words) else ""

    def proposals(self) -> tuple[Proposal, ...]:
        """What waits, oldest first. A file that is no proposal is none: only this class writes there.

        A file is read once for as long as it stays the same. Any thread may ask.
        """
        read: dict[Path, tuple[FileIdentity, Proposal | None]] = {}
        for path in (self._directory / "pending").glob("*.json"):
            identity = identity_of(path)
            if identity is None or identity.size > _PROPOSAL_BYTES_MAX:
                continue
            known = self._read.get(path)
            read[path] = known if known is not None and known[0] == identity else (identity, _proposal(path))
        self._read = read
        found = (proposal for _, proposal in read.values() if proposal is not None)
        return tuple(sorted(found, key=lambda each: (each.at, each.digest)))

    def keep(self, proposal: Proposal) -> None:
        """Keep a proposal, in place of an earlier one of the same text."""
        self._write(self._pending(proposal.digest), dump(plain(proposal)) + b"\n")

    def drop(self, digest: str) -> None:
        """Forget a proposal."""
        remove_file(self._pending(digest))

    @property
    def _digest_path(self) -> Path:
        return self._directory / "active.digest"

    def _pending(self, digest: str) -> Path:
        if _DIGEST.fullmatch(digest) is None:  # It becomes part of a path.
            raise ValueError("a digest is sixteen of 0-9 a-f")
        return self._directory / "pending" / f"{digest}.json"

    def _write(self, path: Path, content: bytes) -> None:
        make_directory(path.parent)
        replace_file(path, content)


def policy_path(settings: Settings) -> Path:
    """The policy that was in force here last; before there was any, the settings' file."""
    active = Shelf(settings.data_dir).active_path
    return active if active.exists() else settings.policy


def _proposal(path: Path) -> Proposal | None:
    """What stands in a file; ``None`` when it is no proposal, or its text is not the one it is named after."""
    try:
        proposal = build(load(path.read_bytes()), Proposal)
    except (msgspec.DecodeError, msgspec.ValidationError, FileNotFoundError):
        return None
    return proposal if policy_digest(proposal.text) == proposal.digest == path.stem else None
