"""The button, by every way to press it and with every part of the guard dead: it ends flat, and stays stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ccxt
import httpx
import pytest

from proxy.kill.journal import Journal
from proxy.practice.client import connect
from proxy.practice.world import ACCOUNT, WorldFailed
from rules.kill.machine import replay
from tests.support.policies import a_policy, a_rule
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, freeze, gone, until

POLICY = a_policy(a_rule("desk.max_order_value", limit=50_000))
FLAT = {"orders": 0, "conditional": 0, "positions": 0}
REASON = "end-to-end test of the kill switch"
KILL_TIMEOUT_S = 120.0
CALM_READS, CALM_SPAN_MS = 3, 6_000

WORLDS, DEATHS = 5, 3
"""In the first world the warden dies at lines 1, 6 and 11 of the journal, in the second at 2, 7 and 12 ..."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with LiveWorld(tmp_path_factory.mktemp("kill") / "data", POLICY, balance=100_000, gate_workers=2) as world:
        yield world


@pytest.fixture
def world(running: LiveWorld) -> LiveWorld:
    """Armed, with positions, orders and a stop on its book."""
    until(running.answers, "the warden answers", 60)
    if running.account()["fence_engaged"]:
        come_back(running, "desk", REASON)
    populate(running)
    return running


def populate(world: LiveWorld) -> None:
    until(lambda: world.bot.order("BTCUSDT", "BUY", "0.1").status_code == 200, "entries pass", 60, every_s=0.2)
    for answer in (
        world.bot.order("ETHUSDT", "SELL", "2"),
        world.bot.order("BTCUSDT", "BUY", "0.01", 85_000),
        world.bot.order("ETHUSDT", "SELL", "0.1", 3_140),
        world.bot.stop("BTCUSDT", "SELL", "0.1", 85_500),
    ):
        assert answer.status_code == 200, answer.text
    assert book(world) == {"orders": 2, "conditional": 1, "positions": 2}


def book(world: LiveWorld) -> dict[str, int]:
    """What an independent client sees straight at the exchange."""
    owner = connect(world.places.exchange, world.exchange_key, world.exchange_secret)
    return {
        "orders": len(owner.fapiPrivateGetOpenOrders()),
        "conditional": len(owner.fapiPrivateGetOpenAlgoOrders()),
        "positions": sum(1 for row in owner.fapiPrivateV3GetPositionRisk() if float(row["positionAmt"]) != 0),
    }


def press(world: LiveWorld) -> dict[str, Any]:
    pressed: dict[str, Any] = world.ask(
        "POST", "/control/kill", {"scope": "desk", "reason": REASON, "by": "Ada Lovelace"}
    )
    return pressed


def wait_until_done(world: LiveWorld) -> dict[str, Any]:
    def done() -> Any:
        progress = world.ask("GET", "/control/kill")["kill"]
        return progress if progress is not None and not progress["running"] else None

    return until(done, "the kill ends", KILL_TIMEOUT_S, every_s=0.2)


def jobs(world: LiveWorld) -> list[Path]:
    return sorted((world.data_dir / "kill" / "jobs" / ACCOUNT).glob("*.jsonl"))


def rearm(world: LiveWorld, **changed: str) -> subprocess.CompletedProcess[str]:
    policy = world.ask("GET", "/api/desk")["policy_version"]
    given = {"scope": "desk", "name": "Grace Hopper", "reason": REASON, "typed": "desk", "policy": policy} | changed
    return world.command("rearm", *(word for name, value in given.items() for word in (f"--{name}", value)))


