"""The bench of the clients to the exchange: its venue answers requests, not pieces."""

from __future__ import annotations

import asyncio

from bench.upstream_client import _REPLY, _Venue, report

HEAD = b"POST /fapi/v1/order HTTP/1.1\r\nHost: here\r\nContent-Length: 7\r\n\r\n"


class Kept(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


def test_the_venue_answers_once_a_whole_request() -> None:
    venue, transport = _Venue(), Kept()
    venue.connection_made(transport)
    # httpx sends head and body apart.
    venue.data_received(HEAD)
    venue.data_received(b"a=")
    assert transport.written == b""
    venue.data_received(b"1&b=2")
    assert transport.written == _REPLY
    venue.data_received((HEAD + b"a=1&b=2") * 2)
    assert transport.written == _REPLY * 3


def test_the_report_has_the_median_and_the_best_of_each_client() -> None:
    printed = report({("uvloop", "own"): [50.0, 70.4, 90.0]})
    assert "| own on uvloop | 70 | 50 |" in printed and "UTC" in printed
