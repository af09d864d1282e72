"""Which decisions are told again after a restart: those that an earlier warden has heard, before they were archived.

While the archive takes nothing, as on a full disk, the stream keeps what the warden has heard long since, and tells all
of it again after a restart. That is more than a memory knows by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from proxy.accounts import memory as memories
from proxy.accounts.memory import Memory


class Retold:
    """One account's, while one source tells its decisions in their order: until a bot's first that was made later than
    all that were heard of it, nothing of it is new. What is out of order behind that one is."""

    def __init__(self, memory: Memory, now: Callable[[], datetime]) -> None:
        """``memory`` is as it was before the source began. What it heard of later than ``now`` is of a clock that ran
        ahead, and is no word of what was heard, also where it is put right only later."""
        self._now = now
        self._until: dict[str, datetime] = {}
        if len(memory.decisions) < memories.DECISIONS_MAX:
            return  # Each that was ever heard is known by its name.
        for each in memory.conducts:
            if each.heard_until is not None:
                self._until[each.bot] = min(each.heard_until, now())

    def without(self, records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those of these decision records that are not told again."""
        return [record for record in records if not self._is_one(record)] if self._until else list(records)

    def _is_one(self, record: Mapping[str, Any]) -> bool:
        bot, at = record.get("bot"), memories.moment_of(record)
        until = self._until.get(bot) if isinstance(bot, str) else None
        if until is None or at is None:
            return False
        if at <= until <= self._now():
            return True
        del self._until[record["bot"]]
        return False
