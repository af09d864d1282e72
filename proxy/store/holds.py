"""Holds as the scripts write them: ``sequence|status|time|bot|orders``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from proxy.store.codec import build, load
from rules.snapshot import HeldOrder, Hold, HoldStatus


@lru_cache(maxsize=4096)
def decode_hold(hold_id: str, state: str) -> tuple[Hold, int]:
    """A hold, and the store's time (microseconds) of its last change. It comes back with every order until it goes."""
    sequence, status, at_us, bot, body = state.split("|", 4)
    hold = Hold(
        hold_id=hold_id,
        bot=bot,
        sequence=int(sequence),
        status=HoldStatus(status),
        orders=build(load(body), tuple[HeldOrder, ...]),
    )
    return hold, int(at_us)


def decode_holds(flat: Sequence[str]) -> tuple[Hold, ...]:
    """The holds of a hash as a script returns it, ids and states in turn; oldest first."""
    holds = [decode_hold(hold_id, state)[0] for hold_id, state in zip(flat[::2], flat[1::2], strict=True)]
    return tuple(sorted(holds, key=lambda hold: hold.sequence))
