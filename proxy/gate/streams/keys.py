"""Sockets that live no longer than a guard key. A key that is switched off closes them within a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from websockets.frames import CloseCode

from proxy.gate.bot_socket import BotSocket
from proxy.store.trouble import StoreUnavailable

log = logging.getLogger("perpguard.gate")

SOCKETS_PER_KEY_MAX: Final = 32
LOOK_EVERY_S: Final = 0.3
"""The vault is read again every 0.25 s at most and the store answers within 0.1 s: a second holds it all."""


class TooManySockets(Exception):
    """The key has as many sockets open as it may."""


class KeyedSockets:
    """The sockets of one gate process that are bound to guard keys.

    ``active`` says whether the vault knows the key and has it on; ``disabled`` which keys the store has off.
    """

    def __init__(self, active: Callable[[str], bool], disabled: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self._active = active
        self._disabled = disabled
        self._sockets: dict[str, list[BotSocket]] = {}

    def bind(self, guard_key: str, socket: BotSocket) -> None:
        """Close ``socket`` when ``guard_key`` is switched off or rotated. Raises ``TooManySockets``."""
        sockets = self._sockets.setdefault(guard_key, [])
        if len(sockets) >= SOCKETS_PER_KEY_MAX:
            raise TooManySockets
        sockets.append(socket)

    def release(self, guard_key: str, socket: BotSocket) -> None:
        """Undo one ``bind``."""
        sockets = self._sockets[guard_key]
        sockets.remove(socket)
        if not sockets:
            del self._sockets[guard_key]

    async def watch(self) -> None:
        """Look for keys that were switched off, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if not self._sockets:
                continue
            try:
                await self._close_revoked()
            except Exception:  # The edge: whatever went wrong once, the next look must still come.
                log.exception("looking for revoked keys failed in the guard")

    async def _close_revoked(self) -> None:
        try:
            disabled = await self._disabled()
        except StoreUnavailable:
            disabled = frozenset()  # The vault, which is local, still says what a person has switched off.
        for guard_key in [key for key in self._sockets if key in disabled or not self._active(key)]:
            for socket in self._sockets[guard_key]:
                socket.close(CloseCode.POLICY_VIOLATION, "GUARD KEY_DISABLED: the key was disabled or rotated")
