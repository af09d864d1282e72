"""Around every request: only hosts that are ours (DNS rebinding), and headers that keep a page's power small.

Plain ASGI, so that a browser that goes away does not cancel the press it made.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.console.answers import HEADERS, error

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HEADERS: Final = tuple((name.encode(), value.encode()) for name, value in HEADERS.items())


class Shell:
    """The outermost layer. ``hosts`` are names without a port, or with one to be exact."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HTTP; lifespan passes, WebSockets do not exist here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in _HEADERS}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in ours]
                message = {**message, "headers": [*kept, *_HEADERS]}
            await send(message)

        if self._ours(scope):
            await self._app(scope, receive, send_guarded)
        else:
            await error(421, "WRONG_HOST", "this port does not answer to that name")(scope, receive, send_guarded)

    def _ours(self, scope: Scope) -> bool:
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1:
            return False
        host = named[0].decode("latin-1").lower()
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):  # No port, or a bare IPv6 address.
            return host in self._hosts
        return host in self._hosts or (port.isascii() and port.isdigit() and name in self._hosts)
