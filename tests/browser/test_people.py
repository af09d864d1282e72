"""Coming in by a link, an authenticator app and all, and letting somebody else in: in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from pydantic import SecretStr

from proxy.clock import utc_now
from proxy.console.app import create_console
from proxy.people.changes import with_first_link
from proxy.people.file import PeopleFile
from proxy.people.users import digest_of
from proxy.settings import CodesFor
from tests.browser.browsing import DESKTOP, PHONE, open_page, photograph, serving, shots, sign_in
from tests.browser.test_frame import serious
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.support.people import PASSWORD, a_console, a_register, code_of

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]


async def come_in(page: Page, link: str, *, name: str = "", with_app: bool) -> None:
    await page.goto(link)
    if name:
        await page.fill("input[name=name]", name)
    await page.fill("input[name=password]", PASSWORD)
    await page.fill("input[name=again]", PASSWORD)
    if with_app:
        await page.fill("input[name=code]", code_of(await page.content()))


async def test_the_first_admin_comes_in_and_lets_a_trader_in(tmp_path: Path) -> None:
    desk = DeskDouble()
    PeopleFile(tmp_path).change(lambda people: with_first_link(people, digest_of("first"), utc_now()))
    register = a_register(tmp_path, utc_now, CodesFor.RISK)
    app = create_console(desk, desk, token=SecretStr(TOKEN), people=register)
    async with (
        serving(app) as url,
        open_page(DESKTOP) as ada,
        open_page(PHONE, dark=True, touch=True) as ben,
    ):
        await come_in(ada.page, f"{url}/welcome/first", name="Ada Lovelace", with_app=True)
        await photograph(ada.page, shots(tmp_path) / "welcome.png")
        troubles = await serious(ada.page)
        await ada.page.click("form button")
        await ada.page.wait_for_selector("main#main")

        await ada.page.goto(f"{url}/people")
        await ada.page.wait_for_function("window.htmx")
        await ada.page.fill("#invite-form input[name=name]", "Ben")
        await ada.page.select_option("#invite-form select", "trader")
        await ada.page.fill("#invite-form input[name=proof]", PASSWORD)
        await ada.page.click("#invite-form button")
        link = await ada.page.inner_text("#link")

        await come_in(ben.page, link, with_app=False)
        await photograph(ben.page, shots(tmp_path) / "welcome-phone.png")
        troubles += await serious(ben.page)
        await ben.page.click("form button")
        await ben.page.wait_for_selector("main#main")
        assert await ben.page.locator("a[href='/people']").count() == 0, "what is not his is not shown"

        await ada.page.goto(f"{url}/people")
        await ada.page.wait_for_function("window.htmx")
        await ada.page.select_option("#way-form select", "Ben")
        await ada.page.fill("#way-form input[name=proof]", PASSWORD)
        await ada.page.click("#way-form button:has-text('Disable')")
        await ada.page.wait_for_selector("#way-answer .good")
        # His open page asks again by itself: to go somewhere before it has left would race it.
        await expect(ben.page).to_have_url(f"{url}/sign-in")
        assert all("status of 401" in refused for refused in ben.complaints), "its parts are refused, nothing else"
        ben.complaints.clear()
        await ben.page.goto(f"{url}/")
        assert ben.page.url == f"{url}/sign-in"
        assert troubles == []
        assert ada.complaints == ben.complaints == []


async def test_a_person_signs_in_with_the_keyboard_alone(tmp_path: Path) -> None:
    async with serving(a_console(DeskDouble(), tmp_path)) as url, open_page(DESKTOP) as seen:
        await seen.page.goto(f"{url}/sign-in")
        await seen.page.keyboard.type("Vic")
        for text in (PASSWORD, ""):
            await seen.page.keyboard.press("Tab")
            await seen.page.keyboard.type(text)
        await seen.page.keyboard.press("Enter")
        await seen.page.wait_for_selector("main#main")
        await sign_in(seen.page, url)
        assert seen.complaints == []
