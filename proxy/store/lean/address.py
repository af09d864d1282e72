"""Where the store is and how it is greeted. The URL is read by redis-py itself, so that both clients mean the same."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from proxy.store.client import connect
from proxy.store.lean.commands import encode
from proxy.store.lean.trouble import CallFailed, Refusal

_RUN_ID: Final = re.compile(r"^run_id:(\w+)", re.MULTILINE)

P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class Address:
    """A socket's path, or host, port and perhaps TLS; and what is said first. It shows no credentials."""

    path: str | None
    host: str
    port: int
    tls: ssl.SSLContext | None
    greeting: tuple[bytes, ...] = field(repr=False)
    """Commands: who we are, the database, which server it is and which one was filled. A connection is open when all
    are answered: when the store really answers."""

    @classmethod
    def of(cls, url: str, filled: str) -> Address:
        """That of a ``redis://``, ``rediss://`` or ``unix://`` URL. Raises ``ValueError`` for others.

        ``filled`` is the key of the run id of the one server to ask (``Keys.filled``).
        """
        made: Any = connect(url, timeout_s=1.0).connection_pool.make_connection()  # type: ignore[no-untyped-call]
        greeting = []
        if made.username or made.password:
            # As redis-py: without a name it is the password alone, which every version of the store takes.
            greeting.append(encode(b"AUTH", *([made.username] if made.username else []), made.password or ""))
        if made.client_name:
            greeting.append(encode(b"CLIENT", b"SETNAME", made.client_name))
        if made.db:
            greeting.append(encode(b"SELECT", int(made.db)))
        return cls(
            path=made.path if isinstance(made, UnixDomainSocketConnection) else None,
            host=getattr(made, "host", ""),
            port=int(getattr(made, "port", 0)),
            tls=made.ssl_context.get() if isinstance(made, SSLConnection) else None,
            greeting=(*greeting, encode(b"INFO", b"server"), encode(b"GET", filled)),
        )

    @staticmethod
    def check(replies: Sequence[Any]) -> None:
        """Whether what the store answered to the greeting makes it fit to be asked. Raises ``CallFailed``.

        A server that was restarted, or took another's place, may have lost its last second, holds included, and says
        that it is another. What it knows is not acted on before the warden has seen to that. A store that no warden
        has filled knows no account.
        """
        for reply in replies:
            if isinstance(reply, Refusal | CallFailed):
                raise CallFailed(reply.reason, asked=False)
        server, filled = replies[-2:]
        known = _RUN_ID.search(server) if isinstance(server, str) else None
        if filled is not None and (known is None or known[1] != filled):
            raise CallFailed("NotFilled", asked=False)

    async def connect(self, protocol: Callable[[], P]) -> P:
        """A connection, not greeted yet. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            return (await loop.create_unix_connection(protocol, self.path))[1]
        return (await loop.create_connection(protocol, self.host, self.port, ssl=self.tls))[1]
