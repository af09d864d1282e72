"""What a press answers at once, and how presses are told from one another."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.kill.gates import Acknowledged
from proxy.kill.in_flight import InFlight
from proxy.store.fence import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The first acknowledgement: no entry that was not already on the wire can leave any more.

    ``gates`` says who said so; the silent among them stop by the sentinel on this machine, by their lease elsewhere.
    None is asked where the store does not answer, or has the stop (``latched``) under another number. ``in_flight`` is
    what was on the wire, which the job follows to its end. ``over`` are the jobs that had ended by the press, which do
    not answer it. ``trouble`` says that the disk did not take the stop: the job runs, but nobody can vouch for the
    gates, so ``blocked_ms`` is ``None`` and none is asked.
    """

    scope: Scope
    generation: int
    blocked_ms: float | None
    latched: bool
    gates: Acknowledged
    in_flight: InFlight
    over: frozenset[str] = frozenset()
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PressedSoFar:
    """The presses of this process, and the epoch, which whatever stops anything anew moves in every process."""

    presses: int
    generation: int
