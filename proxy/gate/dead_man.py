"""A bot's dead-man timer on a shared account: kept in the store, answered in the venue's shape.

Binance's own would cancel everybody's orders of the symbol, so it is never armed. The warden runs these; a timer that
is not kept for certain is not acknowledged. Arming is safe to repeat, so that is what the bot is told to do.
"""

from __future__ import annotations

import json
import logging

from proxy.gate.identity import Identity
from proxy.gate.ruling import Ruling
from proxy.gate.upstream import UpstreamReply
from proxy.store.gate_store import GateStore
from proxy.store.timers import TIMERS_MAX, DeadManTimer
from proxy.store.trouble import StoreFull, StoreUnavailable
from proxy.venues.binance.rejections import Rejection, for_breach, timer_not_kept, too_many_timers
from rules.decision import Breach
from rules.model import ArmDeadMan

log = logging.getLogger("perpguard.gate")


class DeadManTimers:
    """Answers ``ArmDeadMan`` in the venue's place."""

    def __init__(self, store: GateStore) -> None:
        self._store = store

    async def arm(self, ruling: Ruling, identity: Identity) -> UpstreamReply:
        """Arm, move or, with a countdown of 0, take away the bot's timer on a symbol."""
        (command,) = (each.command for each in ruling.cleared.values())
        assert isinstance(command, ArmDeadMan)  # noqa: S101 - only such requests are carried here
        if command.countdown_ms > 0 and not self._lists(command.symbol, identity):
            breach = Breach(rule_id="dead_man", code="UNKNOWN_SYMBOL", message=f"{command.symbol} is not listed")
            return _refused(for_breach(breach))
        timer = DeadManTimer(identity.bot, command.symbol)
        try:
            await self._store.set_timer(identity.account, timer, command.countdown_ms)
        except StoreFull:
            return _refused(too_many_timers(TIMERS_MAX))
        except StoreUnavailable as trouble:
            log.warning("the dead-man timer of %s on %s was not kept: %s", timer.bot, timer.symbol, trouble)
            return _refused(timer_not_kept())
        # Binance answers the countdown as text.
        answer = {"symbol": command.symbol, "countdownTime": str(command.countdown_ms)}
        return UpstreamReply(status=200, headers={}, body=json.dumps(answer, separators=(",", ":")).encode("ascii"))

    def _lists(self, symbol: str, identity: Identity) -> bool:
        """Whether the venue has the symbol, as far as is known: a timer on a slip of the pen would protect nothing."""
        instruments = self._store.last_known(identity.account, identity.venue).instruments
        return not instruments or symbol in instruments


def _refused(rejection: Rejection) -> UpstreamReply:
    return UpstreamReply(status=rejection.status, headers={}, body=rejection.body())
