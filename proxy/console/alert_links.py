"""The links in alerts: whoever has one, signed in or not, may say that this one alert was heard.

Looking at the page changes nothing: chat programs and mail filters open every link they see. Only its button does.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.alerts.plane import AlertsPlane
from proxy.console.answers import Page, Refusal
from proxy.console.bodies import person_of, read_form, read_query
from proxy.console.door import Door
from proxy.console.rendering import Rendering
from proxy.console.routing import add

_GONE = "This link is not one of ours, or it has expired. Sign in to see the alerts."


class AlertLinks:
    """One method a route."""

    def __init__(self, alerts: AlertsPlane, door: Door, render: Rendering) -> None:
        self._alerts = alerts
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/alerts/ack/{token}", self.page, method="GET", role=None)
        add(routes, "/alerts/ack/{token}", self.acknowledge, method="POST", role=None)
        return routes

    async def page(self, request: Request) -> Response:
        """What the alert says, and the button."""
        read_query(request)
        return self._page(request)

    async def acknowledge(self, request: Request) -> Response:
        """The button was pressed."""
        try:
            self._door.check_own_origin(request)
            fields = await read_form(request, ("name",))
            name = person_of(fields["name"])
        except Refusal as refusal:
            return self._page(request, trouble=refusal.message, status=refusal.status)
        self._alerts.acknowledge_linked(request.path_params["token"], name)
        return self._page(request)

    def _page(self, request: Request, *, trouble: str = "", status: int = 200) -> Page:
        alert = self._alerts.linked(request.path_params["token"])
        if alert is None:
            return self._render.page("alert_link.html", 404, alert=None, trouble=_GONE)
        return self._render.page("alert_link.html", status, alert=alert, trouble=trouble)
