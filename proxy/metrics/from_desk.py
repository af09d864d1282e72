"""One glance at the desk as numbers: what may be traded, how fresh the facts are, what waits for somebody."""

from __future__ import annotations

from collections import Counter
from typing import Final

from proxy.accounts.feed_state import FeedStatus
from proxy.console.desk_views import AccountView, DeskView
from proxy.metrics.sheet import Sheet
from rules.model import TradingState

_STATES: Final = {state.value: number for number, state in enumerate(TradingState)}
"""ACTIVE, REDUCING, HALTED: the larger, the less may be traded."""


def put_desk(sheet: Sheet, desk: DeskView) -> None:
    """The desk, its accounts and bots, and what people settle."""
    _put_state(sheet, desk, desk.state, "desk", desk.desk)
    sheet.put("latch_generation", desk.generation)
    sheet.put("markets_age_seconds", desk.markets_age_s)
    sheet.put("anomaly_score", desk.anomaly, level="desk", name=desk.desk)
    sheet.put("policy_info", 1, name=desk.policy_name, owner=desk.policy_owner, version=desk.policy_version)
    sheet.put("policy_proposals", len(desk.proposals))
    for state, count in Counter(each.state for each in desk.overrides).items():
        sheet.put("overrides", count, state=state)
    for account in desk.accounts:
        _put_state(sheet, desk, account.state, "account", account.name)
        _put_account(sheet, account)
    for bot in desk.bots:
        _put_state(sheet, desk, bot.state, "bot", bot.name)
        sheet.put("anomaly_score", bot.anomaly, level="bot", name=bot.name)
    _put_watching(sheet, desk)


def _put_state(sheet: Sheet, desk: DeskView, state: str, level: str, name: str) -> None:
    """Without the store only what this machine has stopped is known; that the rest may trade would be a guess."""
    known = desk.store_ok or state == TradingState.HALTED
    sheet.put("trading_state", _STATES[state] if known else None, level=level, name=name)


def _put_account(sheet: Sheet, account: AccountView) -> None:
    name = account.name
    sheet.put("anomaly_score", account.anomaly, level="account", name=name)
    sheet.put("kill_running", account.kill_running, account=name)
    if account.feed.state != FeedStatus.OFF:
        sheet.put("feed_up", account.feed.state == FeedStatus.LIVE, account=name)
    sheet.put("feed_age_seconds", account.feed.age_s, account=name)
    sheet.put("feed_gaps_healed_total", account.feed.gaps_healed, account=name)
    sheet.put("account_age_seconds", account.known_age_s, account=name)
    sheet.put("survey_age_seconds", account.survey_age_s, account=name)
    if account.clock_offset_ms is not None:
        sheet.put("clock_offset_seconds", account.clock_offset_ms / 1000, venue=account.venue)
    if account.exchange_key != "unknown":
        sheet.put("exchange_key_sound", account.exchange_key == "sound", account=name)
    sheet.put("external_trader", account.external_trader, account=name)
    sheet.put("margin_balance", _number(account.margin_balance), account=name)
    sheet.put("leverage", _number(account.leverage), account=name)
    for each in account.positions:
        sign = -1 if each.quantity.startswith("-") else 1
        notional = sign * abs(float(each.notional))
        sheet.put("position_notional", notional, account=name, symbol=each.symbol, position_side=each.position_side)
    sheet.put("open_orders", account.open_orders, account=name, kind="plain")
    sheet.put("open_orders", account.conditional_orders, account=name, kind="conditional")
    sheet.put("venue_timers", len(account.timers), account=name)


def _put_watching(sheet: Sheet, desk: DeskView) -> None:
    if desk.drill is not None:
        sheet.put("drill_age_seconds", desk.drill.age_s)
        sheet.put("drill_passed", desk.drill.passed)
    for watchdog in desk.watchdogs:
        sheet.put("watchdog_heard_age_seconds", watchdog.heard_age_s, watchdog=watchdog.name)
        sheet.put("watchdog_lost", watchdog.lost, watchdog=watchdog.name)
    for lease in desk.leases:
        sheet.put("lease_left_seconds", lease.left_s, account=lease.account, bot=lease.bot)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
