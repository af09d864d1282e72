"""F29: every trigger works with everything else stopped. Each presses alone, and the exchange ends flat.

Stopped means stopped: store, gates and supervisor stand still by SIGSTOP, and the warden's HTTP door is jammed with
more connections than it takes, for every trigger that does not need it. The command line goes on without a warden, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from proxy.decoding import build
from proxy.people.roles import Role
from proxy.practice.client import connect
from proxy.practice.world import ACCOUNT
from rules.kill.evidence import Evidence
from rules.kill.settings import Triggers
from rules.kill.triggers import Ruling, Tally, judge
from tests.support.people import PASSWORD, write_people
from tests.support.policies import a_policy, a_rule
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, freeze, until

POLICY = a_policy(a_rule("desk.max_order_value", limit=50_000))
REASON = "everything else is stopped"
FLAT = {"orders": 0, "conditional": 0, "positions": 0}
KILL_TIMEOUT_S = 120.0
DOOR_CONNECTIONS = 512


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path_factory.mktemp("triggers") / "data", POLICY, balance=100_000, gate_workers=2) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> LiveWorld:
    """Armed, with a position, an order and a stop."""
    until(running.answers, "the warden answers", 60)
    if running.account()["fence_engaged"]:
        until(lambda: not running.ask("GET", "/control/kill")["kill"]["running"], "the last kill has ended", 60)
        come_back(running, "desk")

    answers: list[str] = []

    def enters() -> bool:
        answers.append((answer := running.bot.order("BTCUSDT", "BUY", "0.1")).text)
        return answer.status_code == 200

    try:
        until(enters, "entries pass", 60, every_s=0.2)
    except AssertionError as late:
        raise AssertionError(f"{late}: {answers[-1]}") from late
    assert running.bot.order("BTCUSDT", "BUY", "0.01", 85_000).status_code == 200
    assert running.bot.stop("BTCUSDT", "SELL", "0.1", 85_500).status_code == 200
    assert book(running) == {"orders": 1, "conditional": 1, "positions": 1}
    return running


def book(world: LiveWorld) -> dict[str, int]:
    """What an independent client sees straight at the exchange."""
    owner = connect(world.places.exchange, world.exchange_key, world.exchange_secret)
    return {
        "orders": len(owner.fapiPrivateGetOpenOrders()),
        "conditional": len(owner.fapiPrivateGetOpenAlgoOrders()),
        "positions": sum(1 for row in owner.fapiPrivateV3GetPositionRisk() if float(row["positionAmt"]) != 0),
    }


@contextlib.contextmanager
def all_but_the_warden_stopped(world: LiveWorld) -> Iterator[None]:
    """The supervisor first, or it would tend the others."""
    stopped = [world.guard_pid, world.process("store"), *world.processes("gate")]
    for pid in stopped:
        freeze(pid)
    try:
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def jammed_door(world: LiveWorld) -> Iterator[None]:
    """The HTTP door has all the connections it takes; nobody else gets a word in."""
    place = urlsplit(world.places.console)
    with contextlib.ExitStack() as held:
        for _ in range(DOOR_CONNECTIONS):
            held.enter_context(socket.create_connection((place.hostname, place.port), timeout=10))
        until(lambda: status_of_the_door(world) == 503, "the door is jammed", 30)
        yield
    until(lambda: status_of_the_door(world) == 200, "the door is free again", 60)


def status_of_the_door(world: LiveWorld) -> int:
    try:
        return httpx.get(world.places.console.rstrip("/") + "/healthz", timeout=5, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def without_a_passphrase(world: LiveWorld) -> dict[str, str]:
    """An environment in which the command cannot open the vault: what it does, the warden does."""
    hidden = ("PERPGUARD_PASSPHRASE", "PERPGUARD_CONTROL_TOKEN")
    return {name: value for name, value in world.environment.items() if name not in hidden}


def kill_by_command(world: LiveWorld, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", "--data-dir", str(world.data_dir), "kill", "--json"]
    return subprocess.run(
        [*command, "--reason", REASON, "--by", "Ada Lovelace"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=KILL_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def by_api(world: LiveWorld) -> None:
    world.ask("POST", "/control/kill", {"scope": "desk", "reason": REASON, "by": "Ada Lovelace"})


def by_button(world: LiveWorld) -> None:
    """What the console's page does: a signed-in person's form with its CSRF token."""
    with httpx.Client(base_url=world.places.console, trust_env=False, timeout=10) as page:
        headers = {"Origin": world.places.console.rstrip("/")}
        write_people(world.data_dir, dict.fromkeys(("Ada Lovelace", "Grace Hopper"), Role.RISK))
        proof = {"name": "Ada Lovelace", "password": PASSWORD, "code": ""}
        signed_in = page.post("/sign-in", data=proof, headers=headers)
        assert signed_in.status_code in (200, 303), signed_in.text
        text = page.get("/").text
        csrf = text.partition('name="csrf" value="')[2].partition('"')[0]
        assert csrf, "the page has no form"
        sent = page.post("/console/kill", data={"scope": "desk", "reason": REASON, "csrf": csrf}, headers=headers)
        assert sent.status_code == 202, sent.text


def by_file(world: LiveWorld) -> None:
    (world.data_dir / "kill" / "desk").touch()


def by_signal_to_the_warden(world: LiveWorld) -> None:
    os.kill(world.process("warden"), signal.SIGUSR1)


@pytest.mark.full
def test_a_rule_kills_on_two_sources_and_leaves_all_it_saw_in_the_audit(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One bot trades at a loss of fees; nobody presses."""
    policy = f"{POLICY}\n[kill.triggers]\ndaily_loss_kill = 0.00004\n"
    with LiveWorld(tmp_path_factory.mktemp("rule") / "data", policy, balance=100_000) as world:

        def trades_on() -> Any:
            """A loss counts from the record's first reading on, which the first fee may have come before."""
            if (pressed := world.ask("GET", "/control/kill")["kill"]) is None:
                world.bot.order("BTCUSDT", "BUY", "0.1")
            return pressed

        kill = until(trades_on, "the guard presses", 60, every_s=1.0)
        assert (kill["by"], kill["reason"].partition(":")[0]) == ("warden", "daily_loss")
        until(lambda: book(world) == FLAT, "flat at the exchange", KILL_TIMEOUT_S, every_s=0.2)
        fired = until(lambda: [each for each in world.export() if each.get("what") == "trigger.kill"], "it is told")
    detail = fired[0]["detail"]
    tally, evidence = build(detail["tally"], Tally), build(detail["evidence"], Evidence)
    ruling = judge(tally, evidence, build(detail["settings"], Triggers))[1]
    assert ruling == build(detail["ruling"], Ruling) and ruling.confirmations == 3
    assert evidence.reading is not None and evidence.results is not None and evidence.reading.legs


