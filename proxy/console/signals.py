"""The signals at the control door: everything for machines, and the page with the reliability diagrams for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console import operations
from proxy.console.answers import Json
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.diagrams import Diagram, diagrams_of
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, session_of
from proxy.people.roles import Role
from proxy.signals.plane import ForecastView, JumpView, SignalsView
from proxy.signals.scoreboard.card import Card

ROWS_SHOWN: Final = 120
CARDS_SHOWN: Final = 60
"""Of more than that a symbol has to be chosen."""

_WORST_FIRST: Final = {"unreliable": 0, "reliable": 1, "cold": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard:
    """A card with its pictures."""

    card: Card
    diagrams: Sequence[Diagram]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRow:
    """What a signal says of a symbol within a horizon: a cell for each column, ``None`` where nothing is stated.

    ``any`` is one of them: the record is that of all. ``skill`` is the least and the most that any of them has.
    """

    any: ForecastView
    cells: Sequence[ForecastView | None]
    skill: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastTable:
    """One signal. Every column is a barrier, a quantile, or what else its key says, with the jumps that reach it."""

    signal: str
    columns: Sequence[tuple[str, Sequence[JumpView]]]
    rows: Sequence[ForecastRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsPage:
    """What the page shows: ``*_left_out`` count what it has no room for, ``unreliable`` the cards with the mark."""

    view: SignalsView
    symbol: str
    symbols: Sequence[str]
    unreliable: int
    tables: Sequence[ForecastTable]
    rows_left_out: int
    cards: Sequence[ShownCard]
    cards_left_out: int


class SignalsDoor:
    """One method a route."""

    def __init__(self, plane: ControlPlane, render: Rendering) -> None:
        self._plane = plane
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/signals", self.told, method="GET", role=Role.VIEWER, **operations.SIGNALS)
        add(routes, "/signals", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/signals", self.part, method="GET", role=Role.VIEWER)
        return routes

    async def told(self, request: Request) -> Json:
        """Every forecast, card and score; with ``symbol`` only what is about it."""
        symbol = read_query(request, ("symbol",)).get("symbol")
        view = await read(self._plane.signals.signals())
        return Json(view if symbol is None else _of(view, symbol))

    async def page(self, request: Request) -> Response:
        """The page. Whoever is not signed in is sent to do so."""
        session = session_of(request)
        symbol = read_query(request, ("symbol",)).get("symbol", "")
        view = await read(self._plane.signals.signals())
        return self._render.page("signals.html", session=session, shown=shown(view, symbol))

    async def part(self, request: Request) -> Response:
        """The same, renewed."""
        symbol = read_query(request, ("symbol",)).get("symbol", "")
        view = await read(self._plane.signals.signals())
        return self._render.page("_signals.html", shown=shown(view, symbol))


def shown(view: SignalsView, symbol: str = "") -> SignalsPage:
    """The page's content: what is unreliable first, liquidations before all else, within bounds."""
    named = {each.symbol for each in view.forecasts} | {each.symbol for each in view.cards}
    symbols = sorted(named - {""})
    of = _of(view, symbol) if symbol else view
    subjects = _by_subject(of.forecasts)
    cards = sorted(of.cards, key=lambda each: _WORST_FIRST[each.status])
    return SignalsPage(
        view=of,
        symbol=symbol if symbol in symbols else "",
        symbols=symbols,
        unreliable=sum(each.status == "unreliable" for each in of.cards),
        tables=tuple(_tables(subjects[:ROWS_SHOWN])),
        rows_left_out=max(len(subjects) - ROWS_SHOWN, 0),
        cards=[ShownCard(card=each, diagrams=diagrams_of(each)) for each in cards[:CARDS_SHOWN]],
        cards_left_out=max(len(cards) - CARDS_SHOWN, 0),
    )


def _by_subject(forecasts: Sequence[ForecastView]) -> list[list[ForecastView]]:
    """Those of one signal, symbol and horizon together: liquidations first, then as they come."""
    found: dict[tuple[str, str, float], list[ForecastView]] = {}
    for each in sorted(forecasts, key=lambda each: each.signal != "liquidation"):
        found.setdefault((each.signal, each.symbol, each.horizon_h), []).append(each)
    return list(found.values())


def _tables(subjects: Sequence[list[ForecastView]]) -> Iterator[ForecastTable]:
    for signal in dict.fromkeys(each[0].signal for each in subjects):
        own = [each for each in subjects if each[0].signal == signal]
        columns = {each.key: each.stress for subject in own for each in subject}
        yield ForecastTable(
            signal=signal, columns=tuple(columns.items()), rows=tuple(_row(subject, tuple(columns)) for subject in own)
        )


def _row(subject: Sequence[ForecastView], keys: Sequence[str]) -> ForecastRow:
    by_key = {each.key: each for each in subject}
    skills = [each.skill for each in subject if each.skill is not None]
    return ForecastRow(
        any=subject[0],
        cells=tuple(by_key.get(key) for key in keys),
        skill=(min(skills), max(skills)) if skills else None,
    )


def _of(view: SignalsView, symbol: str) -> SignalsView:
    return replace(
        view,
        forecasts=[each for each in view.forecasts if each.symbol == symbol],
        told=[each for each in view.told if each.symbol in ("", symbol)],
        cards=[each for each in view.cards if each.symbol == symbol],
        temperatures=[each for each in view.temperatures if each.symbol == symbol],
    )
