"""The time of stages that stand in each other, and the functions that are the stages."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, Final

STAGES: Final = (
    ("parse", "bench.stages.gate", "read_parameters"),
    ("parse", "bench.stages.gate", "read_request"),
    ("authenticate", "proxy.gate.identity:Identities", "identify"),
    ("ask", "proxy.gate.judge", "read_off"),
    ("ask", "proxy.gate.judge:Judge", "_hold"),
    ("view", "proxy.store.gate_store", "view_of"),
    ("snapshot", "proxy.gate.judge", "snapshot_of"),
    ("decide", "proxy.gate.judge", "decide_in_turn"),
    ("decide", "proxy.gate.judge", "make_ready"),
    ("record", "proxy.gate.judge:Judge", "_rule"),
    ("encode+sign", "proxy.gate.orders:OrderDesk", "_send"),
    ("settle", "proxy.gate.settlement:Settlement", "replied"),
    ("(store)", "bench.stages.gate:RecordedStore", "_call"),
    ("fence", "bench.stages.gate", "pass_through"),
    ("(exchange)", "bench.stages.gate:Acceptance", "send"),
)
"""Stage, where its function is looked up, and the function; what none of them covers is ``answer``. Those in
parentheses stand in for what is not measured here."""

PLAYED_BACK: Final = ("(store)", "(exchange)")


class Clock:
    """Adds up the time of the stages that stand in each other, each without what it calls of another."""

    def __init__(self) -> None:
        self.spent_ns: Counter[str] = Counter()
        self.marks: Counter[str] = Counter()
        self._open = ["answer"]
        self._since = time.thread_time_ns()

    def begin(self) -> None:
        """An order comes in."""
        self._since = time.thread_time_ns()

    def end(self) -> None:
        """It was answered."""
        self._charge()

    @contextmanager
    def within(self, stage: str) -> Iterator[None]:
        """What is done inside is the ``stage``'s."""
        self._charge()
        self._open.append(stage)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = time.thread_time_ns()
        stage = self._open[-1]
        self.spent_ns[stage] += now - self._since
        self.marks[stage] += 1
        self._since = time.thread_time_ns()


def marked(clock: Clock, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """``work``, whose time is the ``stage``'s."""

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with clock.within(stage):
            return await work(*args, **kwargs)

    def called(*args: Any, **kwargs: Any) -> Any:
        with clock.within(stage):
            return work(*args, **kwargs)

    return awaited if iscoroutinefunction(work) else called


@contextmanager
def marks(clock: Clock) -> Iterator[None]:
    """Every stage's functions with the clock around them."""
    kept = []
    for stage, place, name in STAGES:
        module, _, owner = place.partition(":")
        found: Any = import_module(module)
        found = getattr(found, owner) if owner else found
        kept.append((found, name, getattr(found, name)))
        setattr(found, name, marked(clock, stage, getattr(found, name)))
    try:
        yield
    finally:
        for found, name, work in kept:
            setattr(found, name, work)
