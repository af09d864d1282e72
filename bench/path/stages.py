"""What the gate itself says of its stages: the metrics anybody may scrape, before and after one more closed loop."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final

import httpx

from bench.failure import BenchFailed
from bench.path.guarded import PathWorld
from bench.path.measuring import Generator, Mode, Way, refused_of
from proxy.gate.telling import TELL_EVERY_S

_SAMPLE: Final = re.compile(
    r'^perpguard_request_stage_seconds_(sum|count)\{[^}]*kind="entry"[^}]*stage="(\w+)"[^}]*\} (\S+)$', re.MULTILINE
)
_WITHIN_S: Final = 30.0
_ASK_EVERY_S: Final = 0.5

_Sums = Mapping[str, tuple[float, float]]


def stages_us(load: Generator, world: PathWorld, way: Way, mode: Mode, orders: int) -> dict[str, float]:
    """Mean microseconds of each stage of an entry, of those that came to it in so many orders. Raises ``BenchFailed``.

    What is left of ``total`` beside the stages is the gate's own work between them.
    """
    # By then everything of before has been told.
    time.sleep(2 * TELL_EVERY_S)
    before = _read(world)
    said = load.run(way, mode, orders)
    refused_of(way, mode, said)
    after = _told(world, before["total"][1] + said.orders)
    return _means_us(before, after)


def _means_us(before: _Sums, after: _Sums) -> dict[str, float]:
    means = {}
    for stage, (seconds, times) in after.items():
        seconds_before, times_before = before.get(stage, (0.0, 0.0))
        if times > times_before:
            means[stage] = (seconds - seconds_before) / (times - times_before) * 1e6
    return means


def _told(world: PathWorld, entries: float) -> _Sums:
    """The sums as soon as they are of so many entries."""
    deadline = time.monotonic() + _WITHIN_S
    while (found := _read(world))["total"][1] < entries:
        if time.monotonic() > deadline:
            raise BenchFailed(f"the gate did not tell of its stages within {_WITHIN_S:g} s")
        time.sleep(_ASK_EVERY_S)
    return found


def _read(world: PathWorld) -> dict[str, tuple[float, float]]:
    token = (world.data_dir / "metrics.token").read_text(encoding="utf-8").strip()
    url = world.places.console.rstrip("/") + "/metrics"
    reply = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False)
    found: dict[str, dict[str, float]] = {}
    for what, stage, value in _SAMPLE.findall(reply.raise_for_status().text):
        found.setdefault(stage, {})[what] = float(value)
    return {stage: (each["sum"], each["count"]) for stage, each in found.items()}
