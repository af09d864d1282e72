"""The kill's own line to the warden: a unix socket beside the data, and one JSON object a line in both directions.

``{"command": "kill", "scope": ..., "by": ..., "reason": ...}`` is answered at once by ``heard`` or ``refused`` (with
``unknown`` where there is nothing of that name), then by ``blocked``, by ``progress`` at least once a second (where all
has ended and what was on the wire of some accounts may arrive still, ``following`` names them), and by ``report``. It
serves the machine's own user and root, whom the kernel names, and shares nothing with the HTTP door: no port, no token,
no session.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from proxy.clock import utc_now
from proxy.kill.desk import KillDesk
from proxy.kill.in_flight import InFlight
from proxy.kill.pressed import Blocked
from proxy.kill.report import AccountReport, KillReport, worst
from proxy.store.codec import plain
from proxy.store.fence import DESK, Scope

log = logging.getLogger("perpguard.kill")

SOCKET_NAME: Final = "control.sock"
LINE_BYTES_MAX: Final = 8 * 1024
ASK_S_MAX: Final = 1.0
"""For a request to arrive whole."""

PROGRESS_EVERY_S: Final = 0.25
BEAT_S: Final = 1.0
FOLLOW_S_MAX: Final = 300.0
"""A job ends by itself long before; whoever is at the other end is not held for ever."""

CALLERS_MAX: Final = 8
WRITE_S_MAX: Final = 2.0
RETRY_S: Final = 1.0
_TEXT_MAX: Final = 500
_FIELDS: Final = ("command", "scope", "by", "reason")


class Unheard(Exception):
    """The line was not understood; the text says why."""


class KillLine:
    """The warden's end. ``accounts`` names what a scope covers."""

    def __init__(self, data_dir: Path, desk: KillDesk, accounts: Callable[[Scope], Collection[str]]) -> None:
        self._data_dir = data_dir
        self._desk = desk
        self._accounts = accounts
        self._callers = 0

    async def serve(self) -> None:
        """Answer for ever. While another warden has the socket, wait for it to go."""
        told = ""
        while True:
            try:
                listener = listening(self._data_dir)
            except OSError as trouble:
                why = trouble.strerror or str(trouble)
                if why != told:  # Once, not every second: there are systems that will never let it.
                    log.warning("the kill's socket cannot be opened: %s", why)
                    told = why
                await asyncio.sleep(RETRY_S)
                continue
            server = await asyncio.start_unix_server(self._answer, sock=listener, limit=LINE_BYTES_MAX)
            async with server:
                await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            if self._callers > CALLERS_MAX or peer_uid(writer.get_extra_info("socket")) not in (0, os.geteuid()):
                return
            async with asyncio.timeout(ASK_S_MAX):
                raw = await reader.readline()
            try:
                scope, by, reason = _request(raw)
                if not self._accounts(scope):
                    held = ", ".join(sorted(self._accounts(DESK))) or "none"
                    why = f"the vault holds nothing that {scope} covers; its accounts: {held}"
                    await _say(writer, {"kind": "refused", "why": why, "unknown": True})
                    return
            except (Unheard, ValueError) as refusal:
                await _say(writer, {"kind": "refused", "why": str(refusal)})
                return
            await _say(writer, {"kind": "heard"})
            async for line in self._kill(scope, by, reason):
                await _say(writer, line)
        except (TimeoutError, ConnectionError, ValueError):
            pass  # The caller is slow, gone, or sends no line: the job, once begun, goes on without it.
        except OSError as trouble:
            # A full disk: whoever asked goes to the exchange by itself.
            log.error("a kill asked for on the socket could not begin: %s", trouble.strerror)
        finally:
            self._callers -= 1
            writer.close()

    async def _kill(self, scope: Scope, by: str, reason: str) -> AsyncIterator[dict[str, Any]]:
        """Press, and tell of every account's job until the last has ended and what was on the wire is over."""
        began, pressed = utc_now(), time.monotonic()
        blocked = await self._desk.press(scope, by, reason)
        told_blocked = {"generation": blocked.generation, "blocked_ms": blocked.blocked_ms, "trouble": blocked.trouble}
        yield {"kind": "blocked", **told_blocked}
        told: Mapping[str, str] = {}
        told_at = pressed
        while time.monotonic() - pressed < FOLLOW_S_MAX:
            reports = [report for report in await self._reports(scope) if report.job_id not in blocked.over]
            covered = set(self._accounts(scope))
            final = {each.account for each in reports} >= covered and all(each.phase.final for each in reports)
            # Not what a wider press waits for: its other accounts may be open for a long time yet.
            following = sorted(self._desk.answering(scope) & covered) if final else []
            # Nothing is waited for while an account is not flat: whoever pressed has to know of it.
            if final and (not following or any(each.left_open for each in reports)):
                sent = self._desk.in_flight(scope) or blocked.in_flight
                yield {"kind": "report", "report": plain(_whole(scope, by, reason, began, blocked, reports, sent))}
                return
            phases = {report.account: report.phase.value for report in reports}
            if phases != told or time.monotonic() - told_at >= BEAT_S:
                told, told_at = phases, time.monotonic()
                yield {"kind": "progress", "phases": phases, **({"following": following} if following else {})}
            await asyncio.sleep(PROGRESS_EVERY_S)

    async def _reports(self, scope: Scope) -> list[AccountReport]:
        covered = set(self._accounts(scope))
        return [report for report in await asyncio.to_thread(self._desk.reports) if report.account in covered]


