"""adl_rank: no more of a leg that stands near the front of the venue's queue for auto-deleveraging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.exposure import held_order
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class AdlRank(Rule):
    """Refuse entries that grow a leg whose place in the auto-deleveraging queue is at or above `rank_max`.

    When the insurance fund cannot take over a bankrupt position, the venue closes the winners at the front of the
    queue, the most profitable and most levered first: at its price, without asking, and a hedge loses its other leg.
    Rank 4 is the front. A new leg is at the back and passes. A leg whose rank is not known is not grown: it was opened
    since the account's last survey, which is seconds ago, or the venue does not tell, and then the rule must not look
    as if it guarded. Taking profit or lowering the leverage lowers the rank; exits pass.
    """

    rule_id: ClassVar[str] = "adl_rank"
    codes: ClassVar[Mapping[str, str]] = {
        "ADL_RANK_TOO_HIGH": "the leg is too near the front of the auto-deleveraging queue to be grown",
        FACTS_UNKNOWN: "the account, or the rank of the leg that would grow, is not known",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.adl_rank]
enforcement = "enforce"
rank_max = 3
"""

    rank_max: Annotated[int, Setting("rank, 1 to 4, at which a leg is not grown any more", Looser.HIGHER)]

    def __post_init__(self) -> None:
        if not 1 <= self.rank_max <= 4:
            raise ValueError("adl_rank needs a rank_max from 1 to 4; every leg has at least rank 0")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse to grow a leg at or above the rank, or of unknown rank."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if snapshot.account is None:
            return self.unknown("the account")
        rank = 0
        for leg in snapshot.account.legs(order.symbol):
            if leg.quantity * order.side.sign <= 0:
                continue
            if leg.adl_quantile is None:
                return self.unknown(f"the auto-deleveraging rank of {order.symbol}")
            rank = max(rank, leg.adl_quantile)
        if rank < self.rank_max:
            return None
        return self.breach(
            "ADL_RANK_TOO_HIGH",
            f"{order.symbol} has auto-deleveraging rank {rank}",
            observed=str(rank),
            limit=f"below {self.rank_max}",
            advice="reduce the position or its leverage first; reduce-only orders pass",
        )
