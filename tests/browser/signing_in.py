"""Signing in on the page, as a person does."""

from __future__ import annotations

from tests.browser.chromium import Tab
from tests.support.people import PASSWORD


async def sign_in(tab: Tab, url: str, name: str = "Ada Lovelace", password: str = PASSWORD) -> None:
    """Fill in the form and wait for the desk."""
    await tab.do("Page.navigate", url=url)
    await tab.until("document.querySelector('input[name=password]')")
    await tab.fill("input[name=name]", name)
    await tab.fill("input[name=password]", password)
    await tab.click("form button")
    await tab.until("document.querySelector('#hold') && window.htmx")
