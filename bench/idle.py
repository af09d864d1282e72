"""A process that does nothing but answer: how long the machine itself keeps an answer waiting, beside a busy warden."""

from __future__ import annotations

import asyncio
import multiprocessing
from types import TracebackType
from typing import Any, Final

_SPAWN: Final = multiprocessing.get_context("spawn")
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Idle:
    """Listens on ``port`` of loopback while the context lasts."""

    def __init__(self) -> None:
        self._told, teller = _SPAWN.Pipe(duplex=False)
        self._process = _SPAWN.Process(target=_run, args=(teller,), daemon=True)

    def __enter__(self) -> Idle:
        self._process.start()
        self.port: int = self._told.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()


def _run(teller: Any) -> None:
    asyncio.run(_serve(teller))


async def _serve(teller: Any) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    teller.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_ANSWER)
    except (ConnectionError, asyncio.IncompleteReadError):
        writer.close()
