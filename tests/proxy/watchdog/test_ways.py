"""How a watchdog hears the guard: over real sockets and a real store, and never anything that was said before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ReadOnlyError

from proxy.store.beats import BeatStore
from proxy.store.embedded import EmbeddedStore
from proxy.vault.keys import Secret
from proxy.watchdog.acts import Acts
from proxy.watchdog.beat import Answer, Beat, Call, Duty, Terms, seal, unseal
from proxy.watchdog.ways import PortWay, StoreWay
from rules.kill.settings import Flatten, OnGoodbye
from tests.proxy.store.failover import Moved, demote

SECRET = Secret("a" * 64)
TERMS = Terms(silent_s=10, on_goodbye=OnGoodbye.STAND_DOWN, flatten=Flatten())


def a_beat(number: int = 1, boot_us: int = 1) -> Beat:
    return Beat(boot_us=boot_us, number=number, terms=TERMS)


@asynccontextmanager
async def a_port(reply: Callable[[str], bytes]) -> AsyncIterator[str]:
    """Something that listens; ``reply`` makes the whole answer of the call it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
        writer.write(reply(json.loads(await reader.readexactly(length))["call"]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def answer_of(call: str, nonce: str | None = None) -> bytes:
    asked = unseal(SECRET, Call, call)
    answer = Answer(nonce=asked.nonce if nonce is None else nonce, challenge="next", beat=a_beat())
    return http(json.dumps({"answer": seal(SECRET, answer)}).encode())


async def look(reply: Callable[[str], bytes]) -> Beat | None:
    async with a_port(reply) as url:
        way = PortWay(url, SECRET, "local", Acts())
        try:
            return await way.look(Duty.WATCHING)
        finally:
            await way.aclose()


async def test_an_answer_to_this_very_call_is_a_sign_of_life() -> None:
    assert await look(answer_of) == a_beat()


async def test_the_next_call_repeats_the_challenge() -> None:
    calls: list[Call] = []

    def reply(call: str) -> bytes:
        calls.append(unseal(SECRET, Call, call))
        return answer_of(call)

    async with a_port(reply) as url:
        way = PortWay(url, SECRET, "local", Acts())
        await way.look(Duty.WAITING)
        await way.look(Duty.WATCHING)
        await way.aclose()
    assert [(call.challenge, call.duty) for call in calls] == [("", Duty.WAITING), ("next", Duty.WATCHING)]
    assert calls[0].nonce != calls[1].nonce


@pytest.mark.parametrize(
    "reply",
    [
        lambda call: answer_of(call, "an earlier one"),
        lambda call: http(json.dumps({"answer": seal(Secret("b" * 64), a_beat())}).encode()),
        lambda _: http(json.dumps({"answer": seal(SECRET, a_beat())}).encode()),
        lambda _: http(b"{"),
        lambda _: http(b"[]"),
        lambda _: http(b'{"answer": 1}'),
        lambda _: http(b"x" * 100_000),
        lambda _: http(b"[" * 3_500),
        lambda call: answer_of(call).replace(b"200 OK", b"500 Oh"),
        lambda _: b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        lambda _: b"garbage\r\n\r\n",
        lambda _: b"",
    ],
)
async def test_anything_else_is_silence(reply: Callable[[str], bytes]) -> None:
    assert await look(reply) is None


async def test_a_port_that_takes_a_call_and_says_nothing_is_silence() -> None:
    """What a stopped process does: the kernel still accepts."""
    server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(3_600), "127.0.0.1", 0)
    way = PortWay(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", SECRET, "local", Acts())
    assert await asyncio.wait_for(way.look(Duty.WATCHING), 5) is None
    await way.aclose()
    server.close()


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("beats")
    with EmbeddedStore(directory) as store:
        yield store.url


async def test_in_the_store_only_a_later_beat_is_a_sign_of_life(store_url: str) -> None:
    beats = BeatStore(store_url, "beats")
    way = StoreWay(beats, SECRET)
    assert await way.look(Duty.WATCHING) is None, "nothing is there"
    for beat, heard in [
        (a_beat(5), False),  # It may have lain there for days.
        (a_beat(5), False),
        (a_beat(6), True),
        (a_beat(6), False),
        (a_beat(4), False),  # Somebody put an old one back.
        (a_beat(1, boot_us=2), True),
        (a_beat(9, boot_us=1), False),
    ]:
        await beats.publish(seal(SECRET, beat))
        assert await way.look(Duty.WATCHING) == (beat if heard else None), beat
    await beats.publish(seal(Secret("b" * 64), a_beat(9, boot_us=9)))
    assert await way.look(Duty.WATCHING) is None
    await beats.publish("nonsense")
    assert await way.look(Duty.WATCHING) is None
    await beats.aclose()


async def test_kept_beats_of_an_earlier_boot_prove_nothing_however_their_number_grows(store_url: str) -> None:
    """Whoever writes to the store may have read there for weeks: the guard of boot 2 is dead."""
    beats = BeatStore(store_url, "kept")
    way = StoreWay(beats, SECRET)
    for beat, heard in [(a_beat(1, boot_us=2), False), (a_beat(2, boot_us=2), True)]:
        await beats.publish(seal(SECRET, beat))
        assert await way.look(Duty.WATCHING) == (beat if heard else None), beat
    for number in range(1, 7):
        await beats.publish(seal(SECRET, a_beat(number, boot_us=1)))
        assert await way.look(Duty.WATCHING) is None, number
    await beats.aclose()


async def test_a_guard_with_its_clock_behind_is_heard_in_the_store_once_it_has_answered_at_the_port(
    store_url: str,
) -> None:
    beats = BeatStore(store_url, "behind")
    way = StoreWay(beats, SECRET)

    async def left(*found: tuple[Beat, bool]) -> None:
        for beat, heard in found:
            await beats.publish(seal(SECRET, beat))
            assert await way.look(Duty.WATCHING) == (beat if heard else None), beat

    await left((a_beat(1, boot_us=2), False), (a_beat(2, boot_us=2), True), (a_beat(1, boot_us=1), False))

    def reply(call: str) -> bytes:
        answer = Answer(nonce=unseal(SECRET, Call, call).nonce, challenge="next", beat=a_beat(2, boot_us=1))
        return http(json.dumps({"answer": seal(SECRET, answer)}).encode())

    async with a_port(reply) as url:
        port = PortWay(url, SECRET, "local", Acts(), answered=way.answered)
        assert await port.look(Duty.WATCHING) is not None
        await port.aclose()
    await left(
        (a_beat(2, boot_us=1), False),  # Not later than what was answered.
        (a_beat(3, boot_us=1), True),
        (a_beat(3, boot_us=2), False),  # Somebody kept it.
        (a_beat(4, boot_us=2), False),
    )
    way.answered(a_beat(2, boot_us=1))
    await left((a_beat(3, boot_us=1), False))  # An answer that came late makes nothing younger.
    await beats.aclose()


async def test_after_a_planned_failover_it_hears_the_guard_at_the_new_server(tmp_path: Path) -> None:
    """The old one lives on, a replica without its link, and has the same beat for ever: who only reads is not told."""
    with (
        EmbeddedStore(tmp_path / "one") as one,
        EmbeddedStore(tmp_path / "other") as other,
        Moved(tmp_path / "address") as moved,
    ):
        moved.to(one)
        heart, mailbox = BeatStore(moved.url, "moved"), BeatStore(moved.url, "moved")
        way = StoreWay(mailbox, SECRET)
        for number in (1, 2):
            await heart.publish(seal(SECRET, a_beat(number)))
            heard = await way.look(Duty.WATCHING)
        assert heard == a_beat(2)
        await demote(one)
        moved.to(other)
        with pytest.raises(ReadOnlyError):
            await heart.publish(seal(SECRET, a_beat(3)))
        await heart.publish(seal(SECRET, a_beat(4)))
        assert await way.look(Duty.WATCHING) is None, "the old server's"
        assert await way.look(Duty.WATCHING) == a_beat(4)
        await heart.aclose()
        await mailbox.aclose()


async def test_a_store_that_is_away_is_silence(tmp_path: Path) -> None:
    beats = BeatStore(f"unix://{tmp_path}/none.sock", "beats")
    assert await StoreWay(beats, SECRET).look(Duty.WATCHING) is None
    await beats.aclose()


async def test_one_turn_at_a_time_each_with_a_greater_number(store_url: str) -> None:
    beats = BeatStore(store_url, "turns")
    first = await beats.take_turn("the warden", 5)
    assert (first.ours, first.holder, first.number) == (True, "the warden", 1)
    assert await beats.take_turn("the warden", 5) == first, "kept, not taken anew"
    refused = await beats.take_turn("watchdog remote", 5)
    assert (refused.ours, refused.holder) == (False, "the warden")
    await beats.end_turn("watchdog remote")
    assert not (await beats.take_turn("watchdog remote", 5)).ours, "nobody ends another's turn"
    await beats.end_turn("the warden")
    second = await beats.take_turn("watchdog remote", 0.02)
    assert (second.ours, second.number) == (True, 2)
    await asyncio.sleep(0.05)
    third = await beats.take_turn("the warden", 5)
    assert (third.ours, third.number) == (True, 3), "a turn that was not renewed is over"
    await beats.aclose()


async def test_an_act_is_told_until_the_guard_has_made_a_stop_of_it() -> None:
    acts, told = Acts(), list[str]()
    acts.note()
    obeyed = iter(("", "another", acts.untold, ""))

    def reply(call: str) -> bytes:
        asked = unseal(SECRET, Call, call)
        told.append(asked.acted)
        answer = Answer(nonce=asked.nonce, challenge="next", beat=a_beat(), obeyed=next(obeyed))
        return http(json.dumps({"answer": seal(SECRET, answer)}).encode())

    async with a_port(reply) as url:
        way = PortWay(url, SECRET, "remote", acts)
        for _ in range(4):
            await way.look(Duty.STANDING_DOWN)
        await way.aclose()
    assert told[0] and told == [told[0], told[0], told[0], ""]