def press_by_command(world: LiveWorld) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "proxy", "--data-dir", str(world.data_dir), "kill", "--json"]
    return subprocess.Popen(
        [*command, "--reason", REASON, "--by", "Ada Lovelace"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=world.environment,
    )


def check_stopped_and_flat(world: LiveWorld) -> None:
    """Flat at the exchange; ccxt bots are told PermissionDenied; a cancel still passes."""
    assert book(world) == FLAT
    check_denied(world)
    cancelled = world.bot.cancel_all("BTCUSDT")
    assert cancelled.status_code == 200, cancelled.text


def check_denied(world: LiveWorld) -> None:
    bot = connect(world.places.gate, world.guard_key.key, world.guard_key.secret)
    world.door.clear()
    with pytest.raises(ccxt.PermissionDenied):
        bot.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
    entries = [entry for entry in world.door.log() if entry["method"] == "POST"]
    ours = [entry for entry in entries if entry["params"].get("newClientOrderId", "").startswith("pgk-")]
    assert entries == ours, "an entry reached the exchange"


def check_report(account: dict[str, Any]) -> None:
    assert account["flat"] is True, account
    assert account["phase"] == "FLAT"
    assert len(account["read_backs"]) == CALM_READS
    assert account["verified_ms"] - account["flat_ms"] >= CALM_SPAN_MS


def test_a_press_of_the_api_ends_flat(world: LiveWorld) -> None:
    pressed = press(world)
    check_denied(world)
    assert world.bot.cancel_all("BTCUSDT").status_code == 200, "a bot may cancel while the kill runs"
    progress = wait_until_done(world)
    assert progress["flat"] is True
    check_report(progress["accounts"][0])
    assert pressed["blocked_ms"] < 1_000
    check_stopped_and_flat(world)


def test_the_command_line_needs_neither_warden_nor_gates_nor_store(world: LiveWorld) -> None:
    freeze(world.guard_pid)  # Or it would start the dead again.
    dead = [*world.processes("warden"), *world.processes("gate")]
    assert len(dead) > 2
    store = world.process("store")
    freeze(store)
    try:
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        for pid in dead:
            until(lambda pid=pid: gone(pid), f"process {pid} is dead")
        pressed = press_by_command(world)
        output, trouble = pressed.communicate(timeout=KILL_TIMEOUT_S)
        assert pressed.returncode == 0, trouble
        assert book(world) == FLAT
    finally:
        os.kill(store, signal.SIGCONT)
        os.kill(world.guard_pid, signal.SIGCONT)
    report = json.loads(output)
    assert report["flat"] is True
    check_report(report["accounts"][0])
    until(world.answers, "the warden is back", 60)
    check_stopped_and_flat(world)


def test_two_presses_at_once_are_one_job(world: LiveWorld) -> None:
    before = jobs(world)
    pressed = press_by_command(world)
    # A kill lasts six seconds at least; on a busy machine a command may take longer to start.
    until(lambda: set(jobs(world)) - set(before), "the command's job has begun", 60, every_s=0.01)
    press(world)
    output, trouble = pressed.communicate(timeout=KILL_TIMEOUT_S)
    assert pressed.returncode == 0, trouble
    progress = wait_until_done(world)
    new = set(jobs(world)) - set(before)
    assert len(new) == 1, new
    assert json.loads(output)["accounts"][0]["job_id"] == progress["accounts"][0]["job_id"] == new.pop().stem
    check_report(progress["accounts"][0])
    check_stopped_and_flat(world)


def test_rearming_takes_a_name_a_reason_and_the_typed_scope_and_no_restart_does_it(world: LiveWorld) -> None:
    press(world)
    # By the door itself: on a busy machine the command takes longer to start than the kill to end.
    body = {"scope": "desk", "name": "Grace Hopper", "reason": REASON, "typed": "desk"}
    with pytest.raises(WorldFailed, match="409"):
        world.ask("POST", "/control/rearm", body)
    wait_until_done(world)
    others = ({"typed": f"account:{ACCOUNT}"}, {"policy": "0" * 16})
    for wrong in ({"typed": "desk!"}, {"reason": "short"}, {"name": " "}, *others):
        done = rearm(world, **wrong)
        assert done.returncode != 0, wrong
        assert "Traceback" not in done.stderr
        check_denied(world)
    assert world.command("rearm", "--scope", "desk", "--typed", "desk").returncode == 2

    dead = [*world.processes("warden"), *world.processes("gate")]
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in dead) and world.answers(), "the guard was started again", 60)
    check_stopped_and_flat(world)
    come_back(world, "desk", REASON)
    until(lambda: world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200, "entries pass again", 60, every_s=0.2)
    world.bot.order("BTCUSDT", "SELL", "0.01", reduceOnly="true").raise_for_status()


