"""The ledger at the control door: everything for machines, and the page that puts three ledgers side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console import operations_record as operations
from proxy.console.answers import Json
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.rendering import Rendering
from proxy.console.routing import add, session_of
from proxy.ledger.plane import Amounts, BooksView, LedgerPlane, LedgerView, QualityView
from proxy.people.roles import Role

BOOKS_SHOWN: Final = 200
QUALITY_SHOWN: Final = 200
"""Of more than that an account, bot or symbol has to be chosen."""

_FILTERS: Final = ("account", "bot", "symbol")
RECENT_S: Final = (900, 3600)
"""What the overview tells of: the last quarter of an hour, and the last hour."""

NOBODY: Final = "-"
"""How a query asks for what no bot did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownQuality:
    """A day's row; ``trend`` says whether slippage is above or below what is usual, in a word, empty when unknown."""

    row: QualityView
    refused: str
    rejected: str
    trend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """What the page shows; ``*_left_out`` count what it has no room for."""

    view: LedgerView
    asked: dict[str, str]
    books: Sequence[BooksView]
    books_left_out: int
    quality: Sequence[ShownQuality]
    quality_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """One account's last minutes: three ledgers, each by asset, never added up."""

    account: str
    seconds: int
    trading: dict[str, str]
    fees: dict[str, str]
    funding: dict[str, str]


class LedgerDoor:
    """One method a route."""

    def __init__(self, plane: LedgerPlane, render: Rendering) -> None:
        self._plane = plane
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/ledger", self.told, method="GET", role=Role.VIEWER, **operations.LEDGER)
        add(routes, "/ledger", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/ledger", self.part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/money", self.money_part, method="GET", role=Role.VIEWER)
        return routes

    async def told(self, request: Request) -> Json:
        """The ledger; with ``account``, ``bot`` (``-``: what no bot did) or ``symbol`` only what is of it."""
        view, _ = await self._asked(request)
        return Json(view)

    async def page(self, request: Request) -> Response:
        """The page."""
        return await self._rendered("ledger.html", request, session=session_of(request))

    async def part(self, request: Request) -> Response:
        """The part of the page that renews itself."""
        return await self._rendered("_ledger.html", request)

    async def money_part(self, request: Request) -> Response:
        """What the last minutes brought and cost, for the overview."""
        read_query(request)
        view = await read(self._plane.ledger(None, None, None))
        return self._render.page("_money.html", view=view, rows=recent(view))

    async def _rendered(self, template: str, request: Request, **values: Any) -> Response:
        view, asked = await self._asked(request)
        return self._render.page(template, shown=shown(view, asked), **values)

    async def _asked(self, request: Request) -> tuple[LedgerView, dict[str, str]]:
        asked = read_query(request, _FILTERS)
        bot = "" if asked.get("bot") == NOBODY else asked.get("bot")
        return await read(self._plane.ledger(asked.get("account"), bot, asked.get("symbol"))), asked


def shown(view: LedgerView, asked: dict[str, str]) -> LedgerPage:
    """The page's content, within bounds."""
    return LedgerPage(
        view=view,
        asked={name: asked.get(name, "") for name in _FILTERS},
        books=view.books[:BOOKS_SHOWN],
        books_left_out=max(len(view.books) - BOOKS_SHOWN, 0),
        quality=[_shown(each) for each in view.quality[:QUALITY_SHOWN]],
        quality_left_out=max(len(view.quality) - QUALITY_SHOWN, 0),
    )


def recent(view: LedgerView) -> list[Recent]:
    """The last minutes of every account, its bots and symbols together."""
    found = []
    for account in sorted({books.account for books in view.books}):
        books = [each for each in view.books if each.account == account]
        for seconds in RECENT_S:
            periods = [period for each in books for period in each.periods if period.seconds == seconds]
            found.append(
                Recent(
                    account=account,
                    seconds=seconds,
                    trading=_summed(period.trading for period in periods),
                    fees=_summed(period.fees for period in periods),
                    funding=_summed(period.funding for period in periods),
                )
            )
    return found


def _summed(amounts: Iterable[Amounts]) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for each in amounts:
        for asset, amount in each.items():
            sums[asset] = sums.get(asset, Decimal(0)) + Decimal(amount)
    return {asset: f"{amount:f}" for asset, amount in sorted(sums.items())}


def _shown(row: QualityView) -> ShownQuality:
    sent = row.orders - row.refused
    return ShownQuality(
        row=row,
        refused=_rate(row.refused, row.orders),
        rejected=_rate(row.rejected, sent),
        trend=_trend(row.slippage_bps, row.usual_bps),
    )


def _rate(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "–"


def _trend(now: str | None, usual: str | None) -> str:
    if now is None or usual is None:
        return ""
    more = Decimal(now) - Decimal(usual)
    return f"▲ {more:+f} worse" if more > 0 else f"▼ {more:+f} better" if more < 0 else "as usual"
