"""Every page of the console in both sizes and colour schemes: accessible, silent, nothing sideways, the stop in reach.

A page joins by its row in NAV.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="drives Chromium")
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from proxy.console.nav import NAV, STOP_PAGE, WITH_BUTTON
from tests.browser.browsing import DESKTOP, PHONE, open_page, photograph, schemes, serving, shots, sign_in
from tests.proxy.console.desk_double import DeskDouble, a_rearm
from tests.support.people import a_console

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

PROOF = int(os.environ.get("PERPGUARD_PROOF", "1"))
SCHEMES = [
    pytest.param(name, size, dark, id=name)
    for name, size, dark in schemes()
    if PROOF > 1 or name in ("desktop-light", "phone-dark")  # Each size and each scheme once; the proof crosses them.
]
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"


async def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out, with the elements concerned."""
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{page.url} {each['id']}: {node['html']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "size", "dark"), SCHEMES)
async def test_every_page_is_accessible_and_silent(
    scheme: str, size: tuple[int, int], dark: bool, tmp_path: Path
) -> None:
    desk = DeskDouble()
    desk.scopes["desk"] = a_rearm()
    app = a_console(desk, tmp_path)
    async with serving(app) as url, open_page(size, dark=dark, touch=size == PHONE) as seen:
        page, troubles = seen.page, list[str]()
        await page.goto(url)
        troubles += await serious(page)
        await photograph(page, shots(tmp_path) / f"sign-in-{scheme}.png")
        await sign_in(page, url)
        for entry in NAV:
            await page.goto(url + entry.path)
            await page.wait_for_function("window.htmx")
            await asyncio.sleep(0.3)  # What a page fetches as it comes up.
            troubles += await serious(page)
            if await page.evaluate(SIDEWAYS):
                troubles.append(f"{entry.path} scrolls sideways")
            current = await page.locator("nav a[aria-current=page]:visible, details.menu a[aria-current=page]").all()
            if [await each.get_attribute("href") for each in current][:1] != [entry.path]:
                troubles.append(f"{entry.path} does not say where it is")
            stop = page.locator(f".halt[href='{STOP_PAGE}']:visible, #hold:visible")
            if await stop.count() == 0:
                troubles.append(f"{entry.path} has no stop in reach")
            await photograph(page, shots(tmp_path) / f"{entry.path.strip('/') or 'overview'}-{scheme}.png")
        assert troubles == []
        assert seen.complaints == []


async def test_the_frame_works_by_keyboard_alone(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with serving(a_console(desk, tmp_path)) as url, open_page(DESKTOP) as seen:
        page = seen.page
        await sign_in(page, url)
        await page.goto(f"{url}/signals")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.innerText") == "Skip to content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"

        await page.goto(f"{url}/signals")
        await page.locator(".rail nav a").nth(1).focus()
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        await page.keyboard.press("Tab")
        assert await page.evaluate(outline) == "solid", "where the focus is can be seen"

        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await page.locator(".menu summary").focus()
        await page.keyboard.press("Enter")
        await page.locator(".menu a", has_text="Drills").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/drills")
        assert seen.complaints == []


def test_no_page_but_those_with_the_button_is_without_a_way_to_it() -> None:
    paths = [entry.path for entry in NAV]
    assert len(paths) == len(set(paths))
    assert STOP_PAGE.split("#")[0] in WITH_BUTTON
