"""cool_down: after several losses a bot, or an account, pauses before it enters again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Final

from rules.ages import seconds
from rules.decision import Breach
from rules.exposure import held_order
from rules.facts import Performance
from rules.model import Command
from rules.performance import Whose, performance_of
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot

LOSSES_MAX: Final = 100
"""The warden remembers the newest hundred losses of a bot or an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolDown(Rule):
    """No entries for ``pause_s`` seconds after ``losses`` losing reductions within ``window_s``, or after a streak.

    A losing reduction is a fill that made a position smaller at a loss. ``loss_streak`` counts them since the last
    gain; its pause begins with the newest loss. Exits and cancels pass meanwhile. ``of`` says whose losses count: the
    bot's own on this account, or all of the account. A bot the guard has never seen has lost nothing, unless it has a
    share of the account: then what it has lost is not known.
    """

    rule_id: ClassVar[str] = "cool_down"
    codes: ClassVar[Mapping[str, str]] = {
        "COOLING_DOWN": "entries pause after losses",
        FACTS_UNKNOWN: "what the bot or account has lost is not known, or too old",
    }
    example: ClassVar[str] = """
[desk.cool_down]
enforcement = "enforce"
losses = 3
window_s = 1800
loss_streak = 5
pause_s = 3600
of = "bot"
"""

    pause_s: Annotated[int, Setting("seconds without entries", Looser.LOWER)]
    losses: Annotated[int | None, Setting("losing reductions within `window_s`, at most 100", Looser.HIGHER)] = None
    window_s: Annotated[int | None, Setting("seconds", Looser.LOWER)] = None
    loss_streak: Annotated[int | None, Setting("losing reductions since the last gain", Looser.HIGHER)] = None
    of: Annotated[Whose, Setting("whose losses count: `bot` or `account`", Looser.NEITHER)] = Whose.BOT
    facts_age_max_s: Annotated[int, Setting("seconds since the record was written", Looser.HIGHER)] = 60

    def __post_init__(self) -> None:
        if (self.losses is None) is not (self.window_s is None):
            raise ValueError("cool_down needs losses and window_s together")
        if self.losses is None and self.loss_streak is None:
            raise ValueError("cool_down needs losses with window_s, or loss_streak")
        if any(each is not None and each < 1 for each in (self.pause_s, self.losses, self.window_s, self.loss_streak)):
            raise ValueError("cool_down needs pause_s, losses, window_s and loss_streak of at least 1")
        if self.losses is not None and self.losses > LOSSES_MAX:
            raise ValueError(f"cool_down needs losses of at most {LOSSES_MAX}")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse while a pause lasts."""
        if held_order(command, snapshot) is None:
            return None
        performance = performance_of(snapshot, self.of, self.facts_age_max_s)
        if performance is None or (performance.loss_streak > 0 and not performance.losses):
            return self.unknown(f"what the {self.of} has lost")
        began, why = performance.found(self._pause)
        if began is None or snapshot.now - began >= seconds(self.pause_s):
            return None
        until = began + seconds(self.pause_s)
        return self.breach(
            "COOLING_DOWN",
            f"{why}: the {self.of} pauses until {until:%H:%M:%S} UTC",
            observed=f"{(snapshot.now - began).total_seconds():.0f} s since the last loss",
            limit=f"{self.pause_s} s",
            advice=f"reduce-only orders and cancels pass; entries pass from {until:%H:%M:%S} UTC on",
        )

    def _pause(self, performance: Performance) -> tuple[datetime | None, str]:
        """When the newest pause began, ``None`` when there was none, and why."""
        losses, streak = performance.losses, performance.loss_streak
        pauses: list[tuple[datetime, str]] = []
        if self.losses is not None and self.window_s is not None:
            window = seconds(self.window_s)
            ends = [
                last for first, last in zip(losses, losses[self.losses - 1 :], strict=False) if last - first <= window
            ]
            pauses += [(at, f"{self.losses} losses within {self.window_s} s") for at in ends[-1:]]
        if self.loss_streak is not None and streak >= self.loss_streak:
            pauses += [(at, f"{streak} losses in a row") for at in losses[-1:]]
        return max(pauses, default=(None, ""), key=lambda pause: pause[0])
