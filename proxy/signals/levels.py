"""The anomaly score of an account and of the desk: what several bots do at once that none of them does alone.

One odd bot is its own matter, and must not stop its neighbours: only two or more together count. How often ``k`` of
``n`` bots would be that odd within the same ten minutes by chance is at most ``C(n, k) p ** k`` if nothing joined them,
with ``p`` the chance of the k-th. Bots of one desk are joined, by the hour and the market, so that is too seldom; if
one thing moved them all it is as often as the k-th alone. The score goes a third of the way from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from proxy.signals.published import published, score_of
from rules.facts import Score

WINDOWS_A_DAY: Final = 144.0
"""Scores halve in two minutes: what is still high was so within about ten."""

FLOOR: Final = 0.5
"""Scores below this, which any bot has more than once a day, do not add up."""

TRUST: Final = 1 / 3
"""How far bots of one desk are taken to be independent. Chosen, not fitted."""

NAMED_MAX: Final = 3
"""How many of those that drove a score its explanation names."""


def level_scores(bots: Mapping[str, Score], traders: Iterable[tuple[str, str]]) -> dict[str, Score]:
    """``account:NAME`` and ``desk`` to their scores. ``traders`` are pairs of a bot and an account it trades.

    An account's score rises when at least two of its bots are unusual at once, the desk's when bots of at least two
    accounts are; an account counts there with its most unusual bot, or with its bots together if that is more. A bot
    that trades several accounts counts for the desk with one of them.
    """
    accounts = _traded(bots, traders)
    levels = {f"account:{account}": _together(scores) for account, scores in accounts.items()}
    homes = _homes(accounts).items()
    levels["desk"] = _together({account: max(_worst(own), _together(own), key=_value) for account, own in homes})
    return levels


def account_score(account: str, bots: Mapping[str, Score], traders: Iterable[tuple[str, str]]) -> Score:
    """What is unusual about an account as a whole: its bots together, or the bot that trades it alone."""
    scores = {bot: bots.get(bot, Score()) for bot, traded in traders if traded == account}
    return next(iter(scores.values())) if len(scores) == 1 else _together(scores)


def _traded(bots: Mapping[str, Score], traders: Iterable[tuple[str, str]]) -> dict[str, dict[str, Score]]:
    """The scores of every account's bots."""
    accounts: dict[str, dict[str, Score]] = {}
    for bot, account in traders:
        accounts.setdefault(account, {})[bot] = bots.get(bot, Score())
    return accounts


def _homes(accounts: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, Score]]:
    """The same with every bot in one account only.

    Those with the least choice choose first, and of these the oddest; each takes the account whose bots are the calmest
    so far, so that two odd bots of two accounts stand in two, whatever these are called.
    """
    homes: dict[str, dict[str, Score]] = {}
    choices: dict[str, list[str]] = {}
    scores = {bot: score for own in accounts.values() for bot, score in own.items()}
    for account in sorted(accounts):
        for bot in accounts[account]:
            choices.setdefault(bot, []).append(account)

    def so_far(account: str) -> tuple[float, int]:
        own = homes.get(account, {})
        return max(map(_value, own.values()), default=0.0), len(own)

    for bot, score in sorted(scores.items(), key=lambda named: (len(choices[named[0]]), _by_value(named))):
        homes.setdefault(min(choices[bot], key=so_far), {})[bot] = score
    return homes


def _together(scores: Mapping[str, Score]) -> Score:
    """How unusual it is that so many of these are so unusual at once."""
    ranked = sorted(((name, score) for name, score in scores.items() if score.value >= FLOOR), key=_by_value)
    best, members = 0.0, 0
    for k in range(2, len(ranked) + 1):
        value = published(_joint(score_of(ranked[k - 1][1].value), k, len(scores)))
        if value > best:
            best, members = value, k
    return Score(value=best, why=_explained(ranked[:members])) if members else Score()


def _joint(kth: float, k: int, n: int) -> float:
    """The score of ``k`` of ``n`` having at least the score ``kth`` within ten minutes."""
    chance = -math.expm1(-(10.0**-kth) / WINDOWS_A_DAY)
    independent = -(math.log10(math.comb(n, k)) + k * math.log10(chance) + math.log10(WINDOWS_A_DAY))
    return kth + TRUST * max(0.0, independent - kth)


def _worst(scores: Mapping[str, Score]) -> Score:
    name, score = min(scores.items(), key=_by_value)
    return Score(value=score.value, why=_explained([(name, score)])) if score.value > 0 else Score()


def _value(score: Score) -> float:
    return score.value


def _by_value(named: tuple[str, Score]) -> tuple[float, str]:
    return -named[1].value, named[0]


def _explained(ranked: list[tuple[str, Score]]) -> str:
    told = [f"{name} {score.value:.2f} ({score.why})" for name, score in ranked[:NAMED_MAX]]
    more = [f"{len(ranked) - NAMED_MAX} more"] if len(ranked) > NAMED_MAX else []
    return "; ".join((*told, *more))
