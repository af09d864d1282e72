"""The last kill of every account, and of every bot's part of one, as its journal tells it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from proxy.kill.report import AccountReport
from proxy.metrics.sheet import Sheet
from proxy.store.fence import Scope


def put_kills(sheet: Sheet, reports: Iterable[AccountReport]) -> None:
    """When it was pressed, how soon nothing could start, and how soon all was flat.

    A bot's part never speaks for its account: it has names of its own, until the whole account is killed after it.
    """
    whole_killed_at: dict[str, datetime] = {}
    parts: list[tuple[AccountReport, str]] = []
    for report in reports:
        bot = Scope.parse(report.scope).bot
        if bot is not None:
            parts.append((report, bot))
            continue
        whole_killed_at[report.account] = report.started_at
        _put(sheet, "last_kill", report, report.flat, account=report.account)
    for report, bot in parts:
        later = whole_killed_at.get(report.account)
        if later is None or later < report.started_at:
            flat = report.flat if report.phase.final else None  # No kill_running is told of bots.
            _put(sheet, "last_bot_kill", report, flat, account=report.account, bot=bot)


def _put(sheet: Sheet, name: str, report: AccountReport, flat: bool | None, **whose: str) -> None:
    sheet.put(f"{name}_time_seconds", report.started_at.timestamp(), **whose)
    sheet.put(f"{name}_blocked_seconds", _seconds(report.blocked_ms), **whose)
    sheet.put(f"{name}_flat_seconds", _seconds(report.flat_ms), **whose)
    sheet.put(f"{name}_flat", flat, **whose)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
