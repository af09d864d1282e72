"""Both ends of the kill's line, over a real unix socket: who is heard, who is not, and when nobody is there."""

from __future__ import annotations

import argparse
import asyncio
import io
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.commands.exit_codes import NOT_OK, NOT_STARTED, OK, USAGE_ERROR
from proxy.commands.kill import add_arguments, run
from proxy.commands.kill_told import Telling
from proxy.kill import calling, line
from proxy.kill.asked import asked_of
from proxy.kill.calling import LineRefused, NothingOfThatName, NoWarden, ask_warden
from proxy.kill.desk import KillDesk
from proxy.kill.gates import NOBODY_ASKED
from proxy.kill.in_flight import InFlight, Sent
from proxy.kill.line import CALLERS_MAX, SOCKET_NAME, KillLine, listening
from proxy.kill.pressed import Blocked
from proxy.kill.report import AccountReport
from proxy.store.fence import DESK, Fence, Scope
from rules.kill.events import Phase


def a_report(job_id: str, phase: Phase) -> AccountReport:
    return AccountReport(
        job_id=job_id,
        account="main",
        scope="desk",
        by="ann",
        reason="the grid runs away",
        started_at=datetime.now(UTC),
        phase=phase,
        flat=phase is Phase.FLAT,
        blocked_ms=1.0,
        flat_ms=None,
        verified_ms=None,
        exposed_ms=None,
        unlisted=(),
        cause=None,
        retry_at=None,
        cause_symbols=(),
        cost_estimate=None,
        cost=None,
        latched=True,
        cancelled=0,
        closed=(),
        read_backs=(),
        left=(),
        why="",
        advice="",
        joined=False,
        trouble="",
        steps=(),
    )


class Desk:
    """A kill desk whose job goes through some phases, one a look, and which follows for some looks what was sent."""

    def __init__(self) -> None:
        self.pressed: list[tuple[Scope, str, str]] = []
        self.phases = [Phase.CANCELLING, Phase.FLATTENING, Phase.FLAT]
        self.full = False
        self.looks = 0
        self.follows = 0
        self.sent: InFlight | None = None

    async def press(self, scope: Scope, by: str, reason: str) -> Blocked:
        if self.full:
            raise OSError(28, "No space left on device")
        self.pressed.append((scope, by, reason))
        return Blocked(
            scope=scope,
            generation=7,
            blocked_ms=1.5,
            latched=False,
            gates=NOBODY_ASKED,
            in_flight=InFlight(known=False),
            over=frozenset({"of-yesterday"}),
        )

    def answering(self, scope: Scope) -> frozenset[str]:
        self.follows -= 1
        return frozenset({"main", "of-another-scope"}) if self.follows >= 0 else frozenset()

    def in_flight(self, scope: Scope) -> InFlight | None:
        return self.sent

    def reports(self) -> tuple[AccountReport, ...]:
        self.looks += 1
        if self.looks == 1:
            assert self.pressed, "it looked about before it pressed"
            return (a_report("of-yesterday", Phase.DEGRADED),)
        return (a_report("of-today", self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]),)


@asynccontextmanager
async def served(data_dir: Path, desk: Desk) -> AsyncIterator[None]:
    covered: Callable[[Scope], list[str]] = lambda scope: ["main"] if scope.covers("main") else []  # noqa: E731
    serving = asyncio.create_task(KillLine(data_dir, cast(KillDesk, desk), covered).serve())
    while not (data_dir / SOCKET_NAME).exists():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        serving.cancel()


async def asked(data_dir: Path, scope: str = "desk", **instead: str) -> tuple[dict[str, Any], list[str]]:
    shown: list[str] = []
    terms = {"scope": scope, "by": "ann", "reason": "the grid runs away"} | instead
    report = await asyncio.to_thread(ask_warden, data_dir, **terms, show=lambda told: shown.append(str(told["kind"])))
    return report, shown


async def test_it_is_heard_blocked_followed_and_reported(tmp_path: Path) -> None:
    desk = Desk()
    async with served(tmp_path, desk):
        report, shown = await asked(tmp_path)
    assert desk.pressed == [(DESK, "ann", "the grid runs away")]
    assert shown[:3] == ["heard", "blocked", "progress"]
    assert (report["flat"], report["phase"], report["generation"]) == (True, "FLAT", 7)
    assert [account["job_id"] for account in report["accounts"]] == ["of-today"], "yesterday's job is no answer"


