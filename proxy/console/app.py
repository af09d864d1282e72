"""Control API and console as one ASGI application on its own port, served by the warden's process.

It knows the ``ControlPlane``, the ``Certificates`` and how a command is signed; nothing of the store, the venues or the
kill switch behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from fastapi import FastAPI
from pydantic import SecretStr

from proxy.clock import utc_now
from proxy.console.answers import HANDLERS
from proxy.console.api import Api
from proxy.console.attempts import Attempts
from proxy.console.certificates import CertificatesApi
from proxy.console.commands import CommandsApi
from proxy.console.door import Door
from proxy.console.drills import DrillApi
from proxy.console.overrides import OverridesApi
from proxy.console.pages import Console
from proxy.console.plane import Certificates, ControlPlane
from proxy.console.policies import PolicyApi
from proxy.console.rearm_pages import RearmPages
from proxy.console.rearming import RearmApi
from proxy.console.rendering import Rendering
from proxy.console.shell import Shell
from proxy.console.signals import SignalsDoor
from proxy.kill.signed import CommandDesk


def create_console(
    plane: ControlPlane,
    certificates: Certificates,
    *,
    token: SecretStr,
    people: Collection[str] | None = None,
    now: Callable[[], datetime] = utc_now,
    hosts: Collection[str] = (),
    https: bool = False,
    commands: CommandDesk | None = None,
) -> FastAPI:
    """The application. ``people`` are the names that may sign in (``None``: any name, the token decides).

    ``hosts`` are further names this port answers to, besides the loopback's; the warden adds its ``control_host``.
    ``https`` says that browsers reach it by TLS: cookies are Secure then. ``commands`` checks signed ones; without it
    there is no such route. ValueError for a token that is too short.
    """
    render = Rendering()
    door = Door(token=token, people=people, https=https, now=now)
    app = FastAPI(
        title="perpguard control",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
    )
    app.add_middleware(Shell, hosts=hosts)
    app.include_router(Api(plane, door).router())
    if commands is not None:
        app.include_router(CommandsApi(plane, commands, Attempts(now)).router())
    app.include_router(PolicyApi(plane, door).router())
    app.include_router(OverridesApi(plane, door).router())
    app.include_router(RearmApi(plane, door).router())
    app.include_router(DrillApi(plane, door).router())
    app.include_router(SignalsDoor(plane, door, render).router())
    app.include_router(RearmPages(plane, door, render).router())
    app.include_router(CertificatesApi(certificates, door).router())
    app.include_router(Console(plane, certificates, door, render).router())
    return app
