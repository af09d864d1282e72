"""What every rule has: its enforcement, the level its limit was set at, and one pure ``check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar, Final

from rules.decision import Breach, Enforcement, Measure, Use
from rules.model import Command, TradingState
from rules.snapshot import Snapshot

CENT = Decimal("0.01")
_PERCENT_STEP: Final = Decimal("0.0001")

FACTS_UNKNOWN: Final = "FACTS_UNKNOWN"
"""The code of every rule that refuses because the guard does not know, or no longer knows, what the rule needs."""


class Looser(StrEnum):
    """Which change of a setting lets more through. ``NEITHER``: it depends, so every change counts as a loosening."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field of a rule means, unit first, for its page and for comparing policies.

    Written ``limit: Annotated[Decimal, Setting("quote currency", Looser.HIGHER)]``.
    An optional limit that is not set (``None``) is the loosest of all. Of a list, more names are ``HIGHER``, of a few
    words (an enumeration) the later ones; of a table, each entry is compared. ``each_limits`` says that an entry of a
    table limits by itself, so that one more tightens; else what stands for an entry that is not there is not known,
    and one that comes or goes counts as a loosening. ``zero_or_less`` says that the setting's numbers, its entries'
    among them, need not be above zero, as all others must; ``fraction`` that a policy may not write one above 1: a
    limit meant in percent would never be reached, and say so nowhere.
    """

    about: str
    looser: Looser = Looser.NEITHER
    zero_or_less: bool = False
    each_limits: bool = False
    fraction: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The settings an operator writes plus one pure ``check``. Subclasses add their limits as fields.

    ``level`` is where the limit stands: ``desk``, ``account:NAME``, ``bot:NAME`` or ``symbol:NAME``. Limits of all
    levels that match a command apply together, so the strictest wins. ``sized`` says that a smaller quantity may
    pass where a larger one does not; then the engine searches the headroom with ``check`` itself.

    The class is the rule's page in ``docs/rules.md``: its docstring, ``codes`` (code to meaning), the ``Setting`` of
    each field, ``clauses`` (what it serves: ``RTS 6 art. 15(1)(b)``, ``15c3-5(c)(1)(ii)``, ``FIA 2024``) and
    ``example`` (a piece of a policy).
    """

    rule_id: ClassVar[str]
    codes: ClassVar[Mapping[str, str]]
    clauses: ClassVar[Sequence[str]] = ()
    example: ClassVar[str] = ""
    sized: ClassVar[bool] = False

    enforcement: Enforcement = Enforcement.ENFORCE
    level: str = "desk"

    @property
    def serves(self) -> Sequence[str]:
        """The clauses this rule serves as it is set; a part of a clause may need a setting."""
        return self.clauses

    @property
    def looks_back_s(self) -> int:
        """How far back this rule looks at the bot's earlier attempts, in seconds; 0 when it does not."""
        return 0

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """The breach, or ``None`` when this rule does not object. Same inputs, same answer, for ever."""
        raise NotImplementedError

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """What the audit should keep of an entry that this rule has looked at. Most rules have nothing to add."""
        return ()

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """How much of its limits is in use as things stand. Only rules about what an account carries have an answer."""
        return ()

    def used(self, observed: Decimal, limit: Decimal, *, name: str = "", symbol: str = "", unit: str = "") -> Use:
        """One limit of this rule and what is in use of it."""
        return Use(self.rule_id, self.level, name, symbol, observed, limit, unit)

    def measured(self, name: str, value: str, unit: str = "") -> Measure:
        """One measure of this rule."""
        # Past the constructor of named tuples, which is Python code: an entry is recorded with some thirty of them.
        return tuple.__new__(Measure, (self.rule_id, name, value, unit))

    def permits(self) -> bool:
        """Whether this rule may let through what would be refused without it: then adding it is a loosening."""
        return False

    def unknown(self, what: str) -> Breach:
        """The breach of a rule that cannot judge, because ``what`` it needs is not known or too old."""
        return self.breach(FACTS_UNKNOWN, f"{what} is not known now", advice="reduce-only orders and cancels pass")

    def breach(
        self,
        code: str,
        message: str,
        *,
        observed: str = "",
        limit: str = "",
        advice: str = "",
        headroom: Decimal | None = None,
        stops_bot: TradingState | None = None,
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
            stops_bot=stops_bot,
        )


@lru_cache(maxsize=1024, typed=True)
def as_written(value: float) -> Decimal:
    """A score or probability as it is written, so that a limit of 0.05 and a forecast of 0.05 are equal."""
    return Decimal(str(value))


def show(value: Decimal) -> str:
    """A number for people: two decimals for money and ratios, never an exponent."""
    # The rounding is named: a library in the same process (ccxt) changes what the context rounds by.
    return str(value.quantize(CENT, ROUND_HALF_EVEN))  # No Decimal with two decimals is written with an exponent.


def show_exact(value: Decimal) -> str:
    """A price or quantity as the venue would write it: no exponent, no trailing zeros."""
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain(value: Decimal) -> str:
    """All digits of a number, never an exponent."""
    text = str(value)  # Several times faster than formatting, and the same unless there is an exponent.
    return f"{value:f}" if "E" in text else text


def show_percent(fraction: Decimal) -> str:
    """A fraction for people, in percent: fine enough for a spread of a hundredth of a basis point."""
    return f"{show_exact((fraction * 100).quantize(_PERCENT_STEP, ROUND_HALF_EVEN))} %"
