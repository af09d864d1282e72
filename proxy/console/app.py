"""Control API and console as one ASGI application on its own port, served by the warden's process.

It knows the ``ControlPlane``, the ``Certificates`` and how a command is signed; nothing of the store, the venues or the
kill switch behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from fastapi import APIRouter, FastAPI
from pydantic import SecretStr

from proxy.certificate.plane import Certificates
from proxy.clock import utc_now
from proxy.console.account import Account
from proxy.console.alert_links import AlertLinks
from proxy.console.alerts import AlertsDoor
from proxy.console.answers import HANDLERS
from proxy.console.api import Api
from proxy.console.attempts import Attempts
from proxy.console.audit import AuditDoor
from proxy.console.blocked import BlockedPages
from proxy.console.certificates import CertificatesApi
from proxy.console.commands import CommandsApi
from proxy.console.description import DescriptionApi
from proxy.console.door import Door, Note
from proxy.console.drills import DrillApi
from proxy.console.events import Events
from proxy.console.keys import KeysDoor
from proxy.console.kill_page import KillPage
from proxy.console.ledger import LedgerDoor
from proxy.console.overrides import OverridesApi
from proxy.console.pages import Console
from proxy.console.people_pages import PeoplePages
from proxy.console.plane import ControlPlane
from proxy.console.policies import PolicyApi
from proxy.console.policy_pages import PolicyPages
from proxy.console.positions import Positions
from proxy.console.rearm_pages import RearmPages
from proxy.console.rearming import RearmApi
from proxy.console.reasons_api import ReasonsApi
from proxy.console.reducing import ReduceApi
from proxy.console.rendering import KILL_COMMAND, Rendering
from proxy.console.routing import TurnedAway, turned_away_by
from proxy.console.shell import Shell
from proxy.console.sign_in import SignIn
from proxy.console.signals import SignalsDoor
from proxy.console.welcome import Welcome
from proxy.kill.signed import CommandDesk
from proxy.people.register import Register


def unheard(what: str, by: str, detail: dict[str, str]) -> None:
    """Where nobody listens to visits."""


def create_console(
    plane: ControlPlane,
    certificates: Certificates,
    *,
    token: SecretStr,
    people: Register | None = None,
    note: Note = unheard,
    now: Callable[[], datetime] = utc_now,
    hosts: Collection[str] = (),
    https: bool = False,
    commands: CommandDesk | None = None,
    kill_command: str = KILL_COMMAND,
) -> FastAPI:
    """The application. ``people`` are who may sign in; without them nobody can, and the control token alone opens
    the API. ``note`` hears who came, went and failed to.

    ``hosts`` are further names this port answers to, besides the loopback's; the warden adds its ``control_host``.
    ``https`` says that browsers reach it by TLS: cookies are Secure then. ``commands`` checks signed ones; without it
    there is no such route. ``kill_command`` is what stops the desk from the guard's machine. ValueError for a token
    that is too short.
    """
    render = Rendering(kill_command)
    door = Door(token=token, people=people, https=https, now=now, note=note)
    app = FastAPI(
        title="perpguard control",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={**HANDLERS, TurnedAway: turned_away_by(render)},
    )
    app.state.door = door
    app.add_middleware(Shell, hosts=hosts)
    app.state.events = Events(plane, door)
    app.include_router(app.state.events.router())
    app.include_router(SignIn(door, render).router())
    if people is not None:
        for pages in (Welcome(people, door, render), Account(people, door, render), PeoplePages(people, door, render)):
            app.include_router(pages.router())
    if commands is not None:
        app.include_router(CommandsApi(plane, commands, Attempts(now)).router())
    for router in _routers(plane, certificates, door, render, now):
        app.include_router(router)
    return app


def _routers(
    plane: ControlPlane, certificates: Certificates, door: Door, render: Rendering, now: Callable[[], datetime]
) -> Iterator[APIRouter]:
    """What is there for whoever looks after the desk."""
    yield DescriptionApi(door.cookie).router()
    yield Api(plane).router()
    yield AlertsDoor(plane.alerts, door, render).router()
    yield AlertLinks(plane.alerts, door, render).router()
    yield ReduceApi(plane).router()
    yield PolicyApi(plane, door).router()
    yield OverridesApi(plane, door).router()
    yield RearmApi(plane, door).router()
    yield DrillApi(plane, door).router()
    yield ReasonsApi(plane).router()
    yield BlockedPages(plane, render, now).router()
    yield KillPage(plane, certificates, render, now).router()
    yield PolicyPages(plane, door, render, now).router()
    yield SignalsDoor(plane, render).router()
    yield KeysDoor(plane, door, render).router()
    yield LedgerDoor(plane.ledger, render).router()
    yield Positions(plane, render).router()
    yield RearmPages(plane, door, render).router()
    yield AuditDoor(plane, render).router()
    yield CertificatesApi(certificates).router()
    yield Console(plane, certificates, render, now).router()
