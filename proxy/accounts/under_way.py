"""How long what the gates sent before a store was lost may still be under way."""

from __future__ import annotations

from typing import Final

from proxy.gate import upstream

REPLY_TIMEOUT_S: Final = upstream.REPLY_TIMEOUT_S
"""No request that was on the wire can still be answered after this long."""

LATE_S: Final = 5.0
"""Exchanges have executed orders this long after the error they answered (RELIABILITY F02; ccxt issue 1786: 2 s)."""

UNDER_WAY_MAX_S: Final = upstream.POOL_TIMEOUT_S + upstream.CONNECT_TIMEOUT_S + REPLY_TIMEOUT_S + LATE_S
"""From a hold on: its request waits for a connection, then for its answer, and may be executed after that.

So long a store that was lost is waited for, whatever holds it has: those it lost were as young as any.
"""
