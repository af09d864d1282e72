"""The venue's calls that only the kill of one bot's part makes: order by order, never all of a symbol's.

They keep the same silence, clock and addresses as the other calls of a kill.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from proxy.exchange.payloads import parsed
from proxy.exchange.row import Row
from proxy.exchange.way_out import WayOut, rows_of

BORN_ROWS_MAX: Final = 1_000
"""The most that Binance gives in one answer ("Query All Algo Orders", seen 2026-11)."""

BORN_PAGES_MAX: Final = 5
"""Answers read back at most, in one look at a symbol: each weighs 5."""

_BACK_MS: Final = 7 * 86_400_000 - 1


@dataclass(frozen=True, slots=True)
class Triggered:
    """Plain orders that conditional ones became, by the venue's id: the client id of the conditional one.

    ``all_read`` is false where there were more conditional orders than were read; then others may have become some too.
    """

    named: Mapping[str, str]
    all_read: bool


class BotWayOut(WayOut):
    """Cancels of single orders, and which plain orders conditional ones became. All raise a ``VenueTrouble``.

    An order that is gone already is as good as cancelled.
    """

    async def cancel_one_plain(self, symbol: str, order_id: str) -> None:
        """Cancel one plain order by the venue's id; weight 1."""
        await self._cancelled(self._venue.fapiPrivateDeleteOrder, {"symbol": symbol, "orderId": order_id})

    async def cancel_one_conditional(self, symbol: str, order_id: str) -> None:
        """Cancel one conditional order by the venue's id; weight 1."""
        await self._cancelled(self._venue.fapiPrivateDeleteAlgoOrder, {"symbol": symbol, "algoId": order_id})

    async def triggered(self, symbol: str, wanted: Collection[str]) -> Triggered:
        """What conditional orders of a symbol became, read back until all that is ``wanted`` was found.

        Of those placed in the last seven days, which is as far as the venue looks back by itself; weight 5 an answer.
        """
        asked = {"symbol": symbol, "limit": str(BORN_ROWS_MAX)}
        named: dict[str, str] = {}
        last: Row | None = None
        for _ in range(BORN_PAGES_MAX):
            rows = rows_of(await self._read(self._venue.fapiPrivateGetAllAlgoOrders, asked))
            named |= parsed(partial(_named, rows))
            if len(rows) < BORN_ROWS_MAX or named.keys() >= set(wanted):
                return Triggered(named, all_read=True)
            if last is not None and last not in rows:
                break  # These are not the ones next to the last: what lies between would be missed.
            last, newest = parsed(partial(_ends, rows))
            asked = {"startTime": str(newest - _BACK_MS)} | asked | {"endTime": str(_placed(last))}
        return Triggered(named, all_read=False)


def _named(rows: Iterable[Row]) -> dict[str, str]:
    return {str(row["actualOrderId"]): str(row["clientAlgoId"]) for row in rows if row.get("actualOrderId")}


def _ends(rows: Sequence[Row]) -> tuple[Row, int]:
    """The row placed first, and when the last one was."""
    return min(rows, key=_placed), max(map(_placed, rows))


def _placed(row: Row) -> int:
    return int(row["createTime"])
