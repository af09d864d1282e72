"""Each account's requests leave by the address set for it, and only what left is counted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from proxy.budget.meter import Meter
from proxy.budget.published import Counter, Limit
from proxy.gate.egress import Egress
from proxy.gate.upstream import FenceClosed, NotSent, OutboundRequest, OutcomeUnknown
from rules.kill.budget import Spend

NOW = datetime(2026, 11, 27, 12, 0, 5, tzinfo=UTC)
REPLY = b"HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 77\r\nContent-Length: 2\r\n\r\n{}"


def a_request(url: str, account: str, cost: Spend | None = None) -> OutboundRequest:
    return OutboundRequest(method="GET", url=url, body="", api_key=None, account=account, cost=cost)


async def test_accounts_leave_by_their_own_addresses_and_are_charged_there() -> None:
    callers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REPLY)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fapi/v1/ping"
    meter = Meter(lambda: NOW)
    egress = Egress(meter, {"one": "127.0.0.2", "two": "127.0.0.3"})
    try:
        for account in ("one", "two", ""):
            await egress.send(a_request(url, account, Spend(weight=1)), None)
        await egress.send(a_request(url, "one"), None)
    finally:
        await egress.aclose()
        server.close()
    assert callers == ["127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.2"]
    assert {each: meter.used(Counter(Limit.WEIGHT_1M, each)) for each in ("127.0.0.2", "127.0.0.3", "")} == {
        "127.0.0.2": 77,
        "127.0.0.3": 77,
        "": 77,
    }


async def test_what_did_not_leave_is_not_counted_and_what_was_lost_is() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    def closed() -> None:
        raise FenceClosed("a kill came first")

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fapi/v1/ping"
    meter = Meter(lambda: NOW)
    egress = Egress(meter, {})
    weight = Counter(Limit.WEIGHT_1M, "")
    try:
        with pytest.raises(FenceClosed):
            await egress.send(a_request(url, "one", Spend(weight=40)), closed)
        with pytest.raises(NotSent):
            await egress.send(a_request("http://127.0.0.1:1/", "one", Spend(weight=40)), None)
        assert meter.used(weight) == 0
        with pytest.raises(OutcomeUnknown):
            await egress.send(a_request(url, "one", Spend(weight=40)), None)
        assert meter.used(weight) == 40
    finally:
        await egress.aclose()
        server.close()
