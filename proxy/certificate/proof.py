"""What the steps of a kill prove. Asked before a certificate is signed, and again by whoever verifies one.

It believes neither the phase that is claimed nor the machine that claimed it: it looks for the readings itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from proxy.decoding import build
from proxy.signatures.canonical import canonical, moment
from rules.kill.legs import OpenLeg

READS: Final = 3
SPAN: Final = timedelta(seconds=6)
"""What version 1 of the format calls flat; the kill's own demands (``rules.kill.machine``) may grow, never shrink."""

_LISTS: Final = frozenset({"plain_orders", "conditional_orders", "positions"})


class NotProven(Exception):
    """The steps do not carry what is claimed."""


class ReadBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reading of the venue: its place among the steps, when it ended, the SHA-256 of its canonical bytes."""

    step: int
    at: str
    digest: str


def proving(phase: str, steps: Sequence[Mapping[str, Any]]) -> tuple[ReadBack, ...]:
    """The readings that prove ``phase``; for DEGRADED the last one, if there was any. Raises ``NotProven``."""
    if phase == "DEGRADED":
        return tuple(_read_back(steps, at) for at in _readings(steps)[-1:])
    calm = _last_calm(steps)
    if len(calm) < READS:
        raise NotProven(f"{phase} takes {READS} readings that show nothing left; the steps end with {len(calm)}")
    times = [_time(steps[at]) for at in calm]
    if times != sorted(times) or times[-1] - times[0] < SPAN:
        raise NotProven(f"{phase} takes readings over {SPAN.total_seconds():g} s; these do not span them")
    dust = bool(steps[calm[-1]]["positions"])
    if dust != (phase == "FLAT_EXCEPT_DUST"):
        raise NotProven(f"{phase} is not what the last reading shows")
    return tuple(_read_back(steps, at) for at in calm)


def unlisted(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The kinds of orders that the venue did not list, in any reading."""
    return sorted({str(each) for at in _readings(steps) for each in steps[at].get("unlisted", ())})


def shows_nothing(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there was a reading, and the last one has nothing in it: no order, no leg, nothing unread."""
    return any(
        not any(isinstance(each, list) and each for name, each in steps[at].items() if name != "unlisted")
        for at in _readings(steps)[-1:]
    )


def _readings(steps: Sequence[Mapping[str, Any]]) -> list[int]:
    return [at for at, step in enumerate(steps) if step.get("type") == "Surveyed"]


def _last_calm(steps: Sequence[Mapping[str, Any]]) -> list[int]:
    """The places of the last readings in a row that show nothing to do, with bots blocked and nobody acting between."""
    calm: list[int] = []
    blocked = False
    seen: set[str] = set()
    for at, step in enumerate(steps):
        blocked = blocked or step.get("type") == "KeysDisabled"
        if step.get("type") == "Surveyed":
            seen |= {name for name, each in step.items() if isinstance(each, list) and each}
            calm = [*calm, at] if blocked and _is_calm(step) and not _unlisted_kinds(step) & seen else []
        elif step.get("type") == "Resumed" or "step" in step:
            calm = []  # Nobody watched while the process was dead; and whoever acts has not finished.
    return calm


def _is_calm(reading: Mapping[str, Any]) -> bool:
    """Whether all was read, and nothing is left to cancel or to close.

    A list of a kind not known here must be empty too: other orders, or what could not be read. Kinds of orders that
    the venue does not list at all (``unlisted``) cannot be read by anybody; the certificate names them. That holds
    for kinds of which no reading has shown an order: where one was seen, the venue lists them, and they are unread.
    """
    lists = {name: each for name, each in reading.items() if isinstance(each, list)}
    if reading.get("complete", True) is not True or not lists.keys() >= _LISTS:
        return False
    if any(each for name, each in lists.items() if name not in ("positions", "unlisted")):
        return False
    try:
        return all(build(leg, OpenLeg).closable == 0 for leg in lists["positions"])
    except (msgspec.ValidationError, ArithmeticError):
        return False


def _unlisted_kinds(reading: Mapping[str, Any]) -> set[str]:
    """The kinds that a reading calls unlisted, as its lists are named: "algo orders: refused (-404)" is algo_orders."""
    return {str(each).partition(":")[0].replace(" ", "_") for each in reading.get("unlisted", ())}


def _read_back(steps: Sequence[Mapping[str, Any]], at: int) -> ReadBack:
    step = dict(steps[at])
    return ReadBack(step=at, at=str(step.get("at")), digest=hashlib.sha256(canonical(step)).hexdigest())


def _time(step: Mapping[str, Any]) -> Any:
    try:
        return moment(str(step.get("at")))
    except ValueError as trouble:
        raise NotProven(f"a reading's time is not one: {trouble}") from trouble
