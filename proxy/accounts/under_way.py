"""How long what the gates sent before a store was lost may still be under way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.gate import upstream
from proxy.store.warden_store import AgedHold
from rules.snapshot import HoldStatus

REPLY_TIMEOUT_S: Final = upstream.REPLY_TIMEOUT_S
"""No request that was on the wire can still be answered after this long."""

LATE_S: Final = 5.0
"""Exchanges have executed orders this long after the error they answered (RELIABILITY F02; ccxt issue 1786: 2 s)."""

UNDER_WAY_MAX_S: Final = upstream.POOL_TIMEOUT_S + upstream.CONNECT_TIMEOUT_S + REPLY_TIMEOUT_S + LATE_S
"""From a hold on: its request waits for a connection, then for its answer, and may be executed after that."""


def outwait_s(holds: Iterable[AgedHold]) -> float:
    """How long after these holds were read nothing that they ask for can be under way any more.

    What the exchange has taken is not. A request whose hold was lost with the store is given the time of a reply.
    """
    taken = all(aged.hold.status is HoldStatus.ACCEPTED for aged in holds)
    return REPLY_TIMEOUT_S if taken else UNDER_WAY_MAX_S
