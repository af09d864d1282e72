"""The gates' second door: the same protocol over TLS, on a socket of its own; its certificate can be renewed."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from proxy.disk import FileIdentity, identity_of
from proxy.gate.server import GateServer, Orders, as_listeners
from proxy.tls.shelf import TlsMissing, TlsShelf

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

log = logging.getLogger("perpguard.tls")

HANDSHAKE_S: Final = 5.0
"""Whoever has not finished greeting by then is a stranger that holds a connection."""

_RECORD_BYTES: Final = 16 * 1024
"""The longest record of TLS (RFC 8446, section 5.1), and so the most that one read can give."""

_SHUTDOWN_S: Final = 2.0
_LOOK_EVERY_S: Final = 30.0


class RecordWise(ssl.SSLObject):
    """One connection's TLS. The loop asks it for 256 KiB with every read, and for that much room is made each time,
    of which a bot's request fills 300 bytes: what the allocator does with it costs 24 kB of memory a connection."""

    def read(self, len: int = _RECORD_BYTES, buffer: Buffer | None = None) -> bytes:
        """See ``ssl.SSLObject.read``."""
        return super().read(min(len, _RECORD_BYTES), buffer)


class Greeting:
    """The TLS context of a gate. A renewed certificate is taken up by itself, for the connections made from then on."""

    def __init__(self, shelf: TlsShelf) -> None:
        """Raises ``TlsMissing``."""
        self._shelf = shelf
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sslobject_class = RecordWise
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen: FileIdentity | None = None
        self._load()

    async def follow(self) -> None:
        """For ever: look whether the certificate was renewed. One that cannot be read leaves the old one in use."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Once."""
        try:
            if identity_of(self._shelf.certificate) == self._seen:
                return
            self._load()
            log.info("the gates' certificate is a new one")
        except (TlsMissing, OSError) as trouble:
            log.error("the gates' new certificate cannot be used, the old one goes on: %s", trouble)

    def _load(self) -> None:
        try:
            seen = identity_of(self._shelf.certificate)
            # First where nobody is greeted: of a file without its key OpenSSL takes the certificate all the same, and
            # forgets the old key.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._shelf.certificate)
            self.context.load_cert_chain(self._shelf.certificate)
        except FileNotFoundError:
            words = f"{self._shelf.certificate} is not there; `perpguard tls init` makes it"
            raise TlsMissing(words) from None
        except (ssl.SSLError, OSError) as trouble:
            raise TlsMissing(f"{self._shelf.certificate} cannot be used ({type(trouble).__name__})") from trouble
        self._seen = seen


class TwoDoors(GateServer):
    """A gate's server: its own sockets, and one more that greets by TLS."""

    def __init__(
        self, config: uvicorn.Config, orders: Orders, ready: int | None, listener: socket.socket, greeting: Greeting
    ) -> None:
        super().__init__(config, orders, ready)
        self._listener = listener
        self._greeting = greeting
        self._following: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, and then the second door, which its shutdown closes with the first."""
        await super().startup(sockets=sockets)
        if self.should_exit:
            return

        def protocol() -> asyncio.Protocol:
            make: Any = self.config.http_protocol_class
            made: asyncio.Protocol = make(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        for listener in as_listeners([self._listener]):
            door = await asyncio.get_running_loop().create_server(
                protocol,
                sock=listener,
                ssl=self._greeting.context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=_SHUTDOWN_S,
                backlog=self.config.backlog,
            )
            self.servers.append(door)
        self._following = asyncio.create_task(self._greeting.follow())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does."""
        if self._following is not None:
            self._following.cancel()
        await super().shutdown(sockets=sockets)
