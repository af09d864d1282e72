"""The venue's request budget: what is used of it, and what is kept for the kill."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.accounts.budget_keeper import Standing
from proxy.metrics.sheet import Sheet


def put_budget(sheet: Sheet, venue: str, standings: Iterable[Standing]) -> None:
    """Every counter of one venue."""
    for each in standings:
        place = {"venue": venue, "limit": each.limit, "whose": each.whose}
        sheet.put("venue_budget_used", each.used, **place)
        sheet.put("venue_budget_limit", each.granted, **place)
        sheet.put("venue_budget_reserve", each.reserve, **place)
