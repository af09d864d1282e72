"""position_mode: one-way or hedge mode as the desk has chosen it, and no other assets as margin if it says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from rules.account import Account
from rules.decision import Breach
from rules.model import AmendOrder, Command, PlaceOrder, SetMultiAssetMode, SetPositionMode
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot


class WantedPositions(StrEnum):
    """One position per symbol, or a long and a short leg."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class MultiAssets(StrEnum):
    """Whether other assets than the quote currency may serve as margin."""

    ALLOW = "allow"
    FORBID = "forbid"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMode(Rule):
    """Refuse to change the account to the other position mode, and entries while it is in the other.

    A bot written for one mode does the opposite of what it means in the other: what closes in one opens in the other.
    With `multi_assets = "forbid"` the account may not use other assets than the quote currency as margin, because
    their own price then moves the liquidation price; while that is not known nothing goes in. Setting what is wanted
    always passes.
    """

    rule_id: ClassVar[str] = "position_mode"
    codes: ClassVar[Mapping[str, str]] = {
        "POSITION_MODE_NOT_ALLOWED": "would change the account to the other position mode",
        "POSITION_MODE_WRONG": "the account is in the other position mode",
        "MULTI_ASSETS_NOT_ALLOWED": "would let other assets serve as margin",
        "MULTI_ASSETS_ON": "other assets serve as margin on the account",
        FACTS_UNKNOWN: "the account, or whether other assets serve as margin, is not known",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[account.main.position_mode]
enforcement = "enforce"
mode = "one_way"
multi_assets = "forbid"
"""

    mode: Annotated[WantedPositions, Setting('`"one_way"` or `"hedge"`', Looser.NEITHER)]
    multi_assets: Annotated[MultiAssets, Setting('`"allow"` or `"forbid"`', Looser.LOWER)] = MultiAssets.ALLOW

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a change to what is not wanted, and entries while it is so."""
        match command:
            case SetPositionMode(hedged=hedged) if hedged is not self._hedged:
                return self._mode("POSITION_MODE_NOT_ALLOWED", "the account would be set to", hedged)
            case SetMultiAssetMode(enabled=True) if self.multi_assets is MultiAssets.FORBID:
                return self._assets("MULTI_ASSETS_NOT_ALLOWED", "other assets would serve as margin")
            case PlaceOrder() | AmendOrder():
                return self.unknown("the account") if snapshot.account is None else snapshot.account.found(self._entry)
            case _:
                return None

    def _entry(self, account: Account) -> Breach | None:
        if account.hedged is not self._hedged:
            return self._mode("POSITION_MODE_WRONG", "the account is in", account.hedged)
        if self.multi_assets is MultiAssets.ALLOW or account.multi_assets is False:
            return None
        if account.multi_assets is None:
            return self.unknown("whether other assets serve as margin")
        return self._assets("MULTI_ASSETS_ON", "other assets serve as margin")

    @property
    def _hedged(self) -> bool:
        return self.mode is WantedPositions.HEDGE

    def _mode(self, code: str, message: str, hedged: bool) -> Breach:
        found = WantedPositions.HEDGE if hedged else WantedPositions.ONE_WAY
        return self.breach(
            code,
            f"{message} {found.value} mode",
            observed=found.value,
            limit=self.mode.value,
            advice=f"set the account to {self.mode.value} mode, while it has neither position nor order",
        )

    def _assets(self, code: str, message: str) -> Breach:
        return self.breach(
            code, message, observed="on", limit="off", advice="switch multi-assets mode off at the exchange"
        )
