"""A server's text frame as bytes. It is not masked, so one encoding serves every bot that gets the message."""

from __future__ import annotations

from typing import Final

_TEXT: Final = 0x81
"""A whole message in one frame, of text (RFC 6455 section 5.2)."""


def text_frame(message: bytes) -> bytes:
    """``message``, UTF-8 text, as one unmasked frame."""
    length = len(message)
    if length < 126:
        return bytes((_TEXT, length)) + message
    if length < 1 << 16:
        return bytes((_TEXT, 126)) + length.to_bytes(2) + message
    return bytes((_TEXT, 127)) + length.to_bytes(8) + message
