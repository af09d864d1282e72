"""A gate tells the store what it counted, every two seconds and once more at its end.

Off the order path: what cannot be told now is told with the next, for the counts only grow. What a gate counted in its
last two seconds is lost when it is killed; the audit is the record of what happened, these are for watching.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from proxy.gate.counting import BOUNDS_S, Counting
from proxy.process_facts import process_facts
from proxy.store.gate_report import GateReport
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable

log = logging.getLogger("perpguard.gate")

TELL_EVERY_S: Final = 2.0


class Teller:
    """One gate's. ``place`` is the gate's among those of this host, ``gate`` what it is called when it obeys."""

    def __init__(
        self,
        store: GateStore,
        counting: Counting,
        *,
        place: str,
        gate: str,
        sockets: Callable[[], int],
        under_way: Callable[[], int],
    ) -> None:
        self._store = store
        self._counting = counting
        self._place = f"{socket.gethostname()}/{place}"
        self._gate = gate
        self._sockets = sockets
        self._under_way = under_way

    async def follow(self) -> None:
        """Tell for ever."""
        while True:
            await self.tell()
            await asyncio.sleep(TELL_EVERY_S)

    async def tell(self) -> None:
        """Tell once. A store that is away hears it the next time."""
        report = GateReport(
            gate=self._gate,
            bounds_s=list(BOUNDS_S),
            stages=self._counting.stages(),
            decisions=self._counting.decisions(),
            orders=self._counting.orders(),
            refused=self._counting.refused(),
            sockets=self._sockets(),
            under_way=self._under_way(),
            process=await asyncio.to_thread(process_facts),
        )
        try:
            await self._store.tell(self._place, report)
        except StoreUnavailable as trouble:
            log.debug("what was counted was not told: %s", trouble)
