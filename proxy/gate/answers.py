"""What a bot gets: the venue's answer or a refusal in its words, and which of the venue's headers come along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from proxy.gate.identity import Identity
from proxy.gate.ruling import Ruling
from proxy.gate.upstream import UpstreamReply
from proxy.venues.binance.rejections import Rejection

PASSED_HEADERS: Final = ("retry-after", "x-mbx-used-weight-1m", "x-mbx-order-count-10s", "x-mbx-order-count-1m")

TRIMMED: Final = "X-Guard-Trimmed"
"""``FROM -> TO``: the quantity the bot asked for and the quantity that was sent."""

Virtual: TypeAlias = Callable[[Ruling, Identity], Awaitable[UpstreamReply]]
"""Does what was cleared in the venue's place and answers in its shape; nothing is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bot gets."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(rejection: Rejection, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that refuses."""
    return Answer(status=rejection.status, body=rejection.body(), headers=headers or {})


def passed_headers(reply: UpstreamReply) -> dict[str, str]:
    """The venue's headers a bot may see: its own budget, nothing else."""
    return {name: value for name, value in reply.headers.items() if name.lower() in PASSED_HEADERS}
