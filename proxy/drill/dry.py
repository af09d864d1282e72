"""The rehearsal on the live accounts: everything a kill does but the sends.

The same job runs, in a folder of its own: its fence and its journals are not the live guard's, so nobody is stopped.
Its hands read the venue and pretend the rest; and whatever they were asked, the client beneath them sends no request
that could change anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from proxy.drill.measuring import measured
from proxy.drill.practice import Say
from proxy.drill.shelf import DrillReport, drill_id
from proxy.exchange.venue_account import VenueAccount
from proxy.exchange.way_out_payloads import CloseReport
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.job import kill
from proxy.kill.press import Press
from proxy.store.fence import DESK, Fence
from rules.kill.events import CancelStep, CloseStep, Fee, Fill, Phase
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.kill.settings import Flatten

_READS: Final = "GET"
_SIMULATED: Final = "not sent"


class SendRefused(AssertionError):
    """Something in a dry run tried to change the account. It did not."""


class Readable(Protocol):
    """All that a dry run asks of a venue."""

    @property
    def name(self) -> str:
        """The account's name in the guard."""
        ...

    async def survey(self, *, orders: bool = True) -> Reading:
        """What the venue shows now."""
        ...


def never_sends(venue: VenueAccount) -> VenueAccount:
    """The account's client from now on, which refuses every request that is not a read."""
    client = venue.calls.client
    fetch: Callable[..., Awaitable[Any]] = client.fetch

    async def reads_only(url: str, method: str = _READS, headers: Any = None, body: Any = None) -> Any:
        if method != _READS:
            raise SendRefused(f"a dry run asked for {method}")
        return await fetch(url, method, headers, body)

    client.fetch = reads_only
    return venue


class DryHands:
    """Hands that read, and remember what they would have done: what was cancelled or closed is read no more."""

    def __init__(self, reads: Readable) -> None:
        self._reads = reads
        self._cancelled: set[tuple[OrderKind, str]] = set()
        self._closed: dict[str, Decimal] = {}
        self._sent: dict[str, CloseReport] = {}

    @property
    def name(self) -> str:
        """The account's name in the guard."""
        return self._reads.name

    async def survey(self, *, orders: bool = True) -> Reading:
        """What the venue shows, less what a kill would have taken away by now."""
        reading = await self._reads.survey(orders=orders)
        return replace(
            reading,
            plain_orders=self._left(reading.plain_orders, OrderKind.PLAIN),
            conditional_orders=self._left(reading.conditional_orders, OrderKind.CONDITIONAL),
            algo_orders=self._left(reading.algo_orders, OrderKind.ALGO),
            positions=tuple(leg for leg in map(self._reduced, reading.positions) if leg.quantity),
        )

    async def cancel(self, step: CancelStep) -> None:
        """Would cancel."""
        self._cancelled.add((step.kind, step.symbol))

    async def close(self, step: CloseStep, client_order_id: str) -> CloseReport:
        """Would close, and be filled whole."""
        signed = step.quantity * step.leg.sign
        self._closed[step.leg.key] = self._closed.get(step.leg.key, Decimal(0)) + signed
        report = CloseReport(
            order_id=_SIMULATED,
            status=_SIMULATED,
            filled_quantity=step.quantity,
            average_price=None,
            venue_time=None,
        )
        self._sent[client_order_id] = report
        return report

    async def tally(
        self, closes: Sequence[tuple[CloseStep, str]], symbols: Sequence[str], since: datetime
    ) -> tuple[tuple[Fill, ...], tuple[Fee, ...]]:
        """Nothing was filled and nothing charged: the cost is the estimate."""
        return (), ()

    def _left(self, orders: tuple[RestingOrder, ...], kind: OrderKind) -> tuple[RestingOrder, ...]:
        return tuple(order for order in orders if (kind, order.symbol) not in self._cancelled)

    def _reduced(self, leg: OpenLeg) -> OpenLeg:
        """Never past flat: a leg that somebody else has closed meanwhile is flat."""
        closed = self._closed.get(leg.key, Decimal(0))
        left = leg.quantity - closed
        return replace(leg, quantity=left if left * leg.quantity > 0 else Decimal(0))


async def rehearse_dry(hands: Sequence[Readable], flatten: Flatten, *, by: str, at: datetime, say: Say) -> DrillReport:
    """Run one to its end. Trouble with a venue ends as it would in a kill, and stands in the report."""
    with tempfile.TemporaryDirectory(prefix="perpguard-drill-") as folder:
        data_dir = Path(folder) / "dry"
        Fence.initialise(data_dir)
        say("reading the live accounts; nothing is sent")
        dry: list[AccountHands] = [DryHands(each) for each in hands]
        press = Press(scope=DESK, by=by, reason=f"a dry drill, begun by {by}", flatten=flatten)
        report = await kill(data_dir, press, dry)
        accounts = measured(data_dir)
    for each in accounts:
        say(
            f"{each.account}: {each.phase}, {each.positions} positions, {each.orders} orders, cost {each.cost_estimate}"
        )
    return DrillReport(
        id=drill_id(at),
        kind="dry",
        at=at,
        by=by,
        phase=report.phase.value,
        passed=report.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST),
        blocked_ms=report.blocked_ms,
        accounts=accounts,
        trouble=report.trouble,
    )
