"""The guard's route for watchdogs: the seal opens it, nothing else does, and nothing is repeated in a refusal."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from proxy.console.answers import HANDLERS
from proxy.vault.keys import Secret
from proxy.watchdog.beat import Answer, Call, Duty, seal, unseal
from proxy.watchdog.door import watchdog_routes
from proxy.watchdog.heart import Heart
from proxy.watchdog.pulse import Pulse
from rules.kill.settings import KillSettings

SECRET = Secret("a" * 64)
CALL = Call(name="remote", host="there", nonce="n", challenge="", duty=Duty.WAITING)


class _Nowhere:
    async def publish(self, sealed: str) -> None:
        raise AssertionError("nothing is left here")


async def _record(what: str, by: str, detail: object) -> None:
    raise AssertionError("nothing is recorded here")


async def _obey(watchdog: str, ago_s: float) -> None:
    raise AssertionError("nothing is stopped here")


def a_door() -> httpx.AsyncClient:
    heart = Heart(
        secret=lambda: SECRET,
        pulse=Pulse(),
        policy=KillSettings,
        post=_Nowhere(),
        record=_record,
        expected=True,
        boot_us=1,
        host="here",
        obey=_obey,
    )
    app = FastAPI(exception_handlers=HANDLERS)
    app.include_router(watchdog_routes(heart))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://guard.test")


async def test_a_sealed_call_gets_a_sealed_answer() -> None:
    async with a_door() as client:
        answer = await client.post("/watchdog", json={"call": seal(SECRET, CALL)})
    assert answer.status_code == 200
    assert unseal(SECRET, Answer, answer.json()["answer"]).nonce == "n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"call": seal(Secret("b" * 64), CALL)}, 401),
        ({"call": "x"}, 401),
        ({"call": "x" * 501}, 422),
        ({"call": 1}, 422),
        ({}, 422),
        ({"call": "x", "more": "y"}, 422),
    ],
)
async def test_anything_else_is_refused(body: dict[str, object], status: int) -> None:
    async with a_door() as client:
        answer = await client.post("/watchdog", json=body)
        assert answer.status_code == status, answer.text
        assert "xxx" not in answer.text
        assert (await client.get("/watchdog")).status_code == 405
