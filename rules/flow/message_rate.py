"""message_rate: how many entries, amends and settings a bot may send (RTS 6 art. 15(1)(d))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.model import Command
from rules.rule import Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRate(Rule):
    """A token bucket per level: ``per_second`` tokens flow in, at most ``burst`` are kept, each message takes one.

    Cancels and exits neither spend nor wait. The store keeps the buckets and returns the balance; as the bot's
    anomaly score rises from 0 to 1 the inflow falls to (1 - ``tighten``) of itself and the same share of the burst
    is kept back, so a bot that behaves like nothing in its history is slowed before it is stopped. A message refused
    for its rate takes no token.
    """

    rule_id: ClassVar[str] = "message_rate"
    codes: ClassVar[Mapping[str, str]] = {
        "MESSAGE_RATE_ABOVE_LIMIT": "the bucket is empty",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(1)(d)",)
    example: ClassVar[str] = """
[bot.grid.message_rate]
enforcement = "enforce"
per_second = 5
burst = 20
"""

    per_second: Annotated[Decimal, Setting("messages a second", Looser.HIGHER)]
    burst: Annotated[Decimal, Setting("messages, at least 1", Looser.HIGHER)]
    tighten: Annotated[Decimal, Setting("share taken away at score 1, from 0 to 1", Looser.LOWER)] = Decimal("0.9")

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0 or not 0 <= self.tighten <= 1:
            raise ValueError("message_rate needs burst >= 1, per_second > 0 and tighten between 0 and 1")

    @property
    def scope(self) -> str:
        """The name of this rule's bucket in ``Snapshot.tokens``. One bucket serves everyone the level covers."""
        return f"{self.rule_id}@{self.level}"

    def kept_back(self, anomaly: float) -> Decimal:
        """Tokens that stay in the bucket at this anomaly score; a full bucket always grants one message."""
        return min(self.burst * self.tighten * Decimal(str(anomaly)), self.burst - 1)

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the bucket holds less than one token above the share kept back."""
        balance = snapshot.tokens.get(self.scope)
        if balance is None or balance >= 1 + self.kept_back(snapshot.anomaly):
            return None
        tightened = f", tightened by anomaly score {snapshot.anomaly:.2f}" if snapshot.anomaly > 0 else ""
        return self.breach(
            "MESSAGE_RATE_ABOVE_LIMIT",
            f"message rate above {show(self.per_second)} per second{tightened}",
            observed=show(balance),
            limit=f"{self.per_second:f}/s burst {self.burst:f}",
            advice="cancels and reduce-only exits are not limited",
        )
