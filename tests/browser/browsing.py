"""A real Chromium for the tests, driven by Playwright. What the browser complains of is kept: a page must be silent."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from playwright.async_api import ConsoleMessage, Dialog, Page, async_playwright

from tests.browser.called_off import CALLED_OFF
from tests.support.people import PASSWORD

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: Final = (1360, 900)
PHONE: Final = (390, 844)

# Runs before the page's own scripts: the browser itself reports what its policy refused.
_WATCH: Final = (
    "addEventListener('securitypolicyviolation', e => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`))"
)


@dataclass
class Watched:
    """A page and everything the browser complained of: errors, warnings, refused content, dialogs."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Keep what comes."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        # A part that is being fetched while the page is left is called off; htmx calls that an error.
        if message.type in ("error", "warning") and not message.text.startswith(CALLED_OFF):
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


@asynccontextmanager
async def open_page(
    size: tuple[int, int] = DESKTOP, *, dark: bool = False, touch: bool = False
) -> AsyncIterator[Watched]:
    """A headless browser with a fresh profile and one blank page of that size and colour scheme."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        try:
            context = await browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                has_touch=touch,
                accept_downloads=True,
            )
            context.set_default_timeout(15_000)
            await context.add_init_script(_WATCH)
            watched = Watched(await context.new_page())
            watched.listen()
            yield watched
        finally:
            await browser.close()


async def sign_in(page: Page, url: str, *, name: str = "Ada Lovelace", password: str = PASSWORD) -> None:
    """From the form to the overview."""
    await page.goto(f"{url.rstrip('/')}/sign-in")
    await page.fill("input[name=name]", name)
    await page.fill("input[name=password]", password)
    await page.click("form button")
    await page.wait_for_selector("main#main")


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The console on a free port of the loopback; its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1)
    )
    served = asyncio.create_task(server.serve())
    while not server.started and not served.done():
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        app.state.events.close()
        server.should_exit = True
        await served


def shots(tmp_path: Path) -> Path:
    """Where pictures go: PERPGUARD_SHOTS keeps them."""
    folder = Path(os.environ.get("PERPGUARD_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def photograph(page: Page, path: Path) -> None:
    """A PNG of the whole page."""
    await page.screenshot(path=path, full_page=True)


def schemes() -> Iterator[tuple[str, tuple[int, int], bool]]:
    """Both sizes in both colour schemes: an id, the size, whether it is dark."""
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for dark in (False, True):
            yield f"{name}-{'dark' if dark else 'light'}", size, dark
