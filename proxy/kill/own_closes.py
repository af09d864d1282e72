"""What closes of a bot's part may have taken away that its share does not show yet: it is not to be closed again."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from proxy.exchange.calls import together
from proxy.exchange.troubles import VenueTrouble
from proxy.exchange.way_out_payloads import CloseReport
from proxy.kill.earlier_closes import EarlierPart
from rules.kill.events import CloseStep
from rules.kill.legs import OpenLeg
from rules.model import PositionSide

log = logging.getLogger("perpguard.kill")

LATE_S: Final = 5.0
"""How long a close that the venue does not know may still turn up (docs/venues.md)."""

SHOWN_AFTER: Final = timedelta(minutes=1)
"""How long after it was sent a close is in the shares at the latest, also where its fill had to be looked up."""

_OVER: Final = ("FILLED", "EXPIRED", "CANCELED", "REJECTED", "EXPIRED_IN_MATCH")
"""Binance's words for an order that fills no more."""


class OwnShare(Protocol):
    """What is known of a bot's shares of one account."""

    @property
    def begun_at(self) -> datetime | None:
        """Up to when fills were in what they were taken up from; ``None`` where they were not, or nobody says."""
        ...

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """The bot's signed part of a leg; ``None`` while the shares cannot be trusted."""
        ...

    def counted(self, symbol: str, order_id: str) -> Decimal:
        """How much of an order's fill is in the shares already."""
        ...


@dataclass(slots=True, kw_only=True)
class OwnClose:
    """A close whose end is not known, or not in the shares yet. ``moves`` is what it may still take away.

    ``name`` is its client order id at the venue; ``untold`` says that the venue was asked for it in vain.
    """

    leg: OpenLeg
    name: str
    quantity: Decimal
    sent_at: float
    order_id: str = ""
    ended: bool = False
    untold: bool = False

    def heard(self, report: CloseReport) -> None:
        """What the venue says of it."""
        self.order_id = report.order_id
        self.ended = report.status in _OVER
        if self.ended:
            self.quantity = report.filled_quantity

    def without_effect(self) -> None:
        """The venue refused it, or knows no such order and would by now."""
        self.quantity, self.ended = Decimal(0), True

    def moves(self, share: OwnShare) -> Decimal:
        """How much of it the share does not show."""
        shown = share.counted(self.leg.symbol, self.order_id) if self.order_id else Decimal(0)
        return max(Decimal(0), self.quantity - shown)


@dataclass(slots=True, kw_only=True)
class _Earlier:
    """Closes of one leg by other hands, oldest first, and the most that was read of the bot's part after the last."""

    closes: list[OwnClose]
    shown: Decimal

    @property
    def left(self) -> Decimal:
        """What must be left of the bot's part: what was read before the last close, less what that filled."""
        last = self.closes[-1]
        return max(self.shown, last.leg.size - last.quantity)


class OwnCloses:
    """The closes of one bot on one account. ``order`` asks the venue for one, by symbol and client order id."""

    def __init__(
        self,
        share: OwnShare,
        order: Callable[[str, str], Awaitable[CloseReport | None]],
        clock: Callable[[], float],
    ) -> None:
        self._share = share
        self._order = order
        self._clock = clock
        self._closes: list[OwnClose] = []
        self._earlier: dict[str, _Earlier] = {}

    def recall(self, parts: Mapping[str, EarlierPart], now: datetime) -> None:
        """Take up what earlier jobs closed, by leg: whoever ran them may have died before the shares showed it.

        Not what was closed well before the shares were taken up: they show it, and what they have more is new.
        """
        recalled = {leg: self._recalled(part, now) for leg, part in parts.items()}
        self._earlier = {leg: earlier for leg, earlier in recalled.items() if earlier.closes}

    def sending(self, step: CloseStep, name: str) -> OwnClose:
        """A close that is about to leave. Until more is known of it, it may fill whole."""
        close = OwnClose(leg=step.leg, name=name, quantity=step.quantity, sent_at=self._clock())
        self._closes.append(close)
        return close

    async def look_up(self) -> None:
        """Ask for those whose end is not known, and forget those that the shares show.

        Of one that the venue says nothing of nothing more is known: it may still fill whole.
        """
        every = [*self._closes, *(close for earlier in self._earlier.values() for close in earlier.closes)]
        await together(*(self._ask(close) for close in every if not close.ended))
        self._closes = [close for close in self._closes if not close.ended or close.moves(self._share)]

    def known(self, leg: OpenLeg) -> bool:
        """Whether it is known what earlier jobs closed of a leg."""
        earlier = self._earlier.get(leg.key)
        return earlier is None or all(close.ended for close in earlier.closes)

    def not_shown(self, leg: OpenLeg, share: Decimal) -> Decimal:
        """How much of the bot's share of a leg, without its sign, may be gone already. Only where that is ``known``."""
        earlier = self._earlier.pop(leg.key, None)
        if earlier is not None:
            self._take_over(earlier, share - self._moves(leg))
        return self._moves(leg)

    def _moves(self, leg: OpenLeg) -> Decimal:
        return sum((close.moves(self._share) for close in self._closes if close.leg.key == leg.key), Decimal(0))

    def _take_over(self, earlier: _Earlier, share: Decimal) -> None:
        """Make closes of other hands ours, as far as the share does not show them yet.

        A warden that has restarted no longer knows which fills are in the share that it took up, and counts none of
        theirs: so no more is taken off than the share is greater than what must be left.
        """
        too_much = max(Decimal(0), share - earlier.left)
        ours = {close.name for close in self._closes}
        for close in reversed(earlier.closes):
            uncounted = close.moves(self._share) if close.name not in ours else Decimal(0)
            taken = min(uncounted, too_much)
            if taken:
                close.quantity -= uncounted - taken
                too_much -= taken
                self._closes.append(close)

    def _recalled(self, part: EarlierPart, now: datetime) -> _Earlier:
        begun_at = self._share.begun_at
        closes = [
            OwnClose(
                leg=close.leg,
                name=close.name,
                quantity=close.quantity,
                sent_at=self._clock() - (now - close.at).total_seconds(),
                order_id=close.order_id,
                ended=close.ended,
            )
            for close in part.closes
            if begun_at is None or close.at > begun_at - SHOWN_AFTER
        ]
        return _Earlier(closes=closes, shown=part.shown)

    async def _ask(self, close: OwnClose) -> None:
        try:
            report = await self._order(close.leg.symbol, close.name)
        except VenueTrouble as trouble:
            # What it would tell is worth no order that rests on; a demand of silence the calls keep by themselves.
            if not close.untold:
                close.untold = True
                log.warning("the close %s cannot be looked up: %s", close.name, trouble)
            return
        if report is not None:
            close.heard(report)
        elif self._clock() - close.sent_at > LATE_S:
            close.without_effect()
