"""The button in a real browser, on a real guard, with a real book behind it: nothing on this path is a double."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import ccxt
import pytest

from proxy.people.roles import Role
from proxy.practice.client import connect
from proxy.practice.world import World

websockets = pytest.importorskip("websockets", reason="drives Chromium over a WebSocket")
from tests.browser.chromium import Tab, open_tab  # noqa: E402 - needs the package above
from tests.browser.signing_in import sign_in  # noqa: E402
from tests.browser.test_console import shots  # noqa: E402
from tests.support.people import person_at  # noqa: E402
from tests.support.rearming import QUICK, come_back  # noqa: E402
from tests.support.worlds import until_async  # noqa: E402

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

DEMO = Path(__file__).parents[2] / "configs" / "policies" / "demo.toml"


async def test_holding_the_button_ends_flat_and_rearming_lets_the_bot_trade_again(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(DEMO.read_text() + QUICK)
    with World(tmp_path / "guard", policy, scenario="flat") as world:
        bot = connect(world.places.gate, world.guard_key.key, world.guard_key.secret)
        bot.load_markets()
        bot.create_order("BTC/USDT:USDT", "market", "buy", 0.1)
        bot.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, 80_000)
        with pytest.raises(ccxt.InvalidOrder):
            bot.create_order("BTC/USDT:USDT", "market", "buy", 5)

        async with open_tab(tmp_path / "profile") as tab:
            await tab.screen(1360, 900)
            password = person_at(world, "Grace Hopper")
            person_at(world, "Ada Lovelace", Role.RISK)
            await sign_in(tab, world.places.console, "Grace Hopper", password)
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
            await check_certificate(tab, world, shots(tmp_path))
            assert tab.complaints() == []

        direct = connect(world.places.exchange, world.exchange_key, world.exchange_secret)
        assert direct.fapiPrivateGetOpenOrders() == []
        assert all(float(row["positionAmt"]) == 0 for row in direct.fapiPrivateV3GetPositionRisk())
        report = world.ask("GET", "/control/kill")["kill"]
        assert (report["by"], report["flat"], len(report["accounts"][0]["read_backs"])) == ("Grace Hopper", True, 3)
        come_back(world, "desk", "the rehearsal is over")
        assert bot.create_order("BTC/USDT:USDT", "market", "buy", 0.1)["status"] == "closed"


async def check_certificate(tab: Tab, world: World, folder: Path) -> None:
    """Open it from the kill's progress, print it, download it, and have the command line believe it, or not."""
    await tab.until("document.querySelector('#kill-progress .certified a')")
    await tab.click("#kill-progress .certified a")
    await tab.until("document.querySelector('h1')?.innerText === 'Flat certificate'")
    page = await tab.evaluate("document.querySelector('main').innerText")
    assert "Verified." in page and "Grace Hopper" in page and "CloseSent" in page
    await tab.photograph(folder / "certificate.png")

    await tab.do("Emulation.setEmulatedMedia", media="print")
    assert await tab.evaluate("getComputedStyle(document.querySelector('.rail')).display") == "none"
    assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    await tab.do("Emulation.setEmulatedMedia", media="")
    paper = base64.b64decode((await tab.do("Page.printToPDF", printBackground=True))["data"])
    assert paper.startswith(b"%PDF-") and len(paper) > 10_000
    (folder / "certificate.pdf").write_bytes(paper)
    await tab.evaluate("window.print = () => { window.printed = true; }")
    await tab.click("[data-print]")
    await tab.until("window.printed")

    downloads = folder / "downloads"
    await tab.do("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    await tab.click("#download")
    await until_async(lambda: list(downloads.glob("*.json")), "the file is downloaded")
    (file,) = downloads.glob("*.json")
    key = world.data_dir / "certificates" / "public.pem"
    words = ("certificate", "verify", str(file), "--public-key", str(key), "--require-flat", "--json")
    done = world.command(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["phase"] == "FLAT"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"Grace Hopper", b"Grace Hoppes", 1))
    assert world.command(*words).returncode == 1
    assert world.ask("GET", f"/api/certificates/{file.stem}")["certificate"]["by"] == "Grace Hopper"
