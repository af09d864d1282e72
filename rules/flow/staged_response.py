"""staged_response: the more unusual a bot behaves, the less it may do: alert, delay, reduce-only, halt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, ClassVar, Final

from rules.ages import seconds
from rules.attempts import MARGIN_S, last_entry
from rules.decision import Breach, Measure
from rules.facts import Score
from rules.flow.outlier import order_score
from rules.model import AdjustIsolatedMargin, Command, TradingState
from rules.rule import Looser, Rule, Setting, as_written
from rules.snapshot import Snapshot


class ScoreLevel(StrEnum):
    """Whose behaviour a score is of."""

    BOT = "bot"
    ACCOUNT = "account"
    DESK = "desk"


_BOT: Final = ScoreLevel.BOT
_ORDER: Final = "this order"
_USUAL: Final = Score()
_WAYS_OUT: Final = "reduce-only orders and cancels pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedResponse(Rule):
    """Answer the anomaly score in stages: 0 is a bot as usual, 1 one that is like nothing in its history.

    From ``alert_at`` on the stage is written down with every entry, and the entry passes. From ``delay_at`` on an
    entry must keep ``delay_s`` seconds of distance from the bot's last one that was not refused. From ``reduce_at`` on
    only exits and cancels pass. From ``halt_at`` on the bot is halted: what is refused stays refused, however usual
    the score becomes, until a named person lets the bot go on. Stages may be left out. Exits and cancels are never
    delayed, and adding margin to an isolated position passes always.

    The score that counts is the highest of the levels in ``of``: the bot's own, its account's (all its bots together)
    and the desk's. With the bot's own counts that of the order itself, by its size, its price and its symbol against
    what the guard knows of the bot: a fat finger is stopped before it is sent, not after. A score of 0.54 is what would
    happen by chance once a day, 0.78 once in ten days, 0.9 once in a hundred. A level that has no score has done
    nothing unusual. Scores halve in two quiet minutes; a bot that is
    let go on while the score is still at ``halt_at`` is halted again by its next entry.
    """

    rule_id: ClassVar[str] = "staged_response"
    codes: ClassVar[Mapping[str, str]] = {
        "ANOMALY_DELAY": "the anomaly score demands more time between entries",
        "ANOMALY_REDUCE_ONLY": "the anomaly score lets only exits and cancels pass",
        "ANOMALY_HALT": "the anomaly score halts the bot; a named person must let it go on",
    }
    clauses: ClassVar[Sequence[str]] = ("Eurex Advanced Risk Protection",)
    example: ClassVar[str] = """
