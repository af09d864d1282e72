"""The last rehearsal of the kill of every account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from proxy.drill.rehearsed import Rehearsed
from proxy.metrics.sheet import Sheet


def put_drills(sheet: Sheet, accounts: Iterable[Rehearsed], now: datetime) -> None:
    """How old it is, and whether it passed; an account that no rehearsal names has not."""
    for each in accounts:
        newest = each.newest
        if newest is not None:
            sheet.put("account_drill_age_seconds", (now - newest.at).total_seconds(), account=each.account)
        sheet.put("account_drill_passed", newest is not None and newest.passed, account=each.account)
