"""custom: a rule that a desk writes as one line of CEL in its policy. Compiled elsewhere; here it is a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from rules.decision import Breach
from rules.model import ENTRY, AmendOrder, Command, PlaceOrder
from rules.rule import Looser, Rule, Setting
from rules.snapshot import Snapshot

CUSTOM: Final = "custom"

Question = Callable[[PlaceOrder | AmendOrder, Snapshot], object]
"""Whether an entry may pass. Pure; anything but ``True`` and ``False``, and every exception, is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRule(Rule):
    """Refuse an entry for which ``expression`` is not true. An expression that fails refuses too (``RULE_FAILED``).

    ``question`` is what the expression was compiled to. Two rules of one text are the same rule. It asks of orders and
    amends that may add risk, never of exits, cancels or settings, and it knows no headroom.
    """

    codes: ClassVar[Mapping[str, str]] = {"CUSTOM_RULE": "an expression of the desk's own is not true"}

    name: str
    expression: Annotated[str, Setting("CEL, one line, true for what may pass", Looser.NEITHER)]
    message: Annotated[str, Setting("what a refused bot is told", Looser.NEITHER)]
    question: Question = field(compare=False, repr=False)

    @property
    def rule_id(self) -> str:  # type: ignore[override]
        """``custom:NAME``, so that several rules at one level are told apart."""
        return f"{CUSTOM}:{self.name}"

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what the expression is false for. Raises ``TypeError`` when it is neither true nor false."""
        if not isinstance(command, ENTRY):
            return None
        answer = self.question(command, snapshot)
        if answer is True:
            return None
        if answer is not False:
            raise TypeError(f"{self.rule_id} is {type(answer).__name__}, neither true nor false")
        return self.breach(
            "CUSTOM_RULE", self.message, limit=self.expression, advice="the desk's own rule; ask its owner"
        )
