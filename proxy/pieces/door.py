"""Builds the warden's door: the console and the control API, over a desk's pieces."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from proxy.console.app import create_console
from proxy.control import Control
from proxy.control_token import control_token
from proxy.drill.desk import DrillDesk
from proxy.glance import Glance
from proxy.kill.signed import CommandDesk
from proxy.pieces.desk import DeskPieces
from proxy.pieces.ground import Ground
from proxy.rearm_control import RearmControl
from proxy.signals.glance import SignalsGlance
from proxy.store.fence import Scope
from proxy.watchdog.door import watchdog_routes
from rules.model import TradingState


def build_door(ground: Ground, desk: DeskPieces) -> FastAPI:
    """The application that people and ``perpguard`` talk to."""
    settings, accounts, venues = ground.settings, desk.accounts, desk.venues
    glance = Glance(
        settings=settings,
        policies=ground.policies,
        vault=ground.vault,
        store=ground.store,
        keepers={name: pieces.keeper for name, pieces in accounts.items()},
        keys={name: pieces.key for name, pieces in accounts.items()},
        clocks={name: pieces.clock for name, pieces in venues.items()},
        outside={name: pieces.outside for name, pieces in accounts.items()},
        timers={name: pieces.venue_timers for name, pieces in accounts.items()},
        markets={name: pieces.market for name, pieces in venues.items()},
        watch=desk.watch,
        stops=desk.stops,
        pursuit=desk.pursuit,
        overrides=desk.overrides,
        heart=desk.heart,
        leases=desk.leases,
        now=ground.now,
    )

    async def reduced() -> Sequence[Scope]:
        """Accounts that something has made reduce-only."""
        controls = await ground.store.controls()
        return [Scope(name) for name in accounts if controls.get(f"account:{name}") == TradingState.REDUCING.value]

    control = Control(
        data_dir=settings.data_dir,
        glance=glance,
        policies=ground.policies,
        kill=desk.kill,
        rearming=RearmControl(
            kill=desk.kill, rearming=desk.rearming, stops=desk.stops, reduced=reduced, now=ground.now
        ),
        drills=DrillDesk(data_dir=settings.data_dir),
        signals=_signals(ground, desk),
        overrides=desk.overrides,
        now=ground.now,
    )
    commands = CommandDesk(
        desk=settings.desk,
        keys=settings.control_commanders,
        path=settings.data_dir / "commands" / "nonces.json",
        now=ground.now,
    )
    console = create_console(
        control,
        desk.certificates,
        token=control_token(settings),
        people=settings.control_people,
        hosts=settings.console_hosts,
        https=settings.control_https,
        now=ground.now,
        commands=commands,
    )
    console.include_router(watchdog_routes(desk.heart))
    return console


def _signals(ground: Ground, desk: DeskPieces) -> SignalsGlance:
    """What the door shows of the signals."""
    accounts, venues = desk.accounts.values(), desk.venues.values()
    return SignalsGlance(
        board=desk.scoreboard,
        watch=desk.watch,
        records={name: pieces.record for name, pieces in desk.accounts.items()},
        conditions=[pieces.conditions for pieces in venues],
        states=lambda: [pieces.signals.state() for pieces in venues],
        accounts=lambda: [pieces.keeper.account for pieces in accounts if pieces.keeper.account is not None],
        bots=lambda: (bot for bot, _ in ground.traders()),
        now=ground.now,
    )
