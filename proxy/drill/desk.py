"""The warden's side of rehearsals: one at a time, in a process of its own, so that its load is never the kill's.

It is ``perpguard drill`` as anybody may run it, in the warden's own environment; what it prints is shown.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from proxy.drill.plane import DrillProgress
from proxy.drill.shelf import DrillReport, drill_of, drills
from proxy.refused import Refused

log = logging.getLogger("perpguard.drill")

DRILL_S_MAX: Final = 300.0
STEPS_MAX: Final = 50
_LINE_MAX: Final = 400
KINDS: Final[Mapping[str, Sequence[str]]] = {"practice": (), "dry": ("--live", "--dry")}


class DrillDesk:
    """Implements ``DrillPlane`` for one data directory. Where the settings are, this process's environment says."""

    def __init__(self, *, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._task: asyncio.Task[None] | None = None
        self._progress: DrillProgress | None = None
        self._steps: deque[str] = deque(maxlen=STEPS_MAX)

    async def start(self, *, kind: str, by: str) -> DrillProgress:
        """Begin one. ``Refused`` while another runs."""
        if kind not in KINDS:
            raise Refused(f"a drill is one of {', '.join(KINDS)}")
        if self._task is not None and not self._task.done():
            raise Refused("a drill runs already")
        self._steps.clear()
        self._progress = DrillProgress(kind=kind, by=by, running=True, steps=())
        self._task = asyncio.create_task(self._run(kind, by))
        return self._progress

    async def progress(self) -> DrillProgress | None:
        """The newest one of this process."""
        return self._progress

    async def reports(self) -> Sequence[DrillReport]:
        """Every report that is kept, newest first."""
        return await asyncio.to_thread(drills, self._data_dir)

    async def report(self, drill_id: str) -> DrillReport | None:
        """One report."""
        return await asyncio.to_thread(drill_of, self._data_dir, drill_id)

    async def _run(self, kind: str, by: str) -> None:
        ended = "it did not start"
        try:
            async with asyncio.timeout(DRILL_S_MAX):
                ended = await self._process(kind, by)
        except TimeoutError:
            ended = f"it was ended after {DRILL_S_MAX:g} s"
        except OSError as trouble:
            ended = f"it could not be started: {trouble.strerror}"
        log.warning("the drill of %s ended: %s", by, ended)
        self._progress = DrillProgress(kind=kind, by=by, running=False, steps=tuple(self._steps), ended=ended)

    async def _process(self, kind: str, by: str) -> str:
        place = ["--data-dir", str(self._data_dir)]
        command = [sys.executable, "-m", "proxy", *place, "drill", f"--by={by}", *KINDS[kind]]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
        )
        assert process.stdout is not None  # noqa: S101 - it has a pipe
        try:
            async for line in process.stdout:
                self._steps.append(line.decode("utf-8", "replace").rstrip()[:_LINE_MAX])
                self._progress = DrillProgress(kind=kind, by=by, running=True, steps=tuple(self._steps))
            code = await process.wait()
        finally:
            if process.returncode is None:
                # It ends its own children when it is asked to.
                process.terminate()
                await asyncio.shield(process.wait())
        return "passed" if code == 0 else f"not passed (exit code {code})"
