"""The whole control API over a desk that is none, as every test of its description uses it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

from proxy.console.app import create_console
from proxy.kill.signed import CommandDesk
from proxy.people.register import Register
from proxy.vault.keys import Secret
from proxy.watchdog.door import watchdog_routes
from proxy.watchdog.heart import Heart
from proxy.watchdog.pulse import Pulse
from rules.kill.settings import KillSettings
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.support.commands import ANN, public_half


class _Nowhere:
    async def publish(self, sealed: str) -> None:
        """Leaves nothing."""


async def _unrecorded(what: str, by: str, detail: object) -> None:
    """Records nothing."""


async def _unobeyed(watchdog: str, ago_s: float) -> None:
    """Stops nothing."""


def control_api(plane: DeskDouble, people: Register, data_dir: Path, now: Callable[[], datetime]) -> FastAPI:
    """Every route a warden has, signed commands and watchdogs among them."""
    commands = CommandDesk(desk="demo", keys={"ann": public_half(ANN)}, path=data_dir / "nonces.json", now=now)
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=people, now=now, commands=commands)
    heart = Heart(
        secret=lambda: Secret("a" * 64),
        pulse=Pulse(),
        policy=KillSettings,
        post=_Nowhere(),
        record=_unrecorded,
        expected=True,
        boot_us=1,
        host="here",
        obey=_unobeyed,
    )
    app.include_router(watchdog_routes(heart))
    return app
