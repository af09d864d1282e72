"""The pages of refused orders: the list with its filter, and one decision with every rule's part in it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from proxy.console.answers import Refusal
from proxy.console.api import decision_id, no_such_decision
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.filters import FILTERS, Filter, read_filter
from proxy.console.looking import desk_seen
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, session_of
from proxy.people.roles import Role
from proxy.reasons.inquiry import BadQuestion, NothingToTry, Told, WhatIf
from proxy.reasons.plane import Refusals, Wanted

log = logging.getLogger("perpguard.console")

ROWS: Final = 50
_ASKED: Final = ("item", "quantity", "price")


class BlockedPages:
    """One method a route. For signed-in people only; nothing here changes anything."""

    def __init__(self, plane: ControlPlane, render: Rendering, now: Callable[[], datetime]) -> None:
        self._plane = plane
        self._render = render
        self._now = now

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/blocked", self.listed, method="GET", role=Role.VIEWER)
        add(routes, "/blocked.csv", self.table, method="GET", role=Role.VIEWER)
        add(routes, "/blocked/{decision_id}", self.decision, method="GET", role=Role.VIEWER)
        return routes

    async def listed(self, request: Request) -> Response:
        """The refusals that match, newest first. Where the filter or the archive cannot be read, that is said."""
        trouble, status = "", 200
        try:
            chosen = read_filter(request, self._now())
            found = await read(self._plane.reasons.refusals(chosen.wanted, limit=ROWS))
        except Refusal as refusal:
            trouble, status = refusal.message, refusal.status
            chosen, found = Filter(written=dict.fromkeys(FILTERS, ""), wanted=Wanted()), Refusals(rows=(), next=None)
        counts: Mapping[str, int] = {}
        try:
            counts = await read(self._plane.reasons.counts(since=chosen.wanted.since, until=chosen.wanted.until))
        except Refusal as refusal:
            trouble, status = trouble or refusal.message, refusal.status
        return self._render.page(
            "blocked.html",
            status,
            session=session_of(request),
            desk=await self._names(),
            filter=chosen,
            found=found,
            counts=counts,
            trouble=trouble,
        )

    async def table(self, request: Request) -> Response:
        """The same, as a file for a spreadsheet, in which no cell can become a formula."""
        pieces = self._plane.reasons.table(read_filter(request, self._now()).wanted)
        # The first is waited for as any look is, and may be refused. The others take as long as they take.
        first = await read(anext(pieces))
        return StreamingResponse(
            _after(first, pieces),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="blocked.csv"'},
        )

    async def decision(self, request: Request) -> Response:
        """One decision. With ``quantity`` in the address, what another size would have come to as well."""
        asked = read_query(request, _ASKED)
        wanted = decision_id(request)
        story = await read(self._plane.decision(wanted))
        if story is None:
            raise no_such_decision()
        told, trouble = await self._told(wanted)
        what_if, bad, status = None, "", 200
        if told is not None and "quantity" in asked:
            try:
                what_if = await what_if_of(self._plane, wanted, asked)
            except Refusal as refusal:
                bad, status = refusal.message, refusal.status
        return self._render.page(
            "decision.html",
            status,
            session=session_of(request),
            decision_id=wanted,
            story=story,
            told=told,
            trouble=trouble,
            asked=asked,
            what_if=what_if,
            bad=bad,
        )

    async def _told(self, wanted: str) -> tuple[Told | None, str]:
        """Every rule's part; where that cannot be told, why: the record itself is shown in any case."""
        try:
            told = await read(self._plane.reasons.rules(wanted))
        except Refusal as refusal:
            return None, refusal.message
        return told, "" if told is not None else "nothing was decided under this id"

    async def _names(self) -> Mapping[str, Any]:
        """What the filter offers. Without it the names can still be typed."""
        desk = await desk_seen(self._plane)
        if desk is None:
            return {"bots": [], "accounts": []}
        return {
            "bots": sorted({bot.name for bot in desk.bots}),
            "accounts": sorted(account.name for account in desk.accounts),
        }


async def what_if_of(plane: ControlPlane, wanted: str, asked: Mapping[str, str]) -> WhatIf:
    """A recorded command at another size. Refusal 404, 409, or 422 for a question that is none."""
    try:
        found = await read(
            plane.reasons.what_if(
                wanted,
                item=asked.get("item", "0"),
                quantity=asked.get("quantity", ""),
                price=asked.get("price", ""),
            )
        )
    except BadQuestion as bad:
        raise Refusal(422, "WHAT_IF", str(bad)) from None
    except NothingToTry as none:
        raise Refusal(409, "NOTHING_TO_TRY", str(none)) from None
    if found is None:
        raise no_such_decision()
    return found


async def _after(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece
