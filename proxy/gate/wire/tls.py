"""TLS of one connection as bytes in and bytes out, without I/O.

asyncio's own TLS transport has a second buffer underneath that nobody can ask whether it is empty, and takes no session
to resume. Here what is encrypted goes into one write of the connection's own, as it does without TLS.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Final

import httpx

_READ_BYTES: Final = 64 * 1024


@cache
def trusted() -> ssl.SSLContext:
    """Whom httpx trusts by itself, and the environment cannot widen: certifi's authorities, names checked."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    # A TLS 1.2 peer must not make a write wait for a read.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


class TlsLayer:
    """One connection's. Every method may raise ``ssl.SSLError``; the connection is of no use then."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "ended", "stands")

    def __init__(self, context: ssl.SSLContext, hostname: str, session: ssl.SSLSession | None) -> None:
        """``session`` is an earlier connection's to the same host, or ``None``."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname, session=session)
        self.stands = False
        self.ended = False

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection may resume, if there is anything: TLS 1.3 sends it some time after the handshake."""
        session = self._tls.session if self.stands else None
        return session if session is not None and session.has_ticket else None

    def shake(self, received: bytes) -> bytes:
        """A step of the handshake: what came, none at first; and what is to be sent now. ``stands`` when it is done."""
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass  # The peer's turn.
        else:
            self.stands = True
        return self._outgoing.read()

    def decrypt(self, received: bytes) -> tuple[bytes, bytes]:
        """What came, in plain; and what TLS itself has to say to it, mostly nothing. ``ended`` when no more comes."""
        self._incoming.write(received)
        plain = b""
        try:
            while part := self._tls.read(_READ_BYTES):
                plain = plain + part if plain else part
            self.ended = True
        except ssl.SSLWantReadError:
            pass  # All of it is read.
        return plain, self._outgoing.read()

    def encrypt(self, plain: bytes) -> bytes:
        """The records that carry ``plain``."""
        self._tls.write(plain)
        return self._outgoing.read()
