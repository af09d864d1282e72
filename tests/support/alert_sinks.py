"""Where alerts arrive in tests: a webhook and a mail server on loopback, real ones, that keep what they are given."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message, and when it came."""

    title: str
    body: str
    at: float


class Webhook:
    """``url`` is its apprise URL. ``status`` is what it answers, ``silent_s`` how long it waits before it does. Where
    that is a redirect, it leads to a page of its own that answers 200."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"json://127.0.0.1:{server.server_address[1]}/hook-secret-in-the-path"
        self.arrived: list[Arrival] = []
        self.refused_at: list[float] = []
        self.status = 200
        self.silent_s = 0.0

    def titled(self, part: str) -> list[Arrival]:
        """What came with ``part`` in its title."""
        return [each for each in self.arrived if part in each.title]


@contextmanager
def a_webhook(port: int = 0) -> Iterator[Webhook]:
    """A webhook that listens until the end of the block."""
    hook: Webhook

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(hook.silent_s)
            if hook.status == 200:
                hook.arrived.append(Arrival(content["title"], content["message"], time.monotonic()))
            else:
                hook.refused_at.append(time.monotonic())
            self.send_response(hook.status)
            if 300 <= hook.status < 400:
                self.send_header("location", "/sign-in")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what came is asserted on."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    hook = Webhook(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


class Mailbox:
    """``url`` is its apprise URL; ``mails`` are whole messages as they came."""

    def __init__(self, port: int) -> None:
        self.url = f"mailto://127.0.0.1:{port}?mode=insecure&from=guard@perpguard.test&to=duty@perpguard.test"
        self.mails: list[str] = []


@contextmanager
def a_mailbox() -> Iterator[Mailbox]:
    """A mail server that takes everything until the end of the block."""
    box: Mailbox

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                match line[:4].upper():
                    case b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        lines = iter(self.rfile.readline, b".\r\n")
                        box.mails.append(b"".join(lines).decode())
                        self.wfile.write(b"250 taken\r\n")
                    case b"QUIT":
                        self.wfile.write(b"221 bye\r\n")
                        return
                    case _:
                        self.wfile.write(b"250 fine\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box = Mailbox(server.server_address[1])
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield box
        finally:
            server.shutdown()
