"""The console in a real browser: sign in, hold the button, watch the desk go flat, and no complaint in its log."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uvicorn
from fastapi import FastAPI

from proxy.kill.press_plane import Kill, Pressed
from proxy.kill.report import StepTaken
from tests.proxy.console.desk_double import DeskDouble, a_desk, an_account
from tests.support.kills import a_kill, an_account_kill
from tests.support.people import PASSWORD, a_console

websockets = pytest.importorskip("websockets", reason="drives Chromium over a WebSocket")
from tests.browser.chromium import Tab, open_tab  # noqa: E402 - needs the package above
from tests.browser.signing_in import sign_in  # noqa: E402

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

PHASES = ("KEYS_DISABLED", "CANCELLING", "FLATTENING", "VERIFYING", "FLAT")


class LiveDesk(DeskDouble):
    """Goes flat within three seconds of a press."""

    async def kill(self, *, scope: str, by: str, reason: str) -> Pressed:
        answer = await super().kill(scope=scope, by=by, reason=reason)
        self._pressed = asyncio.get_running_loop().time()
        self._words = {"scope": scope, "by": by, "reason": reason}
        return answer

    async def kill_progress(self) -> Kill | None:
        if not self.kills:
            return None
        elapsed = asyncio.get_running_loop().time() - self._pressed
        phase = PHASES[min(int(elapsed / 0.6), len(PHASES) - 1)]
        flat = phase == "FLAT"
        if flat:
            halted = an_account(state="HALTED", fence_engaged=True, positions=(), open_orders=0, conditional_orders=0)
            self.view = a_desk(state="HALTED", accounts=(halted,))
        account = an_account_kill(
            phase,
            steps=(StepTaken(at=datetime.now(UTC), what="entries blocked"),),
            read_backs=(datetime.now(UTC),) * (3 if flat else 1),
            left=() if flat else ("BTCUSDT/LONG 0.250",),
        )
        return a_kill(account, running=not flat, flat=flat, flat_ms=2400.0 if flat else None, **self._words)


@asynccontextmanager
async def serving(plane: DeskDouble) -> AsyncIterator[str]:
    with TemporaryDirectory() as data_dir:
        async with answering(a_console(plane, Path(data_dir))) as url:
            yield url


@asynccontextmanager
async def answering(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True


def shots(tmp_path: Path) -> Path:
    """Where pictures go: PERPGUARD_SHOTS keeps them."""
    folder = Path(os.environ.get("PERPGUARD_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def test_a_held_button_takes_the_desk_to_flat(tmp_path: Path) -> None:
    desk = LiveDesk()
    async with serving(desk) as url, open_tab(tmp_path / "profile") as tab:
        await tab.screen(1360, 900)
        await sign_in(tab, url)
        await tab.until("document.querySelector('#blocked-rows table')")
        assert "BTCUSDT" in await tab.evaluate("document.querySelector('#desk').innerText")
        await tab.photograph(shots(tmp_path) / "desk-light.png")

        x, y = await tab.middle_of("#hold")
        await tab.mouse("mousePressed", x, y)
        await asyncio.sleep(0.6)
        await tab.photograph(shots(tmp_path) / "holding.png")
        await tab.mouse("mouseReleased", x, y)
        assert "nothing was stopped" in await tab.evaluate("document.querySelector('#hold-hint').textContent")
        assert desk.kills == []

        await tab.mouse("mousePressed", x, y)
        await tab.until("document.querySelector('#stop-answer').innerText.includes('Trading is blocked')")
        await tab.mouse("mouseReleased", x, y)
        assert desk.kills == [{"scope": "desk", "by": "Ada Lovelace", "reason": "held the button on the console"}]
        await tab.until("document.querySelector('#kill-progress').innerText.includes('Running')")
        await tab.photograph(shots(tmp_path) / "running.png")
        await tab.until("document.querySelector('#kill-progress').innerText.includes('Flat in 2.4 s')")
        await tab.until("document.querySelector('.glance').innerText.includes('HALTED')")
        await tab.photograph(shots(tmp_path) / "flat.png")
        assert len(desk.kills) == 1
        assert tab.complaints() == []


async def test_the_keyboard_holds_too_and_a_tap_does_nothing(tmp_path: Path) -> None:
    desk = LiveDesk()
    async with serving(desk) as url, open_tab(tmp_path / "profile") as tab:
        await tab.screen(390, 844, dark=True, phone=True)
        await sign_in(tab, url)
        await tab.until("document.querySelector('#blocked-rows table')")
        await tab.photograph(shots(tmp_path) / "phone-dark.png")
        _, y = await tab.middle_of("#hold")
        assert y > 844 * 0.7, "the button lies where a thumb is"
        assert not await tab.evaluate("document.documentElement.scrollWidth > innerWidth"), "no sideways scrolling"

        await tab.evaluate("document.querySelector('#stop-form input[name=reason]').focus()")
        await tab.key("keyDown", "Enter")
        await tab.key("keyUp", "Enter")
        await tab.evaluate("document.querySelector('#hold').focus()")
        await tab.key("keyDown", "Enter")
        await asyncio.sleep(0.3)
        await tab.key("keyUp", "Enter")
        await asyncio.sleep(1.6)
        assert desk.kills == []

        await tab.key("keyDown", " ")
        for _ in range(18):
            await asyncio.sleep(0.1)
            await tab.key("keyDown", " ", repeat=True)
        await tab.key("keyUp", " ")
        await tab.until("document.querySelector('#kill-progress').innerText.includes('Flat in 2.4 s')")
        assert len(desk.kills) == 1
        assert tab.complaints() == []


async def test_a_decision_is_read_in_the_dark(tmp_path: Path) -> None:
    desk = LiveDesk()
    async with serving(desk) as url, open_tab(tmp_path / "profile") as tab:
        await tab.screen(1360, 1000, dark=True)
        await sign_in(tab, url)
        await tab.until("document.querySelector('#blocked-rows button')")
        await tab.click("#blocked-rows button")
        await tab.until("document.querySelector('#decision').innerText.includes('DENY')")
        assert tab.complaints() == []


async def ask(tab: Tab, form: str, **texts: str) -> None:
    for name, text in texts.items():
        await tab.fill(f"#{form} input[name={name}]", text)
    await tab.click(f"#{form} button")


async def test_one_person_asks_and_another_approves_in_the_dark(tmp_path: Path) -> None:
    desk = LiveDesk()
    typed = {"reason": "the feed is repaired", "typed": "desk", "proof": PASSWORD}
    async with (
        serving(desk) as url,
        open_tab(tmp_path / "ada") as tab,
        open_tab(tmp_path / "ben") as other,
    ):
        await tab.screen(1360, 1000, dark=True)
        await sign_in(tab, url)
        await tab.click("a[href='/rearm']")
        await tab.until("document.querySelector('#rearming')?.innerText.includes('the stream of main is stale')")
        await ask(tab, "ask-form", name="Ada Lovelace", policy="a1b2c3d4e5f60718", **typed)
        await tab.until("document.querySelector('#ask-answer').innerText.includes('is asked for')")
        await tab.until("document.querySelector('#rearming .countdown')?.innerText.includes('15 min')")
        assert await tab.evaluate("document.querySelector('#ask-form input[name=proof]').value") == ""
        await tab.photograph(shots(tmp_path) / "rearm-dark.png")

        await other.screen(390, 844, phone=True)
        await sign_in(other, url, name="Ben")
        await other.do("Page.navigate", url=f"{url}/rearm")
        await other.until("document.querySelector('#approve-form') && window.htmx")
        assert not await other.evaluate("document.documentElement.scrollWidth > innerWidth"), "no sideways scrolling"
        await ask(other, "approve-form", name="Ben", **typed)
        await other.until("document.querySelector('#approve-answer').innerText.includes('reduce-only for now')")
        await tab.until("document.querySelector('[data-scope=desk]').dataset.stage == 'REDUCING'")
        assert [(each["what"], each["name"]) for each in desk.rearms] == [
            ("request", "Ada Lovelace"),
            ("approve", "Ben"),
        ]
        assert tab.complaints() == other.complaints() == []


async def test_a_drill_is_begun_from_its_page(tmp_path: Path) -> None:
    desk = LiveDesk()
    async with serving(desk) as url, open_tab(tmp_path / "profile") as tab:
        await tab.screen(1360, 900)
        await sign_in(tab, url)
        await tab.click("a[href='/drills']")
        await tab.until("document.querySelector('#drills table')?.innerText.includes('12.50') && window.htmx")
        await tab.click("#drill-form button")
        await tab.until("document.querySelector('#drill-answer').innerText.includes('The drill runs')")
        await tab.until("document.querySelector('#drills').innerText.includes('the button is pressed')")
        await tab.photograph(shots(tmp_path) / "drill.png")
        await tab.click("#drills table a")
        await tab.until("document.querySelector('#report-title')")
        assert desk.drilled == [{"kind": "practice", "by": "Ada Lovelace"}]
        assert tab.complaints() == []


async def test_the_signals_are_read_on_a_phone_in_the_dark_and_on_a_desk_by_day(tmp_path: Path) -> None:
    desk = LiveDesk()
    async with serving(desk) as url, open_tab(tmp_path / "profile") as tab:
        await tab.screen(1360, 1400)
        await sign_in(tab, url)
        await tab.click("a[href='/signals']")
        await tab.until("document.querySelectorAll('svg.reliability').length == 3")
        frame = "document.querySelector('svg.reliability circle').getBoundingClientRect().width"
        assert await tab.evaluate(frame) > 4, "a dot that can be seen"
        fills = "getComputedStyle(document.querySelector('svg.reliability circle')).fill"
        by_day = await tab.evaluate(fills)
        await tab.photograph(shots(tmp_path) / "signals-light.png")

        await tab.screen(390, 844, dark=True, phone=True)
        await tab.until("matchMedia('(prefers-color-scheme: dark)').matches")
        assert not await tab.evaluate("document.documentElement.scrollWidth > innerWidth"), "no sideways scrolling"
        assert await tab.evaluate(fills) != by_day
        await tab.photograph(shots(tmp_path) / "signals-phone-dark.png")
        await tab.evaluate("document.querySelector('#records-title').scrollIntoView()")
        await tab.photograph(shots(tmp_path) / "signals-phone-records.png")
        assert "No prediction." in await tab.evaluate("document.body.innerText")
        assert tab.complaints() == []
