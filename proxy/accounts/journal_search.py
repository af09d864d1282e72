"""Looks into the gates' journals before anything is found: while the store is away they alone say what was sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from proxy.accounts.births import Birth
from proxy.accounts.forwarded import COMMANDS, explanations
from proxy.accounts.intended import Command
from proxy.accounts.journaled import Sought, Written, journaled
from proxy.accounts.outside import OutsideDetector
from proxy.accounts.waiting import Waiting, WaitingOrders, is_conditional
from proxy.recent import Recent

BIRTHS_S: Final = 1.0
"""How long before a plain order is found it is looked for what it may have been born of: the venue is to answer."""

WRITTEN_MAX: Final = 10_000
"""Conditional orders found in journals that are remembered."""


class JournalSearch:
    """One account's: what explains a suspicion the ``detector`` is told, what may have become a plain order that the
    venue named waits to be asked about, each once."""

    def __init__(self, account: str, data_dir: Path, detector: OutsideDetector, waiting: WaitingOrders) -> None:
        self._account = account
        self._data_dir = data_dir
        self._detector = detector
        self._waiting = waiting
        # What sent each conditional order, and the id of its request.
        self._placed: Recent[Waiting, tuple[str, Command]] = Recent(WRITTEN_MAX)

    async def look(self, soon: float, since: datetime, now: datetime) -> None:
        """Look for what explains that which is found ``soon`` by the monotonic clock, in what was decided since then.
        Never raises."""
        due = (each for each in self._detector.suspicions if each.due <= soon)
        sought = Sought(
            account=self._account,
            explanations=frozenset(one for each in due for one in each.explanations if one[0] in COMMANDS),
            conditional=self._detector.strange_by(soon + BIRTHS_S),
        )
        if not sought.explanations and not sought.conditional:
            return
        found = await asyncio.to_thread(journaled, self._data_dir, sought, since)
        self._await(found, now)
        for each in found:
            explaining = [one for one in each.commands if not sought.explanations.isdisjoint(explanations(one))]
            self._detector.forwarded(explaining, time.monotonic(), each.request_id)

    def learned(self, birth: Birth) -> None:
        """A conditional order became a plain one. Where a journal alone knows it, it is the guard's by that."""
        placed = self._placed.get(Waiting(birth.symbol, birth.client_order_id))
        if placed is not None:
            request_id, command = placed
            self._detector.forwarded([command], time.monotonic(), request_id)

    def _await(self, found: Iterable[Written], now: datetime) -> None:
        at, new = time.monotonic(), []
        for each in found:
            for command in filter(is_conditional, each.commands):
                order = Waiting(str(command.get("symbol")), str(command.get("client_order_id")))
                known = self._placed.get(order)
                if known is None or known[0] != each.request_id:
                    self._placed.put(order, (each.request_id, command))
                    new.append((order, at - (now - each.at).total_seconds()))
        self._waiting.written(new)
