"""As much of a server's WebSocket frames as it takes to put one more between two of them (RFC 6455, section 5.2)."""

from __future__ import annotations


def text_frame(content: bytes) -> bytes:
    """A whole text message, not masked, of up to 65,535 bytes."""
    if len(content) < 126:
        return b"\x81" + bytes((len(content),)) + content
    return b"\x81\x7e" + len(content).to_bytes(2, "big") + content


class Frames:
    """Where the frames of a server end; they are not masked."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    @property
    def between(self) -> bool:
        """Whether no frame is half through."""
        return not self._left and not self._head

    def passed(self, data: bytes) -> None:
        """So much more went through."""
        while data:
            if self._left:
                step = min(self._left, len(data))
                self._left -= step
                data = data[step:]
                continue
            self._head += data[:1]
            data = data[1:]
            if len(self._head) >= 2:
                more = {126: 2, 127: 8}.get(self._head[1] & 127, 0)
                if len(self._head) == 2 + more:
                    self._left = int.from_bytes(self._head[2:], "big") if more else self._head[1] & 127
                    self._head = b""
