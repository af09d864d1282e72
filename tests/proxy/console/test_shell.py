"""The outermost layer of the console, under the names that settings give it."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from proxy.console.shell import Shell
from proxy.settings import Settings


async def served(_: object) -> PlainTextResponse:
    return PlainTextResponse("served")


async def status_under(settings: Settings, host: str) -> int:
    shell = Shell(Starlette(routes=[Route("/", served)]), settings.console_hosts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shell), base_url="http://127.0.0.1") as client:
        return (await client.get("/", headers={"Host": host})).status_code


@pytest.mark.parametrize("host", ["[fd00::5]:8081", "[fd00::5]", "[FD00::5]:8081", "[::1]:8081"])
async def test_an_ipv6_address_is_reached_as_browsers_name_it(host: str) -> None:
    assert await status_under(Settings(control_host="fd00::5"), host) == 200


@pytest.mark.parametrize("host", ["[fd00::6]:8081", "fd00::5", "[fd00::5]:8081.evil.example", "[fd00::5].evil.example"])
async def test_and_by_no_other_name(host: str) -> None:
    assert await status_under(Settings(control_host="fd00::5"), host) == 421


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.5:8081", "guard.lan:8081"])
async def test_other_addresses_and_names_stand_as_they_are(host: str) -> None:
    assert await status_under(Settings(control_host="10.0.0.5", control_names=("guard.lan",)), host) == 200
