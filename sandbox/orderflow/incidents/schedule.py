"""Which incidents befall which account, and when: at random moments, never two at once in one account."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sandbox.orderflow.incidents.drifts import latency_shock, size_creep
from sandbox.orderflow.incidents.loops import flip_flop, reject_storm, runaway_loop
from sandbox.orderflow.incidents.odd_orders import far_price, fat_finger, new_symbol, off_hours
from sandbox.orderflow.incidents.strange import KINDS, Kind, Strange
from sandbox.orderflow.incidents.usual import Usual

Window = tuple[float, float]
"""From, to; unix seconds."""
Maker = Callable[[Usual, float, float, random.Random, bool], Strange | None]

MAKERS: Final[Mapping[Kind, Maker]] = {
    "far price": far_price,
    "fat finger": fat_finger,
    "latency shock": latency_shock,
    "reject storm": reject_storm,
    "runaway loop": runaway_loop,
    "flip-flop": flip_flop,
    "size creep": size_creep,
    "off-hours": off_hours,
    "new symbol": new_symbol,
}
MILD_SHARE: Final = 1 / 3
APART_S: Final = 3600.0
"""Silence of at least this long between the incidents of one account."""
_TRIES: Final = 12


def makes_sense(kind: Kind, account: str, mild: bool) -> bool:
    """No flip-flop of a market maker, whose work it is to quote both sides, nor a mild one of a scalper."""
    if kind != "flip-flop":
        return True
    return not account.startswith("market-maker") and not (mild and account.startswith("scalper"))


def scheduled(
    account: str, usual: Usual, window: Window, rng: random.Random, kinds: Sequence[Kind], taken: Sequence[Window] = ()
) -> list[Strange]:
    """One incident of each of the `kinds`, in any order, within `window` and outside of what is `taken`.

    A kind that makes no sense for the account, or for which no moment was found in a dozen tries, is left out.
    """
    shuffled = rng.sample(kinds, len(kinds))
    busy, found = list(taken), []
    # What needs a long time, or a certain one, looks for its place first.
    for kind in sorted(shuffled, key=lambda kind: kind not in ("size creep", "off-hours")):
        mild = rng.random() < MILD_SHARE
        if not makes_sense(kind, account, mild):
            continue
        strange = _placed(MAKERS[kind], usual, window, rng, mild, busy)
        if strange is not None:
            busy.append(strange.span(usual.rows))
            found.append(strange)
    return found


def drawn_kinds(rng: random.Random, most: int) -> list[Kind]:
    """None to `most` kinds, for the time in which a detector learns."""
    return rng.sample(KINDS, rng.randint(0, most))


def _placed(
    maker: Maker, usual: Usual, window: Window, rng: random.Random, mild: bool, busy: Sequence[Window]
) -> Strange | None:
    for _ in range(_TRIES):
        at = rng.uniform(window[0], window[1] - APART_S)
        if not usual.has_placed(at):
            continue  # Nothing has been usual yet.
        strange = maker(usual, round(at, 3), window[1], rng, mild)
        if strange is None:
            continue
        begin, end = strange.span(usual.rows)
        if end < window[1] and all(end + APART_S < first or last + APART_S < begin for first, last in busy):
            return strange
    return None
