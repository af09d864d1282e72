"""trigger_source: which price may set off a conditional entry, the mark or the last trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from rules.decision import Breach
from rules.intent import is_guaranteed_exit
from rules.model import Command, PlaceOrder, TriggerBy
from rules.rule import Rule, Setting
from rules.snapshot import Snapshot

_DEFAULT: Final = TriggerBy.LAST
"""Binance, New Algo Order: ``workingType`` is MARK_PRICE or CONTRACT_PRICE, and CONTRACT_PRICE when it is not sent."""

_WORKING_TYPES: Final = {TriggerBy.MARK: "MARK_PRICE", TriggerBy.LAST: "CONTRACT_PRICE"}


class WatchedPrice(StrEnum):
    """The price a conditional entry must watch."""

    MARK = "mark"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSource(Rule):
    """Refuse a conditional entry that is set off by another price than ``allow``.

    One trade far from the market sets off every order that watches the last price; the mark follows the index. Where
    a bot does not say which price it means, the exchange's default applies and is judged: on Binance the last price.
    Protective orders are exits and are not held to it.
    """

    rule_id: ClassVar[str] = "trigger_source"
    codes: ClassVar[Mapping[str, str]] = {
        "TRIGGER_SOURCE_NOT_ALLOWED": "the entry would be set off by another price than `allow`",
    }
    clauses: ClassVar[Sequence[str]] = ()
    example: ClassVar[str] = """
[desk.trigger_source]
enforcement = "enforce"
allow = "mark"
"""

    allow: Annotated[WatchedPrice, Setting('`"mark"`: the mark price; `"last"`: the last trade')]

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a conditional entry that does not watch the allowed price."""
        if not isinstance(command, PlaceOrder) or not command.order_type.is_conditional or is_guaranteed_exit(command):
            return None
        wanted = TriggerBy.MARK if self.allow is WatchedPrice.MARK else TriggerBy.LAST
        watched = command.trigger_by or _DEFAULT
        if watched is wanted:
            return None
        said = f"workingType={_WORKING_TYPES[watched]}"
        if command.trigger_by is None:
            said = f"no workingType was sent, so the venue's default {_WORKING_TYPES[watched]} applies and it"
        return self.breach(
            "TRIGGER_SOURCE_NOT_ALLOWED",
            f"{said} triggers by the {watched.lower()} price, not by the {self.allow} price",
            observed=watched.lower(),
            limit=self.allow.value,
            advice=f"send workingType={_WORKING_TYPES[wanted]}",
        )
