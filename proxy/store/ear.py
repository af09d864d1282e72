"""A gate's ear at the store: what is stopped, asked in a thread, over a connection that nothing else waits for."""

from __future__ import annotations

from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError
from redis.retry import Retry

from proxy.store.client import STORE_TROUBLE, Script
from proxy.store.gates import LEASE_S
from proxy.store.keys import Keys
from proxy.store.lean.commands import by_digest, by_text, encode
from proxy.store.trouble import StoreUnavailable

TIMEOUT_S: Final = LEASE_S / 4
"""An answer that is later than this is asked for again before the gate's lease is over."""


class Ear:
    """One gate's, of the guard of this id; empty for one of none. Not for two threads at once."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        """Connects on first use."""
        keys = Keys(desk)
        self._guard = guard
        self._keys = (keys.controls, keys.gates)
        self._script = Script.named("hear")
        # Asked fifty times a second for ever: over the connection itself, past redis-py's client, whose every command
        # fetches a connection and looks whether it is clean. It connects on first use.
        self._connection: Any = redis.ConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        ).make_connection()

    def hear(self, gate: str, generation: int) -> dict[str, str]:
        """What is stopped now; remembers that ``gate`` obeys ``generation``, and forgets ``gate`` where another guard
        has the desk. Raises ``StoreUnavailable``."""
        try:
            flat = self._run(gate, generation)
        except STORE_TROUBLE as error:
            raise StoreUnavailable(type(error).__name__) from error
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def leave(self, gate: str) -> None:
        """Forget ``gate``, which lets no entry out any more, so that no press waits for it.

        Raises ``StoreUnavailable``.
        """
        try:
            self._asked(encode(b"HDEL", self._keys[1], gate))
        except STORE_TROUBLE as error:
            raise StoreUnavailable(type(error).__name__) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _run(self, gate: str, generation: int) -> list[Any]:
        arguments = (gate, generation, self._guard)
        try:
            return list(self._asked(by_digest(self._script, self._keys, arguments)))
        except NoScriptError:  # Nothing has run.
            return list(self._asked(by_text(self._script, self._keys, arguments)))

    def _asked(self, command: bytes) -> Any:
        """The reply to one command. What fails in between closes the connection; the next command opens it again."""
        self._connection.send_packed_command([command])
        try:
            return self._connection.read_response()
        except ReadOnlyError:
            # A replica since a planned failover: it closes no connection, and the address leads to another server.
            self._connection.disconnect()
            raise
