"""anti_slicing: an intent that was refused for its size and is sent again in pieces counts together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import Attempt, HeldOrder
from rules.attempts import MARGIN_S, attempts_within, like, reaches_back
from rules.decision import Breach
from rules.exposure import held_order
from rules.model import ZERO, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class AntiSlicing(Rule):
    """After a refusal that named a largest size, all that follows within ``window_s`` seconds must fit into that size.

    A bot that is refused 10 with "at most 4 would pass" may send 4, or 3 and 1, but not 4 and 4: the limit was meant
    for the intent, not for the message. Counted are the bot's entries on the same symbol and side that were not refused
    since then, whether filled, cancelled or, where the exchange was not reached, never sent, and this one. An amend
    counts with its whole size, several of one order as the largest. An entry that was sized down (`resize`) was refused
    above what was allowed of it, and that has used the size up: nothing more passes on its side within the window. A
    refusal that named no size, or none above zero, asks for nothing here; the entries of a batch are told none. At
    least the last 190 entries of a bot are remembered, refused ones among them: while the window holds more than are
    remembered, entries are refused until it holds fewer.
    """

    rule_id: ClassVar[str] = "anti_slicing"
    codes: ClassVar[Mapping[str, str]] = {
        "SLICES_ABOVE_REFUSED_SIZE": "the pieces of a refused intent come to more than would have passed whole",
        FACTS_UNKNOWN: "the bot has tried more entries within the window than are remembered",
    }
    clauses: ClassVar[Sequence[str]] = ("ESMA 2026 para. 73-74",)
    example: ClassVar[str] = """
[desk.anti_slicing]
enforcement = "enforce"
window_s = 60
"""
    sized: ClassVar[bool] = True

    window_s: Annotated[int, Setting("seconds a refused size is remembered", Looser.LOWER)]

    def __post_init__(self) -> None:
        if self.window_s < 1:
            raise ValueError("anti_slicing needs window_s >= 1")

    @property
    def looks_back_s(self) -> int:
        """All of the window."""
        return self.window_s + MARGIN_S

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what would make the pieces larger than the smallest size that was named."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if not reaches_back(snapshot, self.window_s):
            return self.unknown(f"all that the bot was refused within {self.window_s} s")
        if all(attempt.refused_at_size is None for attempt in snapshot.attempts):
            return None
        named, together = self._tightest(order, attempts_within(snapshot, self.window_s))
        if together <= named:
            return None
        return self.breach(
            "SLICES_ABOVE_REFUSED_SIZE",
            f"{order.side.value} {order.symbol} was refused above {show_exact(named)} less than {self.window_s} s ago;"
            f" with what was allowed since it would come to {show_exact(together)}",
            observed=show_exact(together),
            limit=show_exact(named),
            advice=f"wait {self.window_s} s after the refusal, or stay within the size it named",
        )

    def _tightest(self, order: HeldOrder, attempts: Sequence[Attempt]) -> tuple[Decimal, Decimal]:
        """The size named by the refusal that leaves the least room, and what the pieces since then come to."""
        found = [(order.quantity, order.quantity)]
        for place, attempt in enumerate(attempts):
            named = attempt.refused_at_size
            if named is not None and named > 0 and like(order, attempt):
                since = [each for sent in attempts[place:] for each in _sent(order, sent)]
                found.append((named, _together((*since, order))))
        return min(found, key=lambda pair: pair[0] - pair[1])


def _sent(order: HeldOrder, attempt: Attempt) -> list[HeldOrder]:
    """The orders like ``order`` of an attempt as they were sent; none when it was refused."""
    if attempt.refused:
        return []
    size = attempt.refused_at_size
    return [each if size is None else replace(each, quantity=size) for each in like(order, attempt)]


def _together(orders: Iterable[HeldOrder]) -> Decimal:
    """What the orders come to; amends of one order count once, as the largest."""
    total, amended = ZERO, dict[str, Decimal]()
    for order in orders:
        if order.replaces is None:
            total += order.quantity
        else:
            amended[order.replaces] = max(amended.get(order.replaces, ZERO), order.quantity)
    return total + sum(amended.values(), ZERO)
