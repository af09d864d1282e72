"""conditional_probation: a bot's first conditional entries on a symbol are tiny, until one has worked as meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import Account
from rules.book import Book, Standing
from rules.decision import Breach
from rules.exposure import held_order
from rules.fresh import fresh_record
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalProbation(Rule):
    """Keep the worth of a bot's conditional entries on a symbol within ``limit`` until one of them has proven itself.

    Conditional orders are where bots err: a trigger on the wrong side, the wrong price watched, an order forgotten
    that is set off days later. So the first ones on each symbol must be tiny: all that rest or are under way and this
    one together. They have proven themselves when one has triggered, or was cancelled, as expected. A bot the guard
    has no record of has proven nothing. Plain orders, exits and other bots' orders do not count.
    """

    rule_id: ClassVar[str] = "conditional_probation"
    codes: ClassVar[Mapping[str, str]] = {
        "UNPROVEN_CONDITIONALS_ABOVE_LIMIT": "the bot's conditional entries on a new symbol could be worth too much",
        FACTS_UNKNOWN: "what the bot has done before is not known, or was known too long ago",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 8",
        "RTS 6 art. 15(4)",
    )
    example: ClassVar[str] = """
[desk.conditional_probation]
enforcement = "enforce"
limit = 50
"""
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("quote currency", Looser.HIGHER)]
    facts_age_max_s: Annotated[int, Setting("seconds since the account's record was written", Looser.HIGHER)] = 120

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a conditional entry that, with the others of its symbol, is worth more than probation allows."""
        order = held_order(command, snapshot)
        if order is None or not order.conditional:
            return None
        account, record = snapshot.account, fresh_record(snapshot, self.facts_age_max_s)
        if account is None or record is None:
            return self.unknown(f"how the bot's conditional orders on {order.symbol} have worked before")
        bot = record.bot(snapshot.bot)
        holding = bot.holding(order.symbol) if bot is not None else None
        if holding is not None and holding.conditional_proven:
            return None
        book = snapshot.once(("conditionals", order.symbol), lambda seen: _conditionals(order.symbol, account, seen))
        exposure = book.after(order)
        worth = exposure.long_notional + exposure.short_notional
        if worth <= self.limit:
            return None
        return self.breach(
            "UNPROVEN_CONDITIONALS_ABOVE_LIMIT",
            f"the bot's conditional entries on {order.symbol} could be worth {show(worth)}, and none has proven itself",
            observed=show(worth),
            limit=show(self.limit),
            advice="the limit ends when one of them has triggered, or was cancelled, as expected",
        )


def _conditionals(symbol: str, account: Account, snapshot: Snapshot) -> Book:
    """The book of the bot's own conditional entries on ``symbol`` alone, resting or under way. Every size that is tried
    of one order meets the same."""
    resting = tuple(
        order
        for order in account.open_orders
        if order.bot == snapshot.bot and order.symbol == symbol and order.order_type.is_conditional
    )
    holds = tuple(
        replace(hold, orders=tuple(order for order in hold.orders if order.symbol == symbol and order.conditional))
        for hold in snapshot.holds
        if hold.bot == snapshot.bot
    )
    alone = replace(account, positions=(), open_orders=resting)
    return Book(alone, Standing(alone, snapshot.markets), holds, snapshot.markets)
