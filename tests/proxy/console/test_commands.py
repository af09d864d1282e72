"""``POST /control/command`` through the real application: the signature alone opens it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from proxy.clock import utc_now
from proxy.console.app import create_console
from proxy.kill.signed import CommandDesk
from tests.proxy.console.conftest import BEARER, HandClock, browse
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.support.commands import ANN, a_command, public_half


@pytest.fixture
async def client(plane: DeskDouble, clock: HandClock, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    keys = {"ann": public_half(ANN)}
    commands = CommandDesk(desk="demo", keys=keys, path=tmp_path / "nonces.json", now=clock)
    async with browse(create_console(plane, plane, token=SecretStr(TOKEN), now=clock, commands=commands)) as client:
        yield client


async def send(client: httpx.AsyncClient, command: dict[str, str], **headers: str) -> tuple[int, str]:
    answer = await client.post("/control/command", json=command, headers=headers)
    return answer.status_code, answer.json().get("code", "")


async def test_a_signed_kill_presses_in_the_signers_name(
    client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock
) -> None:
    assert await send(client, a_command(clock())) == (202, "")
    assert plane.kills == [{"scope": "desk", "by": "ann", "reason": "the grid runs away (signed command)"}]


async def test_a_signed_reduce_reduces(client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock) -> None:
    assert await send(client, a_command(clock(), command="reduce", scope="account:main")) == (202, "")
    assert [each["scope"] for each in plane.reductions] == ["account:main"] and not plane.kills


@pytest.mark.parametrize("command", ["rearm", "approve", "override", "policy", ""])
async def test_nothing_that_loosens_can_be_commanded(
    client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock, command: str
) -> None:
    assert await send(client, a_command(clock(), command=command)) == (422, "UNKNOWN_COMMAND")
    assert not plane.kills and not plane.rearms and not plane.reductions


async def test_a_replay_presses_nothing(client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock) -> None:
    command = a_command(clock())
    assert await send(client, command) == (202, "")
    assert await send(client, command) == (409, "REPLAYED")
    assert len(plane.kills) == 1


async def test_the_control_token_is_no_signature(
    client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock
) -> None:
    forged = {**a_command(clock()), "signature": ""}
    assert await send(client, forged, **BEARER) == (401, "BAD_SIGNATURE")
    assert not plane.kills


async def test_wrong_signatures_are_slowed_and_a_right_one_never_waits(
    client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock
) -> None:
    answers = [await send(client, {**a_command(clock()), "signature": "AAAA"}) for _ in range(12)]
    assert answers[0] == (401, "BAD_SIGNATURE") and answers[-1] == (429, "TOO_MANY_ATTEMPTS")
    assert await send(client, a_command(clock())) == (202, "")


async def test_a_body_that_two_parsers_could_read_differently_is_refused(
    client: httpx.AsyncClient, plane: DeskDouble, clock: HandClock
) -> None:
    command = json.dumps(a_command(clock()))
    for body in (command[:-1] + ', "scope": "desk"}', command[:-1] + ', "more": "x"}', "[]", "{}"):
        answer = await client.post("/control/command", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "MALFORMED"), body
    assert not plane.kills


async def test_what_the_command_line_signs_is_taken(plane: DeskDouble, tmp_path: Path) -> None:
    made = command_line("key", str(tmp_path / "ann.key"))
    assert made.returncode == 0 and (tmp_path / "ann.key").stat().st_mode & 0o777 == 0o600
    assert command_line("key", str(tmp_path / "ann.key")).returncode == 2, "a key was written over"
    signed = command_line(
        "sign", "--key", str(tmp_path / "ann.key"), "--by", "ann", "--desk", "demo", "--reason", "from my phone"
    )
    assert signed.returncode == 0, signed.stderr
    keys = {"ann": made.stdout.strip()}
    commands = CommandDesk(desk="demo", keys=keys, path=tmp_path / "nonces.json", now=utc_now)
    async with browse(create_console(plane, plane, token=SecretStr(TOKEN), commands=commands)) as client:
        assert await send(client, json.loads(signed.stdout)) == (202, "")
    (tmp_path / "ann.key").chmod(0o644)
    refused = command_line("sign", "--key", str(tmp_path / "ann.key"), "--by", "ann", "--reason", "from my phone")
    assert refused.returncode == 2 and "can be read by others" in refused.stderr


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", "command", *arguments], capture_output=True, text=True, check=False
    )
