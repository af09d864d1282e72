"""The ledger at the control door: three ledgers side by side, and no text is anything but text."""

from __future__ import annotations

import re

import httpx
import pytest

from proxy.console.ledger import BOOKS_SHOWN, QUALITY_SHOWN
from proxy.ledger.plane import BookedView
from tests.proxy.console.conftest import BEARER, Browser
from tests.proxy.console.desk_double import DeskDouble
from tests.proxy.console.test_pages import CORPUS, Reader
from tests.support.ledger import a_books_view, a_ledger_view, a_quality_view, a_standing_view


async def test_a_machine_is_told_three_ledgers_and_no_sum_of_them(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/ledger", headers=BEARER)).json()
    day = told["books"][0]["periods"][2]
    assert day == {
        "seconds": 86_400,
        "fills": 3,
        "trading": {"USDT": "12.50000000"},
        "fees": {"BNB": "-0.00012", "USDT": "-1.25"},
        "funding": {"USDT": "-0.75"},
    }
    assert told["standings"][0]["standing"] == "reconciled"


async def test_only_what_is_asked_for_is_asked(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    await client.get("/api/ledger?account=main&bot=-&symbol=BTCUSDT", headers=BEARER)
    await client.get("/api/ledger", headers=BEARER)
    assert plane.ledger_asked == [("main", "", "BTCUSDT"), (None, None, None)]
    assert (await client.get("/api/ledger?venue=x", headers=BEARER)).status_code == 422


async def test_whoever_is_not_signed_in_is_sent_to_do_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ledger")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_the_page_says_what_it_cost_and_that_it_is_the_statement(person: Browser) -> None:
    page = (await person.client.get("/ledger")).text
    assert "reconciled to the last digit" in page
    assert "-0.00012 BNB, -1.25 USDT" in page and "-0.75 USDT" in page and "TRANSFER" in page
    assert "5 of 50 (10 %)" in page and "9 of 45 (20 %)" in page, "of those that were sent"
    assert "▲ +0.50 worse" in page and "12.40 / 80.00 ms" in page


async def test_the_part_keeps_what_was_asked_for(person: Browser, plane: DeskDouble) -> None:
    part = (await person.client.get("/partials/ledger?bot=a%26b")).text
    assert plane.ledger_asked[-1] == (None, "a&b", None)
    assert 'hx-get="/partials/ledger?account=&amp;bot=a%26b&amp;symbol="' in part


async def test_what_differs_and_what_is_missing_is_listed(person: Browser, plane: DeskDouble) -> None:
    standing = a_standing_view(standing="differs", differences=("trade 7: 1 here, 2 there",), missing=("gap one",))
    plane.ledger_view = a_ledger_view(standings=(standing,))
    page = (await person.client.get("/ledger")).text
    assert 'class="notice bad"' in page and "trade 7: 1 here, 2 there" in page and "missing: gap one" in page


async def test_an_empty_ledger_says_so(person: Browser, plane: DeskDouble) -> None:
    plane.ledger_view = a_ledger_view(standings=(), books=(), booked=(), quality=(), trouble="there is no ledger at x")
    page = (await person.client.get("/ledger")).text
    assert "there is no ledger at x" in page
    for said_of_nothing in ("No account has", "Nothing was booked", "No transfer", "No order was judged"):
        assert said_of_nothing not in page
    plane.ledger_view = a_ledger_view(standings=(), books=(), booked=(), quality=())
    page = (await person.client.get("/ledger")).text
    assert "No account has a ledger yet." in page and page.count("Nothing was booked in the last 7 days.") == 3
    assert "No transfer, no clearance." in page and "No order was judged." in page
    plane.ledger_view = a_ledger_view(standings=(a_standing_view(gaps=("gap one",)),), books=(), booked=())
    page = (await person.client.get("/ledger")).text
    assert page.count("Nothing was booked in the last 7 days, as far as they have been read.") == 3
    assert "No transfer, no clearance, as far as the 7 days have been read." in page
    plane.ledger_view = a_ledger_view(
        quality=(
            a_quality_view(
                slippage_bps=None, usual_bps=None, spread_bps=None, latency_ms_p50=None, orders=0, refused=0
            ),
        )
    )
    assert (await person.client.get("/ledger")).status_code == 200


async def test_the_page_is_bounded_and_says_what_it_leaves_out(person: Browser, plane: DeskDouble) -> None:
    plane.ledger_view = a_ledger_view(
        books=[a_books_view(bot=f"bot-{number}") for number in range(BOOKS_SHOWN + 3)],
        quality=[a_quality_view(bot=f"bot-{number}") for number in range(QUALITY_SHOWN + 2)],
    )
    page = (await person.client.get("/ledger")).text
    assert "3 more: choose" in page and "2 more: choose" in page


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_stored_text_is_text_in_every_field(person: Browser, plane: DeskDouble, text: str) -> None:
    async def read_with(with_text: str) -> Reader:
        plane.ledger_view = a_ledger_view(
            books=[a_books_view(bot=with_text, symbol=with_text, account=with_text)],
            quality=[a_quality_view(bot=with_text, symbol=with_text, account=with_text)],
            standings=[a_standing_view(verdict=with_text, missing=(with_text,), differences=(with_text,))],
            booked=[BookedView(account=with_text, kind=with_text, amounts={with_text: "1"})],
            trouble=with_text,
        )
        return Reader((await person.client.get("/ledger")).text)

    harmless, read = await read_with("harmless"), await read_with(text)
    assert read.acts == harmless.acts
    assert read.inline == []


async def test_the_overviews_part_adds_up_an_accounts_bots_and_never_two_ledgers(
    person: Browser, plane: DeskDouble
) -> None:
    books = [a_books_view(), a_books_view(bot="momentum"), a_books_view(bot="", symbol="ETHUSDT")]
    plane.ledger_view = a_ledger_view(books=books)
    shown = (await person.client.get("/partials/money")).text
    rows = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in shown.split("<tr>")[2:]]
    assert rows[0].startswith("main 15 min") and rows[1].startswith("main 1 h")
    assert "37.50000000" in rows[0] and "3.75" in rows[0] and "0.00036" in rows[0]
    assert len(rows) == 2


async def test_the_overviews_part_says_what_is_missing_and_nothing_of_what_it_does_not_know(
    person: Browser, plane: DeskDouble
) -> None:
    gap = "the statement from 2026-11-21 09:00:00 to 2026-11-22 09:00:00"
    plane.ledger_view = a_ledger_view(standings=(a_standing_view(gaps=(gap,)), a_standing_view(account="whole")))
    part = (await person.client.get("/partials/money")).text
    assert "main: not everything has been read." in part and gap in part and "whole:" not in part
    plane.ledger_view = a_ledger_view(standings=(a_standing_view(gaps=(gap,)),), books=())
    part = (await person.client.get("/partials/money")).text
    assert gap in part and "Nothing was booked" not in part
    plane.ledger_view = a_ledger_view(standings=(), books=(), trouble="there is no ledger at x")
    part = (await person.client.get("/partials/money")).text
    assert "there is no ledger at x" in part and "Nothing was booked" not in part
    plane.ledger_view = a_ledger_view(standings=(), books=())
    assert "Nothing was booked in the last 7 days." in (await person.client.get("/partials/money")).text
