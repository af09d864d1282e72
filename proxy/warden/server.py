"""The warden's server: the control door beside the loops, and how both end together."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from types import FrameType
from typing import Any

import uvicorn

from proxy.collector import spare_what_stays
from proxy.warden.warden import Warden


async def serve_warden(warden: Warden, descriptor: int) -> None:
    """Run the warden and serve its door on an inherited socket, until SIGTERM or until a loop of its ends."""
    async with warden:
        # Two hundred thousand objects: walked again with a full collection, they are a pause of tenths of a second for
        # whoever presses the button in it.
        spare_what_stays()
        config = uvicorn.Config(
            warden.console,
            http="httptools",
            ws="none",
            loop="asyncio",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=30,
            limit_concurrency=512,
        )
        server = _PoliteServer(config, warden.leave, warden.console.state.events.close)
        async with _tasks(warden, server):
            await server.serve(sockets=[socket.socket(fileno=descriptor)])


class _PoliteServer(uvicorn.Server):
    """Goes on serving, when asked to stop, until ``leave`` is done: watchdogs hear a goodbye at this very door."""

    def __init__(
        self, config: uvicorn.Config, leave: Callable[[], Coroutine[Any, Any, None]], let_go: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._leave = leave
        self._let_go = let_go
        self._asked: tuple[int, FrameType | None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first time, only remember: this runs as a signal handler. The second time, stop at once."""
        if self._asked is not None:
            super().handle_exit(sig, frame)
        self._asked = (sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let open pages go first: their live lines would hold the door open for as long as somebody looks."""
        self._let_go()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._asked is not None and self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        if self._asked is not None and self._leaving is not None and self._leaving.done() and not self.should_exit:
            super().handle_exit(*self._asked)
            self._leaving.result()
        return await super().on_tick(counter)


@contextlib.asynccontextmanager
async def _tasks(warden: Warden, server: uvicorn.Server) -> AsyncIterator[None]:
    """The warden's loops, beside the server: if one of them ends with a bug the process ends, and is started anew."""
    loops = asyncio.create_task(warden.run())
    loops.add_done_callback(lambda task: setattr(server, "should_exit", True))
    try:
        yield
    finally:
        if loops.done() and not loops.cancelled() and (bug := loops.exception()) is not None:
            raise bug
        loops.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loops
