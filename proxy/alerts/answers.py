"""Bounds what a channel's server can do to whoever asks it: how much it answers, for how long, and from where.

apprise asks through ``requests``, which reads an answer to its end however large it is, begins its time-out anew with
every byte, and goes where proxy variables lead. The adapter here takes the place of its own, and bounds what is asked
within an attempt; for whoever else asks through ``requests`` nothing changes.
"""

from __future__ import annotations

import io
import socket
import threading
from contextlib import suppress
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

ANSWER_MAX: Final = 1024 * 1024
"""What services answer to a message is some kilobytes."""

_CHUNK: Final = 16 * 1024


class Attempt:
    """One attempt to hand a message over: the connections that the thread within the block opens can be cut from
    outside, whatever it is waiting for on them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._over = False

    def __enter__(self) -> None:
        _of_thread.attempt = self

    def __exit__(self, *_: object) -> None:
        _of_thread.attempt = None
        with self._lock:
            self._over = True
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def opened(self, connection: socket.socket) -> None:
        """A connection of this attempt. Where it is over already, that is cut at once."""
        with self._lock:
            if self._over:
                _cut(connection)
                return
            # TLS takes the socket out of its object; the copy is the same connection, whatever becomes of that.
            self._sockets.append(connection.dup())

    def cut(self) -> None:
        """End every connection: whatever waits on one fails now. Waits for nothing."""
        with self._lock:
            self._over = True
            for each in self._sockets:
                _cut(each)


class _OfThread(threading.local):
    attempt: Attempt | None = None


_of_thread = _OfThread()


def bound_answers() -> None:
    """Every answer that ``requests`` reads within an ``Attempt`` is bounded from now on."""
    cast(Any, requests.sessions).HTTPAdapter = _BoundedAdapter


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _noted(connection: socket.socket) -> socket.socket:
    attempt = _of_thread.attempt
    if attempt is not None:
        attempt.opened(connection)
    return connection


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _BoundedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if _of_thread.attempt is None:
            return super().send(request, *args, **kwargs)
        # The guard's own connections follow no proxy variable, and a channel's URL is a secret like a key.
        response = super().send(request, *args, **kwargs | {"proxies": None})
        raw, content = cast(HTTPResponse, response.raw), bytearray()
        try:
            for chunk in raw.stream(_CHUNK, decode_content=True):
                content += chunk
                if len(content) > ANSWER_MAX:
                    raise OSError(f"an answer of more than {ANSWER_MAX} bytes")
        except (HTTPError, OSError) as trouble:
            raw.close()
            raise requests.ConnectionError(trouble, request=request) from trouble
        raw.release_conn()
        response.raw = io.BytesIO(bytes(content))
        return response
