"""Honest inputs to begin with: what real clients sent, as the conformance tests keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parents[1] / "conformance" / "captures"


@lru_cache(maxsize=1)
def _requests() -> tuple[dict[str, Any], ...]:
    lines = [line for path in sorted(CAPTURES.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return tuple(request for line in lines for request in json.loads(line)["requests"])


def captured_frames() -> Iterator[bytes]:
    """Frames of the WebSocket trading API."""
    return (request["frame"].encode() for request in _requests() if request.get("ws"))


def captured_requests() -> Iterator[tuple[str, str, bytes, bytes]]:
    """Method, path, query and body of each REST request."""
    for request in _requests():
        if not request.get("ws"):
            path, _, query = request["target"].partition("?")
            yield request["method"], path, query.encode(), (request.get("body") or "").encode()
