"""The load generator: whose orders are up does not keep it from those whose are not."""

from __future__ import annotations

import socket
import threading

from bench.path.generator import _Load

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_bot_that_has_sent_all_it_has_stops_no_other() -> None:
    slow, slow_far = socket.socketpair()
    quick, quick_far = socket.socketpair()
    with slow, slow_far, quick, quick_far:
        load = _Load([slow, quick], [b"slow 1", b"quick", b"slow 2"], keys=2)
        sending = threading.Thread(target=load.open, args=(10_000.0,), daemon=True)
        sending.start()
        assert quick_far.recv(100) == b"quick"
        quick_far.sendall(ANSWER)
        assert slow_far.recv(100) == b"slow 1"
        sending.join(0.2)  # It finds out that only the quick one's connection is free, and that its orders are up.
        slow_far.sendall(ANSWER)
        slow_far.settimeout(5)
        assert slow_far.recv(100) == b"slow 2"
        slow_far.sendall(ANSWER)
        sending.join(5)
        assert not sending.is_alive()
        assert load.result().orders == 3
