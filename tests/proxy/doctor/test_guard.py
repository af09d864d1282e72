"""What the doctor makes of what the running guard says of itself, asked at its ports."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from proxy.console.desk_views import AccountView, ArchiveView, DeskView, FeedView, WatchdogView
from proxy.doctor import guard
from proxy.doctor.finding import Finding, Level
from proxy.doctor.guard import look_at_guard
from proxy.settings import Settings
from proxy.tls.names import names_of
from proxy.tls.shelf import TlsShelf
from tests.proxy.console.desk_double import a_bot, a_desk, an_account

FEED = FeedView(state="LIVE", why="", age_s=0.4, adopted=None, gaps_healed=0)
TOKEN = "control-token-of-the-doctor"
DRIP_S = 0.2

Looked = Callable[..., dict[str, Finding]]


class Ports(ThreadingHTTPServer):
    """A warden's port and a gate's in one: what stands in ``answers`` by path, a 404 for all else.

    What is no text is sent byte by byte, without an end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers: dict[str, str | None] = {"/healthz": json.dumps({"status": "ok", "policy": "a1b2"})}


class Answering(BaseHTTPRequestHandler):
    server: Ports

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path, "")
        self.send_response(200 if answer != "" else 404)
        if answer is not None:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if answer is not None:
            self.wfile.write(answer.encode())
            return
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(DRIP_S)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests' output is for what fails."""


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(ports: Ports, tmp_path: Path) -> Settings:
    port, token = ports.server_address[1], SecretStr(TOKEN)
    return Settings(data_dir=tmp_path, desk="tokyo", control_port=port, gate_port=port, control_token=token)


@pytest.fixture
def looked(ports: Ports, settings: Settings) -> Looked:
    """What is not well, by check, of a guard whose warden shows this desk."""

    def look(desk: DeskView, **changes: Any) -> dict[str, Finding]:
        ports.answers["/api/desk"] = json.dumps(msgspec.to_builtins(desk, enc_hook=str))
        found = list(look_at_guard(settings.model_copy(update=changes)))
        assert all(each.mend for each in found if each.level is not Level.OK)
        return {each.check: each for each in found if each.level is not Level.OK}

    return look


def a_trading_desk(**changes: Any) -> DeskView:
    """A desk on which nothing stands in the way: one account, one bot, a watchdog on watch."""
    watchdog = WatchdogView(name="host-b", duty="watching", heard_age_s=0.6, lost=False)
    desk = a_desk(accounts=(a_trading_account(),), bots=(a_bot(),), watchdogs=(watchdog,))
    return replace(desk, **changes)


def a_trading_account(**changes: Any) -> AccountView:
    return an_account(**({"feed": FEED, "clock_offset_ms": 3} | changes))


def levels(found: dict[str, Finding]) -> dict[str, Level]:
    return {check: each.level for check, each in found.items()}


@pytest.mark.parametrize(
    ("age", "every", "wanted"),
    [
        (45, 15, None),
        (46, 15, Level.WARN),
        (59, 15, Level.WARN),
        (61, 15, Level.FAIL),
        (-61, 15, Level.FAIL),
        (899, 300, Level.WARN),
        (901, 300, Level.FAIL),
        (None, 15, Level.FAIL),
    ],
)
def test_a_survey_is_old_by_how_often_there_is_one(
    looked: Looked, age: float | None, every: float, wanted: Level | None
) -> None:
    """From 45 s on ``data_freshness`` refuses entries where the policy sets no other age; ``status`` says so too."""
    desk = a_trading_desk(accounts=(a_trading_account(known_age_s=age),))
    assert levels(looked(desk, survey_every_s=every)) == ({} if wanted is None else {"account main": wanted})


@pytest.mark.parametrize(
    ("age", "well"), [(10, True), (-10, True), (10.6, False), (-11, False), (500, False), (None, False)]
)
def test_prices_on_which_no_entry_passes_have_to_be_mended(looked: Looked, age: float | None, well: bool) -> None:
    found = looked(a_trading_desk(markets_age_s=age))
    assert levels(found) == ({} if well else {"prices": Level.FAIL})
    assert well or "MARKET_STALE" in found["prices"].said


def test_a_desk_without_accounts_needs_no_prices(looked: Looked) -> None:
    assert looked(a_trading_desk(markets_age_s=None, accounts=(), bots=())) == {}


@pytest.mark.parametrize("state", ["REDUCING", "HALTED"])
def test_what_somebody_stopped_is_worth_a_look_and_says_how_it_comes_back(looked: Looked, state: str) -> None:
    account, bot = a_trading_account(state=state), a_bot(state=state, stopped_for="execution_throttle")
    found = looked(a_trading_desk(state=state, accounts=(account,), bots=(bot, bot)))
    assert levels(found) == dict.fromkeys(("desk", "account main", "bot grid-1"), Level.WARN)
    assert all(state in each.said and "perpguard rearm" in each.mend for each in found.values())
    assert "execution_throttle" in found["bot grid-1"].said and "--scope bot:grid-1" in found["bot grid-1"].mend


