"""Takes the README's pictures of the console: ``python -m tests.browser.pictures``.

What they show is real: a guard on the practice exchange with two bots, a book, refusals, and a press that ends flat.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any, Final

import ccxt
from playwright.async_api import Page, expect

from proxy.practice.client import connect
from proxy.practice.world import World
from tests.browser.browsing import PHONE, open_page, sign_in
from tests.support.people import person_at

ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = ROOT / "docs" / "pictures"
BYTES_MAX: Final = 150_000
_BOTS: Final = ("grid", "momentum")
_MORE: Final = """
[desk.exposure_limits]
enforcement = "enforce"
gross_equity = 3.5
same_direction_equity = 3
"""


async def main() -> None:
    """Start a guard, trade, take both pictures, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.toml"
        policy.write_text((ROOT / "configs" / "policies" / "demo.toml").read_text() + _MORE)
        with World(Path(folder) / "guard", policy, scenario="calm", balance=20_000, bots=_BOTS) as world:
            trade(world)
            drilled = world.command("drill", "--live", "--dry", "--by", "Ada Lovelace", "--json")
            if drilled.returncode != 0:
                raise SystemExit(drilled.stderr)
            password = person_at(world, "Ada Lovelace")
            await overview(world, password)
            await stop(world, password)


def trade(world: World) -> None:
    """A book on both sides with stops and resting orders, and three entries that are refused."""
    grid, momentum = (connect(world.places.gate, key.key, key.secret) for key in world.guard_keys.values())
    grid.load_markets()
    momentum.load_markets()
    momentum.create_order("BTC/USDT:USDT", "market", "buy", 0.25)
    stop = {"stopPrice": 60_000, "reduceOnly": True}
    momentum.create_order("BTC/USDT:USDT", "STOP_MARKET", "sell", 0.25, None, stop)
    grid.create_order("ETH/USDT:USDT", "market", "sell", 3)
    for step in range(3):
        price = float(grid.fetch_ticker("ETH/USDT:USDT")["last"])
        grid.create_order("ETH/USDT:USDT", "limit", "sell", 0.2, round(price * (1.01 + step / 100), 2))
    refused(grid, "ETH/USDT:USDT", "sell", 12)
    refused(momentum, "BTC/USDT:USDT", "buy", 0.3)
    refused(momentum, "SOL/USDT:USDT", "buy", 900)


def refused(bot: Any, symbol: str, side: str, quantity: float) -> None:
    """An entry that the policy does not let through."""
    with contextlib.suppress(ccxt.ExchangeError):
        bot.create_order(symbol, "market", side, quantity)
        raise SystemExit(f"{side} {quantity} {symbol} went through")


async def overview(world: World, password: str) -> None:
    """The overview on a desktop, by day."""
    async with open_page((1200, 720)) as seen:
        await sign_in(seen.page, world.places.console, password=password)
        await expect(seen.page.locator(".rail .live")).to_have_text("Live")
        await expect(seen.page.locator("#desk")).to_contain_text("ETHUSDT")
        await keep(seen.page, "overview.png")


async def stop(world: World, password: str) -> None:
    """A press on a phone, by night, once it is flat."""
    async with open_page(PHONE, dark=True, touch=True) as seen:
        page = seen.page
        await sign_in(page, world.places.console, password=password)
        await page.locator("#hold").focus()
        await page.keyboard.down("Enter")
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked")
        await page.keyboard.up("Enter")
        await expect(page.locator("#kill-progress")).to_contain_text("Flat in", timeout=60_000)
        await keep(page, "stop-on-a-phone.png")


async def keep(page: Page, name: str) -> None:
    """What is on the screen now."""
    PICTURES.mkdir(exist_ok=True)
    content = await page.screenshot()
    if len(content) > BYTES_MAX:
        raise SystemExit(f"{name} has {len(content)} bytes, more than {BYTES_MAX}")
    (PICTURES / name).write_bytes(content)


if __name__ == "__main__":
    asyncio.run(main())
