"""A gate's ear at the store: what is stopped, asked in a thread, over a connection that nothing else waits for."""

from __future__ import annotations

from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from proxy.store.client import STORE_TROUBLE, Script
from proxy.store.gate_store import StoreUnavailable
from proxy.store.gates import LEASE_S
from proxy.store.keys import Keys

TIMEOUT_S: Final = LEASE_S / 4
"""An answer that is later than this is asked for again before the gate's lease is over."""


class Ear:
    """One gate's. Not for two threads at once."""

    def __init__(self, url: str, desk: str) -> None:
        """Connects on first use."""
        keys = Keys(desk)
        self._keys = (keys.controls, keys.gates)
        self._script = Script.named("hear")
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def hear(self, gate: str, generation: int) -> dict[str, str]:
        """What is stopped now; remembers that ``gate`` obeys ``generation``. Raises ``StoreUnavailable``."""
        try:
            flat = self._run(gate, generation)
        except STORE_TROUBLE as error:
            raise StoreUnavailable(type(error).__name__) from error
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _run(self, gate: str, generation: int) -> list[Any]:
        arguments = (*self._keys, gate, generation)
        try:
            flat: Any = self._redis.evalsha(self._script.sha, len(self._keys), *arguments)
        except NoScriptError:  # Nothing has run.
            flat = self._redis.eval(self._script.text, len(self._keys), *arguments)
        return list(flat)
