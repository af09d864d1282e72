"""F16 and F17: the guard's host dies, or its watchdog does. Real processes, and the practice exchange."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.clock import utc_now
from proxy.practice.world import ACCOUNT
from proxy.store.embedded import embedded_url
from proxy.store.fence import DESK, Fence
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from proxy.venues.binance.venue import VENUE
from tests.support.policies import a_policy, a_rule
from tests.support.rearming import come_back
from tests.support.worlds import LiveWorld, freeze, gone, until

FLAT_WITHIN_S = 15.0
"""From the death of the guard's processes, with the default of ten seconds of silence."""


def policy(*tables: str) -> str:
    return a_policy(a_rule("desk.max_order_value", limit=50_000), *tables)


class Watched(LiveWorld):
    """A world whose supervisor starts a watchdog."""

    def __init__(self, data_dir: Path, policy: str, **options: Any) -> None:
        super().__init__(data_dir, policy, balance=100_000, **options)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PERPGUARD_WATCHDOG": "local"}

    def watchdog(self) -> dict[str, Any]:
        """The watchdog as the desk shows it."""
        (shown,) = self.ask("GET", "/api/desk")["watchdogs"]
        return dict(shown)


@contextmanager
def watched(data_dir: Path, text: str) -> Iterator[Watched]:
    """A world with a watchdog on watch, and nobody left behind."""
    with Watched(data_dir, text) as world:
        until(lambda: world.watchdog()["duty"] == "watching", "the watchdog is on watch", 60)
        (pid,) = world.processes("watchdog")
        try:
            yield world
        finally:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)


def populate(world: LiveWorld) -> None:
    """Two positions, two resting orders and a stop."""
    until(lambda: world.bot.order("BTCUSDT", "BUY", "0.1").status_code == 200, "entries pass", 60, every_s=0.2)
    for answer in (
        world.bot.order("ETHUSDT", "SELL", "2"),
        world.bot.order("BTCUSDT", "BUY", "0.01", 85_000),
        world.bot.order("ETHUSDT", "SELL", "0.1", 3_140),
        world.bot.stop("BTCUSDT", "SELL", "0.1", 85_500),
    ):
        assert answer.status_code == 200, answer.text


def open_orders(world: LiveWorld) -> int:
    return len(world.direct.open_orders()) + len(world.direct.send("GET", "/fapi/v1/openAlgoOrders").json())


def is_flat(world: LiveWorld) -> bool:
    return not world.direct.positions() and not open_orders(world)


def kill_the_guard(world: LiveWorld, *more: int) -> None:
    """Everything of the guard's but the watchdog, the supervisor first: it would start the others again."""
    others = [pid for name in ("warden", "gate", "store") for pid in world.processes(name)]
    assert len(others) == 3
    for pid in (world.guard_pid, *others, *more):
        os.kill(pid, signal.SIGKILL)


def test_f16_kill_9_of_every_process_of_the_guard_ends_flat_within_15_s(tmp_path: Path) -> None:
    with watched(tmp_path / "data", policy()) as world:
        populate(world)
        (pid,) = world.processes("watchdog")
        died_at = time.monotonic()
        kill_the_guard(world)
        until(lambda: is_flat(world), "flat at the exchange", FLAT_WITHIN_S, every_s=0.1)
        print(f"flat {time.monotonic() - died_at:.1f} s after the death of the guard")
        assert DESK in Fence(world.data_dir).scopes(), "the watchdog's act latches"
        until(lambda: gone(pid), "an orphan ends with its watch", 60)
        assert "flattened" in world.guard_log()


@pytest.mark.full
def test_f16_a_planned_stop_is_no_death(tmp_path: Path) -> None:
    with watched(tmp_path / "data", policy("[kill.watchdog]\nsilent_s = 3\n")) as world:
        populate(world)
        (pid,) = world.processes("watchdog")
        world.stop_guard()
        assert gone(pid), "it ends with the guard"
        assert world.direct.positions().keys() == {"BTCUSDT", "ETHUSDT"}
        assert open_orders(world) == 3
        assert "standing down" in world.guard_log()
        assert not (world.data_dir / "watchdog" / "on-watch").exists()


@pytest.mark.full
def test_f16_a_planned_stop_flattens_where_the_policy_says_so(tmp_path: Path) -> None:
    with watched(tmp_path / "data", policy('[kill.watchdog]\non_goodbye = "flatten"\n')) as world:
        populate(world)
        world.stop_guard()
        assert is_flat(world), world.guard_log()
        assert ACCOUNT in {path.name for path in (world.data_dir / "kill" / "jobs").iterdir()}


