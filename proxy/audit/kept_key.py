"""The key that signs checkpoints. It may be rotated at any time, and the vault may be unreadable for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from proxy.audit.checkpoint import Signer
from proxy.vault.errors import VaultError
from proxy.vault.signing_keys import SigningKey

log = logging.getLogger("perpguard.audit")

ASKED_EVERY_S: Final = 60.0


class KeptKey:
    """Asks ``signer`` once a minute, and goes on with the key it has when there is no answer."""

    def __init__(self, signer: Signer, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._signer = signer
        self._monotonic = monotonic
        self._key: SigningKey | None = None
        self._asked_at = float("-inf")

    def __call__(self) -> SigningKey:
        """The key in use a minute ago or later. Raises ``OSError`` or ``VaultError`` while there never was one."""
        if self._key is None or self._monotonic() - self._asked_at >= ASKED_EVERY_S:
            try:
                self._key = self._signer()
            except (OSError, VaultError) as trouble:
                if self._key is None:
                    raise
                log.warning("checkpoints are signed with the key of before: %s", type(trouble).__name__)
            self._asked_at = self._monotonic()
        return self._key
