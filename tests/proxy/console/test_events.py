"""The live line: it says what moved, beats, ends with the session, and there are never too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from proxy.console import events
from proxy.console.events import STREAMS_EACH_MAX
from tests.proxy.console.conftest import Browser
from tests.proxy.console.desk_double import DeskDouble, a_desk, an_account
from tests.support.kills import a_kill


class Line:
    """One stream, as the server sends it: ASGI, because the client for tests waits for a whole answer."""

    def __init__(self) -> None:
        self.status = 0
        self.gone = asyncio.Event()
        self.said: asyncio.Queue[str] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message.get("body"):
            self.said.put_nowait(message["body"].decode())

    async def next(self) -> str:
        async with asyncio.timeout(5):
            while True:
                said = await self.said.get()
                if said.startswith("event: "):
                    return said.removeprefix("event: ").strip().replace("\ndata: ", ": ")

    async def until(self, beginning: str) -> str:
        while not (said := await self.next()).startswith(beginning):
            pass
        return said


@asynccontextmanager
async def listening(app: FastAPI, person: Browser) -> AsyncIterator[Line]:
    line = Line()
    cookie = f"perpguard_session={person.cookie}".encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/events", "raw_path": b"/events", "query_string": b"", "root_path": "", "server": ("127.0.0.1", 8081),
        "client": ("127.0.0.1", 50000), "headers": [(b"host", b"127.0.0.1:8081"), (b"cookie", cookie)],
    }  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(app(scope, line.receive, line.send))
        try:
            yield line
        finally:
            line.gone.set()
            await task


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(events, "AGES_EVERY_S", 1e9)


async def test_everything_is_old_at_first_and_then_what_moved(app: FastAPI, person: Browser, plane: DeskDouble) -> None:
    async with listening(app, person) as line:
        assert await line.next() == "moved: desk kill blocked history"
        assert await line.next() == "beat: -"
        plane.view = a_desk(state="HALTED")
        assert await line.until("moved") == "moved: desk"
        plane.job = a_kill()
        assert await line.until("moved") == "moved: kill"


async def test_text_that_is_no_text_moves_like_any_other(app: FastAPI, person: Browser, plane: DeskDouble) -> None:
    plane.view = a_desk(desk="\ud800")
    async with listening(app, person) as line:
        assert await line.next() == "moved: desk kill blocked history"


async def test_ages_and_marks_alone_move_nothing(app: FastAPI, person: Browser, plane: DeskDouble) -> None:
    async with listening(app, person) as line:
        await line.next()
        plane.view = a_desk(at="2026-11-24T09:31:00+00:00", accounts=(an_account(known_age_s=9.0),))
        assert [await line.next() for _ in range(3)] == ["beat: -"] * 3


async def test_it_ends_with_the_session(app: FastAPI, person: Browser, clock: Any) -> None:
    async with listening(app, person) as line:
        await line.next()
        clock.wind(hours=13)
        assert await line.until("bye") == "bye: signed out"


async def test_looking_does_not_keep_a_session_alive(app: FastAPI, person: Browser, clock: Any) -> None:
    clock.wind(minutes=29)
    async with listening(app, person) as line:
        await line.next()
        clock.wind(minutes=2)
        assert await line.until("bye") == "bye: signed out"


async def test_a_session_has_so_many_and_gets_its_seat_back(app: FastAPI, person: Browser) -> None:
    async with listening(app, person) as first:
        await first.next()
        app.state.events._open[person.csrf] = STREAMS_EACH_MAX
        answer = await person.client.get("/events")
        assert answer.status_code == 204
        app.state.events._open[person.csrf] = 1
    assert app.state.events._open.total() == 0


async def test_all_together_have_so_many(app: FastAPI, person: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAMS_MAX", 0)
    assert (await person.client.get("/events")).status_code == 204


async def test_a_closing_door_lets_everybody_go(app: FastAPI, person: Browser) -> None:
    async with asyncio.timeout(5), listening(app, person) as line:
        await line.next()
        app.state.events.close()
        while app.state.events._open.total():
            await asyncio.sleep(0.01)
    assert (await person.client.get("/events")).status_code == 204


async def test_nobody_listens_without_a_session(client: Any) -> None:
    assert (await client.get("/events")).status_code == 401


async def test_a_desk_that_cannot_be_read_is_said_once_and_pages_look_by_themselves(
    app: FastAPI, person: Browser, plane: DeskDouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGES_EVERY_S", 0.03)
    plane.broken = True
    async with listening(app, person) as line:
        for _ in range(4):
            await line.until("moved")
    assert [each.name for each in caplog.records if "live line" in each.message] == ["perpguard.console"]


async def test_a_look_that_hangs_leaves_the_others_as_they_are(
    app: FastAPI, person: Browser, plane: DeskDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(events, "LOOK_SECONDS_MAX", 0.05)
    async with listening(app, person) as line:
        await line.until("moved")
        monkeypatch.setattr(plane, "kill_progress", hangs)
        assert await line.until("moved") == "moved: kill"
        plane.view = a_desk(state="HALTED")
        assert await line.until("moved") == "moved: desk"


async def test_a_stream_has_an_end(app: FastAPI, person: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_SECONDS_MAX", 0.1)
    answer = await person.client.get("/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: moved" in answer.text


async def test_the_desk_is_looked_at_once_for_all(app: FastAPI, person: Browser, plane: DeskDouble) -> None:
    looks = 0
    desk = plane.desk

    async def counted() -> Any:
        nonlocal looks
        looks += 1
        return await desk()

    plane.desk = counted  # type: ignore[method-assign]
    versions = app.state.events._looking.versions
    assert len({str(each) for each in await asyncio.gather(*(versions() for _ in range(20)))}) == 1
    assert looks == 1
