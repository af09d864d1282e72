"""F28 for a watchdog: whether the line holds is asked as the kill would ask, and what the venue says is kept to."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from proxy.clock import utc_now
from proxy.guard_id import guard_id
from proxy.kill.asked import Asked, asked_of, note_asked
from proxy.kill.direct import DirectHands
from proxy.kill.hands import VenueHands
from proxy.kill.job import Latch
from proxy.kill.late import Kill
from proxy.kill.press import Press
from proxy.kill.report import KillReport
from proxy.settings import Settings, SettingsError, VenueSettings
from proxy.store.embedded import EmbeddedStore
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.ownership import DeskTaken
from proxy.store.telling import ToldHolds
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import ExchangeKey, Secret
from proxy.watchdog import hands
from proxy.watchdog.acts import Acts
from proxy.watchdog.hands import Flattening
from proxy.watchdog.process import run_watchdog
from proxy.watchdog.turns import Turns
from rules.kill.events import Phase
from rules.kill.settings import Flatten
from tests.proxy.store.builders import an_account_of
from tests.proxy.watchdog.test_watch import OneTurn
from tests.support.certificates import NOW, a_vault

NOWHERE = "http://127.0.0.1:9"
BANNED = '{"code": -1003, "msg": "banned"}'


@dataclass
class Venue:
    """A venue that says one thing to everything. ``lines`` are the connections that its requests came by."""

    status: int = 200
    text: str = '{"serverTime": 1700000000000}'
    headers: dict[str, str] = field(default_factory=dict)
    late_s: float = 0.0
    url: str = ""
    asked: list[str] = field(default_factory=list)
    lines: list[tuple[str, int]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        assert request.transport is not None
        self.lines.append(request.transport.get_extra_info("peername"))
        await asyncio.sleep(self.late_s)
        return web.Response(status=self.status, text=self.text, headers=self.headers)


@asynccontextmanager
async def a_venue(**said: Any) -> AsyncIterator[Venue]:
    venue = Venue(**said)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", venue.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    venue.url = f"http://{host}:{port}"
    try:
        yield venue
    finally:
        await runner.cleanup()


class Store:
    """A store that answers, and keeps nothing."""

    async def controls(self) -> dict[str, str]:
        return {}

    async def record(self, _: object) -> None:
        return

    async def told_holds(self, _: object) -> ToldHolds:
        return ToldHolds("only", True, ())


@asynccontextmanager
async def a_watchdog(
    data_dir: Path, url: str, *others: str, address: str = "", acts: Acts | None = None
) -> AsyncIterator[Flattening]:
    vault = a_vault(data_dir)
    secret = Secret("s" * 64)
    vault.add_exchange_key(account="main", venue="binanceusdm", api_key="k" * 64, api_secret=secret, now=NOW)
    settings: Any = SimpleNamespace(
        data_dir=data_dir,
        desk="desk",
        venue_urls={"binanceusdm": url},
        hosts=lambda venue: {"sapi": url},
        venues={"binanceusdm": VenueSettings(url=url, other_urls=others)},
        kill_addresses=lambda account: (address,),
    )
    store: Any = Store()
    async with DirectHands(settings, (), tells_store=False) as direct:
        yield Flattening(settings, vault, store, Turns(OneTurn(), "watchdog one"), direct, "one", acts or Acts())


async def test_f28_a_venue_that_takes_two_and_a_half_seconds_answers(tmp_path: Path) -> None:
    async with a_venue(late_s=2.5) as venue, a_watchdog(tmp_path, venue.url) as watchdog:
        assert await watchdog.line_holds()
        assert venue.asked == ["/fapi/v1/time"]


async def test_f28_a_line_is_kept_from_one_look_to_the_next(tmp_path: Path) -> None:
    async with a_venue() as venue, a_watchdog(tmp_path, venue.url) as watchdog:
        assert await watchdog.line_holds() and await watchdog.line_holds()
        assert len(venue.asked) == 2 and len(set(venue.lines)) == 1


async def test_f28_another_address_of_the_venue_is_asked(tmp_path: Path) -> None:
    async with a_venue() as venue, a_watchdog(tmp_path, NOWHERE, venue.url) as watchdog:
        assert await watchdog.line_holds()


async def test_f28_it_asks_from_the_source_address_of_the_kill(tmp_path: Path) -> None:
    async with a_venue() as venue, a_watchdog(tmp_path, venue.url, address="127.0.0.2") as watchdog:
        assert await watchdog.line_holds()
        assert venue.lines[0][0] == "127.0.0.2"


async def test_f28_a_line_that_is_cut_does_not_hold(tmp_path: Path) -> None:
    async with a_watchdog(tmp_path, NOWHERE) as watchdog:
        assert not await watchdog.line_holds()


@pytest.mark.parametrize(
    ("status", "text"),
    [(503, '{"code": -1000, "msg": "busy"}'), (403, "<html>"), (429, '{"code": -1003, "msg": "slow down"}')],
)
async def test_f28_whatever_the_venue_says_came_over_the_line(tmp_path: Path, status: int, text: str) -> None:
    async with a_venue(status=status, text=text) as venue, a_watchdog(tmp_path, venue.url) as watchdog:
        assert await watchdog.line_holds()


async def test_a_kill_without_a_number_of_its_own_leaves_the_stores_and_never_writes_nought(tmp_path: Path) -> None:
    told: list[int] = []

    class Remembering(Store):
        kept = "7"

        async def controls(self) -> dict[str, str]:
            return {"generation": self.kept} if self.kept else {}

        async def set_state(self, level: str, state: object, *, generation: int, kill_running: bool | None) -> None:
            told.append(generation)

    store = Remembering()
    direct = DirectHands(Settings(), ())
    direct._store = cast(WardenStore, store)
    await direct.latch(DESK, None)
    await direct.end(DESK, None)
    store.kept = ""
    await direct.latch(DESK, None)
    await direct.latch(DESK, 9)
    assert told == [7, 7, 1, 9]


@pytest.fixture(scope="module")
def store_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started.url


@pytest.mark.parametrize("of_this_machine", [True, False])
async def test_a_kill_without_a_warden_stops_no_other_guard_that_has_the_desk(
    store_url: str, tmp_path: Path, of_this_machine: bool
) -> None:
    desk = f"taken-{of_this_machine}"
    owner = WardenStore(store_url, desk, "0a" * 16)
    await owner.claim("elsewhere")
    await owner.begin_epoch()
    account = an_account_of(1, name="main", as_of=utc_now())
    await owner.publish_account(account, began_us=0, symbols=None, resolved=[], desk=desk)
    if of_this_machine:
        guard_id(tmp_path)
    settings: Any = SimpleNamespace(data_dir=tmp_path, store=store_url, desk=desk)
    async with DirectHands(settings, ()) as direct:
        for generation in None, 9:
            if of_this_machine:
                with pytest.raises(DeskTaken):
                    await direct.latch(DESK, generation)
        assert await direct.end(DESK, None) is not of_this_machine
        assert (await direct._published("main") is None) is of_this_machine, "its shares are not ours, either"
    controls = await owner.controls()
    assert controls.get("desk") == (None if of_this_machine else "HALTED"), "from elsewhere it is whoever's it is"
    await owner.aclose()


@pytest.mark.parametrize(("takes", "untold"), [((True, True), False), ((False, False), True), ((False, True), False)])
async def test_an_act_that_the_store_did_not_take_is_to_be_told(
    tmp_path: Path, takes: tuple[bool, bool], untold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its beginning, or at the latest at the end of the kill."""

    class Latched(Store):
        async def set_state(self, level: str, state: object, *, generation: int, kill_running: bool | None) -> None:
            if not takes[0 if kill_running else 1]:
                raise ConnectionError

    async def at_once(*_: object, latch: Callable[[Scope, int | None], Awaitable[None]], **__: object) -> KillReport:
        with suppress(ConnectionError):  # As the kill does: the store is told besides.
            await latch(DESK, 1)
        return KillReport(
            scope="desk",
            by="",
            reason="",
            started_at=NOW,
            blocked_ms=None,
            generation=None,
            flat=True,
            phase=Phase.FLAT,
            accounts=(),
            trouble="",
        )

    monkeypatch.setattr(hands, "kill", at_once)
    acts = Acts()
    async with a_watchdog(tmp_path, NOWHERE, acts=acts) as watchdog:
        monkeypatch.setattr(watchdog, "_certify", lambda report: None)
        watchdog._direct._store = cast(WardenStore, Latched())
        await watchdog.flatten("the guard is silent", Flatten())
    assert bool(acts.untold) is untold


