"""Says what became of a ruling's orders: to the store and the audit, at once; awaited is only that it is written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from proxy.gate.counting import Counting, Kind, Stage, clock_ns
from proxy.gate.judge import Judge
from proxy.gate.ruling import Outcome, Ruling
from proxy.venues.binance.replies import Reply, Reported

log = logging.getLogger("perpguard.gate")


class Settlement:
    """Of one gate. What is left behind ends by itself; until then its hold stays, the safe side."""

    def __init__(self, *, judge: Judge, counting: Counting, now: Callable[[], datetime]) -> None:
        self._judge = judge
        self._counting = counting
        self._now = now
        self._left: set[asyncio.Task[None]] = set()

    @property
    def left(self) -> frozenset[asyncio.Task[None]]:
        """The settlements of orders whose bots have their answers already."""
        return frozenset(self._left)

    def replied(
        self,
        ruling: Ruling,
        said: Mapping[int, Reply],
        *,
        sent_at: datetime,
        status: int,
        signed_ms: int | None,
        note: str,
    ) -> None:
        """The venue answered what was sent, by place. What follows it is told at once; nobody waits until it is heard.

        ``signed_ms`` is the window it was signed with.
        """
        for place, reply in said.items():
            self._judge.heard(ruling.request.subject, ruling.cleared[place].command, reply)
        unknown = [place for place, reply in said.items() if reply.outcome is Reported.UNKNOWN]
        accepted = [place for place, reply in said.items() if reply.outcome is Reported.ACCEPTED]
        items = [
            {
                "place": place,
                "outcome": reply.outcome.value,
                "code": reply.code,
                "msg": reply.msg[:256],
                "order_id": reply.order_id,
                "client_order_id": reply.client_order_id,
                "status": reply.status,
            }
            for place, reply in said.items()
        ]
        settling = self._settle(
            ruling,
            Outcome.UNKNOWN if unknown else Outcome.ACCEPTED if accepted else Outcome.REJECTED,
            sent_at,
            items,
            accepted=accepted,
            unknown=unknown,
            status=status,
            code=next(iter(said.values())).code,
            signed_ms=signed_ms,
            note=note,
        )
        task = asyncio.create_task(settling)
        self._left.add(task)
        task.add_done_callback(self._ended)

    async def unknown(self, ruling: Ruling, sent_at: datetime, note: str) -> None:
        """It was sent, and nobody knows what became of it."""
        await self._settle(ruling, Outcome.UNKNOWN, sent_at, [], note=note)

    async def unsent(self, ruling: Ruling, note: str) -> None:
        """Nothing of it has left the guard."""
        await self._settle(ruling, Outcome.NOT_SENT, self._now(), [], note=note)

    def _settle(
        self,
        ruling: Ruling,
        outcome: Outcome,
        sent_at: datetime,
        items: Sequence[Mapping[str, Any]],
        *,
        accepted: Iterable[int] = (),
        unknown: Iterable[int] | None = None,
        status: int | None = None,
        code: int | None = None,
        signed_ms: int | None = None,
        note: str = "",
    ) -> Coroutine[Any, Any, None]:
        subject = ruling.request.subject
        record = subject.outcome(
            outcome.value,
            sent_at=sent_at,
            answered_at=self._now(),
            http_status=status,
            venue_code=code,
            recv_window_ms=signed_ms,
            items=items if not note else [*items, {"note": note}],
        )
        began_ns = clock_ns()
        settling = self._judge.settle(ruling, outcome, accepted, record, unknown=unknown)
        self._counting.settled(subject.account, subject.bot, ruling.cleared, outcome.value, items)
        return self._written(settling, ruling.request.kind, began_ns)

    async def _written(self, settling: Coroutine[Any, Any, None], kind: Kind, began_ns: int) -> None:
        await settling
        self._counting.took(kind, Stage.SETTLE, began_ns, clock_ns())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._left.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("an outcome was not written down; its hold stays until the venue has been asked", exc_info=bug)
