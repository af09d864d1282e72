"""``python -m bench.upstream_client``: what carrying one order upstream costs, by the gate's own client and by httpx.

The venue is a process of its own on loopback that answers every request with one and the same reply, as long as
Binance's to an order. Both clients are asked in turns, on asyncio's loop and on uvloop; what is counted is this
process's CPU time, kernel included, so that the load of the machine says little.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Final

import uvloop

from bench.machine import machine, today
from proxy.gate.upstream import HttpxUpstream, OutboundRequest, Upstream
from proxy.gate.wire.client import WireUpstream
from proxy.practice.ending import ends_in_order

ROUNDS: Final = 20
CALLS: Final = 200

_BODY: Final = b'{"orderId":283194212,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"p-0123456789abcdef",' + (
    b'"price":"60000.00","avgPrice":"0.00","origQty":"0.010","executedQty":"0","cumQty":"0","cumQuote":"0",'
    b'"timeInForce":"GTC","type":"LIMIT","reduceOnly":false,"side":"BUY","positionSide":"BOTH","stopPrice":"0"}'
)
_HEADERS: Final = b"".join(b"X-Header-%d: a value of some length, as they are\r\n" % number for number in range(16))
_REPLY: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-MBX-USED-WEIGHT-1M: 12\r\nX-MBX-ORDER-COUNT-10S: 1\r\n"
    + _HEADERS
    + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
_ORDER: Final = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.010&price=60000&timeInForce=GTC&newClientOrderId=p-0123456789abcdef"
    "&recvWindow=5000&timestamp=1795824000000&signature=" + "a" * 64
)


class _Venue(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """One reply for each whole request: a client that writes head and body apart keeps its connection, too."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            _, _, length = self._buffer[:end].lower().partition(b"\r\ncontent-length:")
            whole = end + 4 + int(length.partition(b"\r\n")[0])
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._transport.write(_REPLY)


def _serve(told: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Venue, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _measured(make: Callable[[], Upstream], port: int) -> float:
    """Microseconds of CPU a call."""
    client = make()
    request = OutboundRequest(
        method="POST", url=f"http://127.0.0.1:{port}/fapi/v1/order", body=_ORDER, api_key="k" * 64, order=True
    )

    def fence() -> Callable[[], None]:
        return lambda: None

    for _ in range(20):
        await client.send(request, fence)
    began = time.process_time()
    for _ in range(CALLS):
        await client.send(request, fence)
    took_s = time.process_time() - began
    await client.aclose()
    return took_s / CALLS * 1e6


def main() -> None:
    """Measure and print."""
    print(report(measure()))


def measure() -> dict[tuple[str, str], list[float]]:
    """Microseconds of CPU a call, of each round, by loop and client."""
    here, there = multiprocessing.Pipe()
    venue = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    venue.start()
    try:
        return _in_turns(here.recv())
    finally:
        venue.terminate()


def report(seen: Mapping[tuple[str, str], Sequence[float]]) -> str:
    """A Markdown table, the machine and the date."""
    lines = [
        f"| {client} on {loop} | {statistics.median(costs):.0f} | {min(costs):.0f} |"
        for (loop, client), costs in seen.items()
    ]
    head = ("| client | CPU µs a call | at best |", "|---|---|---|")
    return "\n".join((*head, *lines, "", f"{machine()}; {today()}"))


def _in_turns(port: int) -> dict[tuple[str, str], list[float]]:
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    clients: dict[str, Callable[[], Upstream]] = {"own": WireUpstream, "httpx": HttpxUpstream}
    seen: dict[tuple[str, str], list[float]] = {(loop, client): [] for loop in loops for client in clients}
    for _ in range(ROUNDS):
        for loop, client in seen:
            with asyncio.Runner(loop_factory=loops[loop]) as runner:
                seen[loop, client].append(runner.run(_measured(clients[client], port)))
    return seen


if __name__ == "__main__":
    ends_in_order()
    main()
