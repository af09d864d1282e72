"""A proxy for orders as most would write it in Python: a FastAPI route, one httpx client. It guards nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=os.environ["PERPGUARD_BENCH_UPSTREAM"], trust_env=False) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=_lifespan)


@app.post("/fapi/v1/order")
async def order(request: Request) -> Response:
    """Pass one order on, and its answer back."""
    client: httpx.AsyncClient = request.app.state.client
    headers = {name: request.headers[name] for name in ("X-MBX-APIKEY", "Content-Type")}
    reply = await client.post("/fapi/v1/order", content=await request.body(), headers=headers)
    return Response(reply.content, reply.status_code, media_type=reply.headers.get("Content-Type"))
