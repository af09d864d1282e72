"""How old a fact may be: spans of whole seconds, and whether a moment lies within one."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache


@lru_cache(maxsize=256)
def seconds(span_s: int) -> timedelta:
    """So many seconds. A policy names few spans and every order asks for them, so they are kept."""
    return timedelta(seconds=span_s)


def is_within(moment: datetime, now: datetime, span_s: int) -> bool:
    """Whether ``moment`` is at most so many seconds away. One ahead of the guard's clock counts as its distance."""
    return abs(now - moment) <= seconds(span_s)
