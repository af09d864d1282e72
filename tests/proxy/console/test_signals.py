"""The signals at the control door: nothing is said without its track record, and no text is anything but text."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from proxy.console.signals import CARDS_SHOWN, ROWS_SHOWN
from tests.proxy.console.conftest import BEARER, Browser
from tests.proxy.console.desk_double import DeskDouble
from tests.proxy.console.test_pages import CORPUS, Reader
from tests.support.signals import a_card, a_forecast_view, a_signals_view


async def test_a_machine_is_told_every_forecast_with_its_age_and_track_record(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/signals", headers=BEARER)).json()
    first = told["forecasts"][0]
    assert (first["value"], first["age_s"], first["n"], first["status"]) == (0.0213, 1800.0, 400, "reliable")
    assert first["stress"][0] == {"move": -0.2, "reached": True}
    assert told["cards"][0]["probabilities"]["brier"] == pytest.approx(0.09)
    assert told["told"][0]["reliable"] is False


async def test_a_machine_may_ask_of_one_symbol(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/signals?symbol=ETHUSDT", headers=BEARER)).json()
    assert {each["symbol"] for each in told["forecasts"] + told["cards"]} == {"ETHUSDT"}
    assert (await client.get("/api/signals?symbol=NOTHING", headers=BEARER)).json()["forecasts"] == []
    answer = await client.get("/api/signals?other=1", headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (422, "MALFORMED")


async def test_whoever_is_not_signed_in_is_sent_to_do_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/signals")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_the_page_shows_record_stress_and_diagram(person: Browser) -> None:
    page = (await person.client.get("/signals")).text
    assert "2.1 %" in page and "skill +0.640" in page
    assert "reached" in page
    assert '<span class="loss">20 %</span>' in page, "the smallest jump that does"
    assert page.count('<svg class="reliability"') == 3, "two of probabilities, one of quantiles, none of a cold card"
    assert "10.0% stated, 10.0% came, 400 times" in page
    assert "<strong>No prediction.</strong>" in page
    assert "0.0300 %" in page and "main long pays 3.00 a day" in page
    assert "order size far above its habit" in page
    assert "no: unreliable" in page


async def test_what_has_not_held_comes_first_and_is_counted(person: Browser) -> None:
    page = (await person.client.get("/signals")).text
    assert "<strong>Unreliable: 1 of 4 records.</strong>" in page
    assert page.index('class="record unreliable"') < page.index('class="record reliable"')


async def test_one_symbol_is_shown_when_it_is_chosen(person: Browser) -> None:
    page = (await person.client.get("/signals?symbol=ETHUSDT")).text
    assert page.count('<svg class="reliability"') == 1
    assert '<option value="ETHUSDT" selected>' in page
    assert "<strong>Unreliable: 1 of 1 records.</strong>" in page
    assert "Unreliable:" not in (await person.client.get("/signals?symbol=BTCUSDT")).text
    assert '<option value="BTCUSDT">' in page, "the way back"


async def test_much_is_bounded_and_says_so(person: Browser, plane: DeskDouble) -> None:
    symbols = [f"A{at}USDT" for at in range(ROWS_SHOWN + 5)]
    plane.signals_view = a_signals_view(
        forecasts=[a_forecast_view(symbol=each) for each in symbols], cards=[a_card(symbol=each) for each in symbols]
    )
    page = (await person.client.get("/signals")).text
    assert page.count('<svg class="reliability"') == CARDS_SHOWN
    assert "5 more: choose a symbol." in page
    assert f"{len(symbols) - CARDS_SHOWN} more: choose a symbol." in page


async def test_liquidations_stand_before_everything(person: Browser, plane: DeskDouble) -> None:
    plane.signals_view = a_signals_view(
        forecasts=[a_forecast_view(symbol="AUSDT"), a_forecast_view(symbol="ZUSDT", signal="liquidation")]
    )
    page = (await person.client.get("/signals")).text
    table = page[page.index("forecasts-title") :]
    assert table.index("ZUSDT") < table.index("AUSDT")


async def test_the_barriers_of_a_symbol_stand_in_one_row(person: Browser, plane: DeskDouble) -> None:
    keys = ("down:0.05", "down:0.1", "up:0.05")
    plane.signals_view = a_signals_view(
        forecasts=[a_forecast_view(symbol=symbol, key=key) for symbol in ("BTCUSDT", "ETHUSDT") for key in keys][:-1]
    )
    page = (await person.client.get("/partials/signals")).text
    table = page[page.index("forecasts-title") : page.index("told-title")]
    assert table.count("<tbody>") == 1 and table.count('<th scope="row">') == 2
    assert [table.count(f"<code>{key}</code>") for key in keys] == [1, 1, 1]
    assert table.count("2.1 %") == 5 and table.count(">–</td>") == 1


async def test_an_empty_board_is_a_page_too(person: Browser, plane: DeskDouble) -> None:
    plane.signals_view = a_signals_view(forecasts=(), told=(), cards=(), anomalies=(), temperatures=())
    page = await person.client.get("/signals")
    assert page.status_code == 200 and "No forecast is stated." in page.text


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_stored_text_is_text_in_every_field(person: Browser, plane: DeskDouble, text: str) -> None:
    view = a_signals_view()

    def filled(with_text: str) -> None:
        named = {"symbol": with_text, "key": with_text, "method": with_text, "why": with_text, "as_of": with_text}
        plane.signals_view = replace(
            view,
            forecasts=[replace(each, signal=with_text, **named) for each in view.forecasts],
            told=[replace(each, account=with_text, name=with_text, symbol=with_text) for each in view.told],
            cards=[
                replace(each, signal=with_text, symbol=with_text, why=with_text, method=with_text)
                for each in view.cards
            ],
            anomalies=[replace(each, level=with_text, name=with_text, why=with_text) for each in view.anomalies],
            temperatures=[replace(each, symbol=with_text) for each in view.temperatures],
        )

    filled("harmless")
    harmless = Reader((await person.client.get("/signals")).text)
    filled(text)
    read = Reader((await person.client.get("/signals")).text)
    assert read.acts == harmless.acts
    assert read.inline == []


async def test_a_bug_behind_it_is_answered_without_its_secret(person: Browser, plane: DeskDouble) -> None:
    plane.broken = True
    for path in ("/api/signals", "/signals"):
        answer = await person.client.get(path)
        assert answer.status_code == 500 and "secret" not in answer.text


async def test_what_a_chance_of_costs_is_about_and_how_far_it_reaches_is_said(
    person: Browser, plane: DeskDouble
) -> None:
    (first,) = plane.signals_view.told
    costs = replace(first, name="slippage", horizon_s=60, side="BUY", quantity="0.5", threshold="0.00125")
    plane.signals_view = replace(plane.signals_view, told=[first, costs])
    page = (await person.client.get("/signals")).text
    told = page[page.index("told-title") : page.index("records-title")]
    assert "BUY 0.5 for more than 12.5 bp" in told
    assert "1 min</td>" in told and "1 h</td>" in told
    either = [replace(costs, side=None, quantity=each) for each in ("0.5", "5", None)]
    plane.signals_view = replace(plane.signals_view, told=either)
    page = (await person.client.get("/signals")).text
    told = page[page.index("told-title") : page.index("records-title")]
    for words in ("0.5 for more than 12.5 bp", ">5 for more than 12.5 bp", "any size for more than 12.5 bp"):
        assert words in told
