"""Back from the button, in real browsers on a real guard: two people, a ramp; and a drill from its page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ccxt
import pytest

from proxy.practice.client import connect
from proxy.practice.world import World

websockets = pytest.importorskip("websockets", reason="drives Chromium over a WebSocket")
from tests.browser.chromium import Tab, open_tab  # noqa: E402 - needs the package above
from tests.browser.signing_in import sign_in  # noqa: E402
from tests.browser.test_console import ask, shots  # noqa: E402
from tests.support.people import PASSWORD, person_at  # noqa: E402
from tests.support.policies import a_policy, a_rule  # noqa: E402

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

POLICY = (
    a_policy(a_rule("desk.max_order_value", limit=4_000))
    + '\n[kill.rearm]\nneeds = "two-people"\nreduce_only_s = 15\nramp_s = 15\nramp_start = 0.25\n'
)
BTC = "BTC/USDT:USDT"


async def come_in(tab: Tab, world: World, name: str) -> None:
    await tab.screen(1360, 1000)
    await sign_in(tab, world.places.console, name, person_at(world, name))


async def test_press_flat_two_people_reduce_only_ramp_and_whole_again(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    with World(tmp_path / "guard", policy, scenario="flat", balance=100_000) as world:
        bot = connect(world.places.gate, world.guard_key.key, world.guard_key.secret)
        bot.load_markets()
        bot.create_order(BTC, "market", "buy", 0.04)
        async with open_tab(tmp_path / "ada") as ada, open_tab(tmp_path / "ben") as ben:
            await come_in(ada, world, "Ada Lovelace")
            await come_in(ben, world, "Ben Bitdiddle")
            await press_until_flat(ada)
            await ada.do("Page.navigate", url=world.places.console.rstrip("/") + "/rearm")
            await ada.until("document.querySelectorAll('[data-scope=desk] .checks .holds').length >= 7", seconds=40)
            await ada.until("!document.querySelector('[data-scope=desk] .checks .lacks') && window.htmx", seconds=40)
            typed = {"reason": "looked at the loop", "typed": "desk", "proof": PASSWORD}
            digest = await ada.evaluate("document.querySelector('.digest').innerText")
            await ask(ada, "ask-form", name="Ada Lovelace", policy=digest, **typed)
            await ada.until("document.querySelector('#ask-answer').innerText.includes('Somebody else must approve')")
            await ask(ada, "approve-form", name="Ada Lovelace", **typed)
            await ada.until("document.querySelector('#approve-answer').innerText.includes('somebody else must')")
            refuses(bot, 0.002, ccxt.PermissionDenied)

            await ben.do("Page.navigate", url=world.places.console.rstrip("/") + "/rearm")
            await ben.until("document.querySelector('[data-stage=REQUESTED]') && window.htmx")
            await ben.photograph(shots(tmp_path) / "asked-for.png")
            await ask(ben, "approve-form", name="Ben Bitdiddle", **typed)
            await ben.until("document.querySelector('#approve-answer').innerText.includes('reduce-only for now')")
            await ada.until("document.querySelector('[data-stage=REDUCING]')?.innerText.includes('Reduce-only for')")
            refuses(bot, 0.002, ccxt.ExchangeError)
            await ada.until("document.querySelector('[data-stage=RAMPING] progress')?.value >= 0.25", seconds=40)
            await ada.photograph(shots(tmp_path) / "ramping.png")
            bot.create_order(BTC, "market", "buy", 0.002)
            refuses(bot, 0.04, ccxt.InvalidOrder)
            await ada.until("document.querySelector('#rearming').innerText.includes('Nothing is stopped')", seconds=40)
            bot.create_order(BTC, "market", "buy", 0.04)
            # The refusal of her own approval is a 409, which the browser notes as a failed load.
            assert [line for line in ada.complaints() if "409" not in line] == ben.complaints() == []

            await drill(ben, world)
            assert ben.complaints() == []


async def press_until_flat(tab: Tab) -> None:
    x, y = await tab.middle_of("#hold")
    await tab.mouse("mousePressed", x, y)
    await tab.until("document.querySelector('#stop-answer').innerText.includes('Trading is blocked')")
    await tab.mouse("mouseReleased", x, y)
    await tab.until("document.querySelector('#kill-progress').innerText.includes('Flat in')", seconds=60)


def refuses(bot: Any, quantity: float, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        bot.create_order(BTC, "market", "buy", quantity)


async def drill(tab: Tab, world: World) -> None:
    """From its page, on a copy of the book that has just been bought; nobody is stopped by it."""
    await tab.do("Page.navigate", url=world.places.console.rstrip("/") + "/drills")
    await tab.until("document.querySelector('#drill-form') && window.htmx")
    await tab.click("#drill-form button")
    await tab.until("document.querySelector('#drills').innerText.includes('Running')", seconds=20)
    await tab.until("document.querySelector('#drills').innerText.includes('the button is pressed')", seconds=90)
    await tab.until("document.querySelector('#drills .badge')?.innerText.toLowerCase() == 'passed'", seconds=120)
    await tab.click("#drills table a")
    await tab.until("document.querySelector('#report-title')")
    desk = world.ask("GET", "/api/desk")
    assert (desk["state"], desk["drill"]["kind"], desk["drill"]["passed"]) == ("ACTIVE", "practice", True)
