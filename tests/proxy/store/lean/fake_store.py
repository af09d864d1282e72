"""A store on loopback that answers as a test says: rightly, wrongly, in part, slowly or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import hiredis

from proxy.store.client import Script

Answers = Callable[[list[bytes], asyncio.StreamWriter], Awaitable[None]]
"""What becomes of a script call, given its parts. It may write what it likes, or close."""

SCRIPT = Script("return ARGV[1]", "d9a9d4f5e1a5c6a3c0a0a6f1c7f0e4b4b7f0a1c2")


FILLED = "filled"
"""The key of the run id that is the right one."""


def bulk(text: str) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text.encode()), text.encode())


class FakeStore:
    """Greets as told, leaves the rest to ``answers``, and counts."""

    def __init__(self, answers: Answers, greeting: bytes = b"+OK\r\n") -> None:
        self.answers = answers
        self.greeting = greeting
        self.connections = 0
        self.calls: list[list[bytes]] = []
        self.url = ""
        self.run_id = "a" * 40
        self.filled: str | None = None
        """The run id that its warden has written down."""
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        commands = hiredis.Reader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                commands.feed(data)
                while command := commands.gets():
                    if command[0] in (b"AUTH", b"SELECT", b"CLIENT") or self.greeting != b"+OK\r\n":
                        writer.write(self.greeting)
                    elif command[0] == b"INFO":
                        writer.write(bulk(f"# Server\r\nredis_version:8.1.0\r\nrun_id:{self.run_id}\r\n"))
                    elif command[0] == b"GET":
                        writer.write(b"$-1\r\n" if self.filled is None else bulk(self.filled))
                    else:
                        self.calls.append(command)
                        await self.answers(command, writer)
                        if writer.is_closing():
                            return  # Not a word more: what came now would answer the wrong call.
        writer.close()

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.close()


@contextlib.asynccontextmanager
async def a_store(
    answers: Answers, greeting: bytes = b"+OK\r\n", tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakeStore]:
    """One that runs until the block ends."""
    store = FakeStore(answers, greeting)
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0, ssl=tls)
    store.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield store
    finally:
        store.hang_up()
        server.close()


def always(reply: bytes) -> Answers:
    async def answer(_call: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    return answer


async def echo(call: list[bytes], writer: asyncio.StreamWriter) -> None:
    """Answers with the call's last argument."""
    writer.write(b"$%d\r\n%b\r\n" % (len(call[-1]), call[-1]))


async def silence(_call: list[bytes], _writer: asyncio.StreamWriter) -> None:
    """Answers nothing."""
