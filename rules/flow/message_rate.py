"""message_rate: how many messages a bot may send: new orders, amends, cancels (RTS 6 art. 15(1)(d))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple

from rules.decision import Breach
from rules.model import AmendOrder, Command
from rules.rule import Looser, Rule, Setting, as_written, show
from rules.snapshot import Snapshot


class Allowance(NamedTuple):
    """One bucket: its name in ``Snapshot.tokens``, the tokens that flow in a second, and how many are kept."""

    scope: str
    per_second: Decimal
    burst: Decimal


class Cancels(StrEnum):
    """Whether what is never refused takes tokens from what may be."""

    FREE = "free"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRate(Rule):
    """A token bucket per level: ``per_second`` tokens flow in, at most ``burst`` are kept, each message takes one.

    Messages are new orders, amends and settings; amends have a bucket of their own where ``amends_per_second`` and
    ``amends_burst`` are set. Cancels and exits are never refused and never wait. With ``cancels = "free"`` they do not
    count either; with ``"counted"`` each takes a token while there is one, so that a bot that cancels much waits with
    its next entry.

    The store keeps the buckets and returns the balance; as the bot's anomaly score rises from 0 to 1, up to the share
    ``tighten`` of the burst is kept back from it, and a bucket of its own (a limit of level ``bot``) fills by the same
    share more slowly, so a bot that behaves like nothing in its history is slowed before it is stopped. A bucket that
    others share fills at its full rate for them. A message refused for its rate takes no token.
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
amends_per_second = 10
amends_burst = 50
cancels = "counted"
"""

    per_second: Annotated[Decimal, Setting("messages a second", Looser.HIGHER)]
    burst: Annotated[
        Decimal, Setting("messages, at least 1; of a lower one an anomaly score keeps back less", Looser.NEITHER)
    ]
    amends_per_second: Annotated[Decimal | None, Setting("amends a second; not set: amends are messages")] = None
    amends_burst: Annotated[Decimal | None, Setting("amends, at least 1")] = None
    cancels: Annotated[Cancels, Setting("`free` or `counted`; whether cancels and exits take tokens", Looser.LOWER)] = (
        Cancels.FREE
    )
    tighten: Annotated[
        Decimal, Setting("share taken away at score 1, from 0 to 1", Looser.LOWER, zero_or_less=True)
    ] = Decimal("0.9")

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0 or not 0 <= self.tighten <= 1:
            raise ValueError("message_rate needs burst >= 1, per_second > 0 and tighten between 0 and 1")
        if (self.amends_per_second is None) is not (self.amends_burst is None):
            raise ValueError("message_rate needs amends_per_second and amends_burst together")
        if self.amends_per_second is not None and self.amends_per_second <= 0:
            raise ValueError("message_rate needs amends_per_second > 0")
        if self.amends_burst is not None and self.amends_burst < 1:
            raise ValueError("message_rate needs amends_burst >= 1")

    @property
    def scope(self) -> str:
        """The name of this rule's bucket in ``Snapshot.tokens``. One bucket serves everyone the level covers."""
        return f"{self.rule_id}@{self.level}"

    def allowance(self, command: Command) -> Allowance:
        """The bucket that ``command`` is counted in."""
        if isinstance(command, AmendOrder) and self.amends_per_second is not None and self.amends_burst is not None:
            return Allowance(f"{self.scope}:amends", self.amends_per_second, self.amends_burst)
        return Allowance(self.scope, self.per_second, self.burst)

    def kept_back(self, burst: Decimal, anomaly: float) -> Decimal:
        """Tokens that stay in a bucket at this anomaly score; a full bucket always grants one message."""
        return min(burst * self.tighten * as_written(anomaly), burst - 1)

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the bucket holds less than one token above the share kept back."""
        allowed = self.allowance(command)
        balance = snapshot.tokens.get(allowed.scope)
        if balance is None or balance >= 1 + self.kept_back(allowed.burst, snapshot.anomaly):
            return None
        what = "message rate" if allowed.scope == self.scope else "rate of amends"
        tightened = f", tightened by anomaly score {snapshot.anomaly:.2f}" if snapshot.anomaly > 0 else ""
        return self.breach(
            "MESSAGE_RATE_ABOVE_LIMIT",
            f"{what} above {show(allowed.per_second)} per second{tightened}",
            observed=show(balance),
            limit=f"{allowed.per_second:f}/s burst {allowed.burst:f}",
            advice="cancels and reduce-only exits are not limited",
        )
