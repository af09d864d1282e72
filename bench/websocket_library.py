"""Which library speaks WebSocket to the bots: the numbers of decision 10.

A server process per way, the clients raw sockets in this one. Two questions: what one 200-byte message costs the server
when it goes to a hundred clients, and how long one client waits for an echo. `picows` is no dependency of the guard;
install it by hand to repeat its rows.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, Final

import uvicorn
from websockets.frames import Frame, Opcode

from bench.machine import machine
from proxy.practice.ending import ends_in_order

CLIENTS: Final = 100
PAYLOAD: Final = b"x" * 200
FRAME: Final = Frame(Opcode.TEXT, PAYLOAD).serialize(mask=False)
_MASKED: Final = Frame(Opcode.TEXT, PAYLOAD).serialize(mask=True)
_UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def main() -> int:
    """Measure every way and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="bench.websocket_library")
    parser.add_argument("--messages", type=int, default=3000, help="messages to each of the 100 clients")
    parser.add_argument("--echoes", type=int, default=5000, help="messages of the one client")
    args = parser.parse_args()
    print("| way | server CPU per message to 100 clients, µs | messages/s | echo p50 µs | echo p99 µs |")
    print("|---|---|---|---|---|")
    for name, server in WAYS.items():
        cpu_us, rate = fan_out(server, args.messages)
        times = echo(server, args.echoes)
        p99 = times[-max(1, len(times) // 100)]
        print(f"| {name} | {cpu_us:.0f} | {rate:.0f} | {statistics.median(times):.0f} | {p99:.0f} |", flush=True)
    print(f"\n{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    return 0


def fan_out(server: Server, messages: int) -> tuple[float, float]:
    """Server CPU a message (microseconds) and messages a second, with every client reading as fast as it can."""
    port, process, pipe = _start(server, messages)
    clients = [_connect(port) for _ in range(CLIENTS)]
    selector = selectors.DefaultSelector()
    for client in clients:
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    pipe.send("go")
    left = messages * CLIENTS * len(FRAME)
    buffer = bytearray(1 << 18)
    while left > 0:
        for key, _ in selector.select(10):
            left -= key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
    cpu_s, wall_s = pipe.recv()
    for client in clients:
        client.close()
    process.terminate()
    process.join()
    return cpu_s / messages * 1e6, messages / wall_s


def echo(server: Server, echoes: int) -> list[float]:
    """Sorted times from sending one masked message to having read its echo, in microseconds."""
    port, process, _ = _start(server, 0)
    client = _connect(port)
    times = []
    for _ in range(echoes):
        began = time.perf_counter_ns()
        client.sendall(_MASKED)
        left = len(FRAME)
        while left:
            left -= len(client.recv(left))
        times.append((time.perf_counter_ns() - began) / 1000)
    client.close()
    process.terminate()
    process.join()
    return sorted(times[len(times) // 10 :])


Server = Callable[[socket.socket, Connection, int], None]


def _start(server: Server, messages: int) -> tuple[int, multiprocessing.process.BaseProcess, Connection]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=server, args=(listener, theirs, messages))
    process.start()
    return listener.getsockname()[1], process, ours


def _connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(_UPGRADE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return client


async def _broadcast(pipe: Connection, messages: int, to_all: Callable[[], Any], backlog: Callable[[], int]) -> None:
    """Send when told to, never further ahead than the slowest client can buffer; then say what it cost."""
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    cpu, began = time.process_time(), time.monotonic()
    for _ in range(messages):
        sent = to_all()
        if sent is not None:
            await sent
        await asyncio.sleep(0)
        while backlog() > 1 << 18:  # noqa: ASYNC110 - nothing else tells when a client has read
            await asyncio.sleep(0.0005)
    pipe.send((time.process_time() - cpu, time.monotonic() - began))


def _uvicorn(application: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(
        application, ws="websockets-sansio", lifespan="off", log_config=None, ws_per_message_deflate=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def asgi_server(listener: socket.socket, pipe: Connection, messages: int) -> None:
    """uvicorn's WebSocketsSansIOProtocol as an ASGI application uses it: one encoding and one ``await`` a client."""
    sends: list[Any] = []

    async def to_all() -> None:
        for send in sends:
            await send({"type": "websocket.send", "text": PAYLOAD.decode()})

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        sends.append(send)
        if len(sends) == CLIENTS:
            await _broadcast(pipe, messages, to_all, lambda: 0)  # Its ``send`` waits by itself.
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    _uvicorn(application, listener)


def encoded_once_server(listener: socket.socket, pipe: Connection, messages: int) -> None:
    """The guard's own door (``proxy.gate.streams.socket``): websockets' sans-IO protocol, one encoding for all."""
    from proxy.gate.protocol import StrictHttpProtocol
    from proxy.gate.streams.admission import Admission, FrameSocket, Handshake
    from proxy.gate.streams.frames import text_frame
    from proxy.gate.streams.outbox import Outbox
    from proxy.gate.streams.socket import BotConnection

    outbox = Outbox()
    sockets: list[Any] = []

    class Door:
        outbox: Outbox

        def admit(self, handshake: Handshake) -> Admission:
            return Admission(serve, messages_per_s=1e9)

    door = Door()
    door.outbox = outbox

    def to_all() -> None:
        frame = text_frame(PAYLOAD)
        for bot in sockets:
            bot.send_frame(frame)

    async def serve(bot: FrameSocket) -> None:
        sockets.append(bot)
        if len(sockets) == CLIENTS:
            backlog = lambda: max(each.transport.get_write_buffer_size() for each in sockets)  # noqa: E731
            await _broadcast(pipe, messages, to_all, backlog)
        while True:
            bot.send((await bot.receive()).encode())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["sockets"] = door
        await send({"type": "lifespan.startup.complete"})
        await receive()

    config = uvicorn.Config(application, http=StrictHttpProtocol, ws=BotConnection, log_config=None, loop="asyncio")
    uvicorn.Server(config).run(sockets=[listener])


def picows_server(listener: socket.socket, pipe: Connection, messages: int) -> None:
    """picows: a Cython protocol; its transport encodes and writes in one call."""
    import picows

    transports: list[Any] = []

    def to_all() -> None:
        for transport in transports:
            transport.send(picows.WSMsgType.TEXT, PAYLOAD)

    class Listener(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            transports.append(transport)
            if len(transports) == CLIENTS:
                backlog = lambda: max(t.underlying_transport.get_write_buffer_size() for t in transports)  # noqa: E731
                self.task = asyncio.ensure_future(_broadcast(pipe, messages, to_all, backlog))

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT:
                transport.send(picows.WSMsgType.TEXT, frame.get_payload_as_bytes())

    async def serve() -> None:
        server = await picows.ws_create_server(lambda _: Listener(), sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


WAYS: Final[dict[str, Server]] = {
    "websockets, through uvicorn's ASGI": asgi_server,
    "websockets, sans-IO, encoded once": encoded_once_server,
}
try:
    import picows as _picows

    WAYS[f"picows {_picows.__version__}"] = picows_server
except ImportError:
    print("picows is not installed: its row is missing", file=sys.stderr)


if __name__ == "__main__":
    ends_in_order()
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
