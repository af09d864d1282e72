"""Whatever strings the desk holds: on every page they are text. No script runs, no dialog, nothing is refused."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="drives Chromium")
from proxy.console.nav import NAV
from tests.browser.browsing import PHONE, open_page, serving, sign_in
from tests.proxy.console.desk_double import DeskDouble
from tests.proxy.console.test_pages import CORPUS, fill
from tests.support.people import a_console

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

TOGETHER = " ".join(CORPUS[:-2])
"""In one text, so that a page is opened once for all of them; the last two are cut or replaced where they are shown."""


async def test_stored_text_runs_nowhere(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with serving(a_console(desk, tmp_path)) as url, open_page(PHONE) as seen:
        page = seen.page
        await sign_in(page, url)
        await page.add_init_script("window.alert = () => console.error('a script ran')")
        for text in (TOGETHER, CORPUS[-2], CORPUS[-1]):
            fill(desk, text)
            for entry in NAV:
                await page.goto(url + entry.path)
                await page.wait_for_function("window.htmx")
                await asyncio.sleep(0.1)
                if entry.path == "/" and text == TOGETHER:
                    await page.wait_for_selector("#blocked-rows table")
                    texts = await page.locator("#blocked-rows tbody").all_text_contents()
                    assert text in texts[0], "shown as it is"
        assert seen.complaints == []
