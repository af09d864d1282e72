"""Name resolution that outlives the name servers: an address that was right once is better than none."""

from __future__ import annotations

import logging
import socket
from typing import ClassVar, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

log = logging.getLogger("perpguard.accounts")

_HOSTS_MAX: Final = 100


class RememberingResolver(AbstractResolver):
    """The system's resolver; where that fails, what it said last.

    What it said is shared by all connections of the process: those of a kill, opened at the press, know what those of
    the warden have learnt. TLS still checks that whoever answers there is the venue.
    """

    _known: ClassVar[dict[tuple[str, int, socket.AddressFamily], list[ResolveResult]]] = {}

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host``. Raises ``OSError`` for one that was never resolved."""
        asked = (host, port, family)
        try:
            found = await self._resolver.resolve(host, port, family)
        except OSError as trouble:
            if asked not in self._known:
                raise
            log.warning("%s cannot be resolved (%s); its last address is used", host, type(trouble).__name__)
            return self._known[asked]
        if asked in self._known or len(self._known) < _HOSTS_MAX:
            self._known[asked] = found
        return found

    async def close(self) -> None:
        """Let go of the system's resolver."""
        await self._resolver.close()
