"""What a page says when answers fail, are late or never come, and what its button does then: in a real browser."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="drives Chromium")
from playwright.async_api import Page, Route, expect

from proxy.console import looking
from proxy.console.desk_views import DeskView
from proxy.console.history_plane import HistoryView
from proxy.console.plane import Blocked
from proxy.kill.press_plane import Kill, Pressed
from proxy.ledger.plane import LedgerView
from tests.browser.browsing import DESKTOP, open_page, serving, sign_in
from tests.proxy.console.desk_double import DeskDouble, HistoryDouble, LedgerDouble, a_rearm
from tests.support.alerts import an_alert
from tests.support.people import PASSWORD, a_console

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the Debian package chromium"),
]

UNKNOWN = "No answer: it is not known whether this was done."


class HungHistory(HistoryDouble):
    async def history(self) -> HistoryView:
        await self.desk.waits()
        return self.desk.history_view


class HungLedger(LedgerDouble):
    async def ledger(self, account: str | None, bot: str | None, symbol: str | None) -> LedgerView:
        await self.desk.waits()
        return self.desk.ledger_view


class HangingDesk(DeskDouble):
    """Its looks take ``hang_s``; a press takes no time."""

    hang_s = 0.0
    pressed_at = 0.0

    async def waits(self) -> None:
        await asyncio.sleep(self.hang_s)

    async def desk(self) -> DeskView:
        await self.waits()
        return self.view

    async def kill_progress(self) -> Kill | None:
        await self.waits()
        return self.job

    async def blocked(self, **asked: Any) -> Blocked:
        await self.waits()
        return await super().blocked(**asked)

    async def kill(self, **asked: str) -> Pressed:
        self.pressed_at = asyncio.get_running_loop().time()
        return await super().kill(**asked)

    @property
    def history(self) -> HungHistory:
        return HungHistory(self)

    @property
    def ledger(self) -> HungLedger:
        return HungLedger(self)


class SlowPress(DeskDouble):
    """Its presses take eight seconds."""

    async def kill(self, **asked: str) -> Pressed:
        await asyncio.sleep(8.0)
        return await super().kill(**asked)


@asynccontextmanager
async def on_the_desk(desk: DeskDouble, tmp_path: Path, path: str = "/") -> AsyncIterator[Page]:
    async with serving(a_console(desk, tmp_path)) as url, open_page(DESKTOP) as seen:
        await sign_in(seen.page, url)
        if path != "/":
            await seen.page.goto(url + path)
        await seen.page.wait_for_load_state("domcontentloaded")  # htmx listens by then.
        yield seen.page


async def hold(page: Page) -> None:
    box = await page.locator("#hold").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.wait_for_timeout(1700)
    await page.mouse.up()


def answers(status: int, media_type: str = "application/problem+json") -> Callable[[Route], Any]:
    return lambda route: route.fulfill(status=status, content_type=media_type, body="{}")


def lost(route: Route) -> Any:
    return route.abort()


async def hung(route: Route) -> None:
    await asyncio.sleep(3600.0)


async def test_a_tab_of_an_older_session_presses_with_the_new_one(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with on_the_desk(desk, tmp_path) as page:
        other = await page.context.new_page()
        await other.goto(page.url + "account")
        await other.fill("#password-form [name=proof]", PASSWORD)
        for field in ("password", "again"):
            await other.fill(f"#password-form [name={field}]", "another long password")
        await other.click("#password-form button")
        await other.wait_for_url("**/account")
        await page.bring_to_front()
        await expect(page.locator(".rail .live")).to_have_text("Live")
        await page.wait_for_timeout(2500)  # A look of the line, which hears that the session is over.
        await hold(page)
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked: desk")
        assert len(desk.kills) == 1
        await expect(page.locator(".rail .live")).to_have_text("Live")


async def test_a_page_that_does_not_renew_itself_keeps_what_is_typed_when_its_session_is_over(tmp_path: Path) -> None:
    async with on_the_desk(DeskDouble(), tmp_path, "/policy") as page:
        await page.fill("#policy-text", "half a policy")
        other = await page.context.new_page()
        await other.goto(page.url.replace("/policy", "/account"))
        await other.locator(".rail form button").click()
        await expect(page.locator("#over")).to_be_visible(timeout=10_000)
        await sign_in(other, page.url.replace("/policy", ""))
        await expect(page.locator("#over")).to_be_hidden(timeout=10_000)
        assert await page.input_value("#policy-text") == "half a policy"


@pytest.mark.parametrize("how", [lost, answers(500)], ids=["lost", "500"])
async def test_a_press_without_an_answer_is_not_taken_for_the_one_before(
    tmp_path: Path, how: Callable[[Route], Any]
) -> None:
    async with on_the_desk(DeskDouble(), tmp_path, "/kill") as page:
        said = page.locator("#stop-answer")
        await hold(page)
        await expect(said).to_contain_text("Trading is blocked: desk, after 12 ms, at ")
        await page.route("**/console/**", how)
        await page.select_option("#stop-scope", "bot:grid-1")
        await hold(page)
        await expect(said).to_contain_text(UNKNOWN)
        await expect(said).to_contain_text("perpguard kill")
        await expect(said).not_to_contain_text("blocked")
        await page.click("#reduce")
        await expect(said).to_contain_text(UNKNOWN)
        await page.locator("details.typed summary").click()
        await page.fill("#typed-form [name=typed]", "STOP")
        await page.click("#typed-form button")
        await expect(said).to_contain_text(UNKNOWN)


async def test_a_part_that_fails_says_so_while_the_others_go_on(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with on_the_desk(desk, tmp_path) as page:
        note = page.locator(".rail .live")
        await expect(note).to_have_text("Live")
        await page.route("**/partials/desk", answers(504))
        desk.view = replace(desk.view, state="HALTED")
        await expect(page.locator("#desk > .aged")).to_contain_text("Old: not renewed since")
        for _ in range(20):  # Other parts come meanwhile.
            assert await page.locator("#aged").is_visible()
            assert await note.inner_text() == "Partly old"
            assert not await page.locator("#lost").is_visible()
            await page.wait_for_timeout(150)
        await page.unroute_all()
        await expect(page.locator(".glance .badge")).to_have_text("HALTED", timeout=10_000)
        await expect(page.locator("#aged")).to_be_hidden()
        await expect(page.locator(".aged")).to_have_count(0)
        await expect(note).to_have_text("Live")


async def test_a_press_goes_before_looks_that_hang(tmp_path: Path) -> None:
    desk = HangingDesk()
    async with on_the_desk(desk, tmp_path) as page:
        await expect(page.locator(".rail .live")).to_have_text("Live")
        desk.hang_s = 30.0
        await page.wait_for_timeout(6500)
        await expect(page.locator("#desk")).to_contain_text("cannot be read")
        await expect(page.locator("#kill-progress")).to_contain_text("How far the stop is cannot be read")
        began = asyncio.get_running_loop().time()
        await hold(page)
        assert desk.pressed_at - began < 2.2, "one and a half of it is the hold"
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked", timeout=1500)


async def test_a_press_calls_off_what_holds_the_browsers_six_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("asking.READ_SECONDS_MAX", "looking.LOOK_SECONDS_MAX", "pages.LOOK_SECONDS_MAX"):
        monkeypatch.setattr(f"proxy.console.{name}", 20.0)
    monkeypatch.setattr(looking.progress_seen, "__defaults__", (20.0,))
    desk = HangingDesk()
    async with on_the_desk(desk, tmp_path) as page:
        await expect(page.locator(".rail .live")).to_have_text("Live")
        desk.hang_s = 20.0
        await expect(page.locator(".htmx-request")).to_have_count(5, timeout=10_000)
        began = asyncio.get_running_loop().time()
        await hold(page)
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked", timeout=1500)
        assert desk.pressed_at - began < 2.2, "one and a half of it is the hold"


async def test_the_button_presses_when_htmx_did_not_come(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with on_the_desk(desk, tmp_path) as page:
        await page.route("**/htmx.min.js", lost)
        await page.reload()
        await expect(page.locator("#bare")).to_be_visible()
        await page.fill("#stop-form [name=reason]", "fire")
        await hold(page)
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked: desk")
        assert [each["reason"] for each in desk.kills] == ["fire"]
        await page.route("**/console/kill", lost)
        await hold(page)
        await expect(page.locator("#hold-hint")).to_contain_text("it is not known whether it was done")


@pytest.mark.parametrize("script", ["uplot.min.js", "htmx.min.js", "live.js"])
async def test_the_button_waits_for_no_script_that_does_not_come(tmp_path: Path, script: str) -> None:
    desk = DeskDouble()
    async with on_the_desk(desk, tmp_path) as page:
        await page.route(f"**/static/{script}", hung)
        await page.goto(page.url, wait_until="commit")
        await page.wait_for_selector("#hold")
        await page.wait_for_timeout(500)
        for presses in (1, 2):
            await hold(page)
            await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked: desk")
            assert len(desk.kills) == presses
        await expect(page.locator("#bare")).to_be_visible(timeout=6000)


async def test_a_page_whose_live_line_did_not_come_says_so(tmp_path: Path) -> None:
    async with on_the_desk(DeskDouble(), tmp_path) as page:
        await page.route("**/static/live.js", lost)
        await page.reload()
        await expect(page.locator("#bare")).to_be_visible(timeout=7000)
        await page.unroute_all()
        await page.reload()
        await expect(page.locator(".rail .live")).to_have_text("Live")
        await page.wait_for_timeout(5500)
        await expect(page.locator("#bare")).to_have_count(0)


async def test_a_press_whose_answer_is_lost_gives_the_button_back_when_htmx_did_not_come(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with on_the_desk(desk, tmp_path) as page:
        await page.route("**/htmx.min.js", lost)
        await page.reload()
        await expect(page.locator("#bare")).to_be_visible()
        await page.route("**/console/kill", hung)
        await hold(page)
        await expect(page.locator("#hold-hint")).to_have_text("Sent to the guard.")
        await expect(page.locator("#hold-hint")).to_contain_text("it is not known whether it was done", timeout=17_000)
        await page.unroute("**/console/kill")
        await hold(page)
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked: desk")
        assert len(desk.kills) == 1


async def test_the_other_ways_to_stop_work_when_htmx_did_not_come(tmp_path: Path) -> None:
    desk = DeskDouble()
    async with on_the_desk(desk, tmp_path, "/kill") as page:
        await page.click("#reduce")
        await expect(page.locator("#stop-answer")).to_contain_text("Reduce-only now")
        assert len(desk.reductions) == 1, "sent by htmx alone"
        await page.route("**/htmx.min.js", lost)
        await page.reload()
        await page.select_option("#stop-scope", "bot:grid-1")
        await page.fill("#stop-form [name=reason]", "fire")
        await page.click("#reduce")
        await expect(page.locator("#stop-answer")).to_contain_text("Reduce-only now")
        assert [each["reason"] for each in desk.reductions[1:]] == ["fire"]
        await page.locator("details.typed summary").click()
        await page.fill("#typed-form [name=typed]", "STOP")
        await page.click("#typed-form button")
        await page.wait_for_url("**/kill")
        for _ in range(50):
            if desk.kills:
                break
            await asyncio.sleep(0.1)
        assert [(each["scope"], each["reason"]) for each in desk.kills] == [("bot:grid-1", "fire")]


async def test_the_page_goes_on_while_an_answer_is_awaited(tmp_path: Path) -> None:
    desk = SlowPress()
    async with on_the_desk(desk, tmp_path) as page:
        note = page.locator(".rail .live")
        await expect(note).to_have_text("Live")
        await hold(page)
        desk.view = replace(desk.view, state="HALTED")
        await expect(page.locator(".glance .badge")).to_have_text("HALTED", timeout=5000)
        await expect(note).to_have_text("Waiting for an answer")
        await page.wait_for_timeout(1500)  # The line beats meanwhile.
        assert await note.inner_text() == "Waiting for an answer"
        assert not desk.kills
        await expect(page.locator("#stop-answer")).to_contain_text("Trading is blocked: desk", timeout=8000)
        await expect(note).to_have_text("Live")


async def test_no_contact_is_said_though_a_press_has_no_answer(tmp_path: Path) -> None:
    async with on_the_desk(DeskDouble(), tmp_path) as page:
        await expect(page.locator(".rail .live")).to_have_text("Live")
        await page.context.route("**/*", hung)
        await hold(page)
        await expect(page.locator("#lost")).to_be_visible(timeout=11_000)
        await expect(page.locator("#hold-hint")).to_have_text("Sent to the guard.")


async def test_an_answer_counts_though_its_form_is_gone(tmp_path: Path) -> None:
    async with open_page(DESKTOP) as seen:
        page = seen.page
        async with serving(a_console(DeskDouble(), tmp_path)) as url:
            await sign_in(page, url)
            await page.goto(f"{url}/policy")
            await page.click("#text-form button")

            async def late(route: Route) -> None:
                await asyncio.sleep(1.0)
                await route.continue_()

            await page.route("**/console/policy/propose", late)
            await page.fill("#compared [name=reason]", "because of a test")
            await page.fill("#compared [name=proof]", PASSWORD)
            await page.click("#compared form button")
            await page.click("#text-form button")
            await expect(page.locator("#compared form")).to_be_visible()
            await expect(page.locator("#proposed")).to_contain_text("In force now")
            await page.wait_for_timeout(2500)  # Longer than a press goes first.
            await expect(page.locator(".rail .live")).to_have_text("In contact")
            await page.click("#text-form button")
            await expect(page.locator("#proposed")).to_be_empty()
        await expect(page.locator("#lost")).to_be_visible(timeout=12_000)


async def test_a_lost_answer_is_said_though_its_form_is_gone(tmp_path: Path) -> None:
    desk = DeskDouble()
    desk.alerts.open = [an_alert(id="20261124093000-1", title="KILL 1")]
    async with on_the_desk(desk, tmp_path, "/alerts") as page:

        async def late(route: Route) -> None:
            await expect(page.locator("[data-alert]")).to_have_count(2, timeout=10_000)
            await route.abort()

        await page.route("**/console/alerts/acknowledge", late)
        await page.locator("button", has_text="Acknowledge KILL 1").click()
        desk.alerts.open = [*desk.alerts.open, an_alert(id="20261124093000-2", title="KILL 2")]
        await expect(page.locator("#alert-answer")).to_contain_text(UNKNOWN, timeout=12_000)


async def test_every_page_says_when_the_guard_is_gone(tmp_path: Path) -> None:
    app = a_console(DeskDouble(), tmp_path)
    async with open_page(DESKTOP) as seen:
        pages = []
        async with serving(app) as url:
            await sign_in(seen.page, url)
            for path, said in (("/policy", "In contact"), ("/blocked", "In contact"), ("/signals", "Live")):
                page = await seen.page.context.new_page()
                await page.goto(url + path)
                await expect(page.locator(".rail .live")).to_have_text(said)
                pages.append(page)
        for page in pages:
            await expect(page.locator("#lost")).to_be_visible(timeout=15_000)


async def test_what_can_be_chosen_comes_with_the_renewals(tmp_path: Path) -> None:
    desk = DeskDouble(broken=True, scopes={})
    async with on_the_desk(desk, tmp_path) as page:
        scopes = page.locator("#stop-scope option")
        await expect(scopes).to_have_text(["Whole desk"])
        await expect(page.locator("#last-drill")).to_contain_text("is not known")
        desk.broken = False
        await expect(scopes).to_have_count(5, timeout=8000)
        await expect(page.locator("#last-drill")).to_contain_text("never rehearsed")
        await page.select_option("#stop-scope", "bot:momentum")
        desk.view = replace(desk.view, bots=desk.view.bots[:1])
        await expect(page.locator(".bots tbody tr")).to_have_count(1, timeout=8000)
        assert await page.input_value("#stop-scope") == "bot:momentum", "no other is pressed in its place"

        await page.goto(page.url + "rearm")
        await expect(page.locator("#ask-form")).to_be_hidden()
        desk.scopes = {"desk": a_rearm()}
        await expect(page.locator("#ask-form select option")).to_have_text(["desk"])
        await expect(page.locator("#ask-form")).to_be_visible()


async def test_the_keyboard_stays_where_it_was_over_a_renewal(tmp_path: Path) -> None:
    desk = DeskDouble()
    desk.alerts.open = [an_alert(id=f"20261124093000-{at}", title=f"KILL {at}") for at in range(3)]
    async with on_the_desk(desk, tmp_path, "/alerts") as page:
        await page.locator("button", has_text="Acknowledge KILL 2").focus()
        desk.alerts.open = [*desk.alerts.open, an_alert(id="20261124093000-9", title="KILL 9")]
        await expect(page.locator("[data-alert]")).to_have_count(4)
        assert await page.evaluate("document.activeElement.textContent") == "Acknowledge KILL 2"


async def test_the_figures_of_one_scope_do_not_stand_under_another(tmp_path: Path) -> None:
    async with on_the_desk(DeskDouble(), tmp_path, "/kill?scope=bot:grid-1") as page:
        await expect(page.locator("#kill-preview h3").first).to_have_text("bot:grid-1")
        await page.route("**/kill-preview*", lambda route: asyncio.sleep(0))
        await page.select_option("#stop-scope", "desk")
        await expect(page.locator("#kill-preview")).to_have_text("Reading… The button does not wait for this.")


async def test_the_refusals_come_though_they_take_longer_than_a_poll(tmp_path: Path) -> None:
    desk = HangingDesk()
    async with on_the_desk(desk, tmp_path) as page:
        await page.route("**/events", answers(204))
        desk.hang_s = 2.5
        await page.reload()
        await expect(page.locator("#blocked-rows table")).to_be_visible(timeout=15_000)


async def test_the_stop_is_whole_on_a_small_screen(tmp_path: Path) -> None:
    async with serving(a_console(DeskDouble(), tmp_path)) as url, open_page((320, 256), touch=True) as seen:
        await sign_in(seen.page, url)
        await seen.page.goto(f"{url}/kill")
        await seen.page.evaluate("document.querySelector('details.typed').open = true")
        top = "document.querySelector('#stop').getBoundingClientRect().top"
        assert await seen.page.evaluate(top) >= 0
        await seen.page.locator("#typed-form button").scroll_into_view_if_needed()
        await expect(seen.page.locator("#typed-form button")).to_be_in_viewport()


async def test_a_wrong_password_leaves_the_name_typed(tmp_path: Path) -> None:
    async with serving(a_console(DeskDouble(), tmp_path)) as url, open_page(DESKTOP) as seen:
        await seen.page.goto(f"{url}/sign-in")
        await seen.page.fill("[name=name]", "Ada Lovelace")
        await seen.page.fill("[name=password]", "wrong wrong wrong")
        await seen.page.click("form button")
        await expect(seen.page.locator("[role=alert]")).to_be_visible()
        assert await seen.page.input_value("[name=name]") == "Ada Lovelace"


async def test_a_proof_is_typed_for_one_answer_and_the_table_is_of_now(tmp_path: Path) -> None:
    async with on_the_desk(DeskDouble(), tmp_path, "/people") as page:
        proof = page.locator("#way-form [name=proof]")
        await page.select_option("#way-form select", "Ada Lovelace")
        await proof.fill(PASSWORD)
        await page.click("#way-form button:has-text('Disable')")
        await expect(page.locator("#way-answer")).to_contain_text("last admin")
        assert await proof.input_value() == ""
        await page.select_option("#way-form select", "Ben")
        await proof.fill(PASSWORD)
        await page.click("#way-form button:has-text('Disable')")
        await expect(page.locator("tr[data-person=Ben] .badge")).to_have_text("disabled")

        await page.goto(page.url.replace("/people", "/policy"))
        await page.locator("#policy-text").press("End")
        await page.locator("#policy-text").type("\n")
        await page.click("#text-form button")
        await page.fill("#compared [name=reason]", "because of a test")
        await page.fill("#compared [name=proof]", PASSWORD)
        await page.click("#compared form button")
        await expect(page.locator("#proposed")).not_to_be_empty()
        assert await page.input_value("#compared [name=proof]") == ""
