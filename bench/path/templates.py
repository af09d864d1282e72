"""What the practice exchange said to one order, as it would say it to the next: its answer, and its stream's frames.

Taken down once before a run, so that the upstream of the bench can answer in microseconds what an engine takes hundreds
for, and nothing about it is invented.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

_ANSWER: Final[Mapping[str, str]] = {
    "orderId": "number",
    "clientOrderId": "client_id",
    "price": "price",
    "origQty": "quantity",
    "time": "now",
    "updateTime": "now",
}
_FRAME: Final[Mapping[str, str]] = {
    "i": "number",
    "c": "client_id",
    "p": "price",
    "q": "quantity",
    "T": "now",
}
_NUMBERS: Final = ("number", "now")


@dataclass(frozen=True, slots=True)
class Templates:
    """``%``-formats over ``number``, ``client_id``, ``price``, ``quantity`` and ``now``, the last in milliseconds."""

    answer: str
    frames: tuple[str, ...]

    def filled(self, body: bytes, number: int, now: int) -> tuple[bytes, list[bytes]]:
        """The answer to the order of this form, and the frames that tell the account of it."""
        form = dict(parse_qsl(body.decode("ascii")))
        values = {
            "number": number,
            "client_id": form["newClientOrderId"],
            "price": form["price"],
            "quantity": form["quantity"],
            "now": now,
        }
        return (self.answer % values).encode(), [(frame % values).encode() for frame in self.frames]


def taken_down(answer: Mapping[str, Any], frames: list[Mapping[str, Any]]) -> Templates:
    """Templates of an answer and of the ORDER_TRADE_UPDATE frames that came with it."""
    return Templates(
        answer=_format(dict(answer), _ANSWER),
        frames=tuple(
            _format(dict(frame) | {"o": _marked(frame["o"], _FRAME)}, {"E": "now", "T": "now"}) for frame in frames
        ),
    )


def _format(content: dict[str, Any], names: Mapping[str, str]) -> str:
    text = json.dumps(_marked(content, names), separators=(",", ":")).replace("%", "%%")
    for name in {*_ANSWER.values(), *_FRAME.values()}:
        marked = f'"<{name}>"'
        text = text.replace(marked, f"%({name})d" if name in _NUMBERS else f'"%({name})s"')
    return text


def _marked(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {field: f"<{names[field]}>" if field in names else value for field, value in content.items()}
