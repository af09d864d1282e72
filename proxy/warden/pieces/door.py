"""Builds the warden's door: the console and the control API, over a desk's pieces."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI

from proxy.alerts.desk import AlertDesk
from proxy.alerts.glance import AlertsGlance
from proxy.audit.glance import AuditGlance
from proxy.audit.place import archive_place
from proxy.client.token import control_token, metrics_token
from proxy.console.app import create_console
from proxy.console.metrics import MetricsDoor
from proxy.control.account_glance import AccountGlance, Followed, Listed
from proxy.control.button import Button
from proxy.control.control import Control
from proxy.control.glance import Glance
from proxy.control.history import History
from proxy.control.keys import KeysControl
from proxy.control.policy import PolicyShowing
from proxy.control.rearming import RearmControl
from proxy.drill.desk import DrillDesk
from proxy.kill.signed import CommandDesk
from proxy.ledger.books.schema import books_path
from proxy.ledger.glance import LedgerGlance
from proxy.people.desk import PeopleDesk
from proxy.reasons.record import ReasonsRecord
from proxy.signals.glance import SignalsGlance
from proxy.store.fence import Fence, Scope
from proxy.warden.keys_mirror import KeysMirror
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.metrics import build_metrics
from proxy.warden.pieces.preview import build_preview
from proxy.watchdog.door import watchdog_routes
from rules.model import TradingState


def build_door(
    ground: Ground, desk: DeskPieces, people: PeopleDesk, history: History, alerts: AlertDesk, keys: KeysMirror
) -> FastAPI:
    """The application that people and ``perpguard`` talk to."""
    settings = ground.settings
    control = _control(ground, desk, history, alerts, keys)
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
        people=ground.register,
        note=people.note,
        hosts=settings.console_hosts,
        https=settings.control_https,
        now=ground.now,
        commands=commands,
        kill_command=kill_command(settings.data_dir, os.environ),
    )
    console.include_router(watchdog_routes(desk.heart))
    metrics = build_metrics(ground, desk, control.desk, control.signals)
    console.include_router(MetricsDoor(metrics, metrics_token(settings)).router())
    return console


def kill_command(data_dir: Path, environment: Mapping[str, str]) -> str:
    """What stops this guard from its own machine, in any shell: with the settings file that it was started with."""
    named = environment.get("PERPGUARD_CONFIG")
    words = ["perpguard", "kill", "--data-dir", str(data_dir.absolute())]
    words += ["--config", str(Path(named).absolute())] if named else []
    return f'{shlex.join(words)} --by NAME --reason "..."'


def _control(ground: Ground, desk: DeskPieces, history: History, alerts: AlertDesk, keys: KeysMirror) -> Control:
    """The warden as the door sees it."""
    settings, accounts = ground.settings, desk.accounts

    async def reduced() -> Sequence[Scope]:
        """Accounts that something has made reduce-only."""
        controls = await ground.store.controls()
        return [Scope(name) for name in accounts if controls.get(f"account:{name}") == TradingState.REDUCING.value]

    return Control(
        data_dir=settings.data_dir,
        glance=_glance(ground, desk),
        policies=ground.policies,
        button=Button(desk.kill),
        rearming=RearmControl(
            kill=desk.kill, rearming=desk.rearming, stops=desk.stops, reduced=reduced, now=ground.now
        ),
        drills=DrillDesk(data_dir=settings.data_dir),
        signals=_signals(ground, desk),
        ledger=LedgerGlance(books_path(settings.data_dir), ground.now),
        ahead=build_preview(ground, desk),
        policy_shown=PolicyShowing(policies=ground.policies, data_dir=settings.data_dir, now=ground.now),
        reasons=ReasonsRecord(archive_place(settings.data_dir), ground.policy),
        history=history,
        auditing=AuditGlance(ground.scribe),
        alerts=AlertsGlance(alerts, ground.now),
        keys=KeysControl(
            vault=ground.vault,
            watches={name: pieces.key for name, pieces in accounts.items()},
            record=ground.scribe.event,
            spoken_for=keys.spoken_for,
            now=ground.now,
        ),
        overrides=desk.overrides,
        now=ground.now,
    )


def _glance(ground: Ground, desk: DeskPieces) -> Glance:
    """Who tells of the desk."""
    fence = Fence(ground.settings.data_dir)
    venues = {
        name: Listed(clock=pieces.clock, market=pieces.market, conditions=pieces.conditions)
        for name, pieces in desk.venues.items()
    }
    of_accounts = AccountGlance(
        policies=ground.policies,
        vault=ground.vault,
        fence=fence,
        venues=venues,
        watch=desk.watch,
        stops=desk.stops,
        pursuit=desk.pursuit,
        now=ground.now,
    )
    return Glance(
        settings=ground.settings,
        policies=ground.policies,
        store=ground.store,
        fence=fence,
        accounts={
            name: Followed(keeper=pieces.keeper, key=pieces.key, outside=pieces.outside, timers=pieces.venue_timers)
            for name, pieces in desk.accounts.items()
        },
        venues=venues,
        of_accounts=of_accounts,
        watch=desk.watch,
        overrides=desk.overrides,
        heart=desk.heart,
        leases=desk.leases,
        scribe=ground.scribe,
        now=ground.now,
    )


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
