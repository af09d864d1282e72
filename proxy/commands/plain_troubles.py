"""What can go wrong with any command and a person can mend: told in a line, without a traceback."""

from __future__ import annotations

import os
from typing import Final

from proxy.audit.place import ArchiveUnavailable
from proxy.commands.in_words import file_trouble
from proxy.commands.restart_gates import NotRestarted
from proxy.policy.reading import PolicyError
from proxy.settings import SettingsError
from proxy.store.embedded import EmbeddedStoreFailed
from proxy.supervision.supervisor import DoorTaken, GuardRunning
from proxy.tls.shelf import TlsMissing
from proxy.vault.errors import VaultError
from proxy.venues.binance.client_ids import TagsClash
from proxy.watchdog.stopping import NotPaired

PLAIN_TROUBLES: Final[tuple[type[Exception], ...]] = (
    SettingsError,
    PolicyError,
    VaultError,
    TagsClash,
    EmbeddedStoreFailed,
    ArchiveUnavailable,
    GuardRunning,
    DoorTaken,
    NotRestarted,
    NotPaired,
    TlsMissing,
)


def plainly(error: Exception, *, files_too: bool) -> str:
    """What a person is told of it; empty for what is a bug, and deserves its traceback.

    ``files_too``: a file or folder that cannot be read or written is an ordinary mistake as well.
    """
    if isinstance(error, PLAIN_TROUBLES):
        return str(error)
    if files_too and isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike):
        return file_trouble(error)
    return ""
