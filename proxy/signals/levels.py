"""The anomaly score of an account and of the desk: what several bots do at once that none of them does alone.

One odd bot is its own matter, and must not stop its neighbours; so the most unusual one is left out. The others'
scores are joined as if they were independent: 1 less the product of all (1 - score). Below ``FLOOR`` a score is what
any bot has now and then, and fifty of those are no alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from rules.facts import Score

FLOOR: Final = 0.2
"""Scores below this do not add up."""

NAMED_MAX: Final = 3
"""How many of those that drove a score its explanation names."""


def level_scores(bots: Mapping[str, Score], traders: Iterable[tuple[str, str]]) -> dict[str, Score]:
    """``account:NAME`` and ``desk`` to their scores. ``traders`` are pairs of a bot and an account it trades.

    An account's score is its bots' joined, the most unusual left out: it rises when at least two are unusual at once.
    The desk's is the same over accounts: it rises when bots of at least two accounts are.
    """
    accounts: dict[str, dict[str, Score]] = {}
    for bot, account in traders:
        accounts.setdefault(account, {})[bot] = bots.get(bot, Score())
    levels = {f"account:{account}": _beyond_the_worst(scores) for account, scores in accounts.items()}
    levels["desk"] = _beyond_the_worst({account: _joined(scores) for account, scores in accounts.items()})
    return levels


def _beyond_the_worst(scores: Mapping[str, Score]) -> Score:
    worst = max(scores, key=lambda name: (scores[name].value, name), default="")
    return _joined({name: score for name, score in scores.items() if name != worst}, also=scores.get(worst), of=worst)


def _joined(scores: Mapping[str, Score], *, also: Score | None = None, of: str = "") -> Score:
    """All scores above the floor as one. ``also`` is named in the explanation, and not counted."""
    counted = {name: score for name, score in scores.items() if score.value >= FLOOR}
    if not counted:
        return Score()
    value = 1.0 - math.prod(1.0 - min(1.0, score.value) for score in counted.values())
    named = counted if also is None else {of: also, **counted}
    return Score(value=value, why=_explained(named))


def _explained(scores: Mapping[str, Score]) -> str:
    ranked = sorted(scores.items(), key=lambda each: (-each[1].value, each[0]))
    told = [f"{name} {score.value:.2f} ({score.why})" for name, score in ranked[:NAMED_MAX]]
    more = [f"{len(ranked) - NAMED_MAX} more"] if len(ranked) > NAMED_MAX else []
    return "; ".join((*told, *more))
