"""The venue's request budget: what is used of it, what is kept for the kill, and when it is overdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.accounts.budget_keeper import Standing
from proxy.metrics.sheet import Sheet


def put_budget(sheet: Sheet, venue: str, standings: Iterable[Standing], silences: Mapping[str, int]) -> None:
    """Every counter of one venue, and by address the seconds that it wants to hear nothing."""
    for each in standings:
        place = {"venue": venue, "limit": each.limit, "whose": each.whose}
        sheet.put("venue_budget_used", each.used, **place)
        sheet.put("venue_budget_limit", each.granted, **place)
        sheet.put("venue_budget_reserve", each.reserve, **place)
    for address, left_s in silences.items():
        sheet.put("venue_silence_seconds", left_s, venue=venue, whose=address)
