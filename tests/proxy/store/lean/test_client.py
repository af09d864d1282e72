"""What a call comes to when the store is slow, wrong, silent or gone: an answer or a trouble, in time, asked once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.store.client import HOT_PATIENCE, HOT_TIMEOUT_S, Script, connect
from proxy.store.embedded import EmbeddedStore
from proxy.store.lean import connection, pool
from proxy.store.lean.client import LeanClient
from proxy.store.lean.trouble import CallFailed
from tests.proxy.store.failover import Moved, demote
from tests.proxy.store.lean.fake_store import FILLED, SCRIPT, FakeStore, a_store, always, echo, silence
from tests.support.worlds import until

REAL = Script("redis.call('INCR', KEYS[1]) return ARGV[1]", "46a8d5ae8d6f6a16cb9d33b7d9a2a4ea0d1e4b4f")
REAL_BY_TEXT = Script(REAL.text, "0" * 40)
PATIENT_S = 5.0

Client = Callable[..., LeanClient]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made: list[LeanClient] = []

    def make(url: str, silence_s: float = PATIENT_S) -> LeanClient:
        made.append(LeanClient(url, filled=FILLED, silence_s=silence_s))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def failure(call: Any) -> tuple[str, bool]:
    with pytest.raises(CallFailed) as failed:
        await call
    return failed.value.reason, failed.value.asked


async def test_calls_share_a_connection_and_each_gets_its_own_answer(client: Client):
    async with a_store(echo) as store:
        lean = client(store.url)
        asked = [f"answer {n}" for n in range(500)]
        assert await asyncio.gather(*(lean.run(SCRIPT, [], [text]) for text in asked)) == asked
        await lean.warm(5)
        assert store.connections == pool.CONNECTIONS


async def test_calls_do_not_wait_for_one_another_s_answers(client: Client):
    held: list[bytes] = []

    async def when_all_have_asked(call: list[bytes], writer: asyncio.StreamWriter) -> None:
        held.append(call[-1])
        if len(held) == 20:
            writer.write(b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in held))

    async with a_store(when_all_have_asked) as store:
        lean = client(store.url)
        asked = [str(n) for n in range(20)]
        # Nobody has answered yet, so all wait for the one connection being opened, and go over it together.
        assert await asyncio.gather(*(lean.run(SCRIPT, [], [text]) for text in asked)) == asked


@pytest.mark.parametrize("code", ["LOADING", "OOM", "NOAUTH", "MOVED", "MASTERDOWN", "BUSY", "ERR"])
async def test_an_error_is_a_refusal_by_its_code_and_is_not_asked_again(client: Client, code: str):
    async with a_store(always(f"-{code} some words\r\n".encode())) as store:
        lean = client(store.url)
        assert await failure(lean.run(SCRIPT, ["k"], ["a"])) == (code, True)
        assert len(store.calls) == 1
        store.answers = echo
        assert await lean.run(SCRIPT, [], ["the same connection goes on"]) == "the same connection goes on"


async def test_a_server_that_became_a_replica_is_left_for_the_one_to_which_the_address_leads(
    client: Client, own_server: EmbeddedStore, tmp_path: Path
):
    """A planned failover: the old one lives on, and closes no connection."""
    with EmbeddedStore(tmp_path / "other") as other, Moved(tmp_path / "address") as moved:
        moved.to(own_server)
        lean = client(moved.url)
        await lean.warm(PATIENT_S)
        assert await lean.run(REAL_BY_TEXT, ["k"], ["before"]) == "before"
        await demote(own_server)
        moved.to(other)
        heard = []
        for _ in range(pool.CONNECTIONS):
            heard.append(await failure(lean.run(REAL_BY_TEXT, ["k"], ["asked once"])))
        assert heard == [("READONLY", True)] * pool.CONNECTIONS
        assert await lean.run(REAL_BY_TEXT, ["k"], ["after"]) == "after"


@pytest.mark.parametrize("greeting", [b"-LOADING wait\r\n", b"-NOAUTH who\r\n"], ids=["loading", "nobody"])
async def test_a_store_that_will_not_have_us_was_asked_nothing(client: Client, greeting: bytes):
    async with a_store(echo, greeting) as store:
        lean = client(store.url)
        assert await failure(lean.run(SCRIPT, [], ["a"])) == (greeting[1:].split()[0].decode(), False)
        assert store.calls == []
        store.greeting = b"+OK\r\n"
        assert await lean.run(SCRIPT, [], ["b"]) == "b"


async def test_a_server_that_is_not_the_one_that_was_filled_is_asked_nothing_until_it_is(client: Client):
    async with a_store(echo) as store:
        store.filled = "b" * 40
        lean = client(store.url)
        for _ in range(3):
            assert await failure(lean.run(SCRIPT, [], ["a"])) == ("NotFilled", False)
        assert store.calls == []
        store.filled = store.run_id
        await lean.warm(5)
        assert await lean.run(SCRIPT, [], ["b"]) == "b"


async def test_a_server_that_does_not_say_which_it_is_is_not_the_one_that_was_filled(client: Client):
    async with a_store(echo) as store:
        store.filled, store.run_id = store.run_id, ""
        assert await failure(client(store.url).run(SCRIPT, [], ["a"])) == ("NotFilled", False)
    assert store.calls == []


async def test_the_real_store_is_not_asked_after_a_restart_before_it_is_said_to_be_filled(
    own_server: EmbeddedStore, client: Client
):
    async def run_id() -> str:
        raw = connect(own_server.url, timeout_s=2)
        found = str((await raw.info("server"))["run_id"])
        await raw.aclose()
        return found

    async def say(filled: str) -> None:
        raw = connect(own_server.url, timeout_s=2)
        await raw.set(FILLED, filled)
        await raw.config_set("appendfsync", "always")
        await raw.aclose()

    lean = client(own_server.url)
    await say(await run_id())
    assert await lean.run(REAL_BY_TEXT, ["runs"], ["a"]) == "a"
    os.kill(own_server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, own_server.pid, os.WEXITED | os.WNOWAIT)
    await failure(lean.run(REAL_BY_TEXT, ["runs"], ["lost"]))
    assert own_server.tend()
    until(lambda: own_server.tend() or own_server.ready, "it is back")
    assert await failure(lean.run(REAL_BY_TEXT, ["runs"], ["b"])) == ("NotFilled", False)
    await say(await run_id())
    await lean.warm(5)
    assert await lean.run(REAL_BY_TEXT, ["runs"], ["c"]) == "c"


async def test_a_script_the_store_does_not_know_is_sent_once_and_only_then(client: Client):
    async def unknown(call: list[bytes], writer: asyncio.StreamWriter) -> None:
        await (always(b"-NOSCRIPT No matching script.\r\n") if call[0] == b"EVALSHA" else echo)(call, writer)

    async with a_store(unknown) as store:
        assert await client(store.url).run(SCRIPT, ["k"], ["a"]) == "a"
        assert [call[:2] for call in store.calls] == [
            [b"EVALSHA", SCRIPT.sha.encode()],
            [b"EVAL", SCRIPT.text.encode()],
        ]


async def test_a_store_that_knows_no_script_at_all_is_not_asked_for_ever(client: Client):
    async with a_store(always(b"-NOSCRIPT never\r\n")) as store:
        assert await failure(client(store.url).run(SCRIPT, [], ["a"])) == ("NOSCRIPT", True)
        assert len(store.calls) == 2


async def hang_up(_call: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.close()


async def half_and_away(_call: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(b"$100\r\nhalf of")
    writer.close()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [(hang_up, "ConnectionError"), (half_and_away, "ConnectionError"),
     (always(b"HTTP/1.1 200 OK\r\n"), "ProtocolError"),
     (silence, "TimeoutError"), (always(b"$5000\r\nhalf of"), "TimeoutError")],
    ids=["hung up", "half and away", "garbage", "silence", "half"],
)  # fmt: skip
async def test_a_lost_answer_fails_all_that_shared_the_connection_and_is_never_asked_again(
    client: Client, answers: Any, reason: str
):
    async with a_store(answers) as store:
        lean = client(store.url, HOT_TIMEOUT_S)
        failures = await asyncio.gather(*(failure(lean.run(SCRIPT, [], [str(n)])) for n in range(10)))
        assert {reason for reason, asked in failures if asked} == {reason}
        sent = [call[-1] for call in store.calls]
        assert len(sent) == len(set(sent)), "asked twice"
        never_sent = {str(n).encode() for n, (_, asked) in enumerate(failures) if not asked}
        assert not never_sent & set(sent), "said not to have been asked"


async def test_the_next_call_after_a_lost_connection_opens_one(client: Client):
    async with a_store(hang_up) as store:
        lean = client(store.url)
        await failure(lean.run(SCRIPT, [], ["a"]))
        store.answers = echo
        assert await lean.run(SCRIPT, [], ["b"]) == "b"


async def test_a_lost_connection_is_opened_again_before_anybody_asks(client: Client):
    async with a_store(echo) as store:
        lean = client(store.url)
        await lean.warm(5)
        store.hang_up()
        async with asyncio.timeout(5):
            while store.connections < 2 * pool.CONNECTIONS:
                await asyncio.sleep(0.01)
        assert await lean.run(SCRIPT, [], ["b"]) == "b"


async def test_a_store_that_is_not_there_is_asked_nothing_and_tried_at_a_bounded_pace(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    tries = 0

    async def refused(*_: Any) -> Any:
        nonlocal tries
        tries += 1
        raise ConnectionRefusedError

    monkeypatch.setattr("proxy.store.lean.address.Address.connect", refused)
    lean = client("redis://127.0.0.1:1/0")
    assert await failure(lean.run(SCRIPT, [], ["a"])) == ("ConnectionRefusedError", False)
    await asyncio.sleep(0.4)
    assert 2 <= tries <= 4  # At once, after 50, 150 and 350 ms.
    before = tries
    assert await failure(lean.run(SCRIPT, [], ["a"])) == ("ConnectionRefusedError", False)
    assert tries == before + 1


async def test_a_greeting_without_an_answer_is_waited_for_no_longer_than_a_call(client: Client):
    async with a_store(echo, greeting=b"") as store:
        lean, began = client(store.url, HOT_TIMEOUT_S), time.monotonic()
        assert await failure(lean.run(SCRIPT, [], ["a"])) == ("TimeoutError", False)
        assert HOT_TIMEOUT_S <= time.monotonic() - began < HOT_TIMEOUT_S * HOT_PATIENCE


async def test_a_slow_drip_is_silence(client: Client):
    async def drip(_call: list[bytes], writer: asyncio.StreamWriter) -> None:
        for byte in b"$1000\r\n" + b"x" * 1000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    async with a_store(drip) as store:
        began = time.monotonic()
        assert await failure(client(store.url, HOT_TIMEOUT_S).run(SCRIPT, [], ["a"])) == ("TimeoutError", True)
        assert time.monotonic() - began < 5


async def test_a_large_reply_and_a_large_call_pass(client: Client):
    async with a_store(echo) as store:
        large = "é" * 1_000_000
        lean = client(store.url)
        answers = await asyncio.gather(*(lean.run(SCRIPT, [], [text]) for text in ("before", large, "after")))
        assert answers == ["before", large, "after"]


async def test_a_store_that_does_not_read_is_asked_until_the_buffer_is_full_and_no_further(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "BUFFERED_MAX", 100_000)
    asleep = asyncio.Event()

    async def reads_no_more(_call: list[bytes], _writer: asyncio.StreamWriter) -> None:
        await asleep.wait()

    async with a_store(reads_no_more) as store:
        lean = client(store.url, 0.5)
        await lean.warm(5)
        failures = await asyncio.gather(*(failure(lean.run(SCRIPT, [], ["x" * 1_000_000])) for _ in range(40)))
        assert set(failures) == {("Busy", False), ("TimeoutError", True)}
        asleep.set()


async def test_what_a_cancelled_call_asked_is_not_answered_to_the_next(client: Client):
    async with a_store(echo) as store:
        lean = client(store.url)
        for turns in range(30):
            mine = asyncio.ensure_future(lean.run(SCRIPT, [], ["mine"]))
            for _ in range(turns):
                await asyncio.sleep(0)
            mine.cancel()
            assert await lean.run(SCRIPT, [], ["yours"]) == "yours"
        assert store.connections <= pool.CONNECTIONS


async def test_a_client_that_is_closed_asks_nothing(client: Client):
    async with a_store(silence) as store:
        lean = client(store.url)
        in_flight = asyncio.ensure_future(failure(lean.run(SCRIPT, [], ["a"])))
        while not store.calls:
            await asyncio.sleep(0.01)
        await lean.aclose()
        assert await in_flight == ("Closed", True)
        assert await failure(lean.run(SCRIPT, [], ["b"])) == ("Closed", False)


async def test_drops_and_cancellations_at_random_never_mix_answers_up(client: Client):
    """A store that hangs up every so often, callers that leave, thirty at once."""
    asked = 0

    async def moody(call: list[bytes], writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked % 97 == 0:
            writer.close()
        else:
            await echo(call, writer)

    async def caller(name: int, store: FakeStore, lean: LeanClient) -> int:
        answered = 0
        for n in range(40):
            call = asyncio.ensure_future(lean.run(SCRIPT, [], [f"{name}/{n}"]))
            if (name + n) % 7 == 0:
                await asyncio.sleep(0)
                call.cancel()
            try:
                assert await call == f"{name}/{n}"
                answered += 1
            except (CallFailed, asyncio.CancelledError):
                continue
        return answered

    async with a_store(moody) as store:
        lean = client(store.url)
        answered = sum(await asyncio.gather(*(caller(name, store, lean) for name in range(30))))
        assert answered > 400
        texts = [call[-1] for call in store.calls]
        assert len(texts) == len(set(texts)), "asked twice"


async def test_the_real_store_learns_a_script_again_after_it_forgot(own_server: EmbeddedStore, client: Client):
    lean, raw = client(own_server.url), connect(own_server.url, timeout_s=2)
    script = Script(REAL.text, await raw.script_load(REAL.text))
    await raw.script_flush()
    for text in ("a", "b"):
        assert await lean.run(script, ["runs"], [text]) == text
    await raw.script_flush()
    assert await lean.run(script, ["runs"], ["c"]) == "c"
    assert await raw.get("runs") == "3"
    await raw.aclose()


async def test_a_store_that_stood_still_answers_again_and_was_asked_once(own_server: EmbeddedStore, client: Client):
    lean, raw = client(own_server.url, HOT_TIMEOUT_S), connect(own_server.url, timeout_s=2)
    script = Script(REAL.text, await raw.script_load(REAL.text))
    await lean.warm(5)
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        failures = await asyncio.gather(*(failure(lean.run(script, ["runs"], [str(n)])) for n in range(20)))
        assert set(failures) == {("TimeoutError", True)}
        assert await failure(lean.run(script, ["runs"], ["on the one that stands by"])) == ("TimeoutError", True)
        assert await failure(lean.run(script, ["runs"], ["later"])) == ("TimeoutError", False)
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    patient = client(own_server.url)
    assert await patient.run(script, ["after"], ["a"]) == "a"
    assert int(await raw.get("runs") or 0) <= 21
    await raw.aclose()


async def test_a_store_that_was_killed_is_found_again(own_server: EmbeddedStore, client: Client):
    lean = client(own_server.url)
    await lean.warm(5)
    os.kill(own_server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, own_server.pid, os.WEXITED | os.WNOWAIT)
    reason, _ = await failure(lean.run(SCRIPT, [], ["a"]))
    assert reason in {"ConnectionError", "ConnectionRefusedError", "FileNotFoundError"}
    assert own_server.tend()
    until(lambda: own_server.tend() or own_server.ready, "it is back")
    assert await lean.run(SCRIPT, [], ["b"]) == "b"
