"""One gate process: a FastAPI app for the people who watch it, and the bots' door in front of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI

from proxy.budget.meter import Meter
from proxy.gate.clock import GateClock
from proxy.gate.egress import Egress, VenueBudget
from proxy.gate.event_views import EventViews
from proxy.gate.http import BinanceDoor
from proxy.gate.identity import Identities
from proxy.gate.journal import Journal
from proxy.gate.judge import Judge
from proxy.gate.latch import Latch
from proxy.gate.lease import LeaseDesk
from proxy.gate.orders import OrderDesk
from proxy.gate.policy import GatePolicy, policy_of
from proxy.gate.reads import ReadDesk, VenueReads
from proxy.gate.shared_account import SharedAccount
from proxy.gate.streams.door import SocketDoor
from proxy.gate.streams.keys import KeyedSockets
from proxy.gate.streams.relay import Relay
from proxy.gate.trading import TradingDoor
from proxy.gate.user_streams import UserStreams
from proxy.gate.views import Views
from proxy.settings import Settings
from proxy.store.ear import Ear
from proxy.store.fence import Fence
from proxy.store.gate_store import GateStore
from proxy.vault.vault import Vault
from rules.policy import Policy

log = logging.getLogger("perpguard.gate")

VENUE = "binanceusdm"


def create_gate(settings: Settings, policy: Policy, vault: Vault, now: Callable[[], datetime]) -> BinanceDoor:
    """The ASGI application of one gate process. Connects to nothing before the first request."""
    store = GateStore(settings.store, settings.desk, policy_of=policy_of)
    policies = GatePolicy(store, policy)
    journal = Journal(settings.data_dir)
    ear = Ear(settings.store, settings.desk)
    latch = Latch(ear)
    hosts = settings.hosts(VENUE)
    clock = GateClock(store, VENUE, now)
    meter = Meter(clock.now, others=settings.gate_workers - 1)
    upstream = Egress(meter, settings.egress)
    budget = VenueBudget(meter, upstream, store, VENUE)
    identities = Identities(vault, VENUE)
    stream_host = settings.stream_hosts(VENUE)["fstream"]
    relay = Relay(stream_host)
    keys = KeyedSockets(identities.obeys, store.disabled_keys)
    views = Views(lambda: policies.in_force, store, VENUE)
    streams = UserStreams(
        identities=identities,
        upstream=upstream,
        hosts=hosts,
        stream_host=stream_host,
        now=clock.now,
        views=EventViews(views),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        await store.warm()
        await clock.read()
        async with _beside(clock.follow(), keys.watch(), policies.follow(), budget.follow(), latch.follow()):
            # Where the protocol class finds it: uvicorn hands the state to every connection.
            yield {"sockets": sockets}
        for close in (streams.aclose, relay.aclose, door.drain, upstream.aclose, store.aclose):
            await close()
        ear.close()
        journal.close()

    judge = Judge(store=store, fence=Fence(settings.data_dir), journal=journal, policy=policy, now=now, latch=latch)
    venue = VenueReads(upstream=upstream, hosts=hosts, now=clock.now)
    orders = OrderDesk(
        desk=settings.desk,
        judge=judge,
        upstream=upstream,
        hosts=hosts,
        now=now,
        venue_now=clock.now,
        shared=SharedAccount(views, store, venue.ask),
        budget=budget,
    )
    door = BinanceDoor(
        _application(policies, lifespan),
        identities=identities,
        orders=orders,
        reads=ReadDesk(store=store, views=views, venue=venue, budget=budget),
        streams=streams,
        leases=LeaseDesk(store),
        now=clock.now,
    )
    trading = TradingDoor(identities=identities, store=store, keys=keys, carry=door.carry, now=clock.now)
    sockets = SocketDoor(relay=relay, trading=trading, users=streams, keys=keys, names=settings.gate_names)
    return door


def _application(policies: GatePolicy, lifespan: Callable[[FastAPI], Any]) -> FastAPI:
    """What the gate answers besides the venue's own routes."""
    app = FastAPI(title="perpguard gate", openapi_url=None, lifespan=lifespan)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Alive, and under which policy."""
        return {"status": "ok", "policy": policies.in_force.version}

    return app


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
