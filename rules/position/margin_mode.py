"""margin_mode: every position in the margin mode the desk has chosen, cross or isolated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.model import ENTRY, Command, MarginMode, SetMarginMode
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot


class WantedMargin(StrEnum):
    """The margin modes as a policy writes them."""

    CROSS = "cross"
    ISOLATED = "isolated"

    @property
    def mode(self) -> MarginMode:
        """The mode itself."""
        return MarginMode[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginModeRule(Rule):
    """Refuse to change a symbol to another margin mode, and entries while the venue has it in another.

    A bot that believes it risks the margin of one position, and trades a symbol set to cross, risks the account; one
    that counts on the account's balance, and trades an isolated symbol, is liquidated early. The setting is read from
    the exchange every few seconds; while it has not been read nothing goes in. Setting the mode that is wanted always
    passes. The exchange changes no mode while the symbol has a position or an order; close those first.
    """

    rule_id: ClassVar[str] = "margin_mode"
    codes: ClassVar[Mapping[str, str]] = {
        "MARGIN_MODE_NOT_ALLOWED": "would change the symbol to another margin mode than `margin_mode`",
        "MARGIN_MODE_WRONG": "the venue has the symbol in another margin mode",
        FACTS_UNKNOWN: "the symbol's margin mode at the venue has not been read",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[symbol.DOGEUSDT.margin_mode]
enforcement = "enforce"
margin_mode = "isolated"
"""

    margin_mode: Annotated[WantedMargin, Setting('`"cross"` or `"isolated"`', Looser.NEITHER)]

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse a change to the other mode, and entries in it."""
        if isinstance(command, ENTRY):
            symbol = command.symbol
            found = snapshot.account.margin_mode_of(symbol) if snapshot.account is not None else None
            if found is None:
                return self.unknown(f"the margin mode of {symbol}")
            if found == self.margin_mode.name:
                return None
            return self._breach("MARGIN_MODE_WRONG", f"{symbol} is set to {found.lower()}", found)
        if not isinstance(command, SetMarginMode) or command.margin_mode is self.margin_mode.mode:
            return None
        asked = command.margin_mode
        return self._breach("MARGIN_MODE_NOT_ALLOWED", f"{command.symbol} would be set to {asked.lower()}", asked)

    def _breach(self, code: str, message: str, observed: MarginMode) -> Breach:
        wanted = self.margin_mode.value
        return self.breach(
            code,
            f"{message} margin, not {wanted}",
            observed=observed.lower(),
            limit=wanted,
            advice=f"set the symbol's margin mode to {wanted}, while it has neither position nor order",
        )
