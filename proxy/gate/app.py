"""One gate process: a FastAPI app for the people who watch it, and the bots' door in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import FastAPI

from proxy.gate.http import BinanceDoor
from proxy.gate.identity import Identities
from proxy.gate.journal import Journal
from proxy.gate.judge import Judge
from proxy.gate.orders import OrderDesk
from proxy.gate.reads import ReadDesk, VenueReads
from proxy.gate.shared_account import SharedAccount
from proxy.gate.upstream import HttpxUpstream
from proxy.gate.views import Views
from proxy.settings import Settings
from proxy.store.fence import Fence
from proxy.store.gate_store import GateStore
from proxy.vault.vault import Vault
from rules.policy import Policy

VENUE = "binanceusdm"


def create_gate(settings: Settings, policy: Policy, vault: Vault, now: Callable[[], datetime]) -> BinanceDoor:
    """The ASGI application of one gate process. Connects to nothing before the first request."""
    store = GateStore(settings.store, settings.desk)
    journal = Journal(settings.data_dir)
    upstream = HttpxUpstream()
    fence = Fence(settings.data_dir)
    hosts = settings.hosts(VENUE)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await store.warm()
        yield
        await door.drain()
        await upstream.aclose()
        await store.aclose()
        journal.close()

    app = FastAPI(title="perpguard gate", openapi_url=None, lifespan=lifespan)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Alive, and under which policy."""
        return {"status": "ok", "policy": policy.version}

    judge = Judge(store=store, fence=fence, journal=journal, policy=policy, now=now)
    views = Views(policy, store, VENUE)
    venue = VenueReads(upstream=upstream, hosts=hosts, now=now)
    orders = OrderDesk(
        desk=settings.desk,
        judge=judge,
        upstream=upstream,
        hosts=hosts,
        now=now,
        shared=SharedAccount(views, store, venue.ask),
    )
    door = BinanceDoor(
        app,
        identities=Identities(vault, VENUE),
        orders=orders,
        reads=ReadDesk(orders=orders, views=views, venue=venue),
        now=now,
    )
    return door
