"""The positions page: how far the end of each leg is, how likely, what keeps it off; sorted, filtered, added up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.console import words
from proxy.console.desk_views import AccountView, DeskView
from proxy.console.legs import Leg, Wanted, legs_of, totals_of
from proxy.signals.liquidation import AccountForecast, LegForecast, Odds
from proxy.signals.plane import CarryView, SignalsView, TemperatureView
from proxy.signals.scoreboard.card import Card
from proxy.signals.signals_state import AccountSignals, SignalsState, SymbolSignals
from tests.proxy.console.conftest import Browser
from tests.proxy.console.desk_double import DeskDouble, a_desk, a_leg, an_account

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_desk_of(**accounts: tuple[Any, ...]) -> DeskView:
    views: list[AccountView] = [an_account(name=name, positions=legs) for name, legs in accounts.items()]
    return a_desk(accounts=tuple(views))


def told(*, cold: bool = False, barrier: str = "reliable", liquidation: str = "cold") -> SignalsView:
    """A day of bitcoin moves 4 %; the long's odds are 0.1, 0.4 and 1.2 %, and it pays 3 a day."""
    odds = tuple(Odds(horizon_h=hours, probability=p) for hours, p in ((1, 0.001), (8, 0.004), (24, 0.012)))
    due = Odds(horizon_h=8, probability=0.5, until_funding=True)
    leg = LegForecast(
        symbol="BTCUSDT", position_side="LONG", distance=0.3, odds=(due, *odds), together=(), stress=(), cold=cold
    )
    account = AccountForecast(account="main", legs=(leg,), any_leg=(), cross=(), stress=(), cold=cold)
    symbol = SymbolSignals(
        symbol="BTCUSDT", as_of=NOON, method="m", hours=900, cold=False, alarmed=False,
        volatility={"1": 0.008, "24": 0.04}, wild=None, is_wild=False, temperature=None,
    )  # fmt: skip
    state = SignalsState(
        venue="v", at=NOON, symbols=(symbol,), accounts=(AccountSignals(as_of=NOON, method="m", forecast=account),)
    )
    cards = [
        replace(Card(signal=name, symbol="BTCUSDT", horizon_h=float(hours)), status=status)
        for name, status in (("barrier", barrier), ("liquidation", liquidation))
        for hours in (1, 8, 24)
    ]
    carry = CarryView(account="main", position_side="LONG", notional=16_208.0, a_day=-3.0)
    temperature = TemperatureView(symbol="BTCUSDT", value=None, age_s=1.0, carry=(carry,))
    return SignalsView(at="", cards=cards, venues=(state,), temperatures=(temperature,))


def only(legs: list[Leg]) -> Leg:
    (leg,) = legs
    return leg


@pytest.mark.parametrize(
    ("quantity", "mark", "distance"),
    [("1", "101", 1 / 101), ("1", "100", 0), ("1", "95", 0), ("-1", "99", 1 / 99), ("-1", "100", 0), ("-1", "105", 0)],
)
def test_a_leg_past_its_liquidation_price_is_not_said_to_get_safer(quantity: str, mark: str, distance: float) -> None:
    past = a_leg(position_side="BOTH", quantity=quantity, mark_price=mark, liquidation_price="100")
    leg = only(legs_of(a_desk_of(main=(past,)), told(), Wanted()))
    assert leg.distance == pytest.approx(distance)
    assert words.away(past, (past,)) == ("past it" if distance == 0 else f"{distance * 100:.1f} %")


def test_a_hedged_symbol_has_one_liquidation_price_that_one_of_its_legs_is_past() -> None:
    long = a_leg(position_side="LONG", quantity="1", mark_price="90", liquidation_price="100")
    short = a_leg(position_side="SHORT", quantity="-3", mark_price="90", liquidation_price="100")
    legs = legs_of(a_desk_of(main=(long, short)), told(), Wanted())
    assert [leg.distance for leg in legs] == [pytest.approx(1 / 9)] * 2
    alone = tuple(replace(leg, margin_mode="ISOLATED") for leg in (long, short))
    legs = legs_of(a_desk_of(main=alone), told(), Wanted())
    assert sorted(leg.distance or 0 for leg in legs) == [0, pytest.approx(1 / 9)], "isolated, each has its own"


def test_the_distance_is_said_in_percent_and_in_daily_moves() -> None:
    leg = only(legs_of(a_desk_of(main=(a_leg(mark_price="50000", liquidation_price="40000"),)), told(), Wanted()))
    assert leg.distance == pytest.approx(0.2)
    assert leg.daily_moves == pytest.approx(0.2231 / 0.04, rel=1e-3)
    assert leg.carry_a_day == -3.0


def test_without_a_liquidation_price_or_a_scale_nothing_is_made_up() -> None:
    desk = a_desk_of(main=(a_leg(liquidation_price=None), a_leg(symbol="XUSDT"), a_leg(symbol="Y", mark_price="<b>")))
    by_symbol = {leg.view.symbol: leg for leg in legs_of(desk, told(), Wanted())}
    assert (by_symbol["BTCUSDT"].distance, by_symbol["BTCUSDT"].daily_moves) == (None, None)
    assert (by_symbol["XUSDT"].daily_moves, by_symbol["XUSDT"].odds, by_symbol["XUSDT"].carry_a_day) == (None, (), None)
    assert by_symbol["Y"].distance is None


