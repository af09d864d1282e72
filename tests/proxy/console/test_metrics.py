"""``/metrics`` opens for its own token alone, and that token for nothing else."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from proxy.console.metrics import CONTENT_TYPE, MetricsDoor
from proxy.metrics import sheet
from tests.proxy.console.conftest import BEARER, ORIGIN

METRICS_TOKEN = "a-token-for-prometheus-alone"
SCRAPER = {"Authorization": f"Bearer {METRICS_TOKEN}"}


class Numbers:
    """Always the same."""

    async def text(self) -> bytes:
        return b"perpguard_store_up 1.0\n"


@pytest.fixture
def scraped(app: FastAPI) -> httpx.AsyncClient:
    app.include_router(MetricsDoor(Numbers(), SecretStr(METRICS_TOKEN)).router())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN)


async def test_the_metrics_token_opens_it(scraped: httpx.AsyncClient) -> None:
    answer = await scraped.get("/metrics", headers=SCRAPER)
    assert answer.status_code == 200
    assert answer.content == b"perpguard_store_up 1.0\n"
    assert answer.headers["content-type"] == CONTENT_TYPE == sheet.CONTENT_TYPE


@pytest.mark.parametrize(
    "headers",
    [
        {},
        BEARER,
        {"Authorization": f"Basic {METRICS_TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {METRICS_TOKEN}x"},
        {"Authorization": METRICS_TOKEN},
    ],
    ids=["none", "control-token", "basic", "empty", "longer", "no-scheme"],
)
async def test_nothing_else_opens_it(scraped: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await scraped.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert METRICS_TOKEN not in answer.text


async def test_two_tokens_are_one_too_many(scraped: httpx.AsyncClient) -> None:
    both = [("Authorization", f"Bearer {METRICS_TOKEN}"), ("Authorization", "Bearer other")]
    assert (await scraped.get("/metrics", headers=both)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/desk"), ("POST", "/control/kill"), ("GET", "/control/kill"), ("GET", "/api/blocked")],
    ids=["desk", "kill", "progress", "blocked"],
)
async def test_the_metrics_token_opens_nothing_else(scraped: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await scraped.request(method, path, headers=SCRAPER)).status_code == 401


def test_a_short_token_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        MetricsDoor(Numbers(), SecretStr("short"))