def test_the_socket_is_its_owners_alone(running: LiveWorld) -> None:
    status = (running.data_dir / "control.sock").stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o600, os.geteuid())


def test_what_is_no_request_is_refused_and_presses_nothing(running: LiveWorld) -> None:
    for line in (
        b"kill\n",
        b"[]\n",
        b'{"command":"rearm","scope":"desk","by":"a","reason":"b"}\n',
        b'{"command":"kill","scope":"desk","by":"","reason":"b"}\n',
        b'{"command":"kill","scope":"account:nobody","by":"a","reason":"b"}\n',
        b'{"command":"kill","scope":"desk","by":"a","reason":"b","more":"c"}\n',
        b'{"command":"kill","scope":"desk","by":"a\\n","reason":"b"}\n',
    ):
        assert json.loads(asked(running, line))["kind"] == "refused", line
    assert asked(running, b"x" * 20_000 + b"\n") == b"", "a line without an end is not read"
    assert not (running.data_dir / "kill" / "jobs" / ACCOUNT).exists(), "something was pressed"


@pytest.mark.parametrize("press", [by_button, by_api])
def test_f29_the_console_and_the_api_need_neither_store_nor_gates_nor_supervisor(
    world: LiveWorld, press: Callable[[LiveWorld], None]
) -> None:
    with all_but_the_warden_stopped(world):
        press(world)
        until(lambda: book(world) == FLAT, "flat at the exchange", KILL_TIMEOUT_S, every_s=0.2)


@pytest.mark.parametrize("press", [by_file, by_signal_to_the_warden])
def test_f29_a_file_and_a_signal_need_no_door_either(world: LiveWorld, press: Callable[[LiveWorld], None]) -> None:
    with all_but_the_warden_stopped(world), jammed_door(world):
        press(world)
        until(lambda: book(world) == FLAT, "flat at the exchange", KILL_TIMEOUT_S, every_s=0.2)
    until(world.answers, "the warden answers", 60)
    assert "(sentinel file)" in world.ask("GET", "/control/kill")["kill"]["by"]


def test_f29_a_signal_to_the_supervisor_is_as_good(world: LiveWorld) -> None:
    stopped = [world.process("store"), *world.processes("gate")]
    for pid in stopped:
        freeze(pid)
    try:
        os.kill(world.guard_pid, signal.SIGUSR1)
        until(lambda: book(world) == FLAT, "flat at the exchange", KILL_TIMEOUT_S, every_s=0.2)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.full
def test_f29_a_file_of_one_account_stops_that_account(world: LiveWorld) -> None:
    (world.data_dir / "kill" / f"account.{ACCOUNT}").touch()
    until(lambda: book(world) == FLAT, "flat at the exchange", KILL_TIMEOUT_S, every_s=0.2)
    until(lambda: not world.ask("GET", "/control/kill")["kill"]["running"], "the kill has ended", 60)
    assert world.ask("GET", "/control/kill")["kill"]["scope"] == f"account:{ACCOUNT}"
    come_back(world, f"account:{ACCOUNT}")


def test_f29_the_socket_needs_no_passphrase_no_token_and_no_door(world: LiveWorld) -> None:
    with all_but_the_warden_stopped(world), jammed_door(world):
        done = kill_by_command(world, without_a_passphrase(world))
        assert done.returncode == 0, done.stderr
        assert book(world) == FLAT
    report = json.loads(done.stdout)
    assert report["flat"] is True and report["accounts"][0]["by"] == "Ada Lovelace"
    assert '"kind": "blocked"' in done.stderr and '"kind": "progress"' in done.stderr


def test_f29_a_warden_that_stands_still_is_not_waited_for(world: LiveWorld) -> None:
    warden = world.process("warden")
    with all_but_the_warden_stopped(world):
        freeze(warden)
        try:
            began = time.monotonic()
            done = kill_by_command(world, world.environment)
            assert done.returncode == 0, done.stderr
            assert book(world) == FLAT
            assert "going to the exchange from here" in done.stderr and "does not answer" in done.stderr
            assert time.monotonic() - began < 60, "it waited for the warden"
        finally:
            os.kill(warden, signal.SIGCONT)


def asked(world: LiveWorld, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(10)
        caller.connect(str(world.data_dir / "control.sock"))
        caller.sendall(line)
        with contextlib.suppress(ConnectionError):
            return caller.makefile("rb").readline()
        return b""