@pytest.mark.parametrize(
    ("signals", "standing"),
    [
        (told(), "reliable"),
        (told(cold=True), "cold"),
        (told(barrier="cold"), "cold"),
        (told(barrier="unreliable"), "unreliable"),
        (told(liquidation="unreliable"), "unreliable"),
    ],
    ids=["held", "no-history", "not-scored", "barrier-failed", "liquidation-failed"],
)
def test_odds_bear_the_mark_of_how_such_forecasts_have_held(signals: SignalsView, standing: str) -> None:
    leg = only(legs_of(a_desk_of(main=(a_leg(),)), signals, Wanted()))
    assert leg.odds == ((1, 0.001, standing), (8, 0.004, standing), (24, 0.012, standing))


def test_another_accounts_odds_are_not_mistaken_for_its_own() -> None:
    leg = only(legs_of(a_desk_of(other=(a_leg(),)), told(), Wanted()))
    assert (leg.odds, leg.carry_a_day) == ((), None)


def test_the_nearest_end_comes_first_and_what_has_none_last_either_way() -> None:
    near, far = a_leg(symbol="NEAR", liquidation_price="60000"), a_leg(symbol="FAR", liquidation_price="20000")
    desk = a_desk_of(main=(a_leg(symbol="NONE", liquidation_price=None), far, near))

    def order(**wanted: str) -> list[str]:
        return [leg.view.symbol for leg in legs_of(desk, told(), Wanted(**wanted))]

    assert order() == ["NEAR", "FAR", "NONE"]
    assert order(order="desc") == ["FAR", "NEAR", "NONE"]
    assert order(sort="symbol") == ["FAR", "NEAR", "NONE"]


def test_filters_leave_what_was_asked_for() -> None:
    short = a_leg(symbol="ETHUSDT", position_side="BOTH", quantity="-1")
    desk = a_desk_of(main=(a_leg(), short), other=(a_leg(),))

    def found(**wanted: str) -> list[tuple[str, str]]:
        return sorted((leg.account, leg.view.symbol) for leg in legs_of(desk, told(), Wanted(**wanted)))

    assert found(account="other") == [("other", "BTCUSDT")]
    assert found(symbol="eth") == [("main", "ETHUSDT")]
    assert found(side="SHORT") == [("main", "ETHUSDT")]


def test_a_symbol_is_added_up_across_accounts() -> None:
    short = a_leg(position_side="BOTH", quantity="-0.1", notional="-6000.10", unrealised_pnl="-5.5")
    desk = a_desk_of(main=(a_leg(notional="16000", unrealised_pnl="100"),), other=(short,))
    (total,) = totals_of(legs_of(desk, told(), Wanted()))
    assert [f"{each}" for each in (total.long, total.short, total.net, total.gross, total.unrealised_pnl)] == [
        "16000", "6000.10", "9999.90", "22000.10", "94.5",
    ]  # fmt: skip


async def test_the_page_shows_it_all(person: Browser, plane: DeskDouble) -> None:
    plane.signals_view = told()
    page = (await person.client.get("/positions")).text
    for said in (
        "BTCUSDT",
        "36.5 %",
        "41,200.00",
        "0.1 % / 0.4 % / 1.2 %",
        "reliable",
        "58,000.00",
        "pays 3.00",
        "cross",
    ):
        assert said in page, said
    assert 'aria-sort="ascending"' in page
    assert "order=desc" in page


@pytest.mark.parametrize("query", ["sort=rm", "order=up", "side=BOTH", "page=2"])
async def test_what_is_no_column_is_refused(person: Browser, query: str) -> None:
    assert (await person.client.get(f"/positions?{query}")).status_code == 422
    assert (await person.client.get(f"/partials/positions?{query}")).status_code == 422


async def test_nothing_like_that_is_said(person: Browser) -> None:
    assert "No position like that." in (await person.client.get("/partials/positions?symbol=PEPE")).text


async def test_totals_are_across_accounts_whatever_legs_are_shown(person: Browser, plane: DeskDouble) -> None:
    long = a_leg(notional="6483.31000000", unrealised_pnl="0.00000000")
    short = a_leg(position_side="BOTH", quantity="-0.1", notional="-6483.31000000", unrealised_pnl="0.00000000")
    plane.view = a_desk_of(main=(long,), other=(short, a_leg(symbol="ETHUSDT")))
    plane.signals_view = told()

    async def totals(query: str) -> str:
        part = (await person.client.get(f"/partials/positions?{query}")).text
        return part[part.index("By symbol, across accounts") :]

    everything = await totals("")
    assert 'data-label="Legs">2<' in everything and "ETHUSDT" in everything
    assert 'data-label="Net">+0.00000000<' in everything and "0E-8" not in everything
    assert await totals("side=LONG") == await totals("account=main") == everything
    assert "ETHUSDT" not in await totals("symbol=BTC")
