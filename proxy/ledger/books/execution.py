"""How well orders were executed, by bot, symbol and day: what the spread and slippage cost, what was refused, how long.

An order arrives at the middle of the quotes that the gate judged it on, which are as old as the policy's
``data_freshness`` lets them be; where it had none, at the mark, and that is counted. Slippage is what its fills cost
against that, weighted by what was traded; of it the spread is the half of bid to ask that taker fills crossed. A fill
whose order the audit does not know (from outside, forced, or older than is kept) is not measured, nor is a conditional
order's: it arrives when its trigger is reached, at prices nobody wrote down.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.ledger.books.rows import Wanted, each_account, moment, where

_BPS: Final = Decimal(10_000)
_STEP: Final = Decimal("0.01")
_ZERO: Final = Decimal(0)
TREND_DAYS: Final = 7
_TREND: Final = timedelta(days=TREND_DAYS)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)

CLOCKS_APART_MS_MAX: Final = 1_000
"""The venue's clock says when a fill was, the guard's when its order was judged: so much later by the guard's is still
before. It is what the guard lets the clocks differ without a warning (``OFF_MS`` in ``proxy/accounts/venue_clock.py``).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One bot's orders in one symbol on one day (UTC). Costs are in basis points of what was traded, positive when it
    cost; ``None`` where nothing was measured. Latency is from the gate's judgement to the venue's answer, ms.

    ``slippage_usual_bps`` is the mean of the seven days before, weighted in the same way.
    """

    day: date
    account: str
    bot: str
    symbol: str
    orders: int
    refused: int
    rejected: int
    unknown: int
    latency_ms_p50: Decimal | None
    latency_ms_p99: Decimal | None
    measured_fills: int
    measured_by_mark: int
    unmeasured_fills: int
    spread_bps: Decimal | None
    slippage_bps: Decimal | None
    slippage_usual_bps: Decimal | None


@dataclass(slots=True)
class _Day:
    orders: int = 0
    refused: int = 0
    rejected: int = 0
    unknown: int = 0
    latencies_us: list[int] = field(default_factory=list)
    fills: int = 0
    by_mark: int = 0
    unmeasured: int = 0
    traded: Decimal = _ZERO
    slipped: Decimal = _ZERO
    taken: Decimal = _ZERO
    crossed: Decimal = _ZERO


_Key = tuple[str, str, str, date]


def execution(connection: sqlite3.Connection, wanted: Wanted) -> list[Quality]:
    """Newest day first. ``wanted.since`` is where days begin; the days before it are looked at for what is usual."""
    before = None if wanted.since is None else max(wanted.since, _FIRST + _TREND) - _TREND
    days: dict[_Key, _Day] = {}
    for each in each_account(connection, replace(wanted, since=before)):
        _count_orders(connection, each, days)
        _count_fills(connection, each, days)
    shown = [key for key in days if wanted.since is None or key[3] >= wanted.since.date()]
    return [_quality(key, days) for key in sorted(shown, key=lambda each: (-each[3].toordinal(), each))]


def _count_orders(connection: sqlite3.Connection, wanted: Wanted, days: dict[_Key, _Day]) -> None:
    conditions, values = where(wanted, "j", bot="j.bot", at="at_us", units_per_ms=1000)
    query = f"""
        SELECT j.account, j.bot, j.symbol, j.at_us, j.refused, j.result, j.answered_us FROM judged j
        WHERE {conditions}"""  # noqa: S608 - no value in the text
    for account, bot, symbol, at_us, refused, result, answered_us in connection.execute(query, values):
        day = days.setdefault((account, bot, symbol, moment(at_us // 1000).date()), _Day())
        day.orders += 1
        day.refused += bool(refused)
        day.rejected += result == "REJECTED"
        day.unknown += result == "UNKNOWN"
        if answered_us is not None and result in ("ACCEPTED", "REJECTED"):
            day.latencies_us.append(answered_us - at_us)


def _count_fills(connection: sqlite3.Connection, wanted: Wanted, days: dict[_Key, _Day]) -> None:
    conditions, values = where(wanted, "f", bot="o.bot")
    # An id may be used again for a later order: the newest one judged before the fill is meant. Left to itself SQLite
    # would group along the primary key, through all fills there ever were.
    query = f"""
        SELECT f.account, o.bot, f.symbol, f.at_ms, f.side, f.price, f.quantity, f.maker, j.bid, j.ask, j.mark,
            max(j.at_us)
        FROM fills f INDEXED BY fills_by_time
        JOIN orders o ON o.account = f.account AND o.symbol = f.symbol AND o.order_id = f.order_id
        LEFT JOIN judged j INDEXED BY judged_by_client
            ON j.account = o.account AND j.client_order_id = o.client_order_id AND j.symbol = f.symbol
            AND j.refused = 0 AND j.at_us < (f.at_ms + ?) * 1000
        WHERE o.bot != '' AND o.origin = 'bot' AND {conditions}
        GROUP BY f.account, f.symbol, f.trade_id, f.order_id"""  # noqa: S608 - no value in the text
    for account, bot, symbol, at_ms, side, price, quantity, maker, bid, ask, mark, _ in connection.execute(
        query, [CLOCKS_APART_MS_MAX, *values]
    ):
        day = days.setdefault((account, bot, symbol, moment(at_ms).date()), _Day())
        quoted = bid is not None and ask is not None
        middle = (Decimal(bid) + Decimal(ask)) / 2 if quoted else Decimal(mark) if mark is not None else _ZERO
        if middle <= 0:
            day.unmeasured += 1
            continue
        paid, traded = Decimal(price), Decimal(quantity)
        day.fills += 1
        day.by_mark += not quoted
        day.traded += traded * middle
        day.slipped += traded * (paid - middle if side == "BUY" else middle - paid)
        if quoted and not maker:
            day.taken += traded * middle
            day.crossed += traded * (Decimal(ask) - Decimal(bid)) / 2


def _quality(key: _Key, days: dict[_Key, _Day]) -> Quality:
    account, bot, symbol, on = key
    day = days[key]
    earlier = [days.get((account, bot, symbol, on - timedelta(days=back))) for back in range(1, TREND_DAYS + 1)]
    usual = [each for each in earlier if each is not None]
    return Quality(
        day=on,
        account=account,
        bot=bot,
        symbol=symbol,
        orders=day.orders,
        refused=day.refused,
        rejected=day.rejected,
        unknown=day.unknown,
        latency_ms_p50=_quantile(day.latencies_us, 50),
        latency_ms_p99=_quantile(day.latencies_us, 99),
        measured_fills=day.fills,
        measured_by_mark=day.by_mark,
        unmeasured_fills=day.unmeasured,
        spread_bps=_bps(day.crossed, day.taken),
        slippage_bps=_bps(day.slipped, day.traded),
        slippage_usual_bps=_bps(_sum(each.slipped for each in usual), _sum(each.traded for each in usual)),
    )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)


def _bps(cost: Decimal, traded: Decimal) -> Decimal | None:
    return (cost / traded * _BPS).quantize(_STEP) if traded else None


def _quantile(latencies_us: list[int], percent: int) -> Decimal | None:
    """The smallest that so many per cent do not exceed (nearest rank)."""
    if not latencies_us:
        return None
    place = -(-len(latencies_us) * percent // 100)
    return (Decimal(sorted(latencies_us)[max(0, place - 1)]) / 1000).quantize(_STEP)