[desk.staged_response]
enforcement = "enforce"
alert_at = 0.3
delay_at = 0.5
delay_s = 5
reduce_at = 0.8
halt_at = 0.95
"""

    alert_at: Annotated[Decimal | None, Setting("score above 0 and up to 1; written down", Looser.HIGHER)] = None
    delay_at: Annotated[Decimal | None, Setting("score above 0 and up to 1; entries wait", Looser.HIGHER)] = None
    delay_s: Annotated[int | None, Setting("seconds between entries from `delay_at` on", Looser.LOWER)] = None
    reduce_at: Annotated[Decimal | None, Setting("score above 0 and up to 1; only exits", Looser.HIGHER)] = None
    halt_at: Annotated[Decimal | None, Setting("score above 0 and up to 1; bot halted", Looser.HIGHER)] = None
    of: Annotated[tuple[ScoreLevel, ...], Setting("whose score counts: `bot`, `account`, `desk`", Looser.LOWER)] = (
        tuple(ScoreLevel)
    )

    def __post_init__(self) -> None:
        stages = [each for each in (self.alert_at, self.delay_at, self.reduce_at, self.halt_at) if each is not None]
        if not stages or not all(0 < each <= 1 for each in stages):
            raise ValueError("staged_response needs a stage, each at a score above 0 and up to 1")
        if stages != sorted(set(stages)):
            raise ValueError("staged_response needs alert_at < delay_at < reduce_at < halt_at")
        if (self.delay_at is None) is not (self.delay_s is None):
            raise ValueError("staged_response needs delay_at and delay_s together")
        if not self.of or len(set(self.of)) != len(self.of):
            raise ValueError("staged_response needs of = some of bot, account, desk, each once")

    @property
    def looks_back_s(self) -> int:
        """As far as an entry may have to keep its distance."""
        return 0 if self.delay_s is None else self.delay_s + MARGIN_S

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what the stage of the highest score does not let pass."""
        if isinstance(command, AdjustIsolatedMargin) and command.amount > 0:
            return None
        level, score, stage = self._reached(command, snapshot)
        match stage:
            case "halt":
                return self.breach(
                    "ANOMALY_HALT",
                    f"{_said(level, score)}; the bot is halted",
                    observed=_shown(score),
                    limit=f"{self.halt_at:f}",
                    advice=f"{_WAYS_OUT}; a named person must let the bot go on",
                    stops_bot=TradingState.HALTED,
                )
            case "reduce":
                return self.breach(
                    "ANOMALY_REDUCE_ONLY",
                    f"{_said(level, score)}; only exits and cancels pass",
                    observed=_shown(score),
                    limit=f"{self.reduce_at:f}",
                    advice=_WAYS_OUT,
                )
            case "delay":
                return self._delayed(level, score, snapshot)
            case _:
                return None

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The score that counts, and from the first stage on which it is and what drove it."""
        level, score, stage = self._reached(command, snapshot)
        found = self.measured("anomaly", _shown(score), unit=level)
        if stage == "":
            return (found,)
        told = {"stage": stage, "why": score.why}
        return (found, *(self.measured(name, value) for name, value in told.items()))

    def _delayed(self, level: str, score: Score, snapshot: Snapshot) -> Breach | None:
        last = last_entry(snapshot)
        wait = seconds(self.delay_s or 0)
        if last is None or snapshot.now - last >= wait:
            return None
        elapsed = (snapshot.now - last).total_seconds()
        return self.breach(
            "ANOMALY_DELAY",
            f"{_said(level, score)}; entries must be {self.delay_s} s apart",
            observed=f"{elapsed:.1f} s",
            limit=f"{self.delay_s} s",
            advice=f"send it {self.delay_s} s after the last entry; {_WAYS_OUT}",
        )

    def _reached(self, command: Command, snapshot: Snapshot) -> tuple[str, Score, str]:
        """The highest score that counts, whose it is, and the stage it has reached."""
        published = snapshot.found(self._published)
        if snapshot.usual is None or _BOT not in self.of:
            return published
        own = snapshot.last(order_score, command)
        return published if own.value <= published[1].value else (_ORDER, own, self._stage(own))

    def _published(self, snapshot: Snapshot) -> tuple[str, Score, str]:
        level, score = self._highest(snapshot)
        return level, score, self._stage(score)

    def _highest(self, snapshot: Snapshot) -> tuple[str, Score]:
        highest, found = "", None
        account = snapshot.account.name if snapshot.account is not None else ""
        for name in _names(self.of, snapshot.bot, account):
            score = snapshot.scores.get(name, _USUAL)
            if found is None or score.value > found.value:
                highest, found = name, score
        return highest, found or _USUAL

    def _stage(self, score: Score) -> str:
        """The name of the highest stage reached, empty below the first."""
        value = as_written(score.value)
        if self.alert_at is not None and value < self.alert_at:
            return ""  # No stage is lower.
        for name, at in (
            ("halt", self.halt_at),
            ("reduce", self.reduce_at),
            ("delay", self.delay_at),
            ("alert", self.alert_at),
        ):
            if at is not None and value >= at:
                return name
        return ""


@lru_cache(maxsize=256)
def _names(levels: tuple[ScoreLevel, ...], bot: str, account: str) -> tuple[str, ...]:
    """The names of these levels' scores in ``Snapshot.scores``."""
    named = {ScoreLevel.BOT: f"bot:{bot}", ScoreLevel.ACCOUNT: f"account:{account}", ScoreLevel.DESK: "desk"}
    return tuple(named[level] for level in levels)


def _shown(score: Score) -> str:
    return f"{score.value:.2f}"


def _said(level: str, score: Score) -> str:
    why = f" ({score.why})" if score.why else ""
    return f"anomaly score of {level} is {_shown(score)}{why}"
