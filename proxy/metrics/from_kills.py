"""The last kill of every account, as its journal tells it."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.kill.report import AccountReport
from proxy.metrics.sheet import Sheet


def put_kills(sheet: Sheet, reports: Iterable[AccountReport]) -> None:
    """When it was pressed, how soon nothing could start, and how soon all was flat."""
    for report in reports:
        account = report.account
        sheet.put("last_kill_time_seconds", report.started_at.timestamp(), account=account)
        sheet.put("last_kill_blocked_seconds", _seconds(report.blocked_ms), account=account)
        sheet.put("last_kill_flat_seconds", _seconds(report.flat_ms), account=account)
        sheet.put("last_kill_flat", report.flat, account=account)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
