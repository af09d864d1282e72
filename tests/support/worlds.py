"""The demo's world as a test fixture: a quicker survey, an own policy, and hands on its processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from proxy.practice.world import ACCOUNT, Places, World, WorldFailed
from proxy.venues.binance.client_ids import outward, tag
from tests.support.practice_client import Bot, Door
from tests.support.rearming import QUICK

T = TypeVar("T")

START_TIMEOUT_S = 120.0
"""Beside other worlds that start."""


class LiveWorld(World):
    """A world of one gate, whose warden surveys often and whose scopes come back soon: a test need not wait for them.
    What more than one gate is to be seen by says so.

    Its orders wait longer for the store than elsewhere: that it is late beside other tests is no subject but of those
    that say ``store_timeout_s=None``.
    """

    def __init__(
        self,
        data_dir: Path,
        policy: str,
        *,
        survey_every_s: float = 0.3,
        store_timeout_s: float | None = 0.5,
        **options: Any,
    ) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = data_dir / "policy.toml"
        path.write_text(policy if "[kill.rearm]" in policy else policy + QUICK)
        patient = {"scenario": "flat", "gate_workers": 1, "start_timeout_s": START_TIMEOUT_S}
        super().__init__(data_dir, path, **(patient | options))
        self._survey_every_s = survey_every_s
        self._store_timeout_s = store_timeout_s

    @property
    def environment(self) -> dict[str, str]:
        more = {"PERPGUARD_SURVEY_EVERY_S": str(self._survey_every_s)}
        if self._store_timeout_s is not None:
            more["PERPGUARD_STORE_TIMEOUT_S"] = str(self._store_timeout_s)
        if hasattr(self, "places"):
            # The settings file says port 0; commands that ask the warden must find the one it was given.
            more["PERPGUARD_CONTROL_PORT"] = str(urlsplit(self.places.console).port)
        return super().environment | more

    def start_guard_again(self) -> None:
        """Another guard on the same directory after ``stop_guard``, at other ports; it has surveyed the account."""
        exchange = self.places.exchange
        del self.places  # Or the new console would be told to take the old one's port.
        gate, console = self.start_guard()
        self.places = Places(exchange=exchange, gate=gate, console=console)
        until(self.answers, "the guard is back", START_TIMEOUT_S)

    @cached_property
    def door(self) -> Door:
        """The practice exchange's control door."""
        return Door(self.places.exchange)

    @cached_property
    def bot(self) -> Bot:
        """The first bot, at the guard."""
        return self.bot_named(next(iter(self.guard_keys)))

    def bot_named(self, name: str) -> Bot:
        """Another bot, at the guard."""
        key = self.guard_keys[name]
        return Bot(self.places.gate, key.key, key.secret)

    def upstream_id(self, own_id: str, bot: str | None = None) -> str:
        """What the exchange knows an order of the first bot, or of another, by."""
        return outward(own_id, tag(ACCOUNT, bot or next(iter(self.guard_keys))))

    @cached_property
    def direct(self) -> Bot:
        """The account's owner, straight at the exchange."""
        return Bot(self.places.exchange, self.exchange_key, self.exchange_secret)

    def export(self) -> list[dict[str, Any]]:
        """Every archived record, in the order of the chain."""
        done = self.command("audit", "export")
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["record"] for line in done.stdout.splitlines()[1:]]

    def account(self) -> dict[str, Any]:
        """The account as the control door shows it."""
        accounts: list[dict[str, Any]] = self.ask("GET", "/api/desk")["accounts"]
        return next(each for each in accounts if each["name"] == ACCOUNT)

    def wait_until_settled(self, timeout_s: float = 60) -> dict[str, Any]:
        """The account, as soon as every hold has become an order or a position, or is gone."""

        def settled() -> dict[str, Any] | None:
            account = self.account()
            return account if account["holds"] == 0 else None

        return until(settled, "no hold is left", timeout_s)

    def process(self, name: str) -> int:
        """The pid of the warden or the store."""
        found = self.processes(name)
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def processes(self, name: str) -> list[int]:
        """The supervisor's children that are a ``warden``, a ``gate``, a ``watchdog`` or the ``store``."""
        return [pid for pid in children(self.guard_pid) if _name(pid) == name]

    def answers(self) -> bool:
        """Whether the control door answers, and the account is surveyed and followed."""
        try:
            account = self.account()
            return account["survey_age_s"] is not None and account["feed"]["state"] != "STALE"
        except (WorldFailed, httpx.HTTPError, StopIteration):
            return False

    def guard_log(self) -> str:
        return (self.data_dir / "guard.log").read_text(errors="replace")


def until(condition: Callable[[], T | None], what: str, timeout_s: float = 30, every_s: float = 0.05) -> T:
    """The first true answer of ``condition``; an assertion that names ``what`` when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(every_s)


async def until_async(condition: Callable[[], T | None], what: str, timeout_s: float = 30, every_s: float = 0.05) -> T:
    """``until`` for a test whose own event loop must go on meanwhile."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(every_s)


def children(parent: int) -> list[int]:
    """Pids of the living children of a process, from /proc alone."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            state, ppid = stat
            if ppid == parent and state != "Z":
                found.append(int(entry.name))
    return sorted(found)


def stopped(pid: int) -> bool:
    """Whether a process stands still after SIGSTOP."""
    stat = _stat(pid)
    return stat is not None and stat[0] == "T"


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    stat = _stat(pid)
    return stat is None or stat[0] == "Z"


def freeze(pid: int) -> None:
    """SIGSTOP, and wait until it stands."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: stopped(pid), f"process {pid} stands still", every_s=0.001)


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ppid = text.rpartition(")")[2].split()[:2]
    return state, int(ppid)


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if "valkey-server" in words[0] or "valkey" in words[0].rpartition("/")[2]:
        return "store"
    return next((name for name in ("warden", "gate", "watchdog") if name in words and "-m" in words), "")
