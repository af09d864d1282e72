"""One kept-alive connection, and as little client as possible: bytes out, one whole HTTP answer in."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import time
from itertools import count
from types import TracebackType
from typing import Final
from urllib.parse import urlencode, urlsplit

from proxy.vault.keys import Secret

_READ_BYTES: Final = 65_536
_TIMEOUT_S: Final = 10.0
_NUMBERS: Final = count(1)

EXPIRING_ORDER: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "IOC",
    "quantity": "0.002",
    "price": "81000",
}
"""Far below the practice exchange's market: it expires at once, so book and account stay as they are."""


class BadAnswer(Exception):
    """The other side closed, or sent what is not one framed HTTP/1.1 answer."""


class Connection:
    """A client of one address. A context manager: leaving it closes the socket."""

    def __init__(self, base_url: str, key: str, secret: Secret, tls: ssl.SSLContext | None = None) -> None:
        """``tls`` is whom to trust, for a base URL that begins with ``https``."""
        parts = urlsplit(base_url)
        self._host, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._key, self._secret = key, secret
        self._socket = socket.create_connection((str(parts.hostname), parts.port or 80), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def signed_order(self, **parameters: str) -> bytes:
        """The bytes of a signed ``POST /fapi/v1/order``, built before the clock starts."""
        form = urlencode(
            {
                **parameters,
                "newClientOrderId": f"b-{time.time_ns():x}-{next(_NUMBERS)}",
                "recvWindow": "20000",
                "timestamp": str(time.time_ns() // 1_000_000),
            }
        )
        signature = hmac.new(self._secret.reveal().encode(), form.encode(), hashlib.sha256).hexdigest()
        body = f"{form}&signature={signature}"
        return (
            f"POST {self._prefix}/fapi/v1/order HTTP/1.1\r\nHost: {self._host}\r\nX-MBX-APIKEY: {self._key}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode("ascii")

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to ``request``. Raises ``BadAnswer`` or ``OSError``."""
        self._socket.sendall(request)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._read()
        head = self._buffer[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at < 0:
            raise BadAnswer("an answer without Content-Length")
        length = int(head[at + 17 :].partition(b"\r\n")[0])
        while len(self._buffer) < end + 4 + length:
            self._read()
        body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
        return int(head[9:12]), body

    def _read(self) -> None:
        part = self._socket.recv(_READ_BYTES)
        if not part:
            raise BadAnswer("the connection was closed")
        self._buffer += part
