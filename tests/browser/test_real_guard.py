"""The button in a real browser, on a real guard, with a real book behind it: nothing on this path is a double."""

from __future__ import annotations

import shutil
from pathlib import Path

import ccxt
import pytest

from proxy.demo.bot import connect
from proxy.demo.world import World

websockets = pytest.importorskip("websockets", reason="drives Chromium over a WebSocket")
from tests.browser.chromium import open_tab  # noqa: E402 - needs the package above

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

POLICY = Path(__file__).parents[2] / "configs" / "policies" / "demo.toml"


async def test_holding_the_button_ends_flat_and_rearming_lets_the_bot_trade_again(tmp_path: Path) -> None:
    with World(tmp_path / "guard", POLICY, scenario="flat") as world:
        bot = connect(world.places.gate, world.guard_key.key, world.guard_key.secret)
        bot.load_markets()
        bot.create_order("BTC/USDT:USDT", "market", "buy", 0.1)
        bot.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, 80_000)
        with pytest.raises(ccxt.InvalidOrder):
            bot.create_order("BTC/USDT:USDT", "market", "buy", 5)

        async with open_tab(tmp_path / "profile") as tab:
            await tab.screen(1360, 900)
            await tab.do("Page.navigate", url=world.places.console)
            await tab.until("document.querySelector('input[name=token]')")
            await tab.fill("input[name=name]", "Grace Hopper")
            await tab.fill("input[name=token]", world.control_token.reveal())
            await tab.click("form button")
            await tab.until("document.querySelector('#desk')?.innerText.includes('BTCUSDT')")
            await tab.until("document.querySelector('#blocked-rows').innerText.includes('ORDER_VALUE_ABOVE_LIMIT')")

            x, y = await tab.middle_of("#hold")
            await tab.mouse("mousePressed", x, y)
            await tab.until("document.querySelector('#stop-answer').innerText.includes('Trading is blocked')")
            await tab.mouse("mouseReleased", x, y)
            with pytest.raises(ccxt.PermissionDenied):
                bot.create_order("BTC/USDT:USDT", "market", "buy", 0.001)
            await tab.until("document.querySelector('#kill-progress').innerText.includes('Flat in')", seconds=40)
            await tab.until("!document.querySelector('#desk').innerText.includes('BTCUSDT')")
            assert tab.complaints() == []

        direct = connect(world.places.exchange, world.exchange_key, world.exchange_secret)
        assert direct.fapiPrivateGetOpenOrders() == []
        assert all(float(row["positionAmt"]) == 0 for row in direct.fapiPrivateV3GetPositionRisk())
        report = world.ask("GET", "/control/kill")["kill"]
        assert (report["by"], report["flat"], len(report["accounts"][0]["read_backs"])) == ("Grace Hopper", True, 3)
        world.ask(
            "POST",
            "/control/rearm",
            {"scope": "desk", "name": "Grace Hopper", "reason": "the rehearsal is over", "typed": "desk"},
        )
        assert bot.create_order("BTC/USDT:USDT", "market", "buy", 0.1)["status"] == "closed"