async def test_flat_is_told_when_what_was_on_the_wire_is_over_and_with_what_became_of_it(tmp_path: Path) -> None:
    desk, shown = Desk(), list[dict[str, Any]]()
    desk.phases, desk.follows = [Phase.FLAT], 6
    sent = Sent(account="main", bot="grid", hold_id="d1", status="UNKNOWN", became="its time has passed")
    desk.sent = InFlight(known=True, sent=(sent,))
    terms = {"scope": "desk", "by": "ann", "reason": "the grid runs away"}
    async with served(tmp_path, desk):
        report = await asyncio.to_thread(ask_warden, tmp_path, **terms, show=shown.append)
    assert desk.follows == -1, "FLAT was told while something could still arrive"
    assert [told["following"] for told in shown if "following" in told][:1] == [["main"]]
    assert (report["flat"], report["in_flight"]["sent"][0]["became"]) == (True, "its time has passed")


async def test_what_is_not_flat_is_told_at_once_whatever_is_on_the_wire(tmp_path: Path) -> None:
    desk = Desk()
    desk.phases, desk.follows = [Phase.DEGRADED], 20
    async with served(tmp_path, desk):
        report, _ = await asked(tmp_path)
    assert desk.follows > 0, "it was waited for"
    assert (report["phase"], report["in_flight"]["known"]) == ("DEGRADED", False)


async def test_a_path_longer_than_an_address_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    async with served(deep, Desk()):
        assert (await asked(deep))[0]["flat"] is True


@pytest.mark.parametrize("changed", [{"scope": "account:nobody"}, {"scope": "all"}, {"by": " "}, {"reason": "x" * 501}])
async def test_what_makes_no_sense_is_refused_and_presses_nothing(tmp_path: Path, changed: dict[str, str]) -> None:
    desk = Desk()
    async with served(tmp_path, desk):
        with pytest.raises(LineRefused):
            await asked(tmp_path, **changed)
    assert not desk.pressed


async def test_a_name_that_is_not_there_is_refused_with_those_that_are_and_leaves_no_file(tmp_path: Path) -> None:
    desk = Desk()
    Fence.initialise(tmp_path)
    async with served(tmp_path, desk):
        with pytest.raises(NothingOfThatName, match="nothing that account:mian covers; its accounts: main"):
            await asked(tmp_path, scope="account:mian")
        code, told = await asyncio.to_thread(pressed, tmp_path, "--account", "mian", "--passphrase-file", "/nowhere")
    assert (code, desk.pressed, Fence(tmp_path).scopes()) == (USAGE_ERROR, [], frozenset())
    assert "its accounts: main; NOTHING was stopped" in told


async def test_a_reason_that_no_line_takes_is_made_to_fit_by_the_command(tmp_path: Path) -> None:
    desk = Desk()
    Fence.initialise(tmp_path)
    async with served(tmp_path, desk):
        words = ("--reason", "runaway grid\ncall bob " + "\U0001f4c9" * 600, "--by", "ann\t" + "\U0001f4c9" * 600)
        code, _ = await asyncio.to_thread(pressed, tmp_path, *words)
    ((scope, by, reason),) = desk.pressed
    assert (code, scope, len(by), len(reason)) == (OK, DESK, 500, 500)
    assert reason.startswith("runaway grid call bob ") and by.startswith("ann \U0001f4c9")


def pressed(data_dir: Path, *words: str) -> tuple[int, str]:
    """What ``perpguard kill`` answers, and what it says."""
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())
    args = parser.parse_args(["kill", "--reason", "test", "--by", "ann", *words])
    args.data_dir, args.settings, args.config = data_dir, None, None
    stderr = io.StringIO()
    return run(args, io.StringIO(), stderr), stderr.getvalue()


async def test_another_user_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    monkeypatch.setattr(line, "peer_uid", lambda _: 4_000_000)
    async with served(tmp_path, desk):
        with pytest.raises(NoWarden):
            await asked(tmp_path)
    assert not desk.pressed


async def test_more_callers_than_there_is_room_for_are_turned_away_and_room_comes_back(tmp_path: Path) -> None:
    async with served(tmp_path, Desk()):
        silent = [await asyncio.open_unix_connection(str(tmp_path / SOCKET_NAME)) for _ in range(CALLERS_MAX)]
        with pytest.raises(NoWarden):
            await asked(tmp_path)
        for reader, _ in silent:
            assert await reader.read() == b"", "a caller that says nothing is let go"
        assert (await asked(tmp_path))[0]["flat"] is True


async def test_a_full_disk_hangs_up_so_that_the_caller_does_it_itself(tmp_path: Path) -> None:
    desk = Desk()
    desk.full = True
    async with served(tmp_path, desk):
        with pytest.raises(NoWarden, match="hung up"):
            await asked(tmp_path)