@pytest.mark.full
@pytest.mark.parametrize("where", ["local", "remote", "apart"])
def test_f17_a_warden_that_comes_back_finds_the_stop_and_keeps_to_it(tmp_path: Path, where: str) -> None:
    """It stood still and was taken for dead. A remote watchdog has its own data directory: the store has the stop. One
    that has no store in common with the guard, either, tells it by its call."""
    text = policy("[kill.watchdog]\nsilent_s = 3\n")
    with ExitStack() as stack:
        world: LiveWorld
        if where == "local":
            world = stack.enter_context(watched(tmp_path / "data", text))
        else:
            world = stack.enter_context(LiveWorld(tmp_path / "data", text, balance=100_000))
            store_url = embedded_url(world.data_dir) if where == "remote" else "redis://127.0.0.1:9/0"
            stack.enter_context(a_remote_watchdog(world, tmp_path / "elsewhere", store_url))
            until(lambda: [each["duty"] for each in watchdogs(world)] == ["watching"], "it is on watch", 60)
        populate(world)
        warden = world.process("warden")
        freeze(warden)
        until(lambda: is_flat(world), "flat at the exchange", 30, every_s=0.1)
        os.kill(warden, signal.SIGCONT)
        until(lambda: world.answers() and world.account()["fence_engaged"], "it keeps to it", 60)
        until(lambda: not world.account()["kill_running"], "and lets exits pass", 60)
        assert world.bot.order("BTCUSDT", "BUY", "0.01").headers["x-guard-code"] == "TRADING_HALTED"
        assert world.bot.cancel_all("BTCUSDT").status_code == 200
        # Only then has its kill ended; re-armed before, the desk would be stopped once more by its last word.
        log = world.data_dir / "guard.log" if where == "local" else tmp_path / "elsewhere" / "watchdog.log"
        until(lambda: "this watchdog is standing down" in log.read_text(), "the watchdog's kill ends", 90)
        come_back(world, "desk", "it had only slept")
        until(lambda: world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200, "entries pass", 60, every_s=0.2)
        assert [each["duty"] for each in watchdogs(world)] == ["watching"]


def watchdogs(world: LiveWorld) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ask("GET", "/api/desk")["watchdogs"]
    return found


@contextmanager
def a_remote_watchdog(world: LiveWorld, data_dir: Path, store_url: str) -> Iterator[None]:
    """A watchdog as on another host: its own data directory, vault and settings; the guard's control port."""
    passphrase, now = Secret("a passphrase of its own"), utc_now()
    guard = Vault.open(world.data_dir / "vault" / "vault.json", Secret(world.environment["PERPGUARD_PASSPHRASE"]))
    vault = Vault.create(data_dir / "vault" / "vault.json", passphrase, work_factor=2**14)
    vault.keep_watchdog_secret(guard.pair_watchdog())
    vault.add_exchange_key(
        account=ACCOUNT, venue=VENUE, api_key=world.exchange_key, api_secret=world.exchange_secret, now=now
    )
    (data_dir / "watchdog.toml").write_text(
        f'data_dir = "."\ndesk = "demo"\nstore_url = "{store_url}"\n[venues.{VENUE}]\nurl = "{world.places.exchange}"\n'
    )
    options = [
        "--config",
        str(data_dir / "watchdog.toml"),
        "watchdog",
        "--guard",
        world.places.console,
        "--name",
        "far",
    ]
    with (data_dir / "watchdog.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", *options],
            env=os.environ | {"PERPGUARD_PASSPHRASE": passphrase.reveal()},
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0


def test_f16_with_everything_dead_resting_orders_die_by_the_venues_own_timer(tmp_path: Path) -> None:
    """The watchdog too: nobody is left to flatten, so the stop of the position must stay, and what rests beside it."""
    text = policy("[kill.dead_man]\ncountdown_s = 6\n", "[kill.watchdog]\nsilent_s = 60\n")
    with watched(tmp_path / "data", text) as world:
        until(lambda: world.bot.order("BTCUSDT", "BUY", "0.1").status_code == 200, "entries pass", 60, every_s=0.2)
        assert world.bot.stop("BTCUSDT", "SELL", "0.1", 85_500).status_code == 200
        until(lambda: world.account()["timers"] == [], "no timer stands where a stop is relied on", 30)
        for answer in (
            world.bot.order("BTCUSDT", "BUY", "0.01", 85_000),
            world.bot.order("ETHUSDT", "SELL", "0.1", 3_140),
        ):
            assert answer.status_code == 200, answer.text
        until(lambda: world.account()["timers"] == ["ETHUSDT"], "a timer stands", 30)
        # Two refreshes on, the order rests all the same: the guard lives.
        before = len(armings(world, "ETHUSDT"))
        until(lambda: len(armings(world, "ETHUSDT")) >= before + 4, "it is armed again and again", 30)
        assert {order["symbol"] for order in world.direct.open_orders()} == {"BTCUSDT", "ETHUSDT"}

        (watchdog,) = world.processes("watchdog")
        kill_the_guard(world, watchdog)
        until(lambda: {each["symbol"] for each in world.direct.open_orders()} == {"BTCUSDT"}, "the timer ran out", 15)
        assert len(world.direct.send("GET", "/fapi/v1/openAlgoOrders").json()) == 1, "the stop stays"
        assert world.direct.positions() == {"BTCUSDT": 0.1}


def armings(world: LiveWorld, symbol: str) -> list[dict[str, Any]]:
    """How often a timer was set on the symbol."""
    return [each for each in world.door.timers() if each["params"]["symbol"] == symbol]
