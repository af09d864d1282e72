"""Alerts at the control door: what is open, what was, who has heard of it, and where alerts go."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.alerts.plane import AlertsPlane, AlertView
from proxy.console import operations_record as operations
from proxy.console.answers import Json, Page, Refusal
from proxy.console.asking import act
from proxy.console.bodies import read_json, read_query
from proxy.console.door import Door
from proxy.console.rendering import Rendering
from proxy.console.routing import add, caller_of, form_of, session_of
from proxy.console.sender import sender_fields, sender_of
from proxy.people.roles import Role
from proxy.refused import Refused

_ID_MAX: Final = 40
OPEN_SHOWN: Final = 5
"""On the overview; the page has them all."""


class AlertsDoor:
    """One method a route. Whoever trades may say that an alert was heard; the links in messages have a door of their
    own (``alert_links``)."""

    def __init__(self, alerts: AlertsPlane, door: Door, render: Rendering) -> None:
        self._alerts = alerts
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/alerts", self.told, method="GET", role=Role.VIEWER, **operations.ALERTS)
        add(
            routes,
            "/control/alerts/{alert_id}/acknowledge",
            self.acknowledge,
            method="POST",
            role=Role.TRADER,
            **operations.ALERT_ACKNOWLEDGE,
        )
        add(routes, "/control/alerts/test", self.test, method="POST", role=Role.RISK, **operations.ALERT_TEST)
        add(routes, "/alerts", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/alerts", self.part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/open-alerts", self.open_part, method="GET", role=Role.VIEWER)
        add(routes, "/console/alerts/acknowledge", self.acknowledge_here, method="POST", role=Role.TRADER)
        add(routes, "/console/alerts/test", self.test_here, method="POST", role=Role.RISK)
        return routes

    async def told(self, request: Request) -> Json:
        """Open alerts, past ones, and the channels with how they are doing."""
        read_query(request)
        return Json(self._alerts.alerts())

    async def acknowledge(self, request: Request) -> Json:
        """Somebody has heard of an alert; one of kill level is not told again."""
        caller = caller_of(request)
        fields = await read_json(request, sender_fields(caller, loosens=False))
        by = await sender_of(self._door, request, caller, fields)
        return Json(self._acknowledged(request.path_params["alert_id"], by))

    async def test(self, request: Request) -> Json:
        """Send a test message to a channel; how it went."""
        caller = caller_of(request)
        fields = await read_json(request, ("channel", *sender_fields(caller, loosens=False)))
        by = await sender_of(self._door, request, caller, fields)
        return Json(await act(self._alerts.test(fields["channel"], by)))

    async def page(self, request: Request) -> Response:
        """The page."""
        read_query(request)
        session = session_of(request)
        return self._render.page("alerts.html", session=session, shown=self._alerts.alerts(), **_rights(session.role))

    async def open_part(self, request: Request) -> Response:
        """What is open, in short, for the overview."""
        read_query(request)
        shown = self._alerts.alerts()
        silent = [channel for channel in shown.channels if channel.trouble]
        return self._render.page("_open_alerts.html", alerts=shown.open[:OPEN_SHOWN], shown=shown, silent=silent)

    async def part(self, request: Request) -> Response:
        """The same, renewed."""
        read_query(request)
        session = session_of(request)
        return self._render.page("_alerts.html", session=session, shown=self._alerts.alerts(), **_rights(session.role))

    async def acknowledge_here(self, request: Request) -> Response:
        """A person presses the button beside an alert."""
        try:
            session, fields = await form_of(request, "id")
            heard = self._acknowledged(fields["id"], session.person)
        except Refusal as refusal:
            return self._said(refusal.message, good=False, status=refusal.status)
        return self._said(f"{heard.title}: acknowledged by {heard.acknowledged_by}.")

    async def test_here(self, request: Request) -> Response:
        """A person tries a channel."""
        try:
            session, fields = await form_of(request, "channel")
            tried = await act(self._alerts.test(fields["channel"], session.person))
        except Refusal as refusal:
            return self._said(refusal.message, good=False, status=refusal.status)
        if tried.trouble:
            return self._said(f"{tried.channel} did not take it: {tried.trouble}.", good=False)
        return self._said(f"{tried.channel} took it. Look whether it arrived.")

    def _acknowledged(self, alert_id: str, by: str) -> AlertView:
        if len(alert_id) > _ID_MAX:
            raise Refusal(404, "NOT_FOUND", "there is no alert of that id")
        try:
            return self._alerts.acknowledge(alert_id, by)
        except Refused as refused:
            raise Refusal(404, "NOT_FOUND", str(refused)) from None

    def _said(self, text: str, *, good: bool = True, status: int = 200) -> Page:
        return self._render.page("_notice.html", status, good=good, text=text)


def _rights(role: Role) -> dict[str, bool]:
    return {"may_acknowledge": role.covers(Role.TRADER), "may_test": role.covers(Role.RISK)}
