"""trading_state: what the four levels' states allow. A gate before every other rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rules.decision import Breach
from rules.intent import intent_of
from rules.model import AdjustIsolatedMargin, Command, Intent, TradingState
from rules.rule import Rule
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStateGate(Rule):
    """HALTED and REDUCING refuse everything that may add risk; exits and cancels pass in every state.

    While a kill runs it is itself the exit: bots may cancel, but place nothing and change no setting. Adding margin
    to an isolated position lowers its risk and passes unless a kill runs.
    """

    rule_id: ClassVar[str] = "trading_state"
    codes: ClassVar[Mapping[str, str]] = {
        "KILL_RUNNING": "the kill switch is closing this account",
        "TRADING_HALTED": "stopped; a person must re-arm",
        "REDUCE_ONLY_STATE": "only exits and cancels pass",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 12(1)",
        "FIA 2024 kill switch",
    )

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what the strictest state of desk, account, bot and symbol does not allow."""
        controls = snapshot.controls
        state = controls.strictest
        if state is TradingState.ACTIVE and not controls.kill_running:
            return None
        intent = intent_of(command, snapshot)
        if intent is Intent.CANCEL:
            return None
        if controls.kill_running:
            return self.breach("KILL_RUNNING", "the kill switch is closing this account; bots may only cancel")
        if intent is Intent.EXIT or (isinstance(command, AdjustIsolatedMargin) and command.amount > 0):
            return None
        if state is TradingState.HALTED:
            return self.breach("TRADING_HALTED", "trading is halted; re-arming needs a person")
        return self.breach("REDUCE_ONLY_STATE", "only reduce-only orders and cancels pass now")
