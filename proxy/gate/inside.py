"""What the gate answers besides the venue's routes: a whole request asked of an ASGI application, its answer collected.

Only people who watch the gate come here, so nothing is streamed and nothing is fast.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from proxy.gate.answers import Answer
from proxy.gate.framing import Head

log = logging.getLogger("perpguard.gate")

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "content-type"})
"""What the gate says itself of every answer."""


async def ask_inside(app: Application, head: Head, body: bytes, transport: asyncio.Transport) -> Answer:
    """The application's answer, or a 500. Never raises."""
    to_come: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    messages: list[Message] = []

    async def receive() -> Message:
        return to_come.pop() if to_come else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    try:
        await app(_scope(head, transport), receive, send)
        start, *rest = messages
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(
            status=start["status"],
            body=b"".join(each.get("body", b"") for each in rest),
            headers={name: value for name, value in headers.items() if name not in _FRAMING},
            media_type=headers.get("content-type", "text/plain"),
        )
    except Exception:  # The edge: a bug costs this request its answer, and the gate nothing.
        log.exception("a page of the gate failed")
        return Answer(status=500, body=b"Internal Server Error", media_type="text/plain")


def _scope(head: Head, transport: asyncio.Transport) -> Message:
    lines = [line.partition(b":") for line in head.text.split(b"\r\n")[1:] if line]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": head.method.decode("ascii"),
        "scheme": "https" if transport.get_extra_info("sslcontext") is not None else "http",
        "path": unquote(head.path.decode("ascii")),
        "raw_path": head.path,
        "query_string": head.query,
        "root_path": "",
        "headers": [(name.lower(), value.strip(b" \t")) for name, _, value in lines],
        "client": transport.get_extra_info("peername"),
        "server": transport.get_extra_info("sockname"),
    }
