"""max_leverage: the account's worst-case gross exposure over its margin balance, and the venue's leverage setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Use
from rules.exposure import gross_notional, held_order, worst_case
from rules.model import ZERO, Command, SetLeverage
from rules.rule import Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLeverage(Rule):
    """Keep worst-case gross notional within ``limit`` times the margin balance (wallet plus unrealised PnL).

    Counts positions, resting and conditional orders and everyone's holds. A set-leverage call above ``limit`` is
    refused too, because the venue would then accept more than the guard wants to carry.
    """

    rule_id: ClassVar[str] = "max_leverage"
    codes: ClassVar[Mapping[str, str]] = {
        "LEVERAGE_ABOVE_LIMIT": "the account could end above `limit`",
        "SET_LEVERAGE_ABOVE_LIMIT": "the leverage asked for is above `limit`",
    }
    clauses: ClassVar[Sequence[str]] = (
        "15c3-5(c)(1)(i)",
        "RTS 6 art. 15(4)",
    )
    example: ClassVar[str] = """
[account.main.max_leverage]
enforcement = "enforce"
limit = 3
"""
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("times margin balance", Looser.HIGHER)]

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the resulting account, or the leverage asked for, is above ``limit``."""
        if isinstance(command, SetLeverage):
            if command.leverage <= self.limit:
                return None
            return self.breach(
                "SET_LEVERAGE_ABOVE_LIMIT",
                f"leverage {command.leverage:f} on {command.symbol} is above the limit",
                observed=f"{command.leverage:f}",
                limit=f"{self.limit:f}",
                advice=f"set leverage to {self.limit:f} or less",
            )
        order = held_order(command, snapshot)
        if order is None or snapshot.account is None:
            return None
        gross = gross_notional(snapshot, order)
        balance = snapshot.account.margin_balance
        if gross <= self.limit * balance:
            return None
        observed = show(gross / balance) if balance > 0 else "no margin balance left"
        return self.breach(
            "LEVERAGE_ABOVE_LIMIT",
            f"account leverage would be {observed}",
            observed=observed,
            limit=f"{self.limit:f}",
        )

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """The leverage as it stands; in quote currency, against nothing, when no balance is left to divide by."""
        if snapshot.account is None:
            return ()
        gross = sum((each.gross_notional for each in worst_case(snapshot).values()), ZERO)
        balance = snapshot.account.margin_balance
        if balance <= 0:
            return (self.used(gross, ZERO),)
        return (self.used(gross / balance, self.limit, unit="x"),)
