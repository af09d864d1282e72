"""A relay on loopback that remembers every byte a gate sends to its exchange."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

_READ: Final = 65_536


class Wiretap:
    """Listens on a port of its own and passes everything on to ``target``, from entering the context to leaving it."""

    def __init__(self, target: str) -> None:
        place = urlsplit(target)
        self._target = (str(place.hostname), place.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._sent: list[bytearray] = []
        self.url: Final = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Wiretap:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def sent(self) -> bytes:
        """What came from the gate's side so far, connection by connection."""
        return b"".join(bytes(each) for each in self._sent)

    def forget(self) -> None:
        """Begin anew."""
        for each in self._sent:
            each.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._target)
                kept = bytearray()
                self._sent.append(kept)
                for source, sink, keep in ((near, far, kept), (far, near, None)):
                    threading.Thread(target=_pass_on, args=(source, sink, keep), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, keep: bytearray | None) -> None:
    with suppress(OSError):
        while part := source.recv(_READ):
            if keep is not None:
                keep += part
            sink.sendall(part)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
