"""How long what a gate sends may be under way: what each wait on its road is bounded by, and the sum of them."""

from __future__ import annotations

from typing import Final

POOL_TIMEOUT_S: Final = 1.0
"""For a connection of the pool."""

CONNECT_TIMEOUT_S: Final = 3.0
"""For a new one."""

REPLY_TIMEOUT_S: Final = 10.0
"""For a whole answer. No request that was on the wire can still be answered after this long."""

LATE_S: Final = 5.0
"""Exchanges have executed orders this long after the error they answered (row F02 of docs/failure-modes.md; ccxt issue
1786: 2 s)."""

UNDER_WAY_MAX_S: Final = POOL_TIMEOUT_S + CONNECT_TIMEOUT_S + REPLY_TIMEOUT_S + LATE_S
"""From a hold on: its request waits for a connection, then for its answer, and may be executed after that.

So long a store that was lost is waited for, whatever holds it has: those it lost were as young as any.
"""
