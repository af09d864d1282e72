"""A process that dies at the n-th of its awaits, whatever it was doing: found generically, by the loop itself.

Every task whose code is the kill's own is driven by a counting wrapper. When the count reaches the chosen await, that
task and all others of the kill raise ``Crash`` where they stand, and from then on whatever they still try to do raises
it again: a dead process records nothing and sends nothing. What was on its way at the venue happens all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

_KILL = str(Path("proxy") / "kill")


class Crash(BaseException):
    """The process is gone."""


def is_crash(trouble: BaseException) -> bool:
    if isinstance(trouble, BaseExceptionGroup):
        return all(is_crash(each) for each in trouble.exceptions)
    return isinstance(trouble, Crash | asyncio.CancelledError)


class Mortal:
    """Counts the awaits of the kill's tasks and ends them all at the ``dies_at``-th; 0 lets them live."""

    def __init__(self, dies_at: int = 0) -> None:
        self.awaits = 0
        self.dies_at = dies_at
        self.dead = False

    def enter(self) -> None:
        """From here on, tasks of the kill are counted."""
        asyncio.get_running_loop().set_task_factory(self._task)

    def leave(self) -> None:
        asyncio.get_running_loop().set_task_factory(None)

    def journal(self, _: dict[str, Any]) -> None:
        """To be the journal's listener: what a dead process would still write makes it die again."""
        if self.dead:
            raise Crash

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        code = getattr(coro, "cr_code", None)
        ours = code is not None and _KILL in code.co_filename and "tests" not in code.co_filename
        return asyncio.Task(_Counted(coro, self) if ours else coro, loop=loop, **more)


class _Counted(Coroutine[Any, Any, Any]):
    def __init__(self, coro: Coroutine[Any, Any, Any], mortal: Mortal) -> None:
        self._coro = coro
        self._mortal = mortal

    def send(self, value: Any) -> Any:
        if self._mortal.dead:
            return self._coro.throw(Crash())
        return self._counted(self._coro.send(value))

    def throw(self, *trouble: Any) -> Any:
        if self._mortal.dead:
            return self._coro.throw(Crash())
        return self._counted(self._coro.throw(*trouble))

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def _counted(self, waits_for: Any) -> Any:
        self._mortal.awaits += 1
        if self._mortal.awaits == self._mortal.dies_at:
            self._mortal.dead = True
            if asyncio.isfuture(waits_for):
                waits_for.cancel()
            return self._coro.throw(Crash())
        return waits_for
