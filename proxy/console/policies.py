"""The control API of policies: propose one, approve what somebody else proposed, withdraw a proposal."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import act
from proxy.console.bodies import read_json, read_json_with_file
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.routing import add, caller_of
from proxy.console.sender import sender_fields, sender_of
from proxy.people.roles import Role

_DIGEST: Final = re.compile(r"[0-9a-f]{16}")


class PolicyApi:
    """One method a route. A person types password or code once more for what may loosen a limit."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._plane = plane
        self._door = door

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/control/policy", self.propose, method="POST", role=Role.RISK, **operations.POLICY)
        add(routes, "/control/policy/approve", self.approve, method="POST", role=Role.RISK, **operations.POLICY_APPROVE)
        add(
            routes,
            "/control/policy/withdraw",
            self.withdraw,
            method="POST",
            role=Role.RISK,
            **operations.POLICY_WITHDRAW,
        )
        return routes

    async def propose(self, request: Request) -> Json:
        """Tightened: in force with this answer. Loosened: pending."""
        caller = caller_of(request)
        fields = await read_json_with_file(request, "text", ("reason", *sender_fields(caller, loosens=True)))
        name = await sender_of(self._door, request, caller, fields)
        return Json(await act(self._plane.propose_policy(text=fields["text"], name=name, reason=fields["reason"])))

    async def approve(self, request: Request) -> Json:
        """The second person."""
        caller = caller_of(request)
        fields = await read_json(request, ("digest", "reason", *sender_fields(caller, loosens=True)))
        name, digest = await sender_of(self._door, request, caller, fields), digest_of(fields)
        return Json(await act(self._plane.approve_policy(digest=digest, name=name, reason=fields["reason"])))

    async def withdraw(self, request: Request) -> Json:
        """Anybody may: limits stay as they are."""
        caller = caller_of(request)
        fields = await read_json(request, ("digest", "reason", *sender_fields(caller, loosens=False)))
        name, digest = await sender_of(self._door, request, caller, fields), digest_of(fields)
        return Json(await act(self._plane.withdraw_policy(digest=digest, name=name, reason=fields["reason"])))


def digest_of(fields: dict[str, str]) -> str:
    """A policy's digest, or Refusal 422."""
    if _DIGEST.fullmatch(fields["digest"]) is None:
        raise Refusal(422, "DIGEST", "a policy's digest is sixteen of 0-9 a-f")
    return fields["digest"]
