"""Overrides over the control API: one person asks, another approves, anybody withdraws. Never with a bot's key."""

from __future__ import annotations

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json, Objection, Refusal
from proxy.console.asking import act
from proxy.console.bodies import read_json
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.routing import add, caller_of
from proxy.console.sender import sender_fields, sender_of
from proxy.overrides.terms import TERMS, Terms, TermsRefused, read_terms
from proxy.people.roles import Role


class OverridesApi:
    """One method a route. What waits and what is in force stands under ``/api/desk``."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._plane = plane
        self._door = door

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/control/overrides", self.ask, method="POST", role=Role.TRADER, **operations.OVERRIDE)
        add(
            routes,
            "/control/overrides/approve",
            self.approve,
            method="POST",
            role=Role.RISK,
            **operations.OVERRIDE_APPROVE,
        )
        add(
            routes,
            "/control/overrides/withdraw",
            self.withdraw,
            method="POST",
            role=Role.TRADER,
            **operations.OVERRIDE_WITHDRAW,
        )
        return routes

    async def ask(self, request: Request) -> Json:
        """Ask for an override; nothing is in force yet."""
        fields, name = await self._read(request, TERMS)
        return Json(await act(self._plane.request_override(terms=_terms(fields), name=name)))

    async def approve(self, request: Request) -> Json:
        """Put a request in force. A person types password or code once more, as to re-arm."""
        fields, name = await self._read(request, ("id",), loosens=True)
        return Json(await act(self._plane.approve_override(override_id=fields["id"], name=name)))

    async def withdraw(self, request: Request) -> Json:
        """Take a request or an override back."""
        fields, name = await self._read(request, ("id",))
        return Json(await act(self._plane.withdraw_override(override_id=fields["id"], name=name)))

    async def _read(
        self, request: Request, names: tuple[str, ...], *, loosens: bool = False
    ) -> tuple[dict[str, str], str]:
        """The body's texts, and who sends them."""
        caller = caller_of(request)
        fields = await read_json(request, (*names, *sender_fields(caller, loosens=loosens)))
        return fields, await sender_of(self._door, request, caller, fields)


def _terms(fields: dict[str, str]) -> Terms:
    try:
        return read_terms(fields)
    except TermsRefused as refused:
        raise Refusal(422, "TERMS", str(refused), [Objection(reason) for reason in refused.reasons]) from None
