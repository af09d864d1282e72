"""The file of the active policy, and whether anybody but the guard has written there.

The guard reads that file at its start alone. What is changed there by hand has passed nobody's eyes, so it is told.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from proxy.disk import FileIdentity, identity_of
from proxy.policy.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """``policy`` is the digest of what stands there, empty where nothing can be read; ``instead_of`` that of what the
    guard put there, empty where nothing says it."""

    policy: str
    instead_of: str


class Edits:
    """Looks at one shelf's active policy, and tells each change once."""

    def __init__(self, shelf: Shelf) -> None:
        self._path = shelf.active_path
        self._identity: FileIdentity | None = None
        self._digest = ""
        self._told: Edit | None = None

    def since(self, put_there: str) -> Edit | None:
        """What has become of the policy whose digest is ``put_there``; ``None``: nothing, or it has been told."""
        self._look()
        found = Edit(policy=self._digest, instead_of=put_there) if self._digest != put_there else None
        told, self._told = self._told, found
        return found if found != told else None

    def _look(self) -> None:
        try:
            identity = identity_of(self._path)
            if identity is None or identity != self._identity:
                self._digest = _digest_of(self._path) if identity is not None else ""
        except OSError:
            identity, self._digest = None, ""  # A start could read no more than this.
        self._identity = identity


def _digest_of(path: Path) -> str:
    """The name of the text there, whether or not it is a policy. Raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
