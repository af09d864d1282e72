"""What the light processes need of the watchdog: how a stop on purpose is told, and that a vault is not paired.

The supervisor says in a file that it stops the guard, before it does.
"""

from __future__ import annotations

from pathlib import Path


def stopping_path(data_dir: Path) -> Path:
    """Its existence says so. A process that merely ends, or is ended, leaves none: that is no goodbye."""
    return data_dir / "guard.stopping"


class NotPaired(Exception):
    """The vault holds no secret that guard and watchdog share."""
