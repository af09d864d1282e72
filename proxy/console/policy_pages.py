"""The page of the policy: what is in force, what waits, what rules came to, and how another text comes into force.

A text is compared before it can be proposed, and what is proposed is what was compared.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console.answers import Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import read_form_with_file, read_query
from proxy.console.desk_views import PolicyOutcome
from proxy.console.door import Door, check_csrf
from proxy.console.filters import moment
from proxy.console.plane import ControlPlane
from proxy.console.policies import digest_of
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.console.sender import sender_of
from proxy.people.roles import Role
from proxy.policy.reading import policy_digest

SINCE_DEFAULT: Final = "24h"
RULES_SHOWN: Final = 400


class PolicyPages:
    """One method a route."""

    def __init__(self, plane: ControlPlane, door: Door, render: Rendering, now: Callable[[], datetime]) -> None:
        self._plane = plane
        self._door = door
        self._render = render
        self._now = now

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/policy", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/policy-hindsight", self.hindsight_part, method="GET", role=Role.VIEWER)
        add(routes, "/console/policy/compare", self.compare, method="POST", role=Role.RISK)
        add(routes, "/console/policy/propose", self.propose, method="POST", role=Role.RISK)
        add(routes, "/console/policy/approve", self.approve, method="POST", role=Role.RISK)
        add(routes, "/console/policy/withdraw", self.withdraw, method="POST", role=Role.RISK)
        return routes

    async def page(self, request: Request) -> Response:
        """What is in force and what waits. What rules came to is read much later, by itself."""
        read_query(request)
        return self._render.page(
            "policy.html",
            session=session_of(request),
            shown=await read(self._plane.policy_shown.shown()),
            since=SINCE_DEFAULT,
            rules_shown=RULES_SHOWN,
        )

    async def hindsight_part(self, request: Request) -> Response:
        """What refusals, and reports of rules in report mode, would have come to."""
        try:
            since = moment(read_query(request, ("since",)).get("since", SINCE_DEFAULT), self._now(), "since")
            found = await read(self._plane.policy_shown.hindsight(since))
        except Refusal as refusal:
            return self._said(refusal.message, status=refusal.status, good=False)
        return self._render.page("_policy_hindsight.html", found=found)

    async def compare(self, request: Request) -> Response:
        """How a text differs from what is in force, and the form that would propose exactly this text."""
        try:
            fields = await self._text_form(request)
            text = fields["text"]
            found = await read(self._plane.policy_shown.differences(text))
        except Refusal as refusal:
            return self._said(refusal.message, status=refusal.status, good=False)
        return self._render.page("_policy_compared.html", session=session_of(request), found=found)

    async def propose(self, request: Request) -> Response:
        """The compared text, by a named person with a reason, who proves once more who they are."""
        try:
            fields = await self._text_form(request, "digest", "reason", "proof")
            if policy_digest(fields["text"]) != digest_of(fields):
                raise Refusal(409, "TEXT_CHANGED", "the text is not the one that was compared; compare it again")
            name = await sender_of(self._door, request, session_of(request), fields)
            done = await act(
                self._plane.propose_policy(text=fields["text"], name=name, reason=fields["reason"].strip())
            )
        except Refusal as refusal:
            return self._said(refusal.message, status=refusal.status, good=False)
        return self._said(_outcome(done))

    async def approve(self, request: Request) -> Response:
        """Somebody else agrees."""
        try:
            _, fields = await form_of(request, "digest", "reason", "proof")
            name = await sender_of(self._door, request, session_of(request), fields)
            agreed = self._plane.approve_policy(digest=digest_of(fields), name=name, reason=fields["reason"].strip())
            done = await act(agreed)
        except Refusal as refusal:
            return self._said(refusal.message, status=refusal.status, good=False)
        return self._said(_outcome(done))

    async def withdraw(self, request: Request) -> Response:
        """Limits stay as they are."""
        try:
            session, fields = await form_of(request, "digest", "reason")
            taken = self._plane.withdraw_policy(
                digest=digest_of(fields), name=session.person, reason=fields["reason"].strip()
            )
            await act(taken)
        except Refusal as refusal:
            return self._said(refusal.message, status=refusal.status, good=False)
        return self._said("Withdrawn. What is in force stays in force.")

    async def _text_form(self, request: Request, *names: str) -> dict[str, str]:
        fields = await read_form_with_file(request, "text", ("csrf", *names))
        check_csrf(session_of(request), fields["csrf"])
        return fields

    def _said(self, text: str, *, status: int = 200, good: bool = True) -> Response:
        return self._render.page("_notice.html", status, good=good, text=text)


def _outcome(done: PolicyOutcome) -> str:
    if done.pending is None:
        return f"In force now: {done.in_force}."
    if done.pending.due:
        due = done.pending.due
        return f"Proposed. It takes effect at {due}, or when somebody else approves; it may be withdrawn."
    return "Proposed. Somebody else must approve."
