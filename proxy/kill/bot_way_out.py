"""The venue's calls that only the kill of one bot's part makes: order by order, never all of a symbol's.

They keep the same silence, clock and addresses as the other calls of a kill.
"""

from __future__ import annotations

from typing import Final

from proxy.accounts.payloads import parsed
from proxy.accounts.way_out import WayOut, rows_of
from proxy.venues.binance.client_ids import inward

BORN_ROWS_MAX: Final = 1_000
"""The most that Binance gives in one answer ("Query All Algo Orders", seen 2026-11)."""


class BotWayOut(WayOut):
    """Cancels of single orders, and which plain orders a bot's conditional ones became. All raise a ``VenueTrouble``.

    An order that is gone already is as good as cancelled.
    """

    async def cancel_one_plain(self, symbol: str, order_id: str) -> None:
        """Cancel one plain order by the venue's id; weight 1."""
        await self._cancelled(self._venue.fapiPrivateDeleteOrder, {"symbol": symbol, "orderId": order_id})

    async def cancel_one_conditional(self, symbol: str, order_id: str) -> None:
        """Cancel one conditional order by the venue's id; weight 1."""
        await self._cancelled(self._venue.fapiPrivateDeleteAlgoOrder, {"symbol": symbol, "algoId": order_id})

    async def born(self, symbol: str, tag: str) -> frozenset[str]:
        """Plain orders that conditional ones with this tag turned into when they triggered, by the venue's ids.

        Of those placed in the last seven days, which is as far as the venue looks back by itself; weight 5.
        """
        asked = {"symbol": symbol, "limit": str(BORN_ROWS_MAX)}
        rows = rows_of(await self._read(self._venue.fapiPrivateGetAllAlgoOrders, asked))
        return parsed(
            lambda: frozenset(
                str(row["actualOrderId"])
                for row in rows
                if row.get("actualOrderId") and inward(str(row["clientAlgoId"]), tag) is not None
            )
        )
