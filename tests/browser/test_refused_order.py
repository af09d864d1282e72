"""The whole walk on a real guard: a refused order, a size that would pass, the button, the certificate, two people who
let the account come back. Nothing is a double."""

from __future__ import annotations

import shutil
from pathlib import Path

import ccxt
import pytest

pytest.importorskip("playwright", reason="drives Chromium")
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from proxy.practice.client import connect
from proxy.practice.world import ACCOUNT, World
from tests.browser.browsing import DESKTOP, PHONE, open_page, photograph, shots
from tests.support.people import person_at

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

DEMO = Path(__file__).parents[2] / "configs" / "policies" / "demo.toml"
NAME, OTHER = "Grace Hopper", "Ada Lovelace"
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"
HELD_MS = 1800
REARM = '\n[kill.rearm]\nneeds = "two-people"\nreduce_only_s = 5\nramp_s = 1\nramp_start = 1\n'


async def test_from_a_refusal_to_a_size_that_passes_and_from_the_preview_to_the_certificate(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(DEMO.read_text() + REARM)
    with World(tmp_path / "guard", policy, scenario="flat") as world:
        password = person_at(world, NAME)
        bot = connect(world.places.gate, world.guard_key.key, world.guard_key.secret)
        bot.load_markets()
        bot.create_order("BTC/USDT:USDT", "market", "buy", 0.1)
        bot.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, 80_000)
        with pytest.raises(ccxt.InvalidOrder):
            bot.create_order("BTC/USDT:USDT", "market", "buy", 5)
        base = world.places.console.rstrip("/")

        async with open_page(DESKTOP) as seen:
            await enter(seen.page, base, password)
            await drill_into_the_refusal(seen.page, base, shots(tmp_path))
            assert seen.complaints == []
        async with open_page(PHONE, dark=True, touch=True) as seen:
            await enter(seen.page, base, password)
            await press_by_keyboard(seen.page, base, shots(tmp_path))
            assert seen.complaints == []
        async with open_page(DESKTOP) as first, open_page(PHONE, touch=True) as second:
            await enter(first.page, base, password)
            await enter(second.page, base, person_at(world, OTHER), OTHER)
            await come_back_by_two(first.page, second.page, base, password, shots(tmp_path))
            assert first.complaints == second.complaints == []

        direct = connect(world.places.exchange, world.exchange_key, world.exchange_secret)
        assert direct.fapiPrivateGetOpenOrders() == []
        assert all(float(row["positionAmt"]) == 0 for row in direct.fapiPrivateV3GetPositionRisk())
        report = world.ask("GET", "/control/kill")["kill"]
        assert (report["by"], report["scope"], report["flat"]) == (NAME, f"account:{ACCOUNT}", True)


async def enter(page: Page, base: str, password: str, name: str = NAME) -> None:
    """Sign in."""
    await page.goto(f"{base}/sign-in")
    await page.fill("input[name=name]", name)
    await page.fill("input[name=password]", password)
    await page.click("form button")
    await page.wait_for_selector("main#main")


