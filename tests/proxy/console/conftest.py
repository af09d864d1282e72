"""The console as its users reach it: the real application behind an in-memory transport."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from proxy.console.app import create_console
from proxy.people.register import Register
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.support.people import PASSWORD, a_register, write_people

ORIGIN = "http://127.0.0.1:8081"
SAME_ORIGIN = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class HandClock:
    """A clock that a test winds."""

    time: datetime = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def wind(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Browser:
    """A signed-in person's browser."""

    client: httpx.AsyncClient
    csrf: str

    @property
    def cookie(self) -> str:
        return self.client.cookies["perpguard_session"]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def plane() -> DeskDouble:
    return DeskDouble()


@pytest.fixture(scope="session")
def desk_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the desk's people, to be copied."""
    data_dir = tmp_path_factory.mktemp("people")
    write_people(data_dir)
    return data_dir


@pytest.fixture
def register(desk_people: Path, tmp_path: Path, clock: HandClock) -> Register:
    shutil.copytree(desk_people, tmp_path, dirs_exist_ok=True)
    return a_register(tmp_path, clock)


@pytest.fixture
def app(plane: DeskDouble, clock: HandClock, register: Register) -> FastAPI:
    return create_console(plane, plane, token=SecretStr(TOKEN), people=register, now=clock)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(app) as client:
        yield client


@pytest.fixture
async def person(app: FastAPI) -> AsyncIterator[Browser]:
    async with browse(app) as client:
        yield Browser(client, await sign_in(client))


@asynccontextmanager
async def browse(app: FastAPI, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows answers to bugs instead of the bugs."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, name: str = "Ada Lovelace", password: str = PASSWORD) -> str:
    """Sign in; the session's CSRF token."""
    form = {"name": name, "password": password, "code": ""}
    answer = await client.post("/sign-in", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 303, answer.text
    page = await client.get("/")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]
