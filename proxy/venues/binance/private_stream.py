"""The account's private stream: where it is, the key that opens it, and what stands around its events. No socket here.

Source: Binance USD-M "User Data Streams" (2026-11): a ``listenKey`` lasts 60 minutes, a PUT extends it by 60, a POST
returns the active one, and the stream says ``listenKeyExpired`` when it ends for want of a PUT.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.decoding import decoder

RENEW_EVERY_S: Final = 30 * 60
"""Half of what a key lasts, as Binance recommends."""

_EXPIRED: Final = "listenKeyExpired"


class _Key(msgspec.Struct, frozen=True):
    listenKey: str  # noqa: N815 - the venue's spelling


class _Event(msgspec.Struct, frozen=True):
    e: str = ""


_READ_KEY: Final = decoder(_Key)
_READ_EVENT: Final = decoder(_Event)


def stream_url(host: str, listen_key: str) -> str:
    """The address of a private stream; ``host`` is a base URL such as ``wss://fstream.binance.com``."""
    return f"{host.rstrip('/')}/private/ws?listenKey={listen_key}"


def read_listen_key(body: bytes) -> str | None:
    """The key in the answer to a POST, or ``None`` when there is none that could stand in an address."""
    try:
        key = _READ_KEY.decode(body).listenKey
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return key if key.isascii() and key.isalnum() and len(key) <= 128 else None


def key_body(stream_key: str) -> bytes:
    """What a POST or a PUT of a stream key is answered with."""
    return msgspec.json.encode(_Key(stream_key))


def event_type(event: bytes) -> str:
    """The type of an event, such as ``ORDER_TRADE_UPDATE``; ``""`` where it names none."""
    try:
        return _READ_EVENT.decode(event).e
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def is_expiry(event: bytes) -> bool:
    """Whether this event says that the stream has ended."""
    return _EXPIRED.encode() in event and event_type(event) == _EXPIRED


def combined(stream_key: str, event: bytes) -> bytes:
    """An event as ``/stream?streams=`` wraps it, under the key the bot asked for."""
    return b'{"stream":"' + stream_key.encode("ascii") + b'","data":' + event + b"}"
