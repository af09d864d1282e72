"""One gate process: the bots' door, and a small application for the people who watch it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from proxy.audit.journal import Journal
from proxy.budget.meter import Meter
from proxy.gate.clock import GateClock
from proxy.gate.counting import Counting
from proxy.gate.egress import Egress, VenueBudget
from proxy.gate.identity import Identities
from proxy.gate.judge import Judge
from proxy.gate.last_answers import LastAnswers
from proxy.gate.latch import Latch
from proxy.gate.policy import GatePolicy, policy_of
from proxy.gate.rest import PREFIX, BinanceDoor
from proxy.gate.streams.door import SocketDoor
from proxy.gate.streams.relay import Relay
from proxy.gate.telling import Teller
from proxy.gate.views import Views
from proxy.gate.wiring import VenueSide, doors_to
from proxy.guard_id import known_guard_id
from proxy.host_id import host_id
from proxy.settings import Settings
from proxy.store.ear import Ear
from proxy.store.fence import Fence
from proxy.store.gate_store import GateStore
from proxy.vault.vault import Vault
from proxy.venues.binance.venue import VENUE
from rules.policy import Policy

log = logging.getLogger("perpguard.gate")

HEARD_WITHIN_S: Final = 1.0
"""A gate begins without the store's word when there is none by then: entries are refused until it comes."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate process: what it serves, and the orders on their way through it."""

    application: Starlette
    door: BinanceDoor
    upstream: LastAnswers

    @property
    def under_way(self) -> int:
        """How many orders and cancels there are."""
        return self.door.under_way

    def give_up(self) -> None:
        """Wait no longer for the exchange: what has no answer is unknown from here on."""
        self.upstream.give_up()


def create_gate(settings: Settings, policy: Policy, vault: Vault, now: Callable[[], datetime], place: str) -> Gate:
    """One gate process. Connects to nothing before its lifespan begins.

    Served by ``StrictHttpProtocol``, which finds the bots' doors in its state. ``place`` tells it from the other gates
    of this host, and is taken by the next when this one ends.
    """
    counting = Counting()
    store = GateStore(settings.store, settings.desk, policy_of=policy_of, timeout_s=settings.store_timeout_s)
    policies = GatePolicy(store, policy)
    journal = Journal(settings.data_dir)
    guard = known_guard_id(settings.data_dir)
    ear = Ear(settings.store, settings.desk, guard)
    latch = Latch(ear, guard=guard)
    store.taken = lambda: latch.taken
    clock = GateClock(store, VENUE, now)
    meter = Meter(clock.now, others=settings.gate_workers - 1, machine=host_id())
    egress = Egress(meter, settings.egress)
    upstream = LastAnswers(egress)
    venue = VenueSide(
        upstream=upstream,
        hosts=settings.hosts(VENUE),
        stream_host=settings.stream_hosts(VENUE)["fstream"],
        now=clock.now,
        budget=VenueBudget(meter, egress, store, VENUE),
    )
    judge = Judge(
        store=store,
        fence=Fence(settings.data_dir),
        journal=journal,
        policy=policy,
        now=now,
        latch=latch,
        counting=counting,
    )
    doors = doors_to(
        venue,
        desk=settings.desk,
        store=store,
        judge=judge,
        identities=Identities(vault, VENUE),
        views=Views(lambda: policies.in_force, store, VENUE),
        now=now,
        counting=counting,
    )
    relay = Relay(venue.stream_host)
    sockets = SocketDoor(
        relay=relay, trading=doors.trading, users=doors.streams, keys=doors.keys, names=settings.gate_names
    )
    teller = Teller(
        store,
        counting,
        place=place,
        gate=latch.gate,
        sockets=lambda: sockets.open_sockets,
        under_way=lambda: doors.rest.under_way,
    )
    follows = (clock, policies, venue.budget, latch, teller)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        await asyncio.gather(store.warm(), clock.read(), egress.warm(venue.hosts["fapi"]))
        loops = (*(each.follow() for each in follows), doors.keys.watch(), egress.keep_warm(venue.hosts["fapi"]))
        async with _beside(*loops):
            await latch.heard_once(HEARD_WITHIN_S)
            # Where the protocol class finds it: uvicorn hands the state to every connection.
            yield {"venue": doors.rest, "sockets": sockets}
        await doors.streams.aclose()
        await relay.aclose()
        await doors.rest.drain()
        await latch.leave()
        await teller.tell()
        await upstream.aclose()
        await store.aclose()
        ear.close()
        journal.close()

    return Gate(_application(policies, lifespan), doors.rest, upstream)


def _application(policies: GatePolicy, lifespan: Callable[[Starlette], Any]) -> Starlette:
    """What the gate answers besides the venue's own routes. FastAPI would add 5 MiB to every gate for one route."""

    async def health(_: Request) -> JSONResponse:
        """Alive, and under which policy."""
        return JSONResponse({"status": "ok", "policy": policies.in_force.version})

    async def refused(_: Request, error: Exception) -> JSONResponse:
        """A base URL without the venue's name lands here: its client reads JSON."""
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is asked for
        detail = f"{error.detail}: bots ask under {PREFIX}"
        return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)

    # With GET comes HEAD, which load balancers ask.
    routes = [Route("/healthz", health, methods=["GET"])]
    return Starlette(routes=routes, exception_handlers={HTTPException: refused}, lifespan=lifespan)


@asynccontextmanager
async def _beside(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``loops`` until the body is done. One that ended by itself had a bug, which is said."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):  # Not the cancellation, which is none.
                log.error("a loop of the gate had ended with a bug", exc_info=ended)
