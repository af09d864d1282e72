"""maintenance_window: no new risk shortly before the exchange goes down for maintenance, nor while it is down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from rules.ages import seconds
from rules.decision import Breach
from rules.exposure import held_order
from rules.market.calendar import show_exits, show_time, with_offset
from rules.model import Command
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One announced maintenance, from ``begins`` until ``ends``; both say their offset from UTC.

    Raises ``ValueError`` for a time without offset, and for an end that is not after the beginning.
    """

    begins: Annotated[datetime, Setting("time with its offset from UTC")]
    ends: Annotated[datetime, Setting("time with its offset from UTC")]
    reason: Annotated[str, Setting("words that the refusal repeats")] = ""

    def __post_init__(self) -> None:
        if with_offset("begins", self.begins) >= with_offset("ends", self.ends):
            raise ValueError("a maintenance window must end after it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow(Rule):
    """Only exits and cancels from `ahead_s` before an announced maintenance until it ends.

    While the exchange is down nobody can get out, so nobody should get in just before. The windows are written into
    the policy from the exchange's announcements, each with `begins`, `ends` and, if wanted, a `reason` that the
    refusal repeats. The refusal lists the positions that are open on the account, which can be closed meanwhile. It
    closes nothing by itself.
    """

    rule_id: ClassVar[str] = "maintenance_window"
    codes: ClassVar[Mapping[str, str]] = {
        "MAINTENANCE_ANNOUNCED": "the exchange is, or is about to be, down for maintenance",
    }
    example: ClassVar[str] = """
[desk.maintenance_window]
enforcement = "enforce"
ahead_s = 3600
windows = [
    { begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T08:00:00Z, reason = "system upgrade" },
]
"""

    windows: Annotated[tuple[Window, ...], Setting("list of tables with `begins`, `ends`, `reason`", Looser.LOWER)]
    ahead_s: Annotated[int, Setting("seconds before a window begins", Looser.LOWER)] = 1800

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError("maintenance_window needs at least one window")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse entries from ``ahead_s`` before a window until its end."""
        if held_order(command, snapshot) is None:
            return None
        ahead = seconds(self.ahead_s)
        near = [window for window in self.windows if window.begins - ahead <= snapshot.now < window.ends]
        if not near:
            return None
        window = max(near, key=lambda each: (each.ends, each.begins))
        reason = f" ({window.reason})" if window.reason else ""
        return self.breach(
            "MAINTENANCE_ANNOUNCED",
            f"the exchange is down from {show_time(window.begins)} to {show_time(window.ends)}{reason}",
            observed=show_time(snapshot.now),
            limit=show_time(window.begins - ahead),
            advice=show_exits(snapshot.account.positions if snapshot.account is not None else ()),
        )
