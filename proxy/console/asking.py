"""Asking the plane, with a bound on waiting for what is only looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from proxy.console.answers import Objection, Refusal
from proxy.refused import Refused

T = TypeVar("T")

READ_SECONDS_MAX: Final = 10.0


async def read(asked: Awaitable[T], seconds: float | None = None) -> T:
    """A read's answer, or Refusal 409, or 504 when it takes longer than ``seconds``, else than ``READ_SECONDS_MAX``."""
    try:
        async with asyncio.timeout(READ_SECONDS_MAX if seconds is None else seconds):
            return await asked
    except TimeoutError:
        raise Refusal(504, "SLOW", "the warden did not answer in time") from None
    except Refused as refused:
        raise _refusal(refused) from None


async def act(asked: Awaitable[T]) -> T:
    """An act's answer, or Refusal 409. Not bounded: a press that is under way is never called off from here."""
    try:
        return await asked
    except Refused as refused:
        raise _refusal(refused) from None


def _refusal(refused: Refused) -> Refusal:
    return Refusal(409, "REFUSED", str(refused), [Objection(reason) for reason in refused.reasons])
