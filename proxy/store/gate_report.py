"""What a gate tells of itself every few seconds: its counts since its start, and how its process is doing.

One field of one hash per place among the gates, so a gate that is started again takes the place of the last one. The
counts begin at 0 then, which whoever adds them up over time has to expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from proxy.decoding import build
from proxy.process_facts import ProcessFacts
from proxy.store.codec import dump, load, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """How often a stage ended within each bucket's bound (one more bucket for beyond the last), and how long in all."""

    kind: str
    stage: str
    buckets: list[int]
    sum_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often something happened; what it was is in ``labels``."""

    labels: list[str]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """One gate's. ``gate`` is its name among those that obey (``proxy.store.gates``); ``bounds_s`` are its buckets'."""

    gate: str
    bounds_s: list[float]
    stages: list[StageTimes]
    decisions: list[Count]
    orders: list[Count]
    refused: list[Count]
    sockets: int
    under_way: int
    process: ProcessFacts


def encode_report(report: GateReport) -> bytes:
    """As it is kept in the store."""
    return dump(plain(report))


def decode_reports(fields: Mapping[str, str]) -> dict[str, GateReport | None]:
    """The reports by place; ``None`` for one that a gate of another version wrote."""
    return {place: _decoded(body) for place, body in fields.items()}


def _decoded(body: str) -> GateReport | None:
    try:
        return build(load(body), GateReport)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
