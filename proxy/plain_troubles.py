"""What can go wrong with any command and a person can mend: told in a line, without a traceback."""

from __future__ import annotations

from typing import Final

from proxy.audit.place import ArchiveUnavailable
from proxy.policy.reading import PolicyError
from proxy.settings import SettingsError
from proxy.store.embedded import EmbeddedStoreFailed
from proxy.supervision.restart_command import NotRestarted
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
