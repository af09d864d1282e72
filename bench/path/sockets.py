"""WebSocket order entry: ``order.place`` over one socket of the guard, one after another, at the pace its door allows.

An order's time counts from when it was due, as that of POSTs at a rate does.

A bare client: one masked text frame out, one text frame in. The mask is zeros, which is a mask (RFC 6455, section 5.3).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import count
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

from bench.path.generator import BadAnswer
from bench.path.orders import PRICES, QUANTITIES, Key, Terms

_TIMEOUT_S: Final = 15.0
_READ_BYTES: Final = 65_536
_PATH: Final = "/ws-fapi/v1"
_NUMBERS: Final = count(1)


def placed_over_a_socket(gate: str, keys: Sequence[Key], terms: Terms, orders: int, every_s: float) -> list[float]:
    """Microseconds of each of so many orders, one due every ``every_s`` seconds, from then to its answer.

    ``gate`` is the base URL bots have. Raises ``BadAnswer`` when one is refused, or ``OSError``.
    """
    place = urlsplit(gate)
    micros = []
    with socket.create_connection((str(place.hostname), place.port or 80), _TIMEOUT_S) as door:
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        messages = _opened(door, place.netloc, place.path + _PATH)
        began = perf_counter()
        for number in range(orders):
            frame = _frame(terms, keys[number % len(keys)])
            due = began + number * every_s
            time.sleep(max(0.0, due - perf_counter()))
            door.sendall(frame)
            answer = next(messages)
            micros.append((perf_counter() - due) * 1e6)
            if json.loads(answer)["status"] != 200:
                raise BadAnswer(f"an order was refused: {answer[:200]!r}")
    return micros


def _frame(terms: Terms, key: Key) -> bytes:
    order = next(_NUMBERS)
    params = {
        "apiKey": key.key,
        "newClientOrderId": f"w-{time.time_ns():x}-{order}",
        "price": str(terms.top - terms.tick * (order % PRICES)),
        "quantity": str(terms.lot * (1 + order % QUANTITIES)),
        "recvWindow": "20000",
        "side": "BUY",
        "symbol": terms.symbol,
        "timeInForce": "IOC",
        "timestamp": str(time.time_ns() // 1_000_000),
        "type": "LIMIT",
    }
    signed = "&".join(f"{name}={value}" for name, value in params.items())  # They stand in order, as they must.
    params["signature"] = hmac.new(key.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    text = json.dumps({"id": order, "method": "order.place", "params": params}).encode()
    return b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text


def _opened(door: socket.socket, host: str, path: str) -> Iterator[bytes]:
    """Open the socket, and return the text messages that come."""
    nonce = base64.b64encode(bytes(range(16))).decode()
    door.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode("ascii")
    )
    buffer = b""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        buffer += _read(door)
    if not buffer.startswith(b"HTTP/1.1 101"):
        raise BadAnswer(f"no socket: {buffer[:200]!r}")
    return _texts(door, buffer[end + 4 :])


def _texts(door: socket.socket, buffer: bytes) -> Iterator[bytes]:
    while True:
        while len(buffer) < 4:
            buffer += _read(door)
        head, size = (4, int.from_bytes(buffer[2:4], "big")) if buffer[1] == 126 else (2, buffer[1])
        while len(buffer) < head + size:
            buffer += _read(door)
        opcode, content, buffer = buffer[0], buffer[head : head + size], buffer[head + size :]
        if opcode == 0x81:
            yield content


def _read(door: socket.socket) -> bytes:
    part = door.recv(_READ_BYTES)
    if not part:
        raise BadAnswer("the socket was closed")
    return part