def test_a_dead_wardens_socket_is_made_anew_and_a_living_ones_is_not_taken(tmp_path: Path) -> None:
    with listening(tmp_path), pytest.raises(FileExistsError):
        listening(tmp_path)
    with listening(tmp_path):
        assert (tmp_path / SOCKET_NAME).stat().st_mode & 0o777 == 0o600


@contextmanager
def somebody(data_dir: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Answers one caller after the other, and then is silent until that one has gone. What each of them said first."""
    listener = listening(data_dir)
    listener.settimeout(10)
    heard: list[bytes] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                with caller:
                    caller.settimeout(10)
                    heard.append(caller.recv(65_536))
                    caller.sendall(answer)
                    while caller.recv(4096):
                        pass

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def call(data_dir: Path) -> None:
    ask_warden(data_dir, scope="desk", by="ann", reason="the grid runs away", show=lambda _: None)


def test_nobody_there_is_known_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(NoWarden, match="no warden answers"):
        call(tmp_path)
    (tmp_path / SOCKET_NAME).touch()
    with pytest.raises(NoWarden, match="no warden answers"):
        call(tmp_path)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [b"", b'{"kind":"heard"}\n', b'{"kind":"progress"}\n'])
def test_silence_is_not_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(calling, "SILENCE_S_MAX", 0.3)
    with somebody(tmp_path, answer), pytest.raises(NoWarden, match="does not answer"):
        call(tmp_path)


def test_a_warden_that_hears_and_then_hangs_does_not_keep_the_stop_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Fence.initialise(tmp_path)
    monkeypatch.setattr(calling, "SILENCE_S_MAX", 1.0)
    seen: list[bool] = []
    shown = Telling.show

    def show(self: Telling, told: dict[str, Any]) -> None:
        seen.append(Fence(tmp_path).stands(Scope("main")))
        shown(self, told)

    monkeypatch.setattr(Telling, "show", show)
    with somebody(tmp_path, b'{"kind":"heard"}\n') as callers:
        code, told = pressed(tmp_path, "--account", "main", "--passphrase-file", "/nowhere")
    assert (code, seen, len(callers)) == (NOT_STARTED, [True], 1), "it was stopped late, or asked for twice"
    assert told.count("entries of account:main are stopped on this machine") == 2, told


async def test_a_note_that_comes_after_the_wardens_own_was_taken_away_leaves_no_press_owed(tmp_path: Path) -> None:
    Fence.initialise(tmp_path)
    async with served(tmp_path, Desk()):
        code, _ = await asyncio.to_thread(pressed, tmp_path, "--account", "main")
    assert (code, asked_of(tmp_path, Scope("main"))) == (OK, None)
    assert Fence(tmp_path).stands(Scope("main"))


def test_what_a_warden_has_begun_is_not_owed_once_more_when_it_falls_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Fence.initialise(tmp_path)
    monkeypatch.setattr(calling, "SILENCE_S_MAX", 0.3)
    blocked = b'{"kind":"blocked","generation":7,"blocked_ms":1,"latched":true}\n'
    with somebody(tmp_path, b'{"kind":"heard"}\n' + blocked):
        code, _ = pressed(tmp_path, "--account", "main", "--passphrase-file", "/nowhere")
    assert (code, asked_of(tmp_path, Scope("main"))) == (NOT_STARTED, None)
    with somebody(tmp_path, b'{"kind":"heard"}\n'):
        pressed(tmp_path, "--account", "main", "--passphrase-file", "/nowhere")
    assert asked_of(tmp_path, Scope("main")) is not None, "it may have died of it"


def test_whoever_interrupts_is_told_what_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Fence.initialise(tmp_path)

    def interrupted(self: Telling, told: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Telling, "show", interrupted)
    with somebody(tmp_path, b'{"kind":"heard"}\n'):
        code, told = pressed(tmp_path, "--account", "main")
    assert code == NOT_OK and "interrupted: NOT KNOWN TO BE FLAT\nDONE: entries of account:main are stopped" in told
    assert Fence(tmp_path).scopes() == {Scope("main")}


def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    with somebody(tmp_path, b"HTTP/1.1 400 Bad Request\r\n\r\n"), pytest.raises(NoWarden, match="cannot be read"):
        call(tmp_path)


def test_somebody_elses_socket_is_not_talked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(tmp_path):
        monkeypatch.setattr(calling.struct, "unpack", lambda *_: (1, 4_000_000, 1))
        with pytest.raises(NoWarden, match="another user's"):
            call(tmp_path)
