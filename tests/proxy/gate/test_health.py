"""What tells a load balancer that a gate answers."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.gate.app import _application
from proxy.gate.framing import read_head
from proxy.gate.inside import ask_inside
from tests.proxy.gate.connections import MemoryTransport


async def test_a_base_url_without_the_venue_is_told_so_in_json() -> None:
    policies: Any = SimpleNamespace(in_force=SimpleNamespace(version="p1"))
    app: Any = _application(policies, nullcontext)
    head = read_head(b"GET /fapi/v1/time HTTP/1.1\r\nHost: guard\r\n\r\n")
    answer = await ask_inside(app, head, b"", MemoryTransport())
    assert answer.status == 404
    assert json.loads(answer.body) == {"detail": "Not Found: bots ask under /binanceusdm"}


@pytest.mark.parametrize(
    ("method", "body"), [(b"GET", b'{"status":"ok","policy":"p1"}'), (b"HEAD", b"")], ids=["GET", "HEAD"]
)
async def test_a_gate_says_that_it_is_alive(method: bytes, body: bytes) -> None:
    policies: Any = SimpleNamespace(in_force=SimpleNamespace(version="p1"))
    app: Any = _application(policies, nullcontext)
    head = read_head(method + b" /healthz HTTP/1.1\r\nHost: guard\r\n\r\n")
    answer = await ask_inside(app, head, b"", MemoryTransport())
    start, _, told = answer.to_bytes(last=False, to_head=method == b"HEAD").partition(b"\r\n\r\n")
    status, date, *lines = start.split(b"\r\n")
    assert date.startswith(b"date: ") and date.endswith(b" GMT")
    assert [status, *lines] == [b"HTTP/1.1 200 OK", b"content-type: application/json", b"content-length: 29"]
    assert told == body