def test_an_account_that_a_kill_makes_flat_is_worth_a_look(looked: Looked) -> None:
    account = a_trading_account(state="HALTED", kill_running=True)
    found = looked(a_trading_desk(accounts=(account,)))
    assert levels(found) == {"account main": Level.WARN} and "making it flat" in found["account main"].said


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"generation": None}, "kill state of the warden"),
        ({"store_ok": False}, "store of the warden"),
        ({"archive": ArchiveView(opened=True, trouble="the disk is full")}, "archive of the warden"),
        ({"desk": "osaka"}, "warden"),
        ({"accounts": (a_trading_account(external_trader=True),)}, "account main"),
    ],
)
def test_a_guard_that_does_not_do_what_it_is_for_has_to_be_mended(
    looked: Looked, changes: dict[str, Any], check: str
) -> None:
    assert levels(looked(a_trading_desk(**changes))) == {check: Level.FAIL}


def test_an_archive_that_does_not_open_is_what_has_to_be_mended_and_not_the_exchange(looked: Looked) -> None:
    closed = ArchiveView(opened=False, trouble="the seal is gone")
    found = looked(a_trading_desk(archive=closed, markets_age_s=None, accounts=(a_trading_account(known_age_s=None),)))
    assert levels(found) == dict.fromkeys(("archive of the warden", "prices", "account main"), Level.FAIL)
    assert found["archive of the warden"].said.endswith("entries are refused: the seal is gone")
    assert found["prices"].mend == found["account main"].mend != ""
    assert not any("exchange cannot be reached" in each.mend for each in found.values())


def test_a_desk_that_another_guard_has_is_what_has_to_be_mended_and_not_the_exchange(looked: Looked) -> None:
    account = a_trading_account(known_age_s=None, clock_offset_ms=None)
    found = looked(a_trading_desk(taken_by="there:/data", markets_age_s=None, accounts=(account,)))
    wanted = dict.fromkeys(("desk", "prices", "account main"), Level.FAIL)
    assert levels(found) == wanted | {f"clock of {account.venue}": Level.WARN}
    assert next(iter(found)) == "desk" and "at there:/data: entries are refused (DESK_TAKEN)" in found["desk"].said
    assert {each.mend for check, each in found.items() if check != "desk"} == {guard._DESK_FIRST}


def test_a_warden_of_the_version_before_does_not_tell_who_has_the_desk(
    looked: Looked, ports: Ports, settings: Settings
) -> None:
    assert looked(a_trading_desk()) == {}
    told = json.loads(ports.answers["/api/desk"] or "")
    del told["taken_by"]
    ports.answers["/api/desk"] = json.dumps(told)
    assert {each.level for each in look_at_guard(settings)} == {Level.OK}


@pytest.mark.parametrize(
    ("watchdog", "wanted"),
    [
        (WatchdogView(name="host-b", duty="watching", heard_age_s=90_000, lost=True), {"watchdog host-b": Level.FAIL}),
        (WatchdogView(name="", duty="waiting", heard_age_s=None, lost=True), {"watchdog": Level.FAIL}),
        (WatchdogView(name="", duty="waiting", heard_age_s=None, lost=False), {"watchdog": Level.WARN}),
    ],
    ids=["lost", "never called, for too long", "not called yet"],
)
def test_a_watchdog_that_is_not_heard_is_said(looked: Looked, watchdog: WatchdogView, wanted: dict[str, Level]) -> None:
    assert levels(looked(a_trading_desk(watchdogs=(watchdog,)))) == wanted


@pytest.mark.parametrize("path", ["/api/desk", "/healthz"])
@pytest.mark.parametrize("answer", ["<html>a printer</html>", '"ok"', None], ids=["a page", "other JSON", "no end"])
def test_what_is_no_guard_is_not_taken_for_one_and_not_waited_for(
    ports: Ports, looked: Looked, settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str, answer: str | None
) -> None:
    monkeypatch.setattr(guard, "WARDEN_MAX_S", 0.6)
    monkeypatch.setattr(guard, "GATE_MAX_S", 0.6)
    assert looked(a_trading_desk()) == {}
    ports.answers[path] = answer
    check = {"/api/desk": "warden", "/healthz": "gate"}[path]
    assert {each.check for each in look_at_guard(settings) if each.level is Level.FAIL} == {check}


def test_gates_without_their_warden_are_no_guard(settings: Settings, ports: Ports) -> None:
    (found,) = look_at_guard(settings.model_copy(update={"control_port": 1}))
    assert (found.check, found.level) == ("warden", Level.FAIL) and "a gate does" in found.said
    (found,) = look_at_guard(settings.model_copy(update={"control_port": 1, "gate_port": 1}))
    assert (found.check, found.level) == ("warden", Level.WARN)


@pytest.mark.parametrize(
    ("renewed", "served", "wanted"),
    [(False, True, {}), (True, True, {"gate by TLS": Level.FAIL}), (False, False, {"gate by TLS": Level.FAIL})],
    ids=["well", "another certificate", "nothing there"],
)
def test_the_gates_second_door_is_asked_too(
    looked: Looked, tmp_path: Path, renewed: bool, served: bool, wanted: dict[str, Level]
) -> None:
    shelf, now = TlsShelf(tmp_path), datetime.now(UTC)
    shelf.begin(names_of("guard.lan"), now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shelf.certificate)
    if renewed:
        shelf.renew(now)
    with Ports() as door:
        door.socket = context.wrap_socket(door.socket, server_side=True)
        if served:
            Thread(target=door.serve_forever, args=(0.01,), daemon=True).start()
        port = door.server_address[1] if served else 1
        found = looked(a_trading_desk(), gate_https_port=port)
        if served:
            door.shutdown()
    assert levels(found) == wanted
