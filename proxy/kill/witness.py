"""What the guard knows of an account, put together as evidence for the automatic triggers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.accounts.findings import Activity
from proxy.accounts.outside_watch import Found
from rules.account import Account, Position
from rules.ages import seconds
from rules.facts import AccountRecord, Condition, Forecast
from rules.instrument import Instrument
from rules.kill.evidence import AccountSeen, Evidence, ForecastSeen, LegSeen, OrdersSeen, Results
from rules.kill.nearness import distance_of, is_carried, notional, revalued
from rules.rule import as_written
from rules.snapshot import Market

VOLATILITY_AGE_MAX: Final = timedelta(minutes=15)
"""Volatility follows hours; what was measured longer ago is not known any more."""

_LIQUIDATION: Final = "liquidation"


def evidence_of(
    name: str,
    *,
    account: Account | None,
    record: AccountRecord | None,
    markets: Mapping[str, Market],
    instruments: Mapping[str, Instrument],
    condition_of: Callable[[str], Condition | None],
    anomaly: float,
    now: datetime,
) -> Evidence:
    """What the guard itself knows of an account now; neither the second source nor the orders are in it."""
    book = book_seen(account, markets, instruments, condition_of, now) if account is not None else None
    return Evidence(
        at=now,
        account=name,
        book=book,
        results=results_of(record),
        forecast=forecast_of(record),
        anomaly=as_written(anomaly),
    )


def found_orders(found: Iterable[Found], owner: Callable[[str], str]) -> tuple[list[datetime], list[datetime]]:
    """When orders were found that no record explains: those that bear a bot's mark, and those of anybody else.

    ``owner`` names the bot behind a client order id, "" for nobody's.
    """
    marked: list[datetime] = []
    foreign: list[datetime] = []
    for each in found:
        if each.finding.activity is Activity.ORDER:
            (marked if owner(each.finding.client_order_id) else foreign).append(each.at)
    return marked, foreign


def book_seen(
    account: Account,
    markets: Mapping[str, Market],
    instruments: Mapping[str, Instrument],
    condition_of: Callable[[str], Condition | None],
    now: datetime,
) -> AccountSeen:
    """The guard's own picture at the newest marks, with distances by the guard's own arithmetic; where that cannot
    tell one, by the liquidation price that the venue told last."""
    account = revalued(account, markets)
    legs = tuple(
        LegSeen(
            symbol=leg.symbol,
            position_side=leg.position_side,
            notional=notional(leg),
            distance=_own_distance(leg, account, instruments),
            volatility=_volatility(condition_of(leg.symbol), now),
            at_par=leg.symbol not in instruments or instruments[leg.symbol].at_par,
        )
        for leg in account.positions
    )
    return AccountSeen(as_of=account.as_of, equity=account.margin_balance, legs=legs)


def reading_seen(account: Account) -> AccountSeen:
    """What the venue says of an account it was asked about just now, with distances by its own liquidation prices."""
    legs = tuple(
        LegSeen(
            symbol=leg.symbol,
            position_side=leg.position_side,
            notional=notional(leg),
            distance=_venue_distance(leg, account),
        )
        for leg in account.positions
    )
    return AccountSeen(as_of=account.as_of, equity=account.margin_balance, legs=legs)


def results_of(record: AccountRecord | None) -> Results | None:
    """What the record says was made, ``None`` while it says nothing."""
    if record is None or record.performance is None:
        return None
    made = record.performance
    return Results(
        as_of=record.as_of,
        day=made.day_pnl + made.day_funding,
        rolling=made.rolling_pnl + made.rolling_funding,
        equity=made.equity,
        equity_peak=made.equity_peak,
    )


def forecast_of(record: AccountRecord | None) -> ForecastSeen | None:
    """The highest stated probability of liquidation, ``None`` while nobody states one."""
    stated: list[Forecast] = [each for each in record.forecasts if each.name == _LIQUIDATION] if record else []
    highest = max(stated, key=lambda each: each.probability, default=None)
    if highest is None:
        return None
    return ForecastSeen(as_of=highest.as_of, probability=as_written(highest.probability), symbol=highest.symbol)


def orders_seen(found: Iterable[datetime], now: datetime, window_s: int) -> OrdersSeen:
    """How many of these moments lie within the window, and which was the newest of them."""
    recent = [at for at in found if now - at <= seconds(window_s)]
    return OrdersSeen(count=len(recent), newest=max(recent, default=None))


def _own_distance(leg: Position, account: Account, instruments: Mapping[str, Instrument]) -> Decimal | None:
    found = distance_of(leg, account, instruments)
    return found if found is not None else _venue_distance(leg, account)


def _venue_distance(leg: Position, account: Account) -> Decimal | None:
    """The venue shows no liquidation price, or zero, for a leg that cannot be liquidated alone; to the hedge leg that
    the other one carries it shows the other's."""
    if not leg.liquidation_price or leg.mark_price <= 0 or is_carried(leg, account):
        return None
    away = (leg.mark_price - leg.liquidation_price) / leg.mark_price
    return away if leg.quantity > 0 else -away


def _volatility(condition: Condition | None, now: datetime) -> Decimal | None:
    if condition is None or abs(now - condition.as_of) > VOLATILITY_AGE_MAX:
        return None
    return condition.volatility
