"""The policy of the bench: ``configs/policies/desk.toml``, every rule as it stands there, and room for the load.

A desk's bots send an order now and then; here some hundred a second come from one account, on a machine that is kept
busy on purpose. What looks back at a bot's last seconds or minutes looks back at one second, so that it sees about as
many orders as it would in a market; what limits how fast or how much a new bot may trade, and what answers to a slow
venue or a bot unlike itself, has higher limits. Nothing else is touched, and nothing is switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

DESK: Final = Path(__file__).parents[2] / "configs" / "policies" / "desk.toml"

LIFTED: Final[Mapping[str, Mapping[str, str]]] = {
    "desk.duplicate_order": {"window_s": "1"},
    "desk.execution_throttle": {"executions": "150", "window_s": "1"},
    "desk.anti_slicing": {"window_s": "1"},
    "desk.message_rate": {"per_second": "100000", "burst": "1000000"},
    "desk.new_bot_ramp": {"start": "199999"},
    "desk.funding_probation": {"limit": "200000"},
    "desk.latency_shock": {
        "alert_ratio": "100000",
        "delay_ratio": "200000",
        "reduce_ratio": "300000",
        "floor_ms": "60000",  # In its first minutes a guard knows nothing usual, and refuses for what is above this.
    },
    "desk.staged_response": {
        "alert_at": "0.999997",
        "delay_at": "0.999998",
        "reduce_at": "0.999999",
        "halt_at": "1",
        "of": '["bot"]',
    },
    "kill.triggers": {"anomaly_reduce": "1", "anomaly_for_s": "3600"},
}


class NotTheDesks(Exception):
    """The desk's policy has no such rule any more."""


def lifted(text: str) -> str:
    """The policy ``text`` with the values of ``LIFTED``. Raises ``NotTheDesks`` when a rule is not in it."""
    tables = dict(LIFTED)
    lines: list[str] = []
    changes: Mapping[str, str] = {}
    for line in text.splitlines():
        if line.startswith("["):
            changes = tables.pop(line.partition("]")[0].removeprefix("["), {})
            lines += [line, *(f"{name} = {value}" for name, value in changes.items())]
        elif line.partition(" = ")[0] not in changes:
            lines.append(line)
    if tables:
        raise NotTheDesks(f"{DESK.name} has no {', '.join(tables)}")
    return "\n".join((*lines, ""))
