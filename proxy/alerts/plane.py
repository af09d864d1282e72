"""What the console and the control API may ask about alerts, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """One alert. ``severity`` is info, warning, critical or kill; ``about`` is the key that makes two of them one.

    ``lasting``: a condition, open until it is over. Times are RFC 3339; ``None`` where it has not happened.
    """

    id: str
    severity: str
    title: str
    text: str
    advice: str
    page: str
    what: str
    about: str
    raised_at: str
    seen_at: str
    count: int
    repeats: int
    lasting: bool
    acknowledged_by: str
    acknowledged_at: str | None
    closed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """Where alerts go. ``scheme`` is the kind, ``trouble`` why messages do not arrive, empty while they do."""

    name: str
    scheme: str
    minimum: str
    quiet_hours: bool
    delivered: int
    failed: int
    waiting: int
    last_at: str | None
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsView:
    """Everything about alerts at one moment; open ones worst first, past ones newest first.

    ``held`` counts notices that wait for the end of quiet hours; ``quiet`` says whether it is in them now.
    """

    at: str
    open: Sequence[AlertView]
    past: Sequence[AlertView]
    channels: Sequence[ChannelView]
    quiet: bool
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """What became of a test message; ``trouble`` is empty when it was taken."""

    channel: str
    trouble: str


class AlertsPlane(Protocol):
    """The alerts, as the control door sees them. None raises but ``Refused``."""

    def alerts(self) -> AlertsView:
        """Everything. Looks at memory alone."""
        ...

    def acknowledge(self, alert_id: str, by: str) -> AlertView:
        """Somebody has heard of it. Raises ``Refused`` when there is none of that id."""
        ...

    async def test(self, channel: str, by: str) -> TrialView:
        """Send a test message. Raises ``Refused`` when there is no such channel."""
        ...

    def linked(self, token: str) -> AlertView | None:
        """The alert that a link from a message is about; ``None`` for a link that is not ours or has expired."""
        ...

    def acknowledge_linked(self, token: str, name: str) -> AlertView | None:
        """The same, acknowledged by whoever followed the link and says to be ``name``."""
        ...
