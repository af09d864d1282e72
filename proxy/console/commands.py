"""Signed commands over the control API: no token and no session, the signature is the credential."""

from __future__ import annotations

from typing import Final, assert_never

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import act
from proxy.console.attempts import Attempts
from proxy.console.bodies import read_json, scope_of
from proxy.console.plane import ControlPlane
from proxy.console.routing import add
from proxy.kill.press_plane import Pressed, Reduced
from proxy.kill.signed import SIGNED, Command, CommandDesk, CommandRefused

_STATUS: Final = {"BAD_SIGNATURE": 401, "OTHER_DESK": 403, "REPLAYED": 409, "TOO_MANY_COMMANDS": 429}
"""Of the codes of ``CommandRefused``; the others are 422."""


class CommandsApi:
    """One route. A right signature never waits; whoever sends wrong ones does."""

    def __init__(self, plane: ControlPlane, commands: CommandDesk, attempts: Attempts) -> None:
        self._plane = plane
        self._commands = commands
        self._attempts = attempts

    def router(self) -> APIRouter:
        """The route."""
        routes = APIRouter()
        add(routes, "/control/command", self.command, method="POST", role=None, **operations.COMMAND)
        return routes

    async def command(self, request: Request) -> Json:
        """Carry out a signed command, once. 202 as soon as it has taken effect."""
        fields = await read_json(request, SIGNED)
        scope = scope_of(fields)
        address = request.client.host if request.client else ""
        try:
            accepted = self._commands.accept(fields)
        except CommandRefused as refusal:
            if refusal.code == "BAD_SIGNATURE":
                self._count(address)
            raise Refusal(_STATUS.get(refusal.code, 422), refusal.code, str(refusal)) from None
        reason = f"{accepted.reason} (signed command)"
        match accepted.command:
            case Command.KILL:
                done: Pressed | Reduced = await act(self._plane.kill(scope=scope, by=accepted.by, reason=reason))
            case Command.REDUCE:
                done = await act(self._plane.reduce(scope=scope, by=accepted.by, reason=reason))
            case _:
                assert_never(accepted.command)
        return Json(done, status_code=202)

    def _count(self, address: str) -> None:
        if self._attempts.exhausted(address):
            raise Refusal(429, "TOO_MANY_ATTEMPTS", "too many wrong signatures; wait five minutes")
        self._attempts.failed(address)
