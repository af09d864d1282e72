"""An alert arrives within five seconds: a cut stream, a dead channel, a store that stands still, and the kill.

A real guard, and webhooks on loopback that apprise really posts to.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from proxy.commands.alerts import URL_VARIABLE
from tests.support.alert_sinks import Arrival, Webhook, a_webhook
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, freeze, until

WITHIN_S = 5.0
"""RTS 6 art. 16(5)."""


@dataclass(frozen=True)
class Duty:
    """A guard, and two people who are told."""

    world: LiveWorld
    pager: Webhook
    chat: Webhook

    def told(self, hook: Webhook, part: str, since: float) -> Arrival:
        """The first message of that title since, which must come in time."""

        def first() -> Arrival | None:
            return next((each for each in hook.titled(part) if each.at >= since), None)

        arrived = until(first, f"'{part}' is told", 30, every_s=0.02)
        assert arrived.at - since < WITHIN_S, f"{part}: after {arrived.at - since:.1f} s"
        print(f"{part}: told {arrived.at - since:.2f} s after")
        return arrived


@pytest.fixture(scope="module")
def duty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duty]:
    data_dir = tmp_path_factory.mktemp("alerts") / "data"
    with ExitStack() as stack:
        pager, chat = stack.enter_context(a_webhook()), stack.enter_context(a_webhook())
        world = stack.enter_context(LiveWorld(data_dir, a_policy(a_rule("desk.max_order_value", limit=50_000))))
        for name, hook in (("pager", pager), ("chat", chat)):
            add_channel(world, name, hook.url)
        until(lambda: len(world.ask("GET", "/api/alerts")["channels"]) == 2, "the warden has the channels", 20)
        yield Duty(world, pager, chat)


def add_channel(world: LiveWorld, name: str, url: str) -> None:
    command = [sys.executable, "-m", "proxy", "--data-dir", str(world.data_dir), "alerts", "channels", "add", name]
    environment = world.environment | {URL_VARIABLE: url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "hook-secret" not in done.stdout + done.stderr


def streams(world: LiveWorld, **faults: Any) -> None:
    httpx.post(f"{world.places.exchange}/sandbox/streams", json=faults, trust_env=False).raise_for_status()


def test_a_channel_is_tried_from_the_command_line(duty: Duty) -> None:
    done = duty.world.command("alerts", "test", "--name", "ann", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"channel": "pager", "trouble": ""}, {"channel": "chat", "trouble": ""}]
    assert len(duty.pager.titled("[TEST]")) == len(duty.chat.titled("[TEST]")) == 1


def test_a_cut_stream_is_told_and_so_is_its_end_in_the_list(duty: Duty) -> None:
    cut = time.monotonic()
    streams(duty.world, refuse=True, disconnect=True)
    assert "entries wait" in duty.told(duty.pager, "The stream of demo is down", cut).body.lower()
    streams(duty.world, refuse=False)
    listed = duty.world.command("alerts", "list")
    assert listed.returncode == 0 and "The stream of demo is down" in listed.stdout


def test_a_channel_that_fails_is_an_alert_on_the_other(duty: Duty) -> None:
    duty.pager.status = 500
    try:
        assert duty.world.command("alerts", "test", "pager", "--name", "ann").returncode == 1
        duty.told(duty.chat, "Alerts do not arrive at pager", duty.pager.refused_at[0])
        channels = {each["name"]: each["trouble"] for each in duty.world.ask("GET", "/api/alerts")["channels"]}
        assert channels == {"pager": "not reached, or it refused", "chat": ""}
    finally:
        duty.pager.status = 200
    assert duty.world.command("alerts", "test", "pager", "--name", "ann").returncode == 0


def test_a_store_that_stands_still_keeps_no_alert_back_nor_the_kill(duty: Duty) -> None:
    store = duty.world.process("store")
    stood_still = time.monotonic()
    freeze(store)
    try:
        duty.told(duty.pager, "The store does not answer", stood_still)
        pressed = time.monotonic()
        kill = press(duty.world)
        told = duty.told(duty.pager, "KILL: desk is being stopped", pressed)
        duty.told(duty.chat, "KILL: desk is being stopped", pressed)
        assert "the drill of alerts" in told.body
    finally:
        os.kill(store, signal.SIGCONT)
    assert kill.wait(timeout=90) == 0
    until(lambda: duty.pager.titled("KILL: desk is flat"), "the end is told too", 60)


def press(world: LiveWorld) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "proxy", "--data-dir", str(world.data_dir), "kill", "--by", "ann"]
    return subprocess.Popen(
        [*command, "--reason", "the drill of alerts"], env=world.environment, stdout=subprocess.DEVNULL
    )


@pytest.mark.full
def test_the_link_acknowledges_by_its_button_alone_and_a_new_warden_remembers(duty: Duty) -> None:
    world = duty.world
    if not duty.chat.titled("KILL: desk is being stopped"):  # Where this test runs without those before it.
        assert press(world).wait(timeout=90) == 0
        until(lambda: duty.chat.titled("KILL: desk is being stopped"), "the kill is told", 20)
    link = re.search(r"Acknowledge: (\S+)", duty.chat.titled("KILL: desk is being stopped")[0].body)
    assert link is not None
    # The settings file says port 0, so the link does; people have one that is fixed.
    path = urlsplit(link[1]).path
    origin = world.places.console.rstrip("/")

    def stop() -> dict[str, Any]:
        alerts: list[dict[str, Any]] = world.ask("GET", "/api/alerts")["open"]
        return next(each for each in alerts if each["about"] == "stop:desk")

    assert "I have heard of it" in httpx.get(origin + path, trust_env=False).text
    assert stop()["acknowledged_by"] == "", "a preview acknowledges nothing"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    done = httpx.post(origin + path, data={"name": "Grace Hopper"}, headers=headers, trust_env=False)
    assert done.status_code == 200 and stop()["acknowledged_by"] == "Grace Hopper (link sent to chat)"
    until(lambda: duty.pager.titled("Acknowledged:"), "the others hear of it", 10)

    before, old = len(duty.pager.titled("KILL")), world.process("warden")
    os.kill(old, signal.SIGKILL)
    until(lambda: world.processes("warden") not in ([], [old]) and answers(world), "the next warden answers", 60)
    time.sleep(2)
    assert stop()["acknowledged_by"] == "Grace Hopper (link sent to chat)"
    assert len(duty.pager.titled("KILL")) == before, "nothing is told twice"


def answers(world: LiveWorld) -> bool:
    try:
        return bool(world.ask("GET", "/api/alerts"))
    except httpx.HTTPError:
        return False


def test_alerts_are_in_the_audit_and_no_secret_is_anywhere(duty: Duty) -> None:
    def audited() -> list[dict[str, Any]]:
        records = [each for each in duty.world.export() if str(each.get("what")).startswith("alert.")]
        names = {each["what"] for each in records}
        return records if {"alert.raised", "alert.delivered", "alert.tested"} <= names else []

    records = until(audited, "they are in the audit", 30, every_s=1)
    assert "The stream of demo is down" in str(records)
    assert "not reached, or it refused" in str(records)
    assert "hook-secret" not in str(records) + duty.world.guard_log()
