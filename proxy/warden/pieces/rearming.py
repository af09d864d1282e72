"""Builds the desk for re-arming, with the preconditions that it looks at."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from proxy.kill.bot_stops import BotStops
from proxy.kill.desk import KillDesk
from proxy.kill.rearm import RearmRefused
from proxy.kill.rearm_desk import RearmDesk
from proxy.store.client import STORE_TROUBLE
from proxy.store.fence import Scope
from proxy.warden.pieces.account import AccountPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.preconditions import Preconditions
from proxy.warden.pieces.venue import VenuePieces
from proxy.watchdog.heart import Heart
from rules.kill.rearming import Request

log = logging.getLogger("perpguard.kill")


def build_rearming(
    ground: Ground,
    kill: KillDesk,
    accounts: Mapping[str, AccountPieces],
    venues: Mapping[str, VenuePieces],
    heart: Heart,
    stops: BotStops,
) -> RearmDesk:
    """The desk for re-arming, over the pieces that know what has to hold."""

    async def opened(scope: Scope, request: Request) -> None:
        """Who lets a killed bot come back has looked at what rules made of it too."""
        if scope.bot is None or stops.stop_of(scope.bot) is None:
            return
        try:
            await stops.rearm(scope.bot, request.by, request.reason, str(scope))
        except (RearmRefused, *STORE_TROUBLE) as trouble:
            log.warning("what a rule made of %s stands: %s", scope, trouble)

    return RearmDesk(
        data_dir=ground.settings.data_dir,
        kill=kill,
        store=ground.store,
        record=ground.scribe.event,
        policy=ground.policy,
        preconditions=Preconditions(ground, kill, accounts, venues, heart).all(),
        opened=opened,
        may=ground.register.may,
        now=ground.now,
    )
