"""Implements ``ReasonsPlane`` over the archive of a data directory. Nothing here can change anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any, Final, TypeVar

from proxy.audit.looks import ArchiveLooks
from proxy.audit.place import ArchivePlace
from proxy.audit.query import JudgedCommand, blocked, counts_by_code
from proxy.audit.reader import ArchiveReader
from proxy.exporting.columns import Column, Kind
from proxy.exporting.writers import write_rows
from proxy.reasons.inquiry import NotToBeTold, Recorded, Told, WhatIf, recorded, suppose, tell
from proxy.reasons.plane import Refusals, Wanted
from proxy.refused import Refused
from rules.policy import Policy

T = TypeVar("T")

EXPORTED_MAX: Final = 100_000
"""Rows of one table; who wants more narrows the time, or exports the archive."""

_PAGE: Final = 1_000
_NONE: Final = Refusals(rows=(), next=None)

COLUMNS: Final = (
    Column("at", Kind.TIME),
    *map(Column, ("id",)),
    Column("item", Kind.INTEGER),
    *map(Column, ("bot", "account", "symbol", "client_order_id", "command", "rule", "code")),
    *map(Column, ("observed", "limit")),
    Column("headroom", Kind.DECIMAL),
    Column("message"),
)


class ReasonsRecord:
    """The refusals of one archive. ``policy`` is the one in force when it is asked for."""

    def __init__(self, place: ArchivePlace, policy: Callable[[], Policy]) -> None:
        self._place = place
        self._policy = policy
        self._looks = ArchiveLooks("refusals")

    async def refusals(self, wanted: Wanted, *, limit: int) -> Refusals:
        """The refusals that match, newest first; none where there is no archive yet."""
        return await self._ask(("refusals", wanted, limit), lambda archive: _refusals(archive, wanted, limit), _NONE)

    async def counts(self, *, since: datetime | None, until: datetime | None) -> Mapping[str, int]:
        """How many of each code in that time."""
        return await self._ask(("counts", since, until), lambda archive: _counts(archive, since, until), {})

    async def table(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """The refusals that match as CSV, read and given a page at a time: all of them may take longer than a look."""
        left, before, begun = EXPORTED_MAX, wanted.before, False
        while left:
            question = partial(_written, wanted=replace(wanted, before=before), limit=min(_PAGE, left))
            page = await self._ask(object(), question, _Written(_NONE))
            yield page.lines if begun else page.heading + page.lines
            left, before, begun = left - page.count, page.next, True
            if before is None:
                return

    async def rules(self, decision_id: str) -> Told | None:
        """Every rule's part in a decision."""
        return await self._of(decision_id, tell)

    async def what_if(self, decision_id: str, *, item: str, quantity: str, price: str) -> WhatIf | None:
        """A recorded command at another size, under its own policy and the one in force."""
        policy = self._policy()
        return await self._of(
            decision_id, lambda found: suppose(found, policy, item=item, quantity=quantity, price=price)
        )

    async def _of(self, decision_id: str, question: Callable[[Recorded], T]) -> T | None:
        def ask(archive: ArchiveReader) -> T | None:
            found = recorded(archive, decision_id)
            return question(found) if found is not None else None

        try:
            return await self._ask(object(), ask, None)
        except NotToBeTold as trouble:
            raise Refused(f"this decision cannot be taken again: {trouble}") from trouble

    async def _ask(self, name: Hashable, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
        return await self._looks.ask(self._place, name, question, otherwise)


def _refusals(archive: ArchiveReader, wanted: Wanted, limit: int) -> Refusals:
    page = blocked(
        archive,
        bot=wanted.bot,
        account=wanted.account,
        rule=wanted.rule,
        code=wanted.code,
        symbol=wanted.symbol,
        since=wanted.since,
        until=wanted.until,
        text=wanted.text,
        before=wanted.before,
        limit=limit,
    )
    return Refusals(rows=page.rows, next=page.next)


def _counts(archive: ArchiveReader, since: datetime | None, until: datetime | None) -> Mapping[str, int]:
    found = counts_by_code(archive, since=since)
    later = counts_by_code(archive, since=until) if until is not None else {}
    between = {code: count - later.get(code, 0) for code, count in found.items()}
    return dict(sorted(((code, count) for code, count in between.items() if count > 0), key=lambda each: -each[1]))


class _Written:
    """One page as CSV: the line of the columns' names, and those of its rows."""

    def __init__(self, page: Refusals) -> None:
        written = BytesIO()
        self.count = write_rows(map(_cells, page.rows), COLUMNS, written, "csv")
        names, end, self.lines = written.getvalue().partition(b"\r\n")
        self.heading = names + end
        self.next = page.next


def _written(archive: ArchiveReader, *, wanted: Wanted, limit: int) -> _Written:
    return _Written(_refusals(archive, wanted, limit))


def _cells(row: JudgedCommand) -> dict[str, Any]:
    cells = {column.name: getattr(row, column.name) for column in COLUMNS}
    return cells | {"headroom": None if row.headroom is None else Decimal(row.headroom)}
