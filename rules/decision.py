"""The answers: a breach with its reason, a decision with all of them, and the clearance an upstream sender demands."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from rules.model import Command, Intent, TradingState

BATCH_REFUSED: Final = "BATCH_REFUSED"
"""The code of an entry that nothing was wrong with, beside one that was refused or could not be read."""


class Enforcement(StrEnum):
    """ENFORCE refuses, REPORT records what would have been refused (shadow mode), OFF does not look."""

    ENFORCE = "enforce"
    REPORT = "report"
    OFF = "off"


class Verdict(StrEnum):
    """Whether a command may go on to the venue."""

    ALLOW = "ALLOW"
    DENY = "DENY"


class Measure(NamedTuple):
    """What a rule found of an entry, kept whether or not it objected: a distance, a margin, a forecast and its age.

    Every entry brings some thirty of them, hence the light type.
    """

    rule_id: str
    name: str
    value: str
    unit: str = ""


class Use(NamedTuple):
    """How much of one of its limits a rule finds in use as things stand, for people: nothing is decided by it.

    ``name`` is empty where the rule has one limit, ``symbol`` where it is of the whole account. ``unit`` is ``x`` for
    multiples of margin balance, empty for quote currency and ``base`` for base units.
    """

    rule_id: str
    level: str
    name: str
    symbol: str
    observed: Decimal
    limit: Decimal
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """Why a rule objects. ``code`` is permanent: bots match on it.

    ``headroom`` is the largest quantity (base units) this rule would allow now, ``None`` where size is not the matter.
    ``level`` names where the limit was set: ``desk``, ``account:NAME``, ``bot:NAME`` or ``symbol:NAME``.
    ``advice`` tells the trader in plain words what would pass. ``stops_bot`` is the state the bot is put into because
    of this breach, until a named person lets it go on; the warden sees to it when the breach was enforced.
    """

    rule_id: str
    code: str
    message: str
    observed: str = ""
    limit: str = ""
    headroom: Decimal | None = None
    level: str = "desk"
    enforcement: Enforcement = Enforcement.ENFORCE
    advice: str = ""
    stops_bot: TradingState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict on one command.

    ``breaches`` are the enforced objections in order of precedence, the first being the one the bot is told.
    ``would_deny`` are those of rules in report mode. ``effective`` is the command as it would be sent: the bot's own,
    or the same with the reduce-only flag the policy forced onto it, or trimmed to the headroom. ``trimmed_from`` is the
    quantity the bot asked for then and ``trimmed_by`` the breaches of that size. ``overridden`` are breaches that an
    override let pass, ``overrides`` which ones; the gate uses each up before it sends. ``measures`` are what the rules
    recorded of an entry.
    """

    verdict: Verdict
    intent: Intent
    effective: Command
    policy_version: str
    snapshot_version: int | None
    breaches: tuple[Breach, ...] = ()
    would_deny: tuple[Breach, ...] = ()
    advice: tuple[str, ...] = ()
    headroom: Decimal | None = None
    measures: tuple[Measure, ...] = ()
    overridden: tuple[Breach, ...] = ()
    overrides: tuple[str, ...] = ()
    trimmed_from: Decimal | None = None
    trimmed_by: tuple[Breach, ...] = ()


C_co = TypeVar("C_co", bound=Command, covariant=True)


class _Seal:
    """Private to this package: whoever holds it may clear a command."""


_SEAL: Final = _Seal()


class Cleared(Generic[C_co]):
    """A command that was judged and allowed. Encoders take nothing else, so skipping the judge does not type.

    Only ``rules.engine.clear`` builds one; anyone else gets an assertion.
    """

    __slots__ = ("command",)

    def __init__(self, command: C_co, seal: object) -> None:
        assert seal is _SEAL, "only the engine clears commands"  # noqa: S101 - an argument of safety, not a check
        self.command: C_co = command
