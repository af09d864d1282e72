"""What a bot gets: the venue's answer or a refusal in its words, which of the venue's headers come along, its bytes."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, TypeAlias

from msgspec import Struct

from proxy.gate.identity import Identity
from proxy.gate.ruling import Ruling
from proxy.gate.upstream import UpstreamReply
from proxy.venues.binance.rejections import Rejection
from proxy.venues.binance.usage import read_retry_after

PASSED_HEADERS: Final = ("retry-after", "x-mbx-used-weight-1m", "x-mbx-order-count-10s", "x-mbx-order-count-1m")

TRIMMED: Final = "X-Guard-Trimmed"
"""``FROM -> TO``: the quantity the bot asked for and the quantity that was sent."""

JSON: Final = "application/json;charset=UTF-8"

_CONTINUE: Final = b"\r\n\r\n"
_CLOSE: Final = b"\r\nconnection: close\r\n\r\n"
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_PHRASED: Final = frozenset(HTTPStatus)

Virtual: TypeAlias = Callable[[Ruling, Identity], Awaitable[UpstreamReply]]
"""Does what was cleared in the venue's place and answers in its shape; nothing is sent."""


class Answer(Struct, frozen=True, kw_only=True):
    """What the bot gets."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    media_type: str = JSON

    def to_bytes(self, *, last: bool, to_head: bool = False) -> bytes:
        """The whole answer as HTTP/1.1. ``last`` says that the connection ends with it.

        ``to_head``: to a HEAD, which is told of a body and gets none (RFC 9110 section 9.3.2).
        """
        end = _CLOSE if last else _CONTINUE
        start = _start(self.status, self.media_type, int(time.time()))
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):  # RFC 9110: they never have a body.
            return b"".join((start, self._header_bytes(), end))
        length = b"\r\ncontent-length: %d" % len(self.body)
        body = b"" if to_head else self.body
        if not self.headers:
            return b"".join((start, length, end, body))
        return b"".join((start, length, self._header_bytes(), end, body))

    def _header_bytes(self) -> bytes:
        # A line's end in a value would begin a header of its own, or an answer.
        lines = (f"\r\n{name.lower()}: {_UNPRINTABLE.sub('?', value)}" for name, value in self.headers.items())
        return "".join(lines).encode("ascii")


def refusal(rejection: Rejection, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that refuses."""
    return Answer(status=rejection.status, body=rejection.body(), headers=headers or {})


def retry_after_s(answer: Answer) -> int | None:
    """When an answer says to come again, whether in the venue's words or in the guard's."""
    return read_retry_after(answer.headers)


def passed_headers(reply: UpstreamReply) -> dict[str, str]:
    """The venue's headers a bot may see: its own budget, nothing else."""
    return {name: value for name, value in reply.headers.items() if name.lower() in PASSED_HEADERS}


def http_date(now_s: float) -> str:
    """A moment as the ``Date`` of an answer has it (RFC 9110 section 6.6.1)."""
    return formatdate(now_s, usegmt=True)


@lru_cache(maxsize=64)
def _start(status: int, media_type: str, now_s: int) -> bytes:
    """Made once a second for each kind of answer, which is all that ``Date`` costs."""
    phrase = HTTPStatus(status).phrase if status in _PHRASED else ""
    return f"HTTP/1.1 {status} {phrase}\r\ndate: {http_date(now_s)}\r\ncontent-type: {media_type}".encode("ascii")