@pytest.mark.parametrize("at_work", [True, False])
async def test_a_watchdog_that_is_stopped_leaves_no_kill_under_way_in_the_store(
    tmp_path: Path, at_work: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the job, or while it waits for what was on the wire."""
    running: list[bool | None] = []
    stopped = asyncio.Event()

    class Latched(Store):
        async def set_state(self, level: str, state: object, *, generation: int, kill_running: bool | None) -> None:
            running.append(kill_running)

    async def killing(*_: object, latch: Callable[[Scope, int | None], Awaitable[None]], **__: object) -> None:
        await latch(DESK, 1)
        if at_work:
            stopped.set()
            await asyncio.sleep(60)

    async def followed(kill_once: Kill, press: Press, *_: object, latch: Latch, **__: object) -> None:
        await kill_once(press, [], latch)
        stopped.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(hands, "kill", killing)
    monkeypatch.setattr(hands, "kill_followed", followed)
    acts = Acts()
    async with a_watchdog(tmp_path, NOWHERE, acts=acts) as watchdog:
        watchdog._direct._store = cast(WardenStore, Latched())
        acts.note()
        flattening = asyncio.create_task(watchdog.flatten("the guard is silent", Flatten()))
        await stopped.wait()
        flattening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flattening
    assert running == [True, False] and not acts.untold


async def test_whatever_the_store_holds_the_end_of_a_kill_is_told_and_its_bots_share_is_not_known() -> None:
    class Damaged(Store):
        async def controls(self) -> dict[str, str]:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    direct = DirectHands(SimpleNamespace(), ())
    direct._store = cast(WardenStore, Damaged())
    assert not await direct.end(DESK, None)
    assert await direct._published("main") is None


async def test_an_account_whose_venue_the_settings_lack_keeps_no_other_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_venue(status=403, text="<html>") as venue, a_watchdog(tmp_path, venue.url) as watchdog:
        a_vault(tmp_path).add_exchange_key(
            account="other", venue="elsewhere", api_key="q" * 64, api_secret=Secret("s" * 64), now=NOW
        )
        assert await watchdog.line_holds() and await watchdog.line_holds()
        assert [len(each) for each in await watchdog._hands()] == [1, 1]
        Fence.initialise(tmp_path)
        note_asked(tmp_path, DESK, Asked(by="ann", reason="stop"))
        # A ban, for then the kill gives up at once.
        venue.status, venue.text, venue.headers = 418, BANNED, {"Retry-After": "120"}
        await watchdog.flatten("the guard is silent", Flatten())
        assert asked_of(tmp_path, DESK) is not None, "the other account has no kill"
    assert caplog.text.count("other cannot be flattened from here: the settings name no venue elsewhere") == 1


async def test_an_account_that_cannot_be_opened_keeps_no_other_open_and_no_press_is_certified_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorded: list[dict[str, Any]] = []

    class Recording(Store):
        async def record(self, records: Any) -> None:
            recorded.extend(records)

    hand = DirectHands.hand

    async def half(direct: DirectHands, scope: Scope, key: ExchangeKey) -> VenueHands:
        if key.account == "other":
            raise ValueError("no such interface")
        return await hand(direct, scope, key)

    monkeypatch.setattr(DirectHands, "hand", half)
    banned = {"status": 418, "text": BANNED, "headers": {"Retry-After": "120"}}
    async with a_venue(**banned) as venue, a_watchdog(tmp_path, venue.url) as watchdog:
        store: Any = Recording()
        watchdog._store = store
        a_vault(tmp_path).add_exchange_key(
            account="other", venue="binanceusdm", api_key="q" * 64, api_secret=Secret("s" * 64), now=NOW
        )
        Fence.initialise(tmp_path)
        await watchdog.flatten("the guard is silent", Flatten())
    ended = next(each["detail"] for each in recorded if each["what"] == "kill.degraded")
    assert ended["not_touched"] == ("other (ValueError: no such interface)",) and ended["flat"] is False
    assert [each["account"] for each in ended["accounts"]] == ["main"]
    assert "other cannot be flattened from here: ValueError: no such interface" in caplog.text
    assert "the press is not certified: nothing says what became of other" in caplog.text


def test_a_watchdog_that_could_not_reach_an_account_does_not_start(tmp_path: Path) -> None:
    vault = a_vault(tmp_path)
    vault.pair_watchdog()
    vault.add_exchange_key(account="other", venue="elsewhere", api_key="q" * 64, api_secret=Secret("s" * 64), now=NOW)
    with pytest.raises(SettingsError, match="elsewhere"):
        run_watchdog(Settings(data_dir=tmp_path), vault, guard=None, name="one", supervisor=None)


async def test_f05_a_ban_is_an_answer_and_nothing_is_asked_before_its_end_not_even_by_the_kill(tmp_path: Path) -> None:
    banned = {"status": 418, "text": BANNED, "headers": {"Retry-After": "120"}}
    async with a_venue(**banned) as venue, a_watchdog(tmp_path, venue.url) as watchdog:
        assert await watchdog.line_holds()
        assert not await watchdog.flatten("the guard is silent", Flatten())
        assert not await watchdog.line_holds(), "what it said a while ago proves no line"
        # The spot API counts and bans by itself.
        assert [path for path in venue.asked if path.startswith("/fapi/")] == ["/fapi/v1/time"]
