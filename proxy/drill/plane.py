"""What the console and the control API may ask about rehearsals, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.drill.shelf import DrillReport

DRILL_KINDS: Final = ("practice", "dry")
"""Against the practice exchange, or on the live account with everything but the sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillProgress:
    """A rehearsal of this process. ``steps`` are what it said, ``ended`` how it ended, empty while it runs."""

    kind: str
    by: str
    running: bool
    steps: Sequence[str]
    ended: str = ""


class DrillPlane(Protocol):
    """Rehearsals of the kill. None of these raises but ``Refused``."""

    async def start(self, *, kind: str, by: str) -> DrillProgress:
        """Begin one, ``practice`` or ``dry``. Refused while another runs."""
        ...

    async def progress(self) -> DrillProgress | None:
        """The newest one of this process."""
        ...

    async def reports(self) -> Sequence[DrillReport]:
        """Every report that is kept, newest first."""
        ...

    async def report(self, drill_id: str) -> DrillReport | None:
        """One report."""
        ...
