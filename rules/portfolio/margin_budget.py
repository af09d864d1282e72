"""margin_budget: the money set aside for one bot of a shared account; what others use or lose is not its matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Use
from rules.model import ZERO, Command
from rules.rule import Looser, Rule, Setting, show
from rules.share import own_book, own_order, own_pnl
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBudget(Rule):
    """Keep the worst case of the bot's own book within ``leverage`` times what is left of its budget.

    The budget is ``limit`` (quote currency) less what the bot has lost: realised, fees, funding, and unrealised at
    the mark; not the clearance fee of a liquidation, which the exchange books on the account. Gains do not enlarge it.
    Its own book is its shares, its resting orders, its holds and this order; neither the positions nor the losses of
    other bots count, and its own never count against theirs.
    """

    rule_id: ClassVar[str] = "margin_budget"
    codes: ClassVar[Mapping[str, str]] = {
        "MARGIN_BUDGET_EXCEEDED": "the bot's own book could use more than is left",
        "SHARES_UNKNOWN": "whose the account's positions are is not known yet",
    }
    clauses: ClassVar[Sequence[str]] = (
        "15c3-5(c)(1)(i)",
        "RTS 6 art. 15(4)",
        "RTS 6 art. 21(1)(d)",
    )
    example: ClassVar[str] = """
[bot.grid.margin_budget]
enforcement = "enforce"
limit = 5000
leverage = 3
"""
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("quote currency", Looser.HIGHER)]
    leverage: Annotated[Decimal, Setting("notional per unit of what is left", Looser.HIGHER)]

    def __post_init__(self) -> None:
        if not self.level.startswith("bot:"):
            raise ValueError("margin_budget is set aside for one bot: [bot.NAME.margin_budget]")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the bot could come to use more than its budget carries."""
        account = snapshot.account
        if account is None:
            return None
        order = own_order(command, snapshot)
        if order is None:
            return None
        if account.positions and not account.shares:
            return self.breach("SHARES_UNKNOWN", "whose the account's positions are is not known yet")
        gross = own_book(snapshot).gross_after(order)
        left = max(ZERO, self.limit + min(ZERO, own_pnl(snapshot)))
        if gross <= self.leverage * left:
            return None
        return self.breach(
            "MARGIN_BUDGET_EXCEEDED",
            f"the bot's own book could reach {show(gross)} with {show(left)} left of its budget of {show(self.limit)}",
            observed=show(gross),
            limit=show(self.leverage * left),
        )

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """What the bot's own book carries of what is left of its budget, while its shares are known."""
        account = snapshot.account
        if account is None or (account.positions and not account.shares):
            return ()
        gross = sum((each.gross_notional for each in own_book(snapshot).every().values()), ZERO)
        return (self.used(gross, self.leverage * max(ZERO, self.limit + min(ZERO, own_pnl(snapshot)))),)
