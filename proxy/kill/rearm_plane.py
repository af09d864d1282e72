"""What the console and the control API may ask about re-arming, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One thing that must hold before a scope trades again, and what was found. ``left`` is what somebody may
    acknowledge instead; ``acknowledged``: somebody did."""

    name: str
    holds: bool
    said: str
    left: Sequence[str] = ()
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RearmView:
    """One scope that is stopped, asked for, or coming back.

    ``stage`` is KILLED, REQUESTED, REDUCING (also of what was only made reduce-only), RAMPING or ACTIVE; ``share`` the
    fraction of its limits it has. Times are RFC 3339, empty when there is none: ``due`` when a request opens by itself,
    ``lapses`` when it is dropped, ``ramps_at`` when reduce-only ends, ``full_at`` when limits are whole. ``waits_s`` is
    how long it is until the next of these, negative when that is over. ``simple``: a rule stopped this bot, and a named
    person alone lets it go on. ``held_back`` says what keeps a request from opening though its delay is over.
    """

    scope: str
    stopped: bool
    stage: str
    share: str
    policy: str
    needs: str
    delay_s: int
    reduce_only_s: int
    ramp_s: int
    by: str = ""
    reason: str = ""
    asked_at: str = ""
    acknowledged: str = ""
    approved_by: str = ""
    due: str = ""
    lapses: str = ""
    opened_at: str = ""
    ramps_at: str = ""
    full_at: str = ""
    waits_s: float | None = None
    simple: bool = False
    checks: Sequence[CheckView] = ()
    held_back: Sequence[str] = ()


class RearmPlane(Protocol):
    """Re-arming, as the control door sees it. None of these raises but ``Refused``."""

    async def request(
        self, *, scope: str, name: str, reason: str, typed: str, policy: str, acknowledged: str
    ) -> RearmView:
        """A named person asks for a scope to come back; a bot that a rule stopped goes on at once."""
        ...

    async def approve(self, *, scope: str, name: str, reason: str, typed: str) -> RearmView:
        """Somebody else agrees: the scope comes back reduce-only."""
        ...

    async def withdraw(self, *, scope: str, name: str, reason: str) -> RearmView:
        """A request is taken back."""
        ...

    async def seen(self, scope: str) -> RearmView:
        """One scope."""
        ...

    async def all(self) -> Sequence[RearmView]:
        """Every scope that is stopped, asked for, or coming back."""
        ...
