"""Holds as the scripts write them: ``sequence|status|time|bot|orders``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from proxy.decoding import decoder
from rules.account import HeldOrder, Hold, HoldStatus

log = logging.getLogger("perpguard.store")

HOLDS_KEPT: Final = 2_048
"""Holds that the warden keeps as it decoded them: the most that an account may have (``HOLDS_MAX``)."""


_ORDERS: Final = decoder(tuple[HeldOrder, ...])


@lru_cache(maxsize=HOLDS_KEPT)
def decode_hold(hold_id: str, state: str) -> tuple[Hold, int]:
    """A hold, and the store's time (microseconds) of its acknowledgement, or before that of its making; 0 where nobody
    knows it. The warden reads it again until it goes."""
    return _decoded(hold_id, state)


def readable_hold(account: str, hold_id: str, state: str) -> tuple[Hold, int] | None:
    """As ``decode_hold``; ``None`` for one that cannot be read, which the log says: another version of the guard made
    it."""
    try:
        return decode_hold(hold_id, state)
    except (msgspec.DecodeError, ValueError, RecursionError) as trouble:
        log.error("the hold %s of %s cannot be read: %s", hold_id, account, trouble)
        return None


class KnownHolds:
    """The holds of each account as they were last decoded: each comes back with every order until it goes.

    What does not come back is forgotten, so there are never more than live: at most ``HOLDS_MAX`` of an account.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[tuple[str, str], Hold]] = {}

    def read(self, account: str, flat: Sequence[str]) -> tuple[Hold, ...]:
        """The holds of a hash as a script returns it, ids and states in turn; oldest first."""
        known = self._known.get(account, {})
        live = {told: known.get(told) or _decoded(*told)[0] for told in zip(flat[::2], flat[1::2], strict=True)}
        self._known[account] = live
        return tuple(sorted(live.values(), key=lambda hold: hold.sequence))


def _decoded(hold_id: str, state: str) -> tuple[Hold, int]:
    sequence, status, at_us, bot, body = state.split("|", 4)
    hold = Hold(
        hold_id=hold_id,
        bot=bot,
        sequence=int(sequence),
        status=HoldStatus(status),
        orders=_ORDERS.decode(body),
    )
    return hold, int(at_us)
