"""The positions page: every leg of every account, sorted and filtered on the guard's side."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console.answers import Refusal
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.legs import SORTS, Wanted, legs_of, totals_of
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, session_of
from proxy.people.roles import Role

LEGS_SHOWN: Final = 500
_COLUMNS: Final = ("account", "symbol", "side", "sort", "order")


class Positions:
    """One method a route."""

    def __init__(self, plane: ControlPlane, render: Rendering) -> None:
        self._plane = plane
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/positions", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/positions", self.part, method="GET", role=Role.VIEWER)
        return routes

    async def page(self, request: Request) -> Response:
        """The page."""
        return self._render.page("positions.html", session=session_of(request), **await self._values(request))

    async def part(self, request: Request) -> Response:
        """The tables, renewed."""
        return self._render.page("_positions.html", **await self._values(request))

    async def _values(self, request: Request) -> dict[str, Any]:
        wanted = _wanted(request)
        desk, signals = await read(self._plane.desk()), await read(self._plane.signals.signals())
        legs = legs_of(desk, signals, wanted)
        asked = {name: getattr(wanted, name) for name in _COLUMNS}
        return {
            "wanted": wanted,
            "legs": legs[:LEGS_SHOWN],
            "left_out": max(len(legs) - LEGS_SHOWN, 0),
            "totals": totals_of(legs_of(desk, signals, Wanted(symbol=wanted.symbol))),
            "accounts": [account.name for account in desk.accounts],
            "query": urlencode(asked),
            "sorted_by": lambda sort: urlencode(asked | {"sort": sort, "order": _turned(wanted, sort)}),
        }


def _wanted(request: Request) -> Wanted:
    wanted = Wanted(**read_query(request, _COLUMNS))
    if wanted.sort not in SORTS or wanted.order not in ("asc", "desc") or wanted.side not in ("", "LONG", "SHORT"):
        raise Refusal(422, "MALFORMED", "positions are sorted by a column's name, asc or desc; a side is LONG or SHORT")
    return wanted


def _turned(wanted: Wanted, sort: str) -> str:
    """The order a column's heading asks for: the other one of the column sorted by."""
    return "desc" if wanted.sort == sort and wanted.order == "asc" else "asc"
