"""Words of a client library's own that travel along and ask Binance for nothing: left out where nothing hangs on them.

ccxt (4.5.90: ``fetch_balance``, ``fetch_positions``, ``fetch_account_positions``, ``cancel_order``) forwards what its
user wrote to every request that a method makes of it. A bot that cannot read its position, or cancel its order, cannot
leave it. Where an order is made or changed the same words are refused: Binance would ignore what the bot relies on.
"""

from __future__ import annotations

from typing import Final

from proxy.venues.binance.table_trading import ALGO_ORDER_PARAMETERS, ORDER_PARAMETERS
from proxy.venues.binance.wire import Parameters

OF_READS: Final = frozenset({"useV2", "filterClosed", "subType", "type", "marginMode", "defaultType"})
"""Of ccxt: which of its own ways to take, and what to leave out of the answer once it has it."""

OF_CANCELS: Final = OF_READS | frozenset(ORDER_PARAMETERS.split()) | frozenset(ALGO_ORDER_PARAMETERS.split())
"""And what describes an order: the id alone says which one goes."""


def of_a_read(asked: Parameters, documented: frozenset[str]) -> Parameters:
    """A signed read without those words that Binance does not document there."""
    return asked.without(OF_READS - documented)


def of_a_cancel(asked: Parameters, documented: frozenset[str]) -> Parameters:
    """A cancel without those words that Binance does not document there."""
    return asked.without(OF_CANCELS - documented)
