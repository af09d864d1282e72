"""HTTP by hand over a plain socket: what no client library would send, and the answer as it came."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``status`` 0 when the connection was closed without a word."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def exchange(base_url: str, payload: bytes, *, half_close: bool = False, timeout_s: float = 20) -> Answer:
    """Send bytes, read one answer. ``half_close`` says at once that nothing more will come."""
    place = urlsplit(base_url)
    with socket.create_connection((place.hostname, place.port), timeout=timeout_s) as connection:
        connection.sendall(payload)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return _read(connection)


def request(method: str, target: str, headers: Mapping[str, str] | list[tuple[str, str]], body: bytes = b"") -> bytes:
    """A request with exactly these headers, plus a Content-Length when there is a body and none is given."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
    names = {name.lower() for name, _ in pairs}
    if body and not names & {"content-length", "transfer-encoding"}:
        pairs = [*pairs, ("Content-Length", str(len(body)))]
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _read(connection: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return Answer(0, received)
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(named.get("content-length", "0"))
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            break
        body += part
    return Answer(int(lines[0].split()[1]), body)
