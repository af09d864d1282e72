"""How old a fact may be, in whole seconds, as a span of time. Whether one is fresh: ``rules.fresh``."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Final

SPAN_MAX_S: Final = 999_999_999
"""Some thirty years. Any moment of a market's may be moved by as much and is still one."""


@lru_cache(maxsize=256)
def seconds(span_s: int) -> timedelta:
    """So many seconds, at most ``SPAN_MAX_S``: what an older version wrote down may be too long to reckon with.

    A policy names few spans and every order asks for them, so they are kept.
    """
    return timedelta(seconds=min(span_s, SPAN_MAX_S))