def listening(data_dir: Path) -> socket.socket:
    """The socket, made anew: only its owner may connect. Raises ``OSError``, also while another process answers on it.

    It is named through a descriptor of its directory: a unix address holds 107 bytes, a path may be longer.
    """
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        address = f"/proc/self/fd/{directory}/{SOCKET_NAME}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address)
            except OSError:
                (data_dir / SOCKET_NAME).unlink(missing_ok=True)  # Nobody: the leftover of a process that died.
            else:
                raise FileExistsError(f"another process answers on {SOCKET_NAME}")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(address)
            listener.listen(CALLERS_MAX)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        listener.setblocking(False)
        return listener
    finally:
        os.close(directory)


def peer_uid(connection: Any) -> int:
    """Who is at the other end of a unix socket, by the kernel's word."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", raw)[1]
    return uid


def _request(raw: bytes) -> tuple[Scope, str, str]:
    """Scope, name and reason. Raises ``Unheard`` or ``ValueError``."""
    try:
        asked = json.loads(raw)
    except RecursionError:
        raise Unheard("not one flat JSON object") from None
    if not isinstance(asked, dict) or set(asked) != set(_FIELDS):
        raise Unheard(f"a request is one JSON object with {', '.join(_FIELDS)}")
    for name in _FIELDS:
        text = asked[name]
        if not isinstance(text, str) or not text.strip() or len(text) > _TEXT_MAX or not text.isprintable():
            raise Unheard(f"{name} is printable text of at most {_TEXT_MAX} characters")
    if asked["command"] != "kill":
        raise Unheard("the only command on this line is kill")
    return Scope.parse(asked["scope"]), asked["by"], asked["reason"]


async def _say(writer: asyncio.StreamWriter, line: Mapping[str, Any]) -> None:
    writer.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")
    async with asyncio.timeout(WRITE_S_MAX):
        await writer.drain()


def _whole(
    scope: Scope,
    by: str,
    reason: str,
    began: datetime,
    blocked: Blocked,
    reports: list[AccountReport],
    sent: InFlight,
) -> KillReport:
    return KillReport(
        scope=str(scope),
        by=by,
        reason=reason,
        started_at=began,
        blocked_ms=blocked.blocked_ms,
        generation=blocked.generation,
        flat=all(report.flat for report in reports),
        phase=worst(tuple(report.phase for report in reports)),
        accounts=tuple(reports),
        trouble=blocked.trouble,
        in_flight=sent,
    )