async def drill_into_the_refusal(page: Page, base: str, folder: Path) -> None:
    """Filter, open, try the largest size that would have passed, go back to the filter; look at the policy."""
    for _ in range(100):  # The record is a moment behind the answer.
        await page.goto(f"{base}/blocked")
        if await page.locator("#refusals table").count():
            break
    await page.fill("input[name=code]", "ORDER_VALUE_ABOVE_LIMIT")
    await page.fill("input[name=symbol]", "BTCUSDT")
    await page.click("#filter-form button")
    assert "code=ORDER_VALUE_ABOVE_LIMIT" in page.url
    await look(page, folder / "blocked.png")
    await page.click("#refusals td[data-label=Order] a")

    await expect(page.locator(".verdict .badge").first).to_have_text("Refused")
    await expect(page.locator("tr.denied", has_text="max_order_value").first).to_be_visible()
    await expect(page.locator("tr.passed", has_text="trading_state").first).to_be_visible()
    await look(page, folder / "decision.png")
    await page.click(".what-if-form button")  # The form offers the largest size.
    await expect(page.locator("#what-if .badge").first).to_have_text("Allowed")
    await look(page, folder / "what-if.png")
    await page.fill(".what-if-form input[name=quantity]", "5")
    await page.click(".what-if-form button")
    await expect(page.locator("#what-if .badge").first).to_have_text("Refused")

    for _ in range(3):
        await page.go_back()
    assert "code=ORDER_VALUE_ABOVE_LIMIT" in page.url
    assert await page.input_value("input[name=code]") == "ORDER_VALUE_ABOVE_LIMIT"

    await page.goto(f"{base}/policy")
    await expect(page.locator("#hindsight")).to_contain_text("max_order_value")
    await page.fill("#policy-text", (await page.input_value("#policy-text")).replace("25000", "50000"))
    await page.click("#text-form button")
    await expect(page.locator("#compared")).to_contain_text("Loosened: 1")
    await look(page, folder / "policy.png")


async def press_by_keyboard(page: Page, base: str, folder: Path) -> None:
    """See what lies ahead, hold the space bar, watch it become flat, open the certificate. No pointer is used."""
    await page.goto(f"{base}/kill?scope=account:{ACCOUNT}")
    ahead = page.locator("#kill-preview")
    await expect(ahead).to_contain_text("BTCUSDT")
    await expect(ahead).to_contain_text("BUY 0.01 BTCUSDT LIMIT @ 80,000")
    await expect(ahead).to_contain_text("books read")
    assert "not read" not in await ahead.inner_text()
    await look(page, folder / "kill.png")
    await page.focus("#hold")
    await page.keyboard.down(" ")
    await page.wait_for_timeout(HELD_MS)
    await page.keyboard.up(" ")
    await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked")
    await expect(page.locator("#kill-progress")).to_contain_text("Flat in", timeout=40_000)
    await look(page, folder / "kill-flat.png")
    await page.focus("#kill-progress .certified a")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Flat certificate")


async def come_back_by_two(first: Page, second: Page, base: str, password: str, folder: Path) -> None:
    """What must hold is looked at, one asks, the other approves; then reduce-only, and at last as before."""
    scope = f"account:{ACCOUNT}"
    typed = {"reason": "looked at the loop", "typed": scope, "proof": password}
    await first.goto(f"{base}/rearm")
    card = first.locator(f'[data-scope="{scope}"]')
    await expect(card.locator(".checks .holds").nth(6)).to_be_visible(timeout=40_000)
    await expect(card.locator(".checks .lacks")).to_have_count(0, timeout=40_000)
    digest = await card.locator(".digest").inner_text()
    await fill_in(first, "ask-form", name=NAME, policy=digest, **typed)
    await expect(first.locator("#ask-answer")).to_contain_text("Somebody else must approve")

    await second.goto(f"{base}/rearm")
    await expect(second.locator("[data-stage=REQUESTED]")).to_contain_text(NAME)
    await look(second, folder / "asked-for.png")
    await fill_in(second, "approve-form", name=OTHER, **typed)
    await expect(second.locator("#approve-answer")).to_contain_text("reduce-only for now")
    await expect(first.locator("#rearming")).to_contain_text("Nothing is stopped", timeout=40_000)
    await look(first, folder / "back.png")


async def fill_in(page: Page, form: str, **texts: str) -> None:
    for name, text in texts.items():
        await page.fill(f"#{form} input[name={name}]", text)
    await page.click(f"#{form} button")


async def look(page: Page, picture: Path) -> None:
    """Nothing keeps anybody out, and nothing scrolls sideways."""
    found = (await Axe().run(page)).response["violations"]
    serious = [
        f"{each['id']}: {node['html']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert serious == []
    assert not await page.evaluate(SIDEWAYS), page.url
    await photograph(page, picture)
