"""The live line to an open page: server-sent events that name the parts of it that are old.

One look a second serves every stream. A stream says which parts have changed since it last said so, and beats in
between, so that a page notices silence. Nothing of the desk is in it: the page fetches its parts itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from proxy.console.answers import Refusal
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.door import Door
from proxy.console.looking import LOOK_SECONDS_MAX
from proxy.console.plane import ControlPlane
from proxy.console.routing import Kind, add, session_of
from proxy.people.roles import Role

log = logging.getLogger("perpguard.console")

LOOK_EVERY_S: Final = 1.0
AGES_EVERY_S: Final = 5.0
"""Ages grow by themselves, and a renewal may fail: no part is older than this."""
STREAM_SECONDS_MAX: Final = 900.0
STREAMS_MAX: Final = 64
STREAMS_EACH_MAX: Final = 4
"""Of one session. A browser has six connections to a host, and the button needs one."""

_MOVES_BY_ITSELF: Final = ("at", "age_s", "left_s", "mark_price")


class Events:
    """The route, and what it knows of the desk."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._door = door
        self._looking = _Looking(plane)
        self._open: Counter[str] = Counter()
        self._closing = asyncio.Event()

    def router(self) -> APIRouter:
        """The route."""
        routes = APIRouter()
        add(routes, "/events", self.stream, method="GET", role=Role.VIEWER, kind=Kind.PART)
        return routes

    def close(self) -> None:
        """Let every page go: the door is about to close, and a stream would hold it open."""
        self._closing.set()

    async def stream(self, request: Request) -> Response:
        """A stream, or 204 when there are enough: browsers do not ask again then, and the page polls."""
        read_query(request)
        whose = session_of(request).csrf
        if self._open.total() >= STREAMS_MAX or self._open[whose] >= STREAMS_EACH_MAX or self._closing.is_set():
            return Response(status_code=204)
        self._open[whose] += 1
        return _Stream(self._tell(request), self._open, whose)

    async def _tell(self, request: Request) -> AsyncIterator[bytes]:
        """Until the session ends, the door closes or the time is up; the browser comes back by itself."""
        told: Mapping[str, str] = {}
        began = time.monotonic()
        yield b"retry: 2000\n\n"
        while time.monotonic() - began < STREAM_SECONDS_MAX and not self._closing.is_set():
            try:
                self._door.person(request, touch=False)
            except Refusal:
                yield _event("bye", "signed out")
                return
            now = await self._looking.versions()
            moved = [part for part, version in now.items() if told.get(part) != version]
            told = now
            yield _event("moved", " ".join(moved)) if moved else _event("beat", "-")
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._closing.wait()
            except TimeoutError:
                continue


class _Stream(StreamingResponse):
    """Gives its seat back however it ends."""

    def __init__(self, content: AsyncIterator[bytes], seats: Counter[str], whose: str) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._seats = seats
        self._whose = whose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._seats[self._whose] -= 1
            if not self._seats[self._whose]:
                del self._seats[self._whose]


class _Looking:
    """The version of every part, at most one look a second whoever asks."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self._versions: Mapping[str, str] = {}
        self._well = True

    async def versions(self) -> Mapping[str, str]:
        """As of now, or of up to a second ago."""
        async with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S / 2:
                self._versions = await self._look()
                self._looked_at = time.monotonic()
            return self._versions

    async def _look(self) -> Mapping[str, str]:
        ages = str(int(time.monotonic() / AGES_EVERY_S))
        looks: Mapping[str, Callable[[], Awaitable[Any]]] = {
            "desk": self._plane.desk,
            "kill": self._plane.kill_progress,
            "blocked": lambda: self._plane.blocked(bot=None, rule=None, account=None, limit=1),
            "history": self._plane.history.history,
        }
        # At once, and briefly: a line that is silent while reads hang is taken for a guard that is gone. And a page
        # must hear that the guard is there even when the desk cannot be read.
        found = await asyncio.gather(*map(_briefly, looks.values()), return_exceptions=True)
        troubles = [each for each in found if isinstance(each, BaseException)]
        if troubles and self._well:
            log.error(
                "the live line cannot look at the desk; pages are told to look by themselves", exc_info=troubles[0]
            )
        self._well = not troubles
        return {part: _version(part, each, ages) for part, each in zip(looks, found, strict=True)}


async def _briefly(look: Callable[[], Awaitable[Any]]) -> Any:
    return await read(look(), LOOK_SECONDS_MAX)


def _version(part: str, found: Any, ages: str) -> str:
    if isinstance(found, BaseException):
        return ages
    if part == "history":
        return str(found.at[-1]) if found.at else ""
    return _digest(found) + ages


def _digest(value: object) -> str:
    """The same for what looks the same but for ages and the newest mark."""
    plain = _without(msgspec.to_builtins(value, enc_hook=str, str_keys=True))
    return hashlib.blake2b(json.dumps(plain).encode("ascii"), digest_size=12).hexdigest()


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items() if not key.endswith(_MOVES_BY_ITSELF)}
    if isinstance(value, list | tuple):
        return [_without(each) for each in value]
    return value


def _event(name: str, text: str) -> bytes:
    return f"event: {name}\ndata: {text}\n\n".encode()
