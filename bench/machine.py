"""What a reader of a measurement must know of where it was made, and the percentile every bench means."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def machine() -> str:
    """The processors, the interpreter, and how busy the machine was besides."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}; Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}"


def today() -> str:
    """When it was measured, to the minute."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: the smallest of ``values`` that ``percent`` of a hundred do not exceed."""
    ranked = sorted(values)
    # Rounded first, or a float's dust would move the rank by one.
    return ranked[max(0, -int(-round(len(ranked) * percent / 100, 6) // 1) - 1)]
