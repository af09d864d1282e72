"""A line that a loop says again and again is written once in a while, with how often it was said.

While the store is away half a dozen loops say so several times a second: whoever reads the log in that hour looks for
the one line that is not about the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 10.0
"""So often at most is the same line written; more rarely where the trouble that it names says so (``said_every_s``)."""

_LINES_MAX: Final = 512
"""So many different ones are remembered; of more the oldest are written as if they were new."""


class Repeats(logging.Filter):
    """For a handler. A line is the same when it has the same logger, level, text and kind of exception."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._lock = threading.Lock()
        self._written: OrderedDict[tuple[str, int, str, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written now. What was held back since the line was last written is counted in it."""
        text, trouble = record.getMessage(), record.exc_info[0] if record.exc_info else None
        key = (record.name, record.levelno, text, trouble.__name__ if trouble else "")
        named = record.args if isinstance(record.args, tuple) else ()
        every_s = max((getattr(each, "said_every_s", EVERY_S) for each in named), default=EVERY_S)
        now = self._now_s()
        with self._lock:
            at, held = self._written.pop(key, (now - every_s, 0))
            write = now - at >= every_s
            self._written[key] = (now, 0) if write else (at, held + 1)
            if len(self._written) > _LINES_MAX:
                self._written.popitem(last=False)
        if write and held:
            record.msg, record.args = f"{text} ({held} more in the last {now - at:.0f} s)", ()
        return write
