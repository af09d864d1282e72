"""The overview in a real browser: it renews itself, says when it does not, and draws what it says."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="drives Chromium")
from playwright.async_api import Page, expect

from tests.browser.browsing import DESKTOP, open_page, photograph, serving, shots, sign_in
from tests.proxy.console.desk_double import DeskDouble, a_desk
from tests.support.people import a_console

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]


async def test_it_renews_itself_polls_when_the_line_is_lost_and_says_when_contact_is(tmp_path: Path) -> None:
    desk = DeskDouble()
    app = a_console(desk, tmp_path)
    async with open_page(DESKTOP) as seen:
        page = seen.page
        async with serving(app) as url:
            await sign_in(page, url)
            live = page.locator(".rail .live")
            await expect(live).to_have_text("Live")
            assert desk.view.state == "ACTIVE"
            desk.view = replace(desk.view, state="HALTED")
            await expect(page.locator(".glance .badge")).to_have_text("HALTED", timeout=4000)
            await expect(page.locator("#attention-title")).to_contain_text("need attention")

            await page.route("**/events", lambda route: route.abort())
            app.state.events.close()
            await expect(live).to_have_text("Polling every 2 s", timeout=15_000)
            desk.view = replace(desk.view, state="REDUCING")
            await expect(page.locator(".glance .badge")).to_have_text("REDUCING", timeout=6000)
            assert not await page.locator("#lost").is_visible()
            assert [line for line in seen.complaints if "ERR_FAILED" not in line] == []
        await expect(page.locator("#lost")).to_be_visible(timeout=15_000)
        await photograph(page, shots(tmp_path) / "lost.png")


async def test_charts_are_drawn_and_said(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with serving(a_console(desk, tmp_path)) as url, open_page(DESKTOP) as seen:
        page = seen.page
        await sign_in(page, url)
        await page.wait_for_selector("[data-chart=anomaly] canvas")
        assert await page.locator("#charts canvas").count() == 4
        assert await drawn(page, "[data-chart=leverage] canvas")
        await expect(page.locator("#chart-anomaly")).to_contain_text("highest 0.83")
        await page.locator("#table-leverage summary").click()
        await expect(page.locator("#table-leverage table")).to_be_visible()
        desk.history_view = replace(desk.history_view, at=[at + 60 for at in desk.history_view.at])
        await asyncio.sleep(2.5)
        await expect(page.locator("#table-leverage table")).to_be_visible()
        assert await page.locator("#charts canvas").count() == 4
        assert seen.complaints == []


async def drawn(page: Page, canvas: str) -> bool:
    """Whether anything is on a canvas."""
    found: bool = await page.evaluate(
        "sel => { const c = document.querySelector(sel);"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(each => each); }",
        canvas,
    )
    return found


async def test_positions_are_sorted_and_filtered_and_stay_so(tmp_path: Path) -> None:
    desk = DeskDouble(view=a_desk())
    async with serving(a_console(desk, tmp_path)) as url, open_page(DESKTOP) as seen:
        page = seen.page
        await sign_in(page, url)
        await page.goto(f"{url}/positions")
        symbols = page.locator("#legs-title + .scroll tbody th")
        await page.get_by_role("link", name="Symbol").click()
        assert await symbols.all_inner_texts() == ["BTCUSDT", "ETHUSDT"]
        await page.get_by_role("link", name="Symbol").click()
        assert await symbols.all_inner_texts() == ["ETHUSDT", "BTCUSDT"]
        await page.fill("input[name=symbol]", "eth")
        await page.keyboard.press("Enter")
        await expect(symbols).to_have_text(["ETHUSDT"])
        await asyncio.sleep(2.5)  # A renewal.
        await expect(symbols).to_have_text(["ETHUSDT"])
        assert seen.complaints == []
