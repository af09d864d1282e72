"""What every rule has: its enforcement, the level its limit was set at, and one pure ``check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from rules.decision import Breach, Enforcement
from rules.model import Command
from rules.snapshot import Snapshot

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The settings an operator writes plus one pure ``check``. Subclasses add their limits as fields.

    ``level`` is where the limit stands: ``desk``, ``account:NAME``, ``bot:NAME`` or ``symbol:NAME``. Limits of all
    levels that match a command apply together, so the strictest wins. ``sized`` says that a smaller quantity may
    pass where a larger one does not; then the engine searches the headroom with ``check`` itself.
    """

    rule_id: ClassVar[str]
    codes: ClassVar[Sequence[str]]
    sized: ClassVar[bool] = False

    enforcement: Enforcement = Enforcement.ENFORCE
    level: str = "desk"

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """The breach, or ``None`` when this rule does not object. Same inputs, same answer, for ever."""
        raise NotImplementedError

    def breach(
        self,
        code: str,
        message: str,
        *,
        observed: str = "",
        limit: str = "",
        advice: str = "",
        headroom: Decimal | None = None,
    ) -> Breach:
        """A breach of this rule, with its level and enforcement filled in."""
        assert code in self.codes, f"{self.rule_id} does not list {code}"  # noqa: S101 - docs are checked against codes
        return Breach(
            rule_id=self.rule_id,
            code=code,
            message=message,
            observed=observed,
            limit=limit,
            headroom=headroom,
            level=self.level,
            enforcement=self.enforcement,
            advice=advice,
        )


def show(value: Decimal) -> str:
    """A number for people: two decimals for money and ratios, never an exponent."""
    return f"{value.quantize(CENT):f}"


def show_exact(value: Decimal) -> str:
    """A price or quantity as the venue would write it: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
