"""What a fuzz target is: one parser, what it may refuse with, and what must hold of everything it accepts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

SLOW_S: Final = 0.001
"""CPU time no input of ``bytes_max`` may take."""

_TRIES: Final = 15

_FIXED_WORK_S: Final = 0.00027
"""CPU time of ``_fixed_work`` where ``SLOW_S`` is meant: 2 x Intel Xeon, Python 3.11.7, nobody else on the core."""


class Refused(Exception):
    """The parser said no, in the one way its documentation names."""


class TooSlow(AssertionError):
    """An input that costs the parser more CPU time than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser under attack.

    ``read`` calls it and turns its documented exceptions into ``Refused``; whatever else escapes is a finding.
    ``check`` holds what was accepted against a grammar of its own, and reads it back. ``seeds`` are honest inputs.
    """

    name: str
    read: Callable[[bytes], Any]
    check: Callable[[bytes, Any], None]
    seeds: Callable[[], Iterable[bytes]]
    bytes_max: int = 4096

    def execute(self, data: bytes) -> bool:
        """One execution: whether ``data`` was accepted. Raises what the parser or a check raises: a finding."""
        began = time.perf_counter()
        accepted, value = self._read(data)
        if time.perf_counter() - began > SLOW_S:
            self._make_sure(data)
        if accepted:
            self.check(data, value)
        return accepted

    def _read(self, data: bytes) -> tuple[bool, Any]:
        try:
            return True, self.read(data)
        except Refused:
            return False, None

    def _make_sure(self, data: bytes) -> None:
        """Other programs take the processor too: slow is what is slow in CPU time, every time.

        Who shares a core makes CPU time longer as well, by as much for a fixed piece of work beside it.
        """
        fastest = beside = float("inf")
        for _ in range(_TRIES):
            fastest = min(fastest, _cpu_s(lambda: self._read(data)))
            beside = min(beside, _cpu_s(_fixed_work))
            if fastest <= SLOW_S * max(1.0, beside / _FIXED_WORK_S):
                return
        raise TooSlow(f"{self.name}: {fastest * 1000:.1f} ms for {len(data)} bytes")


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _fixed_work() -> int:
    total = 0
    for number in range(10_000):
        total += number
    return total
