"""What the bots' door itself costs: ``python -m bench.door``. CPU time per request, without sockets and their kernel.

Two protocols take turns in one event loop, each on a transport in memory that answers nothing and counts: uvicorn's for
httptools with the least raw ASGI application that reads a body, and the gate's with a door that knows one answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy.gate.answers import Answer
from proxy.gate.caller import Caller
from proxy.gate.framing import Head
from proxy.gate.protocol import StrictHttpProtocol
from proxy.gate.venue_door import VenueDoor

BODY: Final = b'{"orderId":283194212,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"x-1","price":"63000.10"}'
FORM: Final = (
    b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=63000.10&newClientOrderId=b-1&recvWindow=5"
    b"000&timestamp=1764295200000&signature=" + b"f" * 64
)
ORDER: Final = (
    b"POST /binanceusdm/fapi/v1/order HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: python-requests/2.32.5\r\n"
    b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nX-MBX-APIKEY: " + b"k" * 64 + b"\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(FORM) + FORM
)
"""As python-requests under ccxt builds it."""


class Silent(asyncio.Transport):
    """Takes what is written, and says when a body was."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answered = bytes(data[-len(BODY) :]) == BODY

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Door:
    """One answer to everything."""

    prefix: Final = b"/binanceusdm/"

    def knows(self, key: bytes) -> bool:
        """See ``VenueDoor``: as of a bot, whose requests strangers do not wait for."""
        return True

    async def answer(self, head: Head, body: bytes, caller: Caller) -> Answer:
        """See ``VenueDoor``."""
        return Answer(status=200, body=BODY)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """What the door was before, without what it did with a request."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    b"".join(parts)
    headers = [(b"content-type", b"application/json;charset=UTF-8"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def connected(protocol: Callable[..., Any], state: dict[str, Any]) -> tuple[Any, Silent]:
    """A protocol as uvicorn makes it, on a transport in memory."""
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    config.load()
    made, transport = protocol(config=config, server_state=ServerState(), app_state=state), Silent()
    made.connection_made(transport)
    return made, transport


async def spent_us(made: Any, transport: Silent, requests: int) -> float:
    """CPU time of one request, turns of the event loop and all."""
    began_ns = time.process_time_ns()
    for _ in range(requests):
        transport.answered = False
        made.data_received(ORDER)
        while not transport.answered:  # noqa: ASYNC110 - an event would be a part of what is measured
            await asyncio.sleep(0)
    return (time.process_time_ns() - began_ns) / requests / 1000


async def measure(rounds: int, requests: int) -> dict[str, list[float]]:
    """In turns, the first round thrown away."""
    door: VenueDoor = Door()
    ways = {
        "uvicorn's protocol, raw ASGI": connected(HttpToolsProtocol, {}),
        "the gate's protocol": connected(StrictHttpProtocol, {"venue": door}),
    }
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, (made, transport) in ways.items():
            each = await spent_us(made, transport, requests)
            if number:
                spent[way].append(each)
    return spent


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=1_000, help="of one round, each way")
    args = parser.parse_args()
    spent = asyncio.run(measure(args.rounds, args.requests))
    most = max(statistics.median(each) for each in spent.values())
    print("| protocol | CPU µs per request | x |\n|---|---|---|")
    for way, each in spent.items():
        print(f"| {way} | {statistics.median(each):.1f} | {statistics.median(each) / most:.2f} |")
    print(f"\n{args.rounds} rounds of {args.requests}, medians; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
