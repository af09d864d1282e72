"""How old a fact may be, in whole seconds, as a span of time. Whether one is fresh: ``rules.fresh``."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache


@lru_cache(maxsize=256)
def seconds(span_s: int) -> timedelta:
    """So many seconds. A policy names few spans and every order asks for them, so they are kept."""
    return timedelta(seconds=span_s)
