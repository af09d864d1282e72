"""One host of the venue as orders are addressed to it: where it is, and the bytes of a request to it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from proxy.gate.upstream import NotSent, OutboundRequest

# The visible characters of ASCII: no space, CR, LF or NUL can end a line or a word early.
_VISIBLE: Final = re.compile("[!-~]+")
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})


def split_url(url: str) -> tuple[str, str]:
    """The origin of ``url``, and what is asked of it. The latter carries a signature: it is never shown."""
    end = url.find("/", len("https://"))
    return (url, "/") if end < 0 else (url[:end], url[end:])


class Origin:
    """``scheme://host[:port]``, from the settings. Raises ``NotSent`` for what is no such thing."""

    __slots__ = ("_head", "host", "port", "tls")

    def __init__(self, origin: str) -> None:
        try:
            parts = urlsplit(origin)
            port = parts.port
        except ValueError:
            raise NotSent("UnsupportedProtocol: not an address of a venue") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise NotSent("UnsupportedProtocol: not an address of a venue")
        if "@" in parts.netloc or _VISIBLE.fullmatch(parts.netloc) is None:
            raise NotSent("UnsupportedProtocol: not an address of a venue")
        self.host = parts.hostname
        self.tls = parts.scheme == "https"
        self.port = port or (443 if self.tls else 80)
        self._head = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
            "Connection: keep-alive\r\nUser-Agent: perpguard\r\n"
        )

    def request(self, request: OutboundRequest, target: str) -> bytes:
        """Head and body in one piece. Raises ``NotSent`` for what would not stay in its line, without showing it."""
        if request.method not in _METHODS or _VISIBLE.fullmatch(target) is None:
            raise NotSent("LocalProtocolError: not a request line")
        key, body = request.api_key, request.body
        head = request.method + " " + target + self._head
        if key is not None:
            if _VISIBLE.fullmatch(key) is None:
                raise NotSent("LocalProtocolError: not a header value")
            head += f"X-MBX-APIKEY: {key}\r\n"
        if body:
            if not body.isascii():
                raise NotSent("LocalProtocolError: not a body of parameters")
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        elif request.method in ("POST", "PUT"):
            head += "Content-Length: 0\r\n"
        return (head + "\r\n" + body).encode("ascii")