def flip_a_bit(epoch: Path) -> None:
    content = bytearray(epoch.read_bytes())
    content[0] ^= 1
    epoch.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [Path.unlink, flip_a_bit, lambda epoch: os.truncate(epoch, 3)], ids=["missing", "a bit", "cut short"]
)
def test_without_a_sound_epoch_entries_are_refused_and_exits_pass(
    world: LiveWorld, damage: Callable[[Path], None]
) -> None:
    damage(world.data_dir / "kill" / "epoch")
    check_denied(world)
    assert world.bot.order("BTCUSDT", "SELL", "0.05", reduceOnly="true").status_code == 200
    assert world.bot.cancel_all("BTCUSDT").status_code == 200
    come_back(world, "desk", REASON)
    until(lambda: world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200, "entries pass again", 60, every_s=0.2)
    make_empty(world)


def make_empty(world: LiveWorld) -> None:
    """By the owner's own hand, straight at the exchange."""
    for symbol, quantity in world.direct.positions().items():
        side = "SELL" if quantity > 0 else "BUY"
        world.direct.order(symbol, side, abs(quantity), reduceOnly="true").raise_for_status()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        world.direct.cancel_all(symbol).raise_for_status()
        world.direct.send("DELETE", "/fapi/v1/algoOpenOrders", symbol=symbol).raise_for_status()


def test_a_warden_killed_at_any_line_of_the_journal_comes_back_and_ends_flat(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("deaths")
    # Each restarts its warden again and again: more of them at once starve one another, and whatever runs beside.
    with ThreadPoolExecutor(min(WORLDS, os.cpu_count() or 1)) as ordeals:
        deaths = list(ordeals.map(lambda first: ordeal(directory / str(first), first), range(1, WORLDS + 1)))
    print(f"wardens died at lines {deaths}")
    assert all(len(lines) >= 2 for lines in deaths)


def ordeal(data_dir: Path, first: int) -> list[int]:
    """One kill whose warden dies at line ``first`` and every ``WORLDS`` lines after it; the lines it died at."""
    deaths: list[int] = []
    with LiveWorld(data_dir, POLICY, balance=100_000) as world:
        populate(world)
        warden = world.process("warden")
        world.door.arm(latency_ms=20)  # Steps stand apart, so that a death falls between two of them.
        # Not waited for: its first lines are on disk before it answers, and a dead warden never does.
        threading.Thread(target=press_in_vain, args=(world,), daemon=True).start()
        for target in range(first, first + WORLDS * DEATHS, WORLDS):
            lines = until(lambda at=target: reached(world, at), f"line {target}, or the end", KILL_TIMEOUT_S, 0.0005)
            if ended(world):
                break
            if gone(warden):
                warden = until(lambda: world.processes("warden"), "there is a warden", 60)[0]
            os.kill(warden, signal.SIGKILL)
            until(lambda pid=warden: gone(pid), "it is dead", every_s=0.002)
            deaths.append(lines)
        until(lambda: ended(world), f"world {first} ends its kill, its warden dead at {deaths}", KILL_TIMEOUT_S, 0.5)
        world.door.disarm()
        until(world.answers, "the warden is back", 60)
        progress = wait_until_done(world)
        assert progress["flat"] is True, f"world {first} died at {deaths}: {progress}"
        assert len(jobs(world)) == 1, "a death began a second job"
        check_stopped_and_flat(world)
    return deaths


def press_in_vain(world: LiveWorld) -> None:
    with contextlib.suppress(httpx.HTTPError):
        press(world)


def reached(world: LiveWorld, target: int) -> int:
    """The journal's length if it is ``target`` lines or has ended, else 0."""
    lines = journal_lines(world)
    return lines if lines >= target or (lines > 12 and ended(world)) else 0


def journal_lines(world: LiveWorld) -> int:
    return sum(path.read_bytes().count(b"\n") for path in jobs(world))


def ended(world: LiveWorld) -> bool:
    """Whether the job has come to its end, read off its journal: the warden may be dead just now."""
    journals = [Journal.read(path) for path in jobs(world)]
    states = [replay(journal.events) for journal in journals if journal is not None]
    return any(state is not None and state.phase.final for state in states)
