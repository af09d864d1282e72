"""A door that answers every order, and once takes its time: what a bench must not overlook."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def stalling_door(reply: bytes = REPLY, *, at: int, stall_s: float, greeting: bytes = b"") -> Iterator[str]:
    """The base URL of one whose order number ``at``, and all that come meanwhile, wait for so long.

    ``greeting`` answers the first that is said on each connection, when given.
    """
    numbers, until, lock = [0], [0.0], threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection:
            if greeting:
                connection.recv(65_536)
                connection.sendall(greeting)
            while connection.recv(65_536):
                with lock:
                    numbers[0] += 1
                    if numbers[0] == at:
                        until[0] = time.monotonic() + stall_s
                time.sleep(max(0.0, until[0] - time.monotonic()))
                connection.sendall(reply)

    def accept(door: socket.socket) -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=accept, args=(door,), daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/binanceusdm"
