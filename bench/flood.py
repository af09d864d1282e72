"""Orders at a fixed rate through the guard, whatever becomes of them: one process, many kept-alive connections.

The rate is offered, not awaited: every connection has its moments, and one that is late by more than a second lets
those it has missed go.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from bench.wire import BadAnswer, Connection
from proxy.vault.keys import Secret

CONNECTIONS: Final = 48

_LATE_S: Final = 1.0
_SPAWN: Final = multiprocessing.get_context("spawn")
_KINDS: Final = ("accepted", "refused", "failed")


class Flood:
    """``rate`` orders a second to ``url``, from entering the context to leaving it."""

    def __init__(self, url: str, key: str, secret: Secret, order: Mapping[str, str], rate: float) -> None:
        self._counts: Any = _SPAWN.Array("q", len(_KINDS))
        self._process = _SPAWN.Process(
            target=_run, args=(url, key, secret.reveal(), dict(order), rate, self._counts), daemon=True
        )

    def __enter__(self) -> Flood:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    @property
    def counts(self) -> dict[str, int]:
        """Answers so far: ``accepted`` by the exchange, ``refused``, and ``failed`` for those that were none."""
        return dict(zip(_KINDS, self._counts, strict=True))

    def rates_over(self, seconds: float) -> dict[str, float]:
        """Of each kind of answer, how many a second, measured for so long."""
        before, began = self.counts, time.monotonic()
        time.sleep(seconds)
        after, passed_s = self.counts, time.monotonic() - began
        return {kind: (after[kind] - before[kind]) / passed_s for kind in _KINDS}


def _run(url: str, key: str, secret: str, order: dict[str, str], rate: float, counts: Any) -> None:
    threads = [
        threading.Thread(target=_send, args=(url, key, secret, order, rate, number, counts), daemon=True)
        for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(url: str, key: str, secret: str, order: dict[str, str], rate: float, number: int, counts: Any) -> None:
    every_s = CONNECTIONS / rate
    due = time.monotonic() + every_s * number / CONNECTIONS
    while True:
        try:
            with Connection(url, key, Secret(secret)) as connection:
                while True:
                    time.sleep(max(0.0, due - time.monotonic()))
                    due = max(due + every_s, time.monotonic() - _LATE_S)
                    status, _ = connection.exchange(connection.signed_order(**order))
                    with counts.get_lock():
                        counts[0 if status == 200 else 1] += 1
        except (OSError, BadAnswer):
            with counts.get_lock():
                counts[2] += 1
            time.sleep(0.1)
