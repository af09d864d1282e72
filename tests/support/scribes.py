"""A scribe as tests of what is told, and not of the archive, need it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from proxy.audit.scribe import Scribe
from tests.rules.builders import NOW


def a_scribe(store: Any, now: Callable[[], datetime] = lambda: NOW) -> Scribe:
    """A scribe whose archive is not open."""
    nobody: Any = None
    return Scribe(
        data_dir=nobody,
        place=nobody,
        desk="desk",
        store=store,
        signer=nobody,
        keys=nobody,
        anchors=nobody,
        verification=nobody,
        now=now,
    )
