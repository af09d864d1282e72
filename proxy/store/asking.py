"""How a gate asks the store: an order's scripts over the lean client, the rest by redis-py; one breaker for both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NoReturn, TypeVar

import redis.asyncio

from proxy.store.client import (
    HOT_CONNECTIONS,
    HOT_CONNECTIONS_MAX,
    HOT_PATIENCE,
    STORE_TROUBLE,
    Script,
    connect,
    within,
)
from proxy.store.keys import Keys
from proxy.store.lean.client import LeanClient
from proxy.store.lean.commands import Part
from proxy.store.lean.trouble import CallFailed
from proxy.store.trouble import StoreUnavailable

T = TypeVar("T")

_BREAKER_S: Final = 1.0
"""How long a store that failed is not asked again, unless it answers: lost connections are opened anew at once, and are
open when it has answered a greeting."""

_WARMING_S: Final = 1.0
_FAILED_LATELY: Final = "the store failed less than a second ago"
_TAKEN: Final = "the desk is another guard's"


class Asking:
    """One process's connections to the store, and how the last call fared."""

    def __init__(self, url: str, keys: Keys, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # The socket's own time-out is only the last resort: it cannot tell a silent store from a busy process.
        self._redis: redis.asyncio.Redis = connect(
            url, timeout_s=timeout_s * HOT_PATIENCE, connections_max=HOT_CONNECTIONS_MAX
        )
        self._lean = LeanClient(url, filled=keys.filled, silence_s=timeout_s)
        self._failed_at = float("-inf")
        self.taken: Callable[[], bool] = lambda: False
        """Whether the desk is another guard's: then no order of ours is asked about, or told there."""

    @property
    def broken(self) -> bool:
        """Whether the last call failed less than a second ago, and the store has answered nobody since; exits then do
        not ask again."""
        return time.monotonic() - self._failed_at < _BREAKER_S and self._lean.heard_at <= self._failed_at

    async def warm(self) -> None:
        """Open the connections the first burst of orders will need. A store that is away is found out later."""

        async def greet() -> None:
            await self._redis.ping()

        await asyncio.gather(
            self._lean.warm(_WARMING_S),
            *(within(_WARMING_S, greet()) for _ in range(HOT_CONNECTIONS)),
            return_exceptions=True,
        )

    def _run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Part], *, heed_breaker: bool = True
    ) -> Coroutine[Any, Any, Any]:
        """Ask for a script of an order to be run, at once; awaited is its answer. Raises ``StoreUnavailable``, then."""
        if self.taken():
            return self._not_asked(_TAKEN)
        if heed_breaker and self.broken:
            return self._not_asked(_FAILED_LATELY)
        return self._reply(self._lean.run(script, keys, arguments))

    async def _not_asked(self, reason: str) -> NoReturn:
        raise StoreUnavailable(reason, asked=False)

    async def _reply(self, asked: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await asked
        except CallFailed as trouble:
            raise self._failed(trouble.reason, asked=trouble.asked) from trouble

    async def _ask(self, question: Callable[[], Any]) -> Any:
        """Ask by redis-py what an order waits for. Raises ``StoreUnavailable``."""
        self._heed_breaker()
        try:
            answer = await within(self._timeout_s, question(), lambda: self._lean.heard_at)
        except STORE_TROUBLE as error:
            raise self._failed(type(error).__name__, asked=True) from error
        self._lean.heard()
        return answer

    async def _aside(self, question: Coroutine[Any, Any, T]) -> T:
        """Ask by redis-py what no order waits for. Raises ``StoreUnavailable``.

        No order is made to suffer for it, either: the breaker stays as it is.
        """
        try:
            return await within(self._timeout_s, question)
        except STORE_TROUBLE as error:
            raise StoreUnavailable(type(error).__name__) from error

    def _heed_breaker(self) -> None:
        if self.taken():
            raise StoreUnavailable(_TAKEN, asked=False)
        if self.broken:
            raise StoreUnavailable(_FAILED_LATELY, asked=False)

    def _failed(self, reason: str, *, asked: bool) -> StoreUnavailable:
        self._failed_at = time.monotonic()
        return StoreUnavailable(reason, asked=asked)
